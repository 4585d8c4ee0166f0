use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn again(line: &str) -> Value {
    let columns = parse(line.as_bytes()).unwrap();
    let mut composed = Vec::new();
    compose(&columns, &mut composed).unwrap();
    serde_json::from_slice(&composed).unwrap()
}

#[test]
fn a_commit_of_todays_servers_is_composed_byte_for_byte() {
    for line in [
        r#"{"did":"did:plc:a","time_us":1783175888186668,"cursor":98765,"kind":"commit","commit":{"rev":"3mptbypk4ze2j","operation":"create","collection":"app.bsky.feed.like","rkey":"3mptbyospqk2i","record":{"text":"a \"quoted\" } brace","n":[1,{"time_us":5}]},"cid":"bafyrei"}}"#,
        r#"{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"c","rkey":"k"}}"#,
        r#"{"did":"d","time_us":2,"kind":"account","account":{"active":false,"status":"deleted","did":"d","seq":3}}"#,
    ] {
        let columns = parse(line.as_bytes()).unwrap();
        let mut composed = Vec::new();
        compose(&columns, &mut composed).unwrap();
        assert_eq!(String::from_utf8(composed).unwrap(), line);
    }
}

#[test]
fn members_go_to_their_columns_and_others_to_extra() {
    let line = r#"{"did":"d","time_us":7,"cursor":9,"kind":"identity","identity":{"did":"d","handle":"a.b","seq":4},"x":[1]}"#;
    let columns = parse(line.as_bytes()).unwrap();
    assert_eq!((columns.seq, columns.time_us, columns.active), (Some(9), Some(7), None));
    assert_eq!(columns.text(Text::Handle), Some("a.b"));
    assert_eq!(columns.text(Text::Extra), Some(r#"{"x":[1],"identity":{"did":"d","seq":4}}"#));
    let sync =
        r#"{"did":"d","time_us":7,"kind":"sync","sync":{"rev":"r","seq":4},"commit":{"rev":"q"}}"#;
    let columns = parse(sync.as_bytes()).unwrap();
    assert_eq!(columns.text(Text::Rev), Some("r"));
    assert_eq!(again(sync), serde_json::from_str::<Value>(sync).unwrap());
}

#[test]
fn values_of_other_types_survive() {
    for rest in [
        r#""commit":{}"#,
        r#""commit":null"#,
        r#""commit":{"record":null,"cid":5,"rev":[1]}"#,
        r#""commit":{"cid":"a","cid":5}"#,
        r#""commit":{"cid":5,"cid":"a"}"#,
        r#""account":{"active":"yes","status":null}"#,
        r#""identity":{"handle":null},"account":{}"#,
        r#""cursor":0,"kind":7"#,
        r#""cursor":99999999999999999999"#,
        r#""time_us":18446744073709551615"#,
        r#""c\u006fmmit":{"a\"b":1},"sync":"x""#,
        r#""kind":"a\n\u0000\\b","identity":{"handle":"\u00e9\ud83d\ude00"}"#,
        r#""identity":{"handle":"\ud800"}"#,
    ] {
        let line = format!(r#"{{"did":"d","time_us":1,{rest}}}"#);
        let columns = parse(line.as_bytes()).unwrap();
        let mut composed = Vec::new();
        compose(&columns, &mut composed).unwrap();
        if rest.contains("ud800") {
            // A half of a pair is no character, so a value of Rust can't hold it.
            assert!(String::from_utf8(composed).unwrap().contains(r#""handle":"\ud800""#));
            continue;
        }
        let (composed, line): (Value, Value) =
            (serde_json::from_slice(&composed).unwrap(), serde_json::from_str(&line).unwrap());
        assert_eq!(composed, line);
    }
}

#[test]
fn what_is_no_event_is_refused() {
    for line in ["", "{}", "[]", r#"{"did":"d"}"#, r#"{"time_us":1}"#, r#"{"did":"d","time_us":1"#]
    {
        assert!(parse(line.as_bytes()).is_err(), "{line}");
    }
    let mut columns = parse(br#"{"did":"d","time_us":1}"#).unwrap();
    for (column, bad) in [(Text::Record, "{"), (Text::Record, "1\n"), (Text::Extra, "1")] {
        columns.set_text(column, Some(bad.into()));
        let mut line = b"before".to_vec();
        assert!(compose(&columns, &mut line).is_err(), "{bad}");
        assert_eq!(line, b"before");
        columns.set_text(column, None);
    }
}

#[test]
fn a_path_leads_to_one_value() {
    let line = br#"{"a":{"b":[1,{"c":"x\ny"}],"b2":{},"d":[]},"a2":1}"#;
    let at = |path: &str| {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        find(line, &path).unwrap()
    };
    assert_eq!(at("a.b.0"), Some("1"));
    assert_eq!(at("a.b.1.c").and_then(scalar_text).as_deref(), Some("x\ny"));
    assert_eq!((at("a.b.2"), at("a.d.0"), at("x"), at("a2.x")), (None, None, None, None));
    assert_eq!(scalar_text("1"), None);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![
            prop::sample::select([&COMMIT[..], &IDENTITY, &ACCOUNT, &HEADER, &["commit"]].concat())
                .prop_map(str::to_owned),
            ".*",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(key, inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_event_is_equal_after_its_columns(
        did in ".*", time_us in 0..i64::MAX, commit in json(), identity in json(),
        account in json(), sync in json(), rest in json(), kind in json(), is_sync: bool,
    ) {
        let kind = if is_sync { json!("sync") } else { kind };
        let mut event = json!({
            "commit": commit, "identity": identity, "account": account, "sync": sync, "kind": kind,
        });
        if let Value::Object(rest) = rest {
            event.as_object_mut().unwrap().extend(rest);
        }
        event["did"] = json!(did);
        event["time_us"] = json!(time_us);
        prop_assert_eq!(again(&event.to_string()), event);
    }
}
