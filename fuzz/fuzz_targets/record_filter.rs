//! `--lang` and `--grep`: they choose the events that a JSON library would, however an event is
//! written, and in both formats.
#![no_main]

use serde_json::Value;
use skytail::event::format::EventFormat;
use skytail::filter::{Filter, Grep};

/// The most levels that the JSON library reads, less those of an event.
const SURE_DEPTH: usize = 100;

const EXPRESSIONS: [&str; 8] = ["a", "^a", "b$", "^$", "a b", "(?i)LANGS", "\n|\"", "\u{e4}|\u{1f600}"];
const LANGUAGES: [&str; 4] = ["de", "pt-br", "en", "zh-hant"];

fn has_string(value: &Value, regex: &regex::Regex) -> bool {
    match value {
        Value::String(text) => regex.is_match(text),
        Value::Array(list) => list.iter().any(|item| has_string(item, regex)),
        Value::Object(members) => members.values().any(|member| has_string(member, regex)),
        _ => false,
    }
}

fn has_language(record: &Value, range: &str) -> bool {
    let tags = record.get("langs").and_then(Value::as_array);
    tags.into_iter().flatten().filter_map(Value::as_str).any(|tag| {
        let tag = tag.to_ascii_lowercase();
        tag == range || tag.strip_prefix(range).is_some_and(|rest| rest.starts_with('-'))
    })
}

/// Returns whether an object of the text has two members of one name. The library keeps the last of
/// them, and the strings of both count for `--grep`.
fn repeats_a_name(text: &str, value: &Value) -> bool {
    fn names(value: &Value) -> usize {
        match value {
            Value::Array(list) => list.iter().map(names).sum(),
            Value::Object(members) => members.values().map(names).sum::<usize>() + members.len(),
            _ => 0,
        }
    }
    let (mut colons, mut in_string, mut is_escaped) = (0, false, false);
    for c in text.chars() {
        match (in_string, c) {
            (true, _) if is_escaped => is_escaped = false,
            (true, '\\') => is_escaped = true,
            (_, '"') => in_string = !in_string,
            (false, ':') => colons += 1,
            _ => {}
        }
    }
    colons != names(value)
}

/// Checks one event in one format.
fn check(line: &str, format: EventFormat, filter: &Filter, expected: Option<bool>) {
    let Ok(header) = format.parse(line.as_bytes()) else { return };
    let found = filter.wants_record(&header, line.as_bytes(), format);
    if let Some(expected) = expected {
        assert_eq!(found, expected, "{line}");
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [choice, data @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut filter = Filter::default();
    let (range, expression) =
        (LANGUAGES[usize::from(choice & 3)], EXPRESSIONS[usize::from(choice >> 2 & 7)]);
    let is_grep = choice & 0x80 != 0;
    if is_grep {
        filter.grep = Some(Grep::new(expression).expect("a valid expression"));
    } else {
        filter.languages.add(range).expect("a valid language");
    }
    // As a whole line: no panic, whatever it is.
    for format in [EventFormat::V1, EventFormat::Native] {
        check(text, format, &filter, None);
    }
    // As the record of an event: the answer of a JSON library.
    let depth = text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    let record = (depth <= SURE_DEPTH).then(|| serde_json::from_str::<Value>(text).ok()).flatten();
    let expected = record.filter(|record| !is_grep || !repeats_a_name(text, record)).map(|record| {
        match is_grep {
            true => has_string(&record, &regex::Regex::new(expression).expect("valid")),
            false => has_language(&record, range),
        }
    });
    let v1 = format!(
        r#"{{"did":"d","time_us":1,"kind":"commit","commit":{{"operation":"create","collection":"a.b.c","rkey":"k","record":{text}}}}}"#
    );
    check(&v1, EventFormat::V1, &filter, expected);
    let native = format!(
        r#"{{"$type":"network.bsky.jetstream.subscribeEvents#commit","seq":7,"did":"d","time":"2026-07-04T14:38:08.085434Z","rev":"r","operation":"update","collection":"a.b.c","rkey":"k","record":{text}}}"#
    );
    check(&native, EventFormat::Native, &filter, expected);
});
