use proptest::prelude::*;

use super::*;
use crate::event::format::EventFormat;
use crate::event::simd::dispatch::{at_each_level, at_each_level_by, readers};
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

/// Reads all messages with one reader.
#[derive(Default)]
struct Stream(EventReader);

impl IndexReader for Stream {
    type Found<'a> = (Event<'a>, bool);

    fn read<'a>(&mut self, index: IndexedLine<'a, '_>) -> Option<Self::Found<'a>> {
        let is_learned = learned_message(&mut self.0, Walk::new(index)).is_some();
        Envelopes(&mut self.0).read(index).map(|event| (event, is_learned))
    }
}

/// As [`Stream`], in native format.
#[derive(Default)]
struct NativeStream(EventReader);

impl IndexReader for NativeStream {
    type Found<'a> = NativeEvent;

    fn read(&mut self, index: IndexedLine<'_, '_>) -> Option<NativeEvent> {
        NativeEnvelopes(&mut self.0).read(index)
    }
}

/// Readers of each level.
struct Readers {
    v1: Vec<Stream>,
    native: Vec<NativeStream>,
}

impl Readers {
    fn new() -> Self {
        Self { v1: readers(), native: readers() }
    }

    /// Checks that the fast path finds what the general parser finds, if it finds anything. Returns
    /// whether it read the message by a learned order.
    fn check(&mut self, message: &[u8]) -> bool {
        let mut is_learned = false;
        let text = String::from_utf8_lossy(message);
        for (event, learned) in at_each_level_by(&mut self.v1, message).into_iter().flatten() {
            let Ok(Message::Event(expected)) = read_any(message) else {
                panic!("no event: {text}")
            };
            assert_eq!(printed(&event), printed(&expected), "{text}");
            is_learned |= learned;
        }
        for found in at_each_level_by(&mut self.native, message).into_iter().flatten() {
            let Ok(Message::Event(expected)) = read_any(message) else {
                panic!("no event: {text}")
            };
            let NativeEvent { start, end, seq, spans } = found;
            assert_eq!(&message[start..end], expected.native_line(), "{text}");
            assert_eq!((seq, spans), (expected.seq, expected.native_spans()), "{text}");
        }
        is_learned
    }
}

/// Checks a message that no other precedes, and a line in native format.
fn check(message: &[u8]) {
    Readers::new().check(message);
    for spans in at_each_level::<NativeLine>(message).into_iter().flatten() {
        let expected = payload::parse_any(message);
        assert_eq!(Ok(spans), expected, "{}", String::from_utf8_lossy(message));
    }
}

/// Other values of the members of [`COMMIT`], sound ones and others.
const VALUES: [&[&str]; 9] = [
    &[r#""cid":"bafy""#, r#""cid":null"#, r#""cid":{"a":1}"#, ""],
    &[r#""collection":"a.b.c""#, r#""collection":"\u0061.b.c""#],
    &[r#""did":"did:plc:a""#, r#""did":7"#],
    &[r#""operation":"delete""#, r#""operationX":"delete""#],
    &[
        r#""record":{}"#,
        r#""record":[{"rev":"x","a":"]\""}]"#,
        r#""record":"}""#,
        r#""record":{"a":{}"#,
        "",
    ],
    &[r#""rev":"""#, r#""rev":"3mptbypluud2b","x":5"#],
    &[r#""rkey":"self""#, ""],
    &[r#""seq":1"#, r#""seq":7000002"#, r#""seq":-7"#, r#""seq":70000000000000002"#, r#""seq":07"#],
    &[r#""time":"2026-07-04T14:39:08.085434Z""#, r#""time":"2026-07-04T14:38:61.085434Z""#, ""],
];

/// For each member of [`COMMIT`]: whether its value changes, and to which one.
fn changes() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop::collection::vec(prop::option::weighted(0.2, 0..60_usize), 9)
}

/// Returns a message with its members in this order.
fn in_order(order: &[usize], changes: &[Option<usize>], is_type_last: bool) -> String {
    let member = |place: &usize| match changes.get(*place).copied().flatten() {
        Some(change) => VALUES[*place][change % VALUES[*place].len()],
        None => [&COMMIT[..], &[TYPE]].concat()[*place],
    };
    let members: Vec<_> = order.iter().map(member).filter(|member| !member.is_empty()).collect();
    let payload = format!("\"payload\":{{{}}}", members.join(","));
    match is_type_last {
        true => format!("{{{payload},\"x\":[],\"$type\":\"message\"}}"),
        false => format!("{{\"$type\":\"message\",{payload}}}"),
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
    fn events_in_the_order_of_earlier_ones_are_read_as_by_the_general_parser(
        order in Just((0..10).collect::<Vec<_>>()).prop_shuffle(), is_type_last in any::<bool>(),
        messages in prop::collection::vec((changes(), prop::option::weighted(0.1, any::<prop::sample::Index>())), 1..12),
    ) {
        let mut readers = Readers::new();
        for (changes, hit) in messages {
            let mut message = in_order(&order, &changes, is_type_last).into_bytes();
            if let Some(hit) = hit {
                let at = hit.index(message.len());
                message[at] = b"\"\\{}[],: a1"[hit.index(11)];
            }
            readers.check(&message);
        }
    }

    #[test]
    fn the_order_of_one_event_reads_the_next_ones(
        order in Just((0..10).collect::<Vec<_>>()).prop_shuffle(), is_type_last in any::<bool>(),
    ) {
        prop_assume!(is_type_last || order != [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let mut readers = Readers::new();
        prop_assert!(!readers.check(in_order(&order, &[], is_type_last).as_bytes()));
        prop_assert!(readers.check(in_order(&order, &[None, Some(0), Some(0)], is_type_last).as_bytes()));
        prop_assert!(readers.check(in_order(&order, &[None, None, None, Some(0)], is_type_last).as_bytes()));
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
        let mut streams = readers::<Stream>();
        let events = at_each_level_by(&mut streams, message.as_bytes());
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
        let mut streams = readers::<Stream>();
        let events = at_each_level_by(&mut streams, message.as_bytes());
        assert!(events.iter().all(Option::is_some), "{kind}");
        check(message.as_bytes());
    }
}

#[test]
fn an_order_that_only_one_event_has_is_not_tried_for_long() {
    let usual: Vec<usize> = (0..10).collect();
    let mut readers = Readers::new();
    let mut is_learned = |first: usize| {
        let order = [&usual[first..], &usual[..first]].concat();
        readers.check(in_order(&order, &[], true).as_bytes())
    };
    assert!(!is_learned(3) && is_learned(3));
    // As many events in another order as end the trust.
    (0..4).for_each(|_| assert!(!is_learned(4)));
    assert!(!is_learned(3));
    // The order is learned again, from an event that came often enough.
    assert!((0..40).any(|_| is_learned(5)));
}

#[test]
fn deletes_are_read_by_the_order_of_creates() {
    let order = [8, 7, 6, 5, 4, 3, 2, 1, 0, 9];
    let mut readers = Readers::new();
    let mut is_learned = |without: &[usize]| {
        let order: Vec<_> =
            order.iter().copied().filter(|place| !without.contains(place)).collect();
        readers.check(in_order(&order, &[], true).as_bytes())
    };
    // A delete comes first, and its order is not learned.
    assert!(
        !is_learned(&[0, 4])
            && !is_learned(&[])
            && is_learned(&[0, 4])
            && is_learned(&[4])
            && is_learned(&[])
    );
    assert!(!is_learned(&[2]) && !is_learned(&[8]));
}
