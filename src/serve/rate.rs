//! `--rate`: how fast the playhead moves. Parsing and arithmetic only; the playhead itself
//! is in `timeline`.

use std::fmt;
use std::str::FromStr;

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// No clock: as fast as a connection takes it.
    Max,
    /// This many times the speed at which it was recorded.
    Speed(f64),
    /// This many events per second, whatever their times say.
    PerSecond(f64),
}

/// Why a rate was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: write max, a speed like 1x or 10x, or events per second like 500/s")]
pub struct RateError(String);

/// Slowest and fastest factor taken: beyond, the arithmetic in microseconds means nothing.
const FACTORS: std::ops::RangeInclusive<f64> = 1e-6..=1e9;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor = |digits: &str| {
            let value = digits.parse::<f64>().ok();
            value.filter(|v| FACTORS.contains(v))
        };
        let speed = text.strip_suffix('x').and_then(factor).map(Self::Speed);
        let per_second = || text.strip_suffix("/s").and_then(factor).map(Self::PerSecond);
        speed.or_else(per_second).ok_or_else(|| RateError(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Speed(factor) => write!(f, "{factor}x"),
            Self::PerSecond(events) => write!(f, "{events}/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_they_are_written() {
        for text in ["max", "1x", "0.5x", "10x", "500/s", "2.5/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in ["", "x", "fast", "-1x", "0x", "NaNx", "infx", "10", "5/m", "0/s"] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
