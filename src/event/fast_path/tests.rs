use proptest::prelude::*;

use super::*;
use crate::event::header::parse_any;
use crate::event::simd::dispatch::{at_each_level, at_each_level_by, readers};

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
    for found in at_each_level::<EventLine>(line).into_iter().flatten() {
        assert_eq!(Ok(found), parse_any(line), "{}", String::from_utf8_lossy(line));
    }
}

/// Reads all lines with one reader. Returns whether it read each by a learned order, too.
#[derive(Default)]
struct Stream(LineReader);

impl IndexReader for Stream {
    type Found<'a> = (HeaderSpans, bool);

    fn read(&mut self, index: IndexedLine<'_, '_>) -> Option<Self::Found<'_>> {
        let is_learned = learned_order(&mut self.0.order, Walk::new(index)).is_some();
        self.0.read(index).map(|found| (found, is_learned))
    }
}

/// Checks a line of a stream as [`check`] does. Returns whether a learned order read it.
fn check_next(streams: &mut [Stream], line: &[u8]) -> bool {
    let mut is_learned = false;
    for (found, learned) in at_each_level_by(streams, line).into_iter().flatten() {
        assert_eq!(Ok(found), parse_any(line), "{}", String::from_utf8_lossy(line));
        is_learned |= learned;
    }
    is_learned
}

/// The values of an event's members, the usual one first. An empty text leaves a member out, but an
/// empty one of the fifth is the commit.
const EVENT: [&[&str]; 6] = [
    &[DID, r#""did":"did:plc:b""#, r#""did":7"#],
    &[r#""time_us":1783175888186668"#, r#""time_us":0"#, r#""time_us":17831758881866681"#],
    &[r#""cursor":7"#, r#""cursor":-1"#, ""],
    &[r#""kind":"commit""#, r#""kind":"identity""#, r#""kind":"new""#],
    &["", r#""commit":null"#],
    &[r#""x":5"#, r#""x":"}""#, r#""rev":"y""#],
];
const COMMIT_VALUES: [&[&str]; 6] = [
    &[COMMIT[0], r#""rev":"""#, ""],
    &[COMMIT[1], r#""operation":"delete""#, r#""operationX":"delete""#],
    &[COMMIT[2], r#""collection":"\u0061.b.c""#],
    &[COMMIT[3], ""],
    &[COMMIT[4], r#""record":"a""#, r#""record":[{}"#, ""],
    &[COMMIT[5], r#""cid":{}"#, ""],
];

/// Returns a line with members in this order, of which some have another value.
fn in_order(event: &[usize], commit: &[usize], changes: &[Option<usize>]) -> String {
    let value = |values: &[&'static str], change: Option<&Option<usize>>| {
        values[change.copied().flatten().unwrap_or(0) % values.len()]
    };
    let text = |members: Vec<String>| {
        members.into_iter().filter(|m| !m.is_empty()).collect::<Vec<_>>().join(",")
    };
    let commit = commit.iter().map(|at| value(COMMIT_VALUES[*at], changes.get(at + 6)).to_owned());
    let commit = format!("\"commit\":{{{}}}", text(commit.collect()));
    let member = |at: &usize| match value(EVENT[*at], changes.get(*at)) {
        "" if *at == 4 => commit.clone(),
        other => other.to_owned(),
    };
    let members = text(event.iter().map(member).collect());
    // The name of a member in the last eight bytes is left to the general parser.
    format!("{{{members},\"of\":\"a later version\"}}")
}

fn orders() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let order = || Just((0..6).collect::<Vec<_>>()).prop_shuffle();
    (order(), order())
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
    fn lines_in_the_order_of_earlier_ones_are_read_as_by_the_general_parser(
        (event, commit) in orders(),
        lines in prop::collection::vec((
            prop::collection::vec(prop::option::weighted(0.1, 0..60_usize), 12),
            prop::option::weighted(0.1, any::<prop::sample::Index>()),
        ), 1..12),
    ) {
        let mut streams = readers();
        for (changes, hit) in lines {
            let mut line = in_order(&event, &commit, &changes).into_bytes();
            if let Some(hit) = hit {
                let at = hit.index(line.len());
                line[at] = b"\"\\{}[],: a1"[hit.index(11)];
            }
            check_next(&mut streams, &line);
        }
    }

    #[test]
    fn the_order_of_one_line_reads_the_next_ones((event, commit) in orders()) {
        let mut streams = readers();
        let line = in_order(&event, &commit, &[]);
        prop_assert!(!check_next(&mut streams, line.as_bytes()));
        let other = in_order(&event, &commit, &[Some(1), Some(1), None, None, None, None, Some(1)]);
        let delete = in_order(&event, &commit, &[None, None, None, None, None, None, None, Some(1), None, None, Some(3), Some(2)]);
        check_next(&mut streams, delete.as_bytes());
        prop_assert!(check_next(&mut streams, other.as_bytes()));
        let identity = in_order(&event, &commit, &[None, None, None, Some(1)]);
        prop_assert!(!check_next(&mut streams, identity.as_bytes()));
        prop_assert!(check_next(&mut streams, line.as_bytes()));
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
        for found in at_each_level::<EventLine>(line.as_bytes()) {
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
        for found in at_each_level::<EventLine>(event.as_bytes()) {
            assert_eq!(Ok(found.expect(event)), parse_any(event.as_bytes()), "{event}");
        }
    }
}

#[test]
fn a_member_in_another_object_is_not_learned() {
    let mut streams = readers();
    let of = |rev: &str, in_commit: &str| {
        format!(
            r#"{{"kind":"commit",{rev}"commit":{{"rkey":"k","record":{{}},"collection":"a.b.c"{in_commit}}},{DID},"time_us":1783175888186668}}"#
        )
    };
    let outside = of(r#""rev":"r","#, "");
    (0..3).for_each(|_| assert!(!check_next(&mut streams, outside.as_bytes())));
    let inside = of("", r#","rev":"r""#);
    assert!(!check_next(&mut streams, inside.as_bytes()));
    assert!(check_next(&mut streams, inside.as_bytes()));
    assert!(!check_next(&mut streams, outside.as_bytes()));
}
