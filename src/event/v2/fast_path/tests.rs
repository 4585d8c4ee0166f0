use proptest::prelude::*;

use super::*;
use crate::event::format::EventFormat;
use crate::event::simd::dispatch::at_each_level;
use crate::event::v2::{Message, payload, read_any};

const TYPE: &str = r#""$type":"network.bsky.jetstream.subscribeEvents#commit""#;
const COMMIT: [&str; 9] = [
    r#""cid":"bafyreiguce4jh7kcbmof3pmcvasifqtw24b6isakj5ve5ga2b4z4alpc4i""#,
    r#""collection":"app.bsky.feed.post""#,
    r#""did":"did:plc:w4xbfzo7kqfes5zb7r6qv3rw""#,
    r#""operation":"create""#,
    r#""record":{"seq":5,"time":"x","text":"a \"}\u003c,\"seq\":9","n":[1e21,-0]}"#,
    r#""rev":"3mptbypluud2a""#,
    r#""rkey":"3mptbyplj5d2a""#,
    r#""seq":7000001"#,
    r#""time":"2026-07-04T14:38:08.085434Z""#,
];

/// Members of a payload, sound ones and others.
fn member() -> impl Strategy<Value = &'static str> {
    let others = [
        r#""$type":"network.bsky.jetstream.subscribeEvents#identity""#,
        r#""$type":"network.bsky.jetstream.subscribeEvents#info""#,
        r#""$type":"com.example""#,
        r#""identity":{"did":"did:plc:a","seq":31527015470}"#,
        r#""identity":null"#,
        r#""account":{"seq":"7"}"#,
        r#""sync":{}"#,
        r#""collectionX":"a""#,
        r#""d\u0069d":"did:plc:c""#,
        r#""did":"did:plc:\u0063""#,
        r#""seq":0"#,
        r#""seq":1e3"#,
        r#""name":5"#,
        r#""message":"m""#,
        r#""record":7"#,
        r#""cid":null"#,
        r#""time":"1969-07-04T14:38:08.085434Z""#,
        r#""x" : [1, 2]"#,
    ];
    prop_oneof![
        2 => prop::sample::select(COMMIT.to_vec()),
        1 => prop::sample::select(others.to_vec()),
    ]
}

/// Returns what an event is printed as in both formats, with the places of the header fields.
fn printed(event: &Event<'_>) -> (String, HeaderSpans, String, HeaderSpans, u64, u64) {
    let mut line = Vec::new();
    let spans = event.write_v1_line(&mut line);
    let native = String::from_utf8(event.native_line().to_vec()).unwrap();
    let line = String::from_utf8(line).unwrap();
    (line, spans, native, event.native_spans(), event.time_us, event.seq)
}

/// Checks that the fast path finds what the general parser finds, if it finds anything.
fn check(message: &[u8]) {
    for event in at_each_level::<Envelope>(message).into_iter().flatten() {
        let Ok(Message::Event(expected)) = read_any(message) else {
            panic!("no event: {}", String::from_utf8_lossy(message))
        };
        assert_eq!(printed(&event), printed(&expected), "{}", String::from_utf8_lossy(message));
    }
    for spans in at_each_level::<NativeLine>(message).into_iter().flatten() {
        let expected = payload::parse_any(message);
        assert_eq!(Ok(spans), expected, "{}", String::from_utf8_lossy(message));
    }
}

proptest! {
    #[test]
    fn any_members_are_read_as_by_the_general_parser(
        members in prop::collection::vec(member(), 0..5),
        all in Just(COMMIT.to_vec()).prop_shuffle(),
        left_out in any::<prop::sample::Index>(),
        before in prop::sample::select(&["", "\"payload\":7,", "\"payload\":{\"seq\":1},", "\"error\":{},"][..]),
        hits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{}[],: a1"[..])), 0..3),
        is_hit in any::<bool>(),
    ) {
        let mut all = all;
        if left_out.index(2) == 0 {
            all.remove(left_out.index(all.len()));
        }
        let members = [all, members].concat().join(",");
        let native = format!("{{{TYPE},{members}}}");
        let mut message = format!("{{{before}\"$type\":\"message\",\"payload\":{native}}}").into_bytes();
        check(native.as_bytes());
        check(&message);
        for (at, byte) in hits.into_iter().filter(|_| is_hit) {
            let at = at.index(message.len());
            message[at] = byte;
        }
        check(&message);
    }

    #[test]
    fn a_commit_in_any_order_needs_no_general_parser(
        members in Just([&COMMIT[..], &[TYPE]].concat()).prop_shuffle(), is_first in any::<bool>(),
    ) {
        let native = format!("{{{}}}", members.join(","));
        let (kind, payload) = (r#""$type":"message""#, format!("\"payload\":{native}"));
        let message = match is_first {
            true => format!("{{{kind},{payload}}}"),
            false => format!("{{{payload},{kind}}}"),
        };
        let events = at_each_level::<Envelope>(message.as_bytes());
        prop_assert!(events.iter().all(Option::is_some));
        check(message.as_bytes());
        for spans in at_each_level::<NativeLine>(native.as_bytes()) {
            prop_assert_eq!(Ok(spans.unwrap()), EventFormat::Native.parse_spans(native.as_bytes()));
        }
    }
}

#[test]
fn other_events_need_no_general_parser() {
    for kind in ["identity", "account", "sync"] {
        let message = format!(
            r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#{kind}","did":"did:plc:a","{kind}":{{"did":"did:plc:a","seq":31527015470}},"seq":7000026,"time":"2026-07-04T14:38:08.384849Z"}}}}"#
        );
        assert!(
            at_each_level::<Envelope>(message.as_bytes()).iter().all(Option::is_some),
            "{kind}"
        );
        check(message.as_bytes());
    }
}
