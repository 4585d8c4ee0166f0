//! `--chaos SPEC`: parsing and printing of fault specifications. `random` draws the faults, and
//! other modules apply them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::fault::Fault;
use super::loss;

/// Maximum duration; no test waits longer.
const MAX_DURATION: Duration = Duration::from_secs(30 * 86_400);

/// A parsed `--chaos` specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChaosSpec {
    /// Seed of all randomness.
    pub seed: u64,
    odds: [Option<Odds>; Fault::ALL.len()],
    /// `clamp`: number of events that the server holds.
    pub clamp: Option<u64>,
    /// `instance`: the server instance to imitate.
    pub instance: Option<u64>,
    /// `page`: number of entries per plan page.
    pub page: Option<u64>,
    /// `empty`: number of segments with events after which the archive has an empty one.
    pub empty: Option<u64>,
    /// `behind`: distance between the tip and the recording's end.
    pub behind: Option<Duration>,
    /// `omit`: one of how many events the server does not have.
    pub omit: Option<u64>,
    /// `blind`: the collection whose commits the server does not have; with `.*` at its end, all
    /// collections that begin with it.
    pub blind: Option<String>,
}

impl Default for ChaosSpec {
    fn default() -> Self {
        Self {
            seed: 0,
            odds: [None; Fault::ALL.len()],
            clamp: None,
            instance: None,
            page: None,
            empty: None,
            behind: None,
            omit: None,
            blind: None,
        }
    }
}

/// The probability of a fault, and its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odds {
    /// Average number of events (`refuse`: connections) per fault; at least 1.
    pub one_in: u64,
    /// Zero for faults without a duration.
    pub duration: Duration,
}

/// Why a specification was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChaosError {
    /// An item is not of the form `name=value`.
    #[error("{0:?} has no value: write items like close=100, separated by commas")]
    NoValue(String),
    /// An unknown item.
    #[error("{name:?} is not a fault: write {}", names())]
    Name {
        /// The name as given.
        name: String,
    },
    /// An invalid value.
    #[error("{name}: {value:?} is not {accepted}")]
    Value {
        /// The item's name.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The accepted values.
        accepted: &'static str,
    },
    /// An item was given twice.
    #[error("{0} is given twice: remove one")]
    Duplicate(&'static str),
}

impl ChaosSpec {
    /// Returns the probability and duration of a fault; `None` if it never happens.
    #[must_use]
    pub fn odds(&self, fault: Fault) -> Option<Odds> {
        self.odds.get(fault as usize).copied().flatten()
    }

    fn set(&mut self, fault: Fault, value: &str) -> Result<(), ChaosError> {
        let accepted = match fault {
            Fault::Refuse | Fault::Throttle => {
                "N or N:DUR, N a whole number from 1, DUR in whole seconds (0s, 5s)"
            }
            _ if fault.default_duration().is_some() => {
                "N or N:DUR, N a whole number from 1, DUR like 250ms, 2s or 5m"
            }
            _ => "a whole number from 1 (on average once in N)",
        };
        let refused = || ChaosError::Value { name: fault.name(), value: value.into(), accepted };
        let (number, duration) = match (value.split_once(':'), fault.default_duration()) {
            (Some((number, text)), Some(_)) => (number, parse_duration(text).ok_or_else(refused)?),
            (None, usual) => (value, usual.unwrap_or_default()),
            (Some(_), None) => return Err(refused()),
        };
        let whole_seconds = duration.subsec_nanos() == 0;
        let one_in = positive(number)
            .filter(|_| whole_seconds || !matches!(fault, Fault::Refuse | Fault::Throttle))
            .ok_or_else(refused)?;
        match self.odds.get_mut(fault as usize) {
            Some(Some(_)) => Err(ChaosError::Duplicate(fault.name())),
            Some(odds) => {
                *odds = Some(Odds { one_in, duration });
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Returns the list of all item names.
fn names() -> String {
    let faults = Fault::ALL.iter().map(|f| f.name());
    let names: Vec<&str> = ["seed"].into_iter().chain(faults).collect();
    format!("{}, clamp, page, empty, instance, behind, omit or blind", names.join(", "))
}

impl FromStr for ChaosSpec {
    type Err = ChaosError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut spec = Self::default();
        let mut seed = None;
        for item in text.split(',').map(str::trim) {
            let (name, value) =
                item.split_once('=').ok_or_else(|| ChaosError::NoValue(item.to_owned()))?;
            let refused =
                |name, accepted| ChaosError::Value { name, value: value.to_owned(), accepted };
            let whole = |name| value.parse().map_err(|_| refused(name, "a whole number"));
            let counted = |name, accepted| positive(value).ok_or_else(|| refused(name, accepted));
            const EVENTS: &str = "a whole number of events from 1";
            match name {
                "seed" => once(&mut seed, whole("seed")?, "seed")?,
                "clamp" => once(&mut spec.clamp, counted("clamp", EVENTS)?, "clamp")?,
                "page" => {
                    let entries = counted("page", "a whole number of entries from 1")?;
                    once(&mut spec.page, entries, "page")?;
                }
                "empty" => {
                    let segments = counted("empty", "a whole number of segments from 1")?;
                    once(&mut spec.empty, segments, "empty")?;
                }
                "instance" => once(&mut spec.instance, whole("instance")?, "instance")?,
                "behind" => {
                    let duration = parse_duration(value)
                        .ok_or_else(|| refused("behind", "a duration like 250ms, 2s or 5m"))?;
                    once(&mut spec.behind, duration, "behind")?;
                }
                "omit" => once(&mut spec.omit, counted("omit", EVENTS)?, "omit")?,
                "blind" => {
                    let collection = loss::is_pattern(value)
                        .then(|| value.to_owned())
                        .ok_or_else(|| refused("blind", loss::PATTERN))?;
                    once(&mut spec.blind, collection, "blind")?;
                }
                _ => match Fault::ALL.into_iter().find(|f| f.name() == name) {
                    Some(fault) => spec.set(fault, value)?,
                    None => return Err(ChaosError::Name { name: name.to_owned() }),
                },
            }
        }
        spec.seed = seed.unwrap_or(0);
        Ok(spec)
    }
}

fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), ChaosError> {
    match place.replace(value) {
        Some(_) => Err(ChaosError::Duplicate(name)),
        None => Ok(()),
    }
}

fn positive(text: &str) -> Option<u64> {
    text.parse().ok().filter(|&n| n > 0)
}

/// Parses a whole number with a unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    Some(Duration::from_millis(ms)).filter(|&d| d <= MAX_DURATION)
}

/// Formats a duration so that [`parse_duration`] accepts it.
fn duration_text(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// Always prints the seed, so that the run can be reproduced.
impl fmt::Display for ChaosSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        for fault in Fault::ALL {
            let Some(odds) = self.odds(fault) else { continue };
            write!(f, ",{}={}", fault.name(), odds.one_in)?;
            if fault.default_duration().is_some() {
                write!(f, ":{}", duration_text(odds.duration))?;
            }
        }
        if let Some(events) = self.clamp {
            write!(f, ",clamp={events}")?;
        }
        if let Some(entries) = self.page {
            write!(f, ",page={entries}")?;
        }
        if let Some(segments) = self.empty {
            write!(f, ",empty={segments}")?;
        }
        if let Some(instance) = self.instance {
            write!(f, ",instance={instance}")?;
        }
        if let Some(behind) = self.behind {
            write!(f, ",behind={}", duration_text(behind))?;
        }
        if let Some(events) = self.omit {
            write!(f, ",omit={events}")?;
        }
        if let Some(collection) = &self.blind {
            write!(f, ",blind={collection}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> ChaosSpec {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<ChaosSpec>().unwrap_err().to_string()
    }

    #[test]
    fn items_are_parsed_with_their_default_durations() {
        let spec = read("stall=50,close=7,refuse=3:0s, step=9:250ms,clamp=10,behind=5m");
        let odds = |fault| spec.odds(fault).map(|o| (o.one_in, o.duration.as_millis()));
        assert_eq!(odds(Fault::Stall), Some((50, 2_000)));
        assert_eq!(odds(Fault::Close), Some((7, 0)));
        assert_eq!(odds(Fault::Refuse), Some((3, 0)));
        assert_eq!(odds(Fault::Step), Some((9, 250)));
        assert_eq!(odds(Fault::Drop), None);
        assert_eq!((spec.seed, spec.clamp, spec.instance), (0, Some(10), None));
        assert_eq!(spec.behind, Some(Duration::from_secs(300)));
    }

    #[test]
    fn printed_specifications_contain_the_seed() {
        assert_eq!(read("close=5").to_string(), "seed=0,close=5");
        assert_eq!(read("stall=5,seed=9").to_string(), "seed=9,stall=5:2s");
    }

    #[test]
    fn an_error_names_the_item_its_value_and_the_accepted_values() {
        for (text, words) in [
            ("", &["\"\" has no value"][..]),
            ("close", &["\"close\" has no value", "close=100"]),
            ("clsoe=5", &["\"clsoe\"", "seed, close, drop", "omit or blind"]),
            ("close=0", &["close: \"0\"", "from 1"]),
            ("close=5:2s", &["close: \"5:2s\"", "whole number"]),
            ("close=-1", &["close: \"-1\""]),
            ("stall=5:2", &["stall: \"5:2\"", "N:DUR", "250ms"]),
            ("stall=5:99999999h", &["stall"]),
            ("refuse=5:1500ms", &["refuse: \"5:1500ms\"", "whole seconds"]),
            ("seed=x", &["seed: \"x\"", "whole number"]),
            ("clamp=0", &["clamp: \"0\"", "from 1"]),
            ("empty=0", &["empty: \"0\"", "from 1"]),
            ("behind=2", &["behind: \"2\"", "2s"]),
            ("omit=0", &["omit: \"0\"", "from 1"]),
            ("blind=post", &["blind: \"post\"", "app.bsky.feed.post"]),
            ("close=5,close=6", &["close", "twice"]),
            ("seed=5,seed=5", &["seed", "twice"]),
            ("close=5,", &["\"\" has no value"]),
        ] {
            for words in words {
                let message = refusal(text);
                assert!(message.contains(words), "{text:?}: {message:?} lacks {words:?}");
            }
        }
    }

    fn duration() -> impl Strategy<Value = Duration> {
        (0..100_000_u64).prop_map(Duration::from_millis)
    }

    fn odds(fault: Fault) -> BoxedStrategy<Option<Odds>> {
        let duration = match fault {
            Fault::Refuse | Fault::Throttle => (0..90_u64).prop_map(Duration::from_secs).boxed(),
            _ if fault.default_duration().is_some() => duration().boxed(),
            _ => Just(Duration::ZERO).boxed(),
        };
        let odds = (1..=u64::MAX, duration);
        proptest::option::of(odds.prop_map(|(one_in, duration)| Odds { one_in, duration })).boxed()
    }

    fn any_spec() -> impl Strategy<Value = ChaosSpec> {
        let all: Vec<_> = Fault::ALL.into_iter().map(odds).collect();
        let rest = (
            any::<u64>(),
            proptest::option::of(1..=u64::MAX),
            proptest::option::of(1..=u64::MAX),
            proptest::option::of(1..=u64::MAX),
            any::<Option<u64>>(),
            proptest::option::of(duration()),
            proptest::option::of(1..=u64::MAX),
            proptest::option::of("[a-z]{2,5}\\.[a-z]{2,5}\\.([a-zA-Z]{1,5}|\\*)"),
        );
        (all, rest).prop_map(|(all, rest)| {
            let (seed, clamp, page, empty, instance, behind, omit, blind) = rest;
            ChaosSpec {
                seed,
                odds: std::array::from_fn(|i| all[i]),
                clamp,
                page,
                empty,
                instance,
                behind,
                omit,
                blind,
            }
        })
    }

    proptest! {
        #[test]
        fn printed_specifications_parse_to_the_same_value(spec in any_spec()) {
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<ChaosSpec>();
        }
    }
}
