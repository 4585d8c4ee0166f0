//! The log: plain words, each fact once, and fields for programs.

use crate::support::events;
use crate::support::run::Tail;
use crate::support::scripted::ScriptedServer;
use crate::support::scripted::Step::{Accept, AcceptWith, Answer, Hang, Send};
use crate::support::scripted::{close, http, texts};

/// Returns words of the log that look like a value in Rust's notation: a type with a call or a
/// brace.
fn debug_notation(log: &str) -> Vec<&str> {
    let words = log.split([' ', '=', ';', ':']);
    let is_value = |word: &&str| {
        let word = word.trim_start_matches('(');
        let name: String = word.chars().take_while(char::is_ascii_alphanumeric).collect();
        let after = word.chars().nth(name.len());
        let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
        let call = matches!(after, Some('(' | '{'));
        let options = ["None", "Live", "Oldest"];
        (is_type && call && name != "RFC") || options.contains(&word.trim_end_matches(')'))
    };
    words.filter(is_value).collect()
}

#[test]
fn the_log_has_no_rust_debug_notation() {
    let server = ScriptedServer::start([
        vec![Answer(http("503 Busy", "Retry-After: 0\r\n", "later"))],
        vec![Accept, Send(texts(events(2, true))), Send(close(1001, b"away"))],
        vec![Accept, Send(texts(events(3, true))), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "3", "-vv"]).run();
    run.ends_with(0).says(&["asked=the live tip", "connected"]);
    assert_eq!(debug_notation(&run.stderr), Vec::<&str>::new(), "{}", run.stderr);
}

#[test]
fn the_reason_for_v1_is_logged_once() {
    let server = ScriptedServer::start([
        vec![AcceptWith(""), Send(texts(events(2, true)))],
        vec![AcceptWith(""), Send(texts(events(3, true))), Hang],
    ]);
    // A pattern that v2 can't express.
    let flags = ["-n", "3", "-v", "-c", "app.*"];
    let run = Tail::of(&server).protocol("auto").flags(&flags).run();
    run.ends_with(0);
    assert_eq!(run.stderr.matches("speaking v1").count(), 1, "{}", run.stderr);
}

#[test]
fn the_json_summary_has_fields_and_no_sentences() {
    let server = ScriptedServer::start([vec![Accept, Send(texts(events(3, true))), Hang]]);
    let flags = ["-n", "3", "--log-format", "json", "--consumer", "posts"];
    let run = Tail::of(&server).flags(&flags).run();
    run.ends_with(0);
    let summary = run.stderr.lines().find(|line| line.contains("\"summary\"")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
    assert_eq!(summary["reason"], "limit");
    let saved = &summary["saved"];
    assert_eq!(saved["consumer"], "posts");
    assert_eq!(saved["server"], server.host());
    assert!(saved["seq"].is_u64() && saved["time_us"].is_u64(), "{summary}");
    for sentence in ["\"saved seq", "at the limit"] {
        assert!(!run.stderr.contains(sentence), "{}", run.stderr);
    }
}
