//! Log lines on stderr, as text or JSON.
//!
//! Text on a terminal: `skytail: warning: MESSAGE (key=value …)`. Elsewhere a line starts with an
//! RFC 3339 time, because logs are read later. JSON: one object per line with the stable keys `ts`
//! (RFC 3339, UTC, milliseconds), `level` (`error`, `warning`, `info`, `debug`, `trace`) and
//! `message`, followed by the event's fields; a field with one of these names gets a trailing `_`.
//!
//! A statement that logs very often is throttled (`log_throttle`): the last line before lines are
//! suppressed says so, and the next line has their number in `left_out`. `-vv` and `SKYTAIL_LOG`
//! disable the throttle.
//!
//! No control character of a message or field reaches stderr raw, no text is longer than 2,000
//! characters, and known secrets are redacted ([`secrets`]).

use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::log_throttle::{LogThrottle, ThrottleDecision};
use super::printable::{is_harmless, printable};
use super::secrets;
use super::terminal::Terminal;

/// Maximum length of a message or field, in characters.
const MAX_CHARS: usize = 2000;

/// What to log, and in which format.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// -1: errors only; 0: warnings too; 1: info lines of skytail too; 2: everything.
    pub verbosity: i8,
    /// One JSON object per line.
    pub json: bool,
    /// Whether to colour the level.
    pub colour: bool,
    /// Whether to put the time in front of text lines.
    pub timestamps: bool,
    /// `SKYTAIL_LOG`: a filter that replaces the verbosity.
    pub filter: Option<String>,
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter can't be parsed.
    #[error(
        "SKYTAIL_LOG: {filter:?} is not a filter: {cause}; write a level (info), or modules and levels (skytail::source=debug,warn)"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// The parser's error.
        cause: String,
    },
    /// A global logger is already set.
    #[error("logging was started twice; this is a bug in skytail")]
    AlreadyStarted,
}

/// Starts logging to `terminal`.
///
/// # Errors
/// [`LogError`] if the filter is invalid or a logger is already set.
pub fn init(settings: &LogSettings, terminal: &Terminal) -> Result<(), LogError> {
    let filter = filter(settings)?;
    let lines = LogLayer {
        settings: settings.clone(),
        terminal: terminal.clone(),
        throttle: Mutex::default(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(filter_fn(is_allowed_target));
    subscriber.with(lines).try_init().map_err(|_| LogError::AlreadyStarted)
}

/// Formats a warning that is printed before logging is started.
#[must_use]
pub fn warning_line(message: &str, is_json: bool) -> String {
    let fields = LogFields { message: message.to_owned(), ..LogFields::default() };
    match is_json {
        true => json_line(jiff::Timestamp::now(), Level::WARN, &fields),
        false => text_line(None, Level::WARN, &fields, false),
    }
}

/// Formats a message as a JSON log line of the level `info`.
#[must_use]
pub fn info_line(message: &str) -> String {
    let fields = LogFields { message: message.to_owned(), ..LogFields::default() };
    json_line(jiff::Timestamp::now(), Level::INFO, &fields)
}

/// Returns whether a library may log this. Some libraries log whole requests, including
/// `Authorization`, at these levels; no user's filter enables them.
fn is_allowed_target(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next();
    let max_level = match library {
        // The NATS sink reports connection changes itself, with remedies.
        Some("async_nats") => return false,
        Some("tungstenite") => Level::DEBUG,
        _ => return true,
    };
    *metadata.level() <= max_level
}

fn filter(settings: &LogSettings) -> Result<EnvFilter, LogError> {
    Ok(match &settings.filter {
        Some(filter) => EnvFilter::try_new(filter)
            .map_err(|e| LogError::Filter { filter: filter.clone(), cause: e.to_string() })?,
        None => EnvFilter::new(match settings.verbosity {
            ..=-1 => "error",
            0 => "warn",
            1 => "warn,skytail=info",
            _ => "info,skytail=debug",
        }),
    })
}

/// Formats tracing events as lines.
struct LogLayer {
    settings: LogSettings,
    terminal: Terminal,
    throttle: Mutex<LogThrottle<callsite::Identifier>>,
}

impl LogLayer {
    /// Returns whether to write the line; adds fields about suppressed lines.
    fn admit(&self, event: &Event<'_>, fields: &mut LogFields) -> bool {
        if self.settings.verbosity > 1 || self.settings.filter.is_some() {
            return true;
        }
        // A panicking thread leaves a consistent map behind.
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        match throttle.decide(event.metadata().callsite(), Instant::now()) {
            ThrottleDecision::Suppress => false,
            ThrottleDecision::Log { left_out, is_last } => {
                if left_out > 0 {
                    fields.others.push(("left_out", left_out.into()));
                }
                if is_last {
                    fields
                        .others
                        .push(("throttled", "more of these are left out; -vv shows them".into()));
                }
                true
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = LogFields::default();
        event.record(&mut fields);
        if !self.admit(event, &mut fields) {
            return;
        }
        let level = *event.metadata().level();
        let now = jiff::Timestamp::now();
        let line = match self.settings.json {
            true => json_line(now, level, &fields),
            false => text_line(
                self.settings.timestamps.then_some(now),
                level,
                &fields,
                self.settings.colour,
            ),
        };
        // A failure to log can't be logged.
        let _ = self.terminal.write_lines(line.as_bytes());
    }
}

/// The message and fields of one event, as text.
#[derive(Debug, Default)]
struct LogFields {
    message: String,
    others: Vec<(&'static str, serde_json::Value)>,
}

impl LogFields {
    fn add(&mut self, field: &Field, value: serde_json::Value) {
        // Redact before text is shortened or escaped: a part of a secret would not be found.
        let value = match value {
            serde_json::Value::String(text) => secrets::redact(&text).into(),
            other => other,
        };
        match (field.name(), value) {
            ("message", serde_json::Value::String(text)) => self.message = text,
            ("message", value) => self.message = value.to_string(),
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for LogFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

/// Returns the name of a level and its ANSI colour code.
fn level_name(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("error", "31"),
        Level::WARN => ("warning", "33"),
        Level::INFO => ("info", "32"),
        Level::DEBUG => ("debug", "34"),
        Level::TRACE => ("trace", "35"),
    }
}

fn text_line(
    now: Option<jiff::Timestamp>,
    level: Level,
    fields: &LogFields,
    colour: bool,
) -> String {
    let mut line = now.map(|now| format!("{now:.3} ")).unwrap_or_default();
    let (word, code) = level_name(level);
    let word = if colour { format!("\x1b[1;{code}m{word}\x1b[0m") } else { word.to_owned() };
    // Writing to a String can't fail.
    let _ = write!(line, "skytail: {word}: {}", printable(fields.message.as_bytes(), MAX_CHARS));
    for (i, (name, value)) in fields.others.iter().enumerate() {
        let value = match value {
            serde_json::Value::String(text) => printable(text.as_bytes(), MAX_CHARS),
            other => other.to_string(),
        };
        let _ = write!(line, "{}{name}={value}", if i == 0 { " (" } else { " " });
    }
    line.push_str(if fields.others.is_empty() { "\n" } else { ")\n" });
    line
}

fn json_line(now: jiff::Timestamp, level: Level, fields: &LogFields) -> String {
    let mut object = serde_json::Map::new();
    object.insert("ts".into(), format!("{now:.3}").into());
    object.insert("level".into(), level_name(level).0.into());
    object.insert("message".into(), shortened(&fields.message).into());
    for (name, value) in &fields.others {
        let name = match *name {
            "ts" | "level" | "message" => format!("{name}_"),
            name => name.to_owned(),
        };
        let value = match value {
            serde_json::Value::String(text) => shortened(text).into(),
            other => other.clone(),
        };
        object.insert(name, value);
    }
    let text = serde_json::Value::Object(object).to_string();
    // serde_json escapes only the ASCII control characters.
    let harmless = text.chars().flat_map(|c| match is_harmless(c) {
        true => vec![c],
        false => {
            let mut units = [0; 2];
            let escaped = c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}"));
            escaped.collect::<String>().chars().collect()
        }
    });
    harmless.chain(['\n']).collect()
}

/// Truncates a text to [`MAX_CHARS`] characters, the last one `…`.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
