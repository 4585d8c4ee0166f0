//! `--rate`, the speed of the playhead: parsing and printing. The playhead itself is in `timeline`.

use std::fmt;
use std::str::FromStr;

/// Playback speed of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Without a clock: as fast as a connection accepts events.
    Max,
    /// A multiple of the recorded speed.
    Speed(f64),
    /// A fixed number of events per second, independent of their times.
    PerSecond(f64),
}

/// Why a rate was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: write max, a speed like 1x or 10x, or events per second like 500/s")]
pub struct RateError(String);

/// Accepted factors: outside of this range, arithmetic in microseconds loses its meaning.
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
    fn rates_round_trip() {
        for text in ["max", "1x", "0.5x", "10x", "500/s", "2.5/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_rejected_and_named() {
        for text in ["", "x", "fast", "-1x", "0x", "NaNx", "infx", "10", "5/m", "0/s"] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
