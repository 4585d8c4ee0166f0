use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn strings(json: &str) -> Vec<String> {
    let mut found = Vec::new();
    any_string(json, |text| {
        found.push(text.to_owned());
        false
    });
    found
}

fn languages(record: &str) -> Vec<String> {
    let mut found = Vec::new();
    any_language(record, |tag| {
        found.push(tag.to_owned());
        false
    });
    found
}

#[test]
fn the_record_is_found_in_either_format_and_the_last_one_counts() {
    let v1 = |line: &'static str| find(line.as_bytes(), EventFormat::V1);
    let native = |line: &'static str| find(line.as_bytes(), EventFormat::Native);
    let plain =
        r#"{"did":"d","record":{"b":2},"commit": { "rev":"r", "record" : {"a":"}"} ,"cid":"c"}}"#;
    assert_eq!(v1(plain), Some(r#"{"a":"}"}"#));
    assert_eq!(native(plain), Some(r#"{"b":2}"#));
    assert_eq!(v1(r#"{"comm\u0069t":{"\u0072ecord":"text"}}"#), Some(r#""text""#));
    assert_eq!(v1(r#"{"commit":{"record":1,"record":2}}"#), Some("2"));
    assert_eq!(v1(r#"{"commit":{"record":1},"commit":{}}"#), None);
    assert_eq!(v1(r#"{"commit":{"record":1},"commit":null}"#), None);
    assert_eq!(v1(r#"{"commit":{"rev":"record"},"record":1}"#), None);
}

#[test]
fn only_string_values_are_read_and_not_names() {
    let record = r#"{"text":"a \"b\" \ud83d\ude00\n","embed" : {"alt":["c", "d",{"e":"\\"}],"n":5},"x":"f:"}"#;
    assert_eq!(strings(record), ["a \"b\" 😀\n", "c", "d", "\\", "f:"]);
    assert_eq!(strings(r#""whole""#), ["whole"]);
    assert_eq!(
        strings(r#"{"a":"\ud800 x","b":"\q\u12","c":"\udc00\ud800"}"#),
        ["\u{fffd} x", "\\q\\u12", "\u{fffd}\u{fffd}"]
    );
    assert_eq!(strings(r#"{"a":"unclosed \""#), [""; 0]);
}

#[test]
fn languages_are_the_strings_of_the_last_array() {
    assert_eq!(languages(r#"{"langs":["de","pt-BR"]}"#), ["de", "pt-BR"]);
    assert_eq!(languages(r#"{"a":"langs","l\u0061ngs":[1, "\u0065n" ,null]}"#), ["en"]);
    for none in
        ["{}", "[]", r#"{"langs":"de"}"#, r#"{"a":{"langs":["de"]}}"#, "7", r#"{"langs":[]}"#]
    {
        assert_eq!(languages(none), [""; 0], "{none}");
    }
    let last = |record| any_language(record, |tag| tag == "de");
    assert!(last(r#"{"langs":["en"],"langs":["de"]}"#));
    assert!(!last(r#"{"langs":["de"],"langs":["en"]}"#));
    assert!(!last(r#"{"langs":["de"],"langs":null}"#));
}

/// Returns an arbitrary JSON value.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z:,{}\\[\\]\"\\\\ \n]{0,6}", any::<String>()]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("langs".to_owned()), Just("record".to_owned()), text()]
}

/// Writes a value with a spelling that `seed` chooses: escapes, spaces between tokens.
fn spell(value: &Value, seed: &mut u64, out: &mut String) {
    let mut pick = |n: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) % n
    };
    if pick(3) == 0 {
        out.push(' ');
    }
    match value {
        Value::String(text) => spell_string(text, &mut pick, out),
        Value::Array(list) => {
            out.push('[');
            for (n, item) in list.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                spell(item, seed, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (n, (name, member)) in members.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                spell(&Value::from(name.clone()), seed, out);
                out.push_str(" :");
                spell(member, seed, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn spell_string(text: &str, pick: &mut impl FnMut(u64) -> u64, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if pick(4) == 0 {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                out.push_str(&format!("\\u{unit:04x}"));
            });
            continue;
        }
        let quoted = json!(c.to_string()).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    }
    out.push('"');
}

/// Returns the strings of a value in order, names excluded.
fn strings_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|item| strings_of(item, found)),
        Value::Object(members) => members.values().for_each(|member| strings_of(member, found)),
        _ => {}
    }
}

fn languages_of(record: &Value) -> Vec<String> {
    let tags = record.get("langs").and_then(Value::as_array);
    tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn any_spelling_of_a_record_has_the_strings_and_languages_of_a_json_library(
        record in value(), langs in prop::option::of(value()), mut seed in any::<u64>(),
    ) {
        let mut record = record;
        if let (Some(members), Some(langs)) = (record.as_object_mut(), langs) {
            members.insert("langs".to_owned(), langs);
        }
        let event = json!({"did": "d", "commit": {"rkey": "k", "record": record}, "time_us": 1});
        let mut line = String::new();
        spell(&event, &mut seed, &mut line);
        let found = find(line.as_bytes(), EventFormat::V1).unwrap_or_default();
        prop_assert_eq!(&serde_json::from_str::<Value>(found).unwrap(), &record);
        let mut expected = Vec::new();
        strings_of(&record, &mut expected);
        prop_assert_eq!(strings(found), expected);
        prop_assert_eq!(languages(found), languages_of(&record));
        let mut native = String::new();
        spell(&event["commit"], &mut seed, &mut native);
        let found = find(native.as_bytes(), EventFormat::Native).unwrap_or_default();
        prop_assert_eq!(serde_json::from_str::<Value>(found).unwrap(), record);
    }

    #[test]
    fn arbitrary_bytes_end_without_a_panic(line in any::<Vec<u8>>(), text in ".{0,40}") {
        let _ = find(&line, EventFormat::V1);
        let _ = find(text.as_bytes(), EventFormat::Native);
        strings(&text);
        languages(&text);
    }
}
