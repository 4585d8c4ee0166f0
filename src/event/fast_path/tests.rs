use proptest::prelude::*;

use super::*;
use crate::event::header::parse_any;
use crate::event::simd::dispatch::at_each_level;

const DID: &str = r#""did":"did:plc:w4xbfzo7kqfes5zb7r6qv3rw""#;
const COMMIT: [&str; 6] = [
    r#""rev":"3mptbypk4ze2j""#,
    r#""operation":"create""#,
    r#""collection":"app.bsky.feed.post""#,
    r#""rkey":"3mptbyospqk2i""#,
    r#""record":{"did":"x","text":"a \"quoted\" } brace \\","n":[1,{"time_us":5},[]],"e":{}}"#,
    r#""cid":"bafyreif75qvvzdqvpx3n7mvtq2xmiouy""#,
];

/// Members of an event's object, sound ones and others.
fn member() -> impl Strategy<Value = String> {
    let fixed = [
        DID,
        r#""did":"did:plc:b""#,
        r#""did":"did\u003ab""#,
        r#""d\u0069d":"c""#,
        r#""did":7"#,
        r#""time_us":1783175888186668"#,
        r#""time_us":0"#,
        r#""time_us":17831758881866681"#,
        r#""time_us":07"#,
        r#""time_us":1.5"#,
        r#""cursor":98765"#,
        r#""cursor":-1"#,
        r#""kind":"commit""#,
        r#""kind":"identity""#,
        r#""kind":"new""#,
        r#""kind":"\u006eew""#,
        r#""kind":null"#,
        r#""commit":null"#,
        r#""commit":{}"#,
        r#""commit":"rev""#,
        r#""account":{"active":true,"seq":31527015471}"#,
        r#""identity":{"seq":5,"seq":"6"}"#,
        r#""identityX":{"seq":5}"#,
        r#""sync":[]"#,
        r#""x":[1,-2.5e3,true,null,{"y":"\\"}]"#,
        r#""x" : "spaces""#,
        r#""":tru"#,
    ];
    let commit = prop::sample::subsequence(COMMIT.to_vec(), 0..=6).prop_shuffle();
    prop_oneof![
        8 => prop::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        3 => commit.prop_map(|members| format!(r#""commit":{{{}}}"#, members.join(","))),
    ]
}

/// Checks that the fast path finds what the general parser finds, if it finds anything.
fn check(line: &[u8]) {
    for found in at_each_level::<Event>(line).into_iter().flatten() {
        assert_eq!(Ok(found), parse_any(line), "{}", String::from_utf8_lossy(line));
    }
}

proptest! {
    #[test]
    fn any_members_are_read_as_by_the_general_parser(
        members in prop::collection::vec(member(), 0..9),
        hits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{}[],: a1"[..])), 0..3),
        is_hit in any::<bool>(),
    ) {
        let mut line = format!("{{{}}}", members.join(",")).into_bytes();
        check(&line);
        for (at, byte) in hits.into_iter().filter(|_| is_hit) {
            let at = at.index(line.len());
            line[at] = byte;
        }
        check(&line);
    }

    #[test]
    fn a_commit_in_any_order_needs_no_general_parser(
        commit in Just(COMMIT.to_vec()).prop_shuffle(),
        event in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let commit = format!(r#""commit":{{{}}}"#, commit.join(","));
        let members = [DID, r#""time_us":1783175888186668"#, r#""cursor":7"#, r#""kind":"commit""#, &commit];
        let members: Vec<_> = event.iter().map(|i| members[*i]).collect();
        let line = format!("{{{}}}", members.join(","));
        for found in at_each_level::<Event>(line.as_bytes()) {
            prop_assert_eq!(Ok(found.unwrap()), parse_any(line.as_bytes()));
        }
    }
}

#[test]
fn other_events_need_no_general_parser() {
    for event in [
        r#"{"did":"did:plc:a","time_us":1783175888186668,"cursor":5,"kind":"identity","identity":{"did":"did:plc:a","handle":"a.example.com","seq":31527015470,"time":"2026-07-04T14:38:07.877Z"}}"#,
        r#"{"did":"did:plc:a","time_us":1783175888186668,"kind":"account","account":{"active":false,"did":"did:plc:a","seq":31527015471,"status":"deactivated"}}"#,
        r#"{"did":"did:plc:a","time_us":1783175888186668,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"a.b.c","rkey":"k"}}"#,
        r#"{"did":"did:plc:a","time_us":1783175888186668,"kind":"commit","commit":[],"of":"a later version"}"#,
        r#"{"did":"did:plc:a","time_us":1783175888186668,"kind":"new","new":{"seq":5},"of":"a later version"}"#,
    ] {
        for found in at_each_level::<Event>(event.as_bytes()) {
            assert_eq!(Ok(found.expect(event)), parse_any(event.as_bytes()), "{event}");
        }
    }
}
