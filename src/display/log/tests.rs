//! Log lines as they appear on a terminal.

use super::*;
use crate::display::printable::is_harmless;
use crate::display::terminal::tests::in_memory;
use proptest::prelude::*;

fn fields() -> LogFields {
    LogFields {
        message: "closed\x1b[2J\nby peer".into(),
        others: vec![("server", "a\u{9b}b\u{202e}".into()), ("total", 3.into())],
    }
}

fn settings() -> LogSettings {
    LogSettings { verbosity: 0, json: false, colour: false, timestamps: false, filter: None }
}

#[test]
fn text_lines_are_one_safe_line() {
    let now = jiff::Timestamp::from_second(1_783_175_888).unwrap();
    assert_eq!(
        text_line(Some(now), Level::WARN, &fields(), false),
        "2026-07-04T14:38:08.000Z skytail: warning: closed\\u{1b}[2J\\u{a}by peer (server=a\\u{9b}b\\u{202e} total=3)\n"
    );
    let bare = LogFields { message: "m".into(), others: vec![] };
    assert_eq!(text_line(None, Level::ERROR, &bare, true), "skytail: \x1b[1;31merror\x1b[0m: m\n");
}

#[test]
fn json_lines_are_one_safe_object() {
    let line = json_line(jiff::Timestamp::UNIX_EPOCH, Level::INFO, &fields());
    assert!(line.trim_end().chars().all(is_harmless));
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["message"], fields().message);
    assert_eq!(object["server"], "a\u{9b}b\u{202e}");
    assert_eq!((&object["level"], &object["total"]), (&"info".into(), &3.into()));
    assert_eq!(object["ts"], "1970-01-01T00:00:00.000Z");
}

#[test]
fn no_field_replaces_a_stable_key() {
    let forged = LogFields {
        message: "m".into(),
        others: vec![("level", "debug".into()), ("ts", 0.into()), ("message", "x".into())],
    };
    let line = json_line(jiff::Timestamp::UNIX_EPOCH, Level::ERROR, &forged);
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["level"], &object["message"]), (&"error".into(), &"m".into()));
    assert_eq!((&object["level_"], &object["ts_"]), (&"debug".into(), &0.into()));
    assert_eq!(object["message_"], "x");
}

#[test]
fn long_text_is_truncated_in_both_formats() {
    let long = "é".repeat(3 * MAX_CHARS);
    let fields = LogFields { message: long.clone(), others: vec![("server", long.into())] };
    let line = json_line(jiff::Timestamp::UNIX_EPOCH, Level::INFO, &fields);
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    for key in ["message", "server"] {
        let text = object[key].as_str().unwrap();
        assert_eq!((text.chars().count(), text.ends_with('…')), (MAX_CHARS, true), "{key}");
    }
    assert!(text_line(None, Level::INFO, &fields, false).chars().count() < 3 * MAX_CHARS);
}

proptest! {
    #[test]
    fn no_text_starts_a_second_line_or_controls_the_terminal(message: String, value: String) {
        let fields = LogFields { message, others: vec![("value", value.into())] };
        let text = text_line(None, Level::WARN, &fields, false);
        let json = json_line(jiff::Timestamp::UNIX_EPOCH, Level::WARN, &fields);
        for line in [text, json] {
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(line.chars().all(is_harmless), "{line:?}");
        }
    }
}

/// Returns the screen's content after logging with these settings.
fn logged(settings: LogSettings, log: impl FnOnce()) -> String {
    let (terminal, screen) = in_memory(200);
    let subscriber = tracing_subscriber::registry()
        .with(filter(&settings).unwrap())
        .with(LogLayer { settings, terminal, throttle: Mutex::default() });
    tracing::subscriber::with_default(subscriber, log);
    screen.contents()
}

fn one_of_each() {
    tracing::error!("broken");
    tracing::warn!(server = %"host\x1b[2J\nforged", total = 3, "went {}", "away");
    tracing::info!("happened");
    tracing::debug!("looked at");
    tracing::info!(target: "rustls", "theirs");
}

#[test]
fn quiet_logs_errors_and_each_v_adds_a_level() {
    let seen = |verbosity| logged(LogSettings { verbosity, ..settings() }, one_of_each);
    insta::assert_snapshot!(seen(-1), @"skytail: error: broken");
    insta::assert_snapshot!(seen(0), @r"
    skytail: error: broken
    skytail: warning: went away (server=host\u{1b}[2J\u{a}forged total=3)
    ");
    insta::assert_snapshot!(seen(1), @r"
    skytail: error: broken
    skytail: warning: went away (server=host\u{1b}[2J\u{a}forged total=3)
    skytail: info: happened
    ");
    insta::assert_snapshot!(seen(2), @r"
    skytail: error: broken
    skytail: warning: went away (server=host\u{1b}[2J\u{a}forged total=3)
    skytail: info: happened
    skytail: debug: looked at
    skytail: info: theirs
    ");
}

#[test]
fn a_flood_of_one_statement_is_throttled_unless_all_is_requested() {
    let flood = || {
        for i in 0..1_000 {
            tracing::warn!("hostile {i}");
        }
        tracing::warn!("another statement");
    };
    let seen = logged(settings(), flood);
    let lines: Vec<&str> = seen.lines().map(str::trim_end).collect();
    // The screen shows the last lines only.
    let end = [
        "skytail: warning: hostile 8",
        "skytail: warning: hostile 9 (throttled=more of these are left out; -vv shows them)",
        "skytail: warning: another statement",
    ];
    assert_eq!(lines[lines.len() - 3..], end, "{seen}");
    for all in [
        LogSettings { verbosity: 2, ..settings() },
        LogSettings { filter: Some("warn".to_owned()), ..settings() },
    ] {
        assert!(logged(all, flood).contains("hostile 999"));
    }
}

#[test]
fn a_filter_replaces_the_verbosity() {
    let filter = Some("rustls=info".to_owned());
    let seen = logged(LogSettings { verbosity: 2, filter, ..settings() }, one_of_each);
    assert_eq!(seen, "skytail: info: theirs");
}

#[test]
fn an_invalid_filter_is_an_error_that_names_it() {
    let wrong = LogSettings { filter: Some("skytail=loud".into()), ..settings() };
    let error = init(&wrong, &Terminal::with(None, Box::new(std::io::sink()))).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("SKYTAIL_LOG: \"skytail=loud\" is not a filter: "), "{text}");
}
