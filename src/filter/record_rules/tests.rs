use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};

use super::*;
use crate::filter::Grep;

fn filter(languages: &[&str], grep: Option<&str>) -> Filter {
    let grep = grep.map(|text| Grep::new(text).unwrap());
    let mut filter = Filter { grep, ..Filter::default() };
    languages.iter().for_each(|tag| filter.languages.add(tag).unwrap());
    filter
}

fn accepts(filter: &Filter, line: &str, format: EventFormat) -> bool {
    let header = format.parse(line.as_bytes()).unwrap();
    filter.wants_record(&header, line.as_bytes(), format)
}

fn v1(operation: &str, record: &str) -> String {
    format!(
        r#"{{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{{"rev":"r","operation":"{operation}","collection":"a.b.c","rkey":"k"{record}}}}}"#
    )
}

fn native(record: &str) -> String {
    format!(
        r#"{{"$type":"network.bsky.jetstream.subscribeEvents#commit","seq":7,"did":"did:plc:a","time":"2026-07-04T14:38:08.085434Z","rev":"r","operation":"create","collection":"a.b.c","rkey":"k","record":{record}}}"#
    )
}

#[test]
fn only_records_in_a_wanted_language_pass() {
    let german = filter(&["de", "gsw"], None);
    let create = |record: &str| accepts(&german, &v1("create", record), EventFormat::V1);
    assert!(create(r#","record":{"langs":["en","de-AT"]}"#));
    assert!(create(r#","record" : {"x":1,"l\u0061ngs" : [ "D\u0045" ]}"#));
    assert!(!create(r#","record":{"langs":["en"],"text":"\"langs\":[\"de\"]"}"#));
    assert!(!create(r#","record":{"embed":{"langs":["de"]}}"#));
    assert!(!create(r#","langs":["de"],"record":{}"#));
    assert!(!create(""));
}

#[test]
fn deletes_never_pass_and_other_kinds_always_do() {
    for rules in [filter(&["de"], None), filter(&[], Some("."))] {
        let delete = v1("delete", r#","record":{"langs":["de"]}"#);
        assert!(!accepts(&rules, &delete, EventFormat::V1));
        let identity = r#"{"did":"did:plc:a","time_us":1,"kind":"identity","identity":{}}"#;
        assert!(accepts(&rules, identity, EventFormat::V1));
    }
}

#[test]
fn an_expression_matches_in_one_string_of_the_record() {
    let matches = |text: &str, record: &str| {
        let rules = filter(&[], Some(text));
        let in_v1 =
            accepts(&rules, &v1("update", &format!(",\"record\":{record}")), EventFormat::V1);
        assert_eq!(in_v1, accepts(&rules, &native(record), EventFormat::Native), "{record}");
        in_v1
    };
    assert!(matches("^(?i)hello\nworld$", r#"{"text":"Hello\nworld"}"#));
    assert!(matches("^b$", r#"{"a":["a",{"x":"b"}]}"#));
    assert!(!matches("^a.b$", r#"{"x":["a","b"]}"#));
    assert!(!matches("text", r#"{"text":"other"}"#));
    assert!(!matches("5", r#"{"n":5}"#));
    assert!(matches("k\u{f6}ln", r#"{"x":"k\u00f6ln"}"#));
    assert!(matches("a/b", r#"{"x":"a\/b"}"#) && matches("\"", r#"{"x":"\""}"#));
    assert!(!matches("did:plc:a", r#"{"x":"y"}"#));
}

fn has_string(value: &Value, regex: &Regex) -> bool {
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

/// Writes some letters of a JSON text as escapes.
fn escape_letters(json: &str, every: usize) -> String {
    let mut in_string = false;
    let mut out = String::new();
    for (n, c) in json.chars().enumerate() {
        in_string ^= c == '"';
        match in_string && c.is_ascii_alphabetic() && n % every == 0 {
            true => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            false => out.push(c),
        }
    }
    out
}

proptest! {
    #[test]
    fn the_rules_agree_with_a_json_library(
        langs in prop::collection::vec("(de|en|DE|pt|d|)(-(AT|BR|))?", 0..3),
        texts in prop::collection::vec("[abc ]{0,5}", 0..4),
        (range, pattern) in (
            prop::sample::select(vec!["de", "pt-br", "en"]),
            prop::sample::select(vec!["ab", "^a", "c$", "a.c", "^$", "abc"]),
        ),
        (every, shape) in (1..9_usize, 0..4_usize),
    ) {
        let record = match shape {
            0 => json!({"langs": langs, "text": texts}),
            1 => json!({"a": {"langs": langs}, "deep": [{"b": texts}]}),
            2 => json!({"langs": langs.first(), "text": texts.first(), "n": 1}),
            _ => json!([langs, texts]),
        };
        let text = escape_letters(&record.to_string(), every);
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &record);
        let regex = Regex::new(pattern).unwrap();
        for (rules, expected) in [
            (filter(&[range], None), has_language(&record, range)),
            (filter(&[], Some(pattern)), has_string(&record, &regex)),
        ] {
            let line = v1("create", &format!(",\"record\":{text}"));
            prop_assert_eq!(accepts(&rules, &line, EventFormat::V1), expected, "{}", line);
            let line = native(&text);
            prop_assert_eq!(accepts(&rules, &line, EventFormat::Native), expected, "{}", line);
        }
    }
}
