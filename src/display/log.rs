//! Log lines on stderr, for people or as JSON.
//!
//! Text, at a terminal: `skytail: warning: MESSAGE (key=value …)`; elsewhere the same with an
//! RFC 3339 time in front, since logs are read later. JSON: one object a line with the stable
//! keys `ts`, `level`, `message`, and the fields beside them.
//!
//! Whatever a message or field holds, no control character reaches stderr raw.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::printable::{is_harmless, printable};
use super::terminal::Terminal;

/// Longest message or field, in characters.
const MAX_CHARS: usize = 2000;

/// What to log, and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// -1 for errors only, 0 for warnings too, 1 for what happens, 2 for all.
    pub verbosity: i8,
    /// One JSON object a line.
    pub json: bool,
    /// Whether to colour the level.
    pub colour: bool,
    /// Whether to put the time in front of text lines.
    pub times: bool,
    /// `SKYTAIL_LOG`: a filter that replaces the verbosity.
    pub filter: Option<String>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A filter that can't be read.
    #[error(
        "SKYTAIL_LOG: {filter:?} is no filter: {cause}; write a level (info), or rooms and levels (skytail::source=debug,warn)"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Somebody logs already.
    #[error("logging is set up twice; this is a bug in skytail")]
    Twice,
}

/// Starts logging to `terminal`.
///
/// # Errors
/// [`LogError`].
pub fn init(settings: &LogSettings, terminal: &Terminal) -> Result<(), LogError> {
    let filter = match &settings.filter {
        Some(filter) => EnvFilter::try_new(filter)
            .map_err(|e| LogError::Filter { filter: filter.clone(), cause: e.to_string() })?,
        None => EnvFilter::new(match settings.verbosity {
            ..=-1 => "error",
            0 => "warn",
            1 => "warn,skytail=info",
            _ => "info,skytail=debug",
        }),
    };
    let lines = Lines { settings: settings.clone(), terminal: terminal.clone() };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| LogError::Twice)
}

/// Turns events into lines.
struct Lines {
    settings: LogSettings,
    terminal: Terminal,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let now = jiff::Timestamp::now();
        let line = match self.settings.json {
            true => json_line(now, level, &fields),
            false => {
                text_line(self.settings.times.then_some(now), level, &fields, self.settings.colour)
            }
        };
        // There is nobody to tell that telling failed.
        let _ = self.terminal.write_lines(line.as_bytes());
    }
}

/// The message and fields of one event, as text.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, serde_json::Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: serde_json::Value) {
        match (field.name(), value) {
            ("message", serde_json::Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
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

/// The word for a level, and its colour.
fn word(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("error", "31"),
        Level::WARN => ("warning", "33"),
        Level::INFO => ("info", "32"),
        Level::DEBUG => ("debug", "34"),
        Level::TRACE => ("trace", "35"),
    }
}

fn text_line(now: Option<jiff::Timestamp>, level: Level, fields: &Fields, colour: bool) -> String {
    let mut line = now.map(|now| format!("{now:.3} ")).unwrap_or_default();
    let (word, code) = word(level);
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

fn json_line(now: jiff::Timestamp, level: Level, fields: &Fields) -> String {
    let mut object = serde_json::Map::new();
    object.insert("ts".into(), format!("{now:.3}").into());
    object.insert("level".into(), word(level).0.into());
    object.insert("message".into(), fields.message.clone().into());
    for (name, value) in &fields.others {
        object.insert((*name).into(), value.clone());
    }
    let text = serde_json::Value::Object(object).to_string();
    // JSON escapes the ASCII control characters by itself, and no others.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn fields() -> Fields {
        Fields {
            message: "closed\x1b[2J\nby peer".into(),
            others: vec![("server", "a\u{9b}b\u{202e}".into()), ("total", 3.into())],
        }
    }

    #[test]
    fn text_lines_are_one_harmless_line() {
        let now = jiff::Timestamp::from_second(1_783_175_888).unwrap();
        assert_eq!(
            text_line(Some(now), Level::WARN, &fields(), false),
            "2026-07-04T14:38:08.000Z skytail: warning: closed\\u{1b}[2J\\u{a}by peer (server=a\\u{9b}b\\u{202e} total=3)\n"
        );
        let bare = Fields { message: "m".into(), others: vec![] };
        assert_eq!(
            text_line(None, Level::ERROR, &bare, true),
            "skytail: \x1b[1;31merror\x1b[0m: m\n"
        );
    }

    #[test]
    fn json_lines_are_one_harmless_object() {
        let line = json_line(jiff::Timestamp::UNIX_EPOCH, Level::INFO, &fields());
        assert!(line.trim_end().chars().all(is_harmless));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], fields().message);
        assert_eq!(object["server"], "a\u{9b}b\u{202e}");
        assert_eq!((&object["level"], &object["total"]), (&"info".into(), &3.into()));
    }

    /// Collects the fields that the macros of `tracing` record.
    struct Collect(Arc<Mutex<Vec<Fields>>>);

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields);
        }
    }

    #[test]
    fn messages_and_fields_keep_their_text() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(Collect(Arc::clone(&seen)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(server = %"host", total = 3, "went {}", "away");
        });
        let seen = seen.lock().unwrap();
        assert_eq!(
            text_line(None, Level::WARN, &seen[0], false),
            "skytail: warning: went away (server=host total=3)\n"
        );
    }
}
