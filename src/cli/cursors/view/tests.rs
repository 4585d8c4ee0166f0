use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::checkpoint::store::PreviousCursor;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind};

/// 2026-07-04T14:38:08.186668Z
pub const NOW: TimeUs = TimeUs(1_783_175_888_186_668);

pub fn stopped(name: &str, kind: ServerKind, seq: Option<u64>) -> Entry {
    let mark = |back: u64| EventPosition {
        time: NOW.minus_us(back * 1_000_000),
        seq: seq.map(|seq| Seq(seq - back)),
    };
    let origin = Origin { server: Arc::from("jetstream.example.com"), kind, filter_fingerprint: 1 };
    let position =
        Position { origin, newest: mark(192), rewind_to: mark(197), max_time: mark(190).time };
    Entry {
        name: name.to_owned(),
        cursor: Some(SavedCursor::Position(Resume { position, identities: vec![1, 2, 3] })),
        saved_at: NOW.minus_us(5_000_000),
        previous: None,
    }
}

fn set_by_hand(name: &str, at: CursorValue, server: Option<&str>) -> Entry {
    let newest = EventPosition { time: NOW.minus_us(90_000_000_000), seq: Some(Seq(7)) };
    Entry {
        name: name.to_owned(),
        cursor: Some(SavedCursor::Manual(ManualCursor { at, server: server.map(Arc::from) })),
        saved_at: NOW.plus_us(5),
        previous: Some(PreviousCursor {
            server: "old.example.com".to_owned(),
            newest,
            saved_at: newest.time,
        }),
    }
}

pub fn entries() -> Vec<Entry> {
    vec![
        stopped("app.bsky.feed.post", ServerKind::V2, Some(27_914_857_120)),
        stopped("likes\u{1b}[2J", ServerKind::Legacy, None),
        set_by_hand("again", CursorValue::Time(NOW.minus_us(7_200_000_000)), None),
        set_by_hand("exact", CursorValue::Seq(Seq(12)), Some("jetstream.example.com")),
    ]
}

fn outputs() -> Vec<OutputRecord> {
    vec![OutputRecord {
        path: "/data/posts.ndjson".into(),
        pattern: "/data/posts.ndjson".to_owned(),
        rotation: None,
        state: crate::sink::output_record::OutputState::Clean,
        length_bytes: 1234,
        tail_hash: 5,
        period_start: None,
        number: 0,
    }]
}

fn gaps() -> Vec<SavedGap> {
    let gap = |from_time, to_seq, count| {
        let reason = "the server no longer\nheld it".to_owned();
        let to_time = Some(NOW);
        let gap = Gap { seen_at: NOW, from_time, to_time, from_seq: None, to_seq, reason };
        SavedGap { gap, count }
    };
    vec![gap(Some(NOW.minus_us(1_000_000)), None, 1), gap(None, Some(Seq(9)), 12)]
}

#[test]
fn the_page_shows_all_fields() {
    let path = Path::new("/home/ada/state.db");
    let pages: Vec<String> =
        entries().iter().map(|entry| details(entry, &[], &[], path, NOW)).collect();
    assert_snapshot!(pages.join("\n"), @r#"
        name:         app.bsky.feed.post
        state file:   /home/ada/state.db
        saved:        2026-07-04T14:38:03.186668Z (5s ago)
        server:       jetstream.example.com (v2)
        newest event: seq 27914856928 at 2026-07-04T14:34:56.186668Z, 3m 12s ago
        rewinds to:   seq 27914856923 at 2026-07-04T14:34:51.186668Z
        latest time:  2026-07-04T14:34:58.186668Z
        identities:   3

        name:         likes\u{1b}[2J
        state file:   /home/ada/state.db
        saved:        2026-07-04T14:38:03.186668Z (5s ago)
        server:       jetstream.example.com (legacy)
        newest event: 2026-07-04T14:34:56.186668Z, 3m 12s ago
        rewinds to:   2026-07-04T14:34:51.186668Z
        latest time:  2026-07-04T14:34:58.186668Z
        identities:   3

        name:         again
        state file:   /home/ada/state.db
        saved:        2026-07-04T14:38:08.186673Z (0s ago)
        set by hand:  2026-07-04T12:38:08.186668Z
        previous:     seq 7 at 2026-07-03T13:38:08.186668Z on old.example.com, saved 2026-07-03T13:38:08.186668Z (1d 1h ago)

        name:         exact
        state file:   /home/ada/state.db
        saved:        2026-07-04T14:38:08.186673Z (0s ago)
        set by hand:  seq 12 on jetstream.example.com
        previous:     seq 7 at 2026-07-03T13:38:08.186668Z on old.example.com, saved 2026-07-03T13:38:08.186668Z (1d 1h ago)
        "#);
    assert_snapshot!(details(&entries()[0], &gaps(), &outputs(), path, NOW), @r#"
        name:         app.bsky.feed.post
        state file:   /home/ada/state.db
        saved:        2026-07-04T14:38:03.186668Z (5s ago)
        server:       jetstream.example.com (v2)
        newest event: seq 27914856928 at 2026-07-04T14:34:56.186668Z, 3m 12s ago
        rewinds to:   seq 27914856923 at 2026-07-04T14:34:51.186668Z
        latest time:  2026-07-04T14:34:58.186668Z
        identities:   3
        output:       /data/posts.ndjson, 1,234 bytes, clean
        gap:          from 2026-07-04T14:38:07.186668Z to 2026-07-04T14:38:08.186668Z, 1s missing, seen 2026-07-04T14:38:08.186668Z: the server no longer\nheld it
        gap:          from unknown to seq 9 at 2026-07-04T14:38:08.186668Z, seen 2026-07-04T14:38:08.186668Z: the server no longer\nheld it (12 gaps in one)
        "#);
}

#[test]
fn the_json_keys_do_not_change() {
    assert_snapshot!(json_lines(&entries()).unwrap(), @r#"
        {"name":"app.bsky.feed.post","by_hand":false,"server":"jetstream.example.com","server_kind":"v2","cursor":27914856928,"time_us":1783175696186668,"seq":27914856928,"rewind_time_us":1783175691186668,"rewind_seq":27914856923,"latest_time_us":1783175698186668,"identities":3,"saved_at_us":1783175883186668,"previous":null}
        {"name":"likes\u001b[2J","by_hand":false,"server":"jetstream.example.com","server_kind":"legacy","cursor":1783175696186668,"time_us":1783175696186668,"seq":null,"rewind_time_us":1783175691186668,"rewind_seq":null,"latest_time_us":1783175698186668,"identities":3,"saved_at_us":1783175883186668,"previous":null}
        {"name":"again","by_hand":true,"server":null,"server_kind":null,"cursor":1783168688186668,"time_us":1783168688186668,"seq":null,"rewind_time_us":null,"rewind_seq":null,"latest_time_us":null,"identities":0,"saved_at_us":1783175888186673,"previous":{"server":"old.example.com","time_us":1783085888186668,"seq":7,"saved_at_us":1783085888186668}}
        {"name":"exact","by_hand":true,"server":"jetstream.example.com","server_kind":null,"cursor":12,"time_us":null,"seq":12,"rewind_time_us":null,"rewind_seq":null,"latest_time_us":null,"identities":0,"saved_at_us":1783175888186673,"previous":{"server":"old.example.com","time_us":1783085888186668,"seq":7,"saved_at_us":1783085888186668}}
        "#);
    assert_snapshot!(json_object(&entries()[1], &gaps(), &[]).unwrap(), @r#"{"name":"likes\u001b[2J","by_hand":false,"server":"jetstream.example.com","server_kind":"legacy","cursor":1783175696186668,"time_us":1783175696186668,"seq":null,"rewind_time_us":1783175691186668,"rewind_seq":null,"latest_time_us":1783175698186668,"identities":3,"saved_at_us":1783175883186668,"previous":null,"gaps":[{"seen_at_us":1783175888186668,"from_us":1783175887186668,"to_us":1783175888186668,"from_seq":null,"to_seq":null,"reason":"the server no longer\nheld it","count":1},{"seen_at_us":1783175888186668,"from_us":null,"to_us":1783175888186668,"from_seq":null,"to_seq":9,"reason":"the server no longer\nheld it","count":12}],"outputs":[]}"#);
    assert_snapshot!(json_object(&entries()[0], &[], &outputs()).unwrap(), @r#"{"name":"app.bsky.feed.post","by_hand":false,"server":"jetstream.example.com","server_kind":"v2","cursor":27914856928,"time_us":1783175696186668,"seq":27914856928,"rewind_time_us":1783175691186668,"rewind_seq":27914856923,"latest_time_us":1783175698186668,"identities":3,"saved_at_us":1783175883186668,"previous":null,"gaps":[],"outputs":[{"path":"/data/posts.ndjson","length_bytes":1234,"state":"clean"}]}"#);
}

#[test]
fn spans_show_their_two_largest_units() {
    let spans: Vec<String> = [0, 59, 60, 61, 3_600, 3_661, 86_400, 90_061, 31_536_000]
        .iter()
        .map(|seconds| span(NOW.minus_us(seconds * 1_000_000), NOW))
        .collect();
    assert_snapshot!(spans.join(", "), @"0s, 59s, 1m, 1m 1s, 1h, 1h 1m, 1d, 1d 1h, 365d");
}
