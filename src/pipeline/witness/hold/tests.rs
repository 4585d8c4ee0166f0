use std::sync::Arc;

use super::*;
use crate::event::format::EventFormat;
use crate::pipeline::witness::matcher::WitnessEvent;
use crate::pipeline::witness::names::NameId;
use crate::position::{Origin, ServerKind};
use crate::source::{ConnectionInfo, RequestedCursor};

const WINDOW: u64 = 80;
const KEY: EventIdKey = EventIdKey::new(7);

fn connection() -> Arc<ConnectionInfo> {
    let server = "main.example".into();
    let origin = Origin { server, kind: ServerKind::V2, filter_fingerprint: 0 };
    Arc::new(ConnectionInfo::v1(1, origin, RequestedCursor::Live))
}

/// Returns event `i` of an account, whose revs are in the order of the numbers.
fn line(did: char, i: u64) -> String {
    format!(
        r#"{{"did":"did:plc:{did}","time_us":{i},"kind":"commit","commit":{{"rev":"{i:013}","operation":"create","collection":"a.b.c","rkey":"{i}"}}}}"#
    )
}

fn push(hold: &mut Hold, events: &[(char, u64)], clock: u64) {
    let mut batch = Batch::default();
    events.iter().for_each(|(did, i)| batch.push(line(*did, *i).as_bytes()));
    hold.push(Item::lines(batch, connection()), TimeUs(clock));
}

fn push_missing(hold: &mut Hold, did: char, i: u64, clock: u64) {
    push_missing_line(hold, &line(did, i), i, clock, 0);
}

fn push_missing_line(hold: &mut Hold, line: &str, i: u64, clock: u64, rank: u32) {
    let mut batch = Batch::default();
    batch.push(line.as_bytes());
    let connection = connection();
    let header = batch.header_or_parse(0, connection.shape);
    let (name, line) = (NameId::default(), batch.line(0).into());
    let event = WitnessEvent {
        line,
        header,
        connection,
        name,
        counts: true,
        rank,
        successor: None,
        is_relayed: false,
    };
    hold.push_missing(MissingEvent { identity: i, clock: TimeUs(clock), event }, TimeUs(clock));
}

/// Returns the numbers of the events that are written when the server in use is at `reached`.
fn written(hold: &mut Hold, reached: u64) -> Vec<u64> {
    let mut written = Vec::new();
    while let Some(step) = hold.next(TimeUs(reached)) {
        let mut batch = match step {
            Step::Main(item) => item.batch,
            Step::Missing(missing) => missing.batch,
        };
        for i in 0..batch.len() {
            let header = batch.header_or_parse(i, EventFormat::V1).expect("an event");
            written.push(header.time_us);
        }
    }
    written
}

#[test]
fn a_missing_event_comes_before_the_next_one_of_its_account() {
    let mut hold = Hold::new(WINDOW, KEY);
    push(&mut hold, &[('a', 1), ('b', 2), ('a', 5), ('b', 6)], 6);
    push(&mut hold, &[('a', 9)], 9);
    push_missing(&mut hold, 'b', 4, 4);
    push_missing(&mut hold, 'a', 7, 7);
    assert_eq!(hold.size().0, 7);
    assert_eq!(written(&mut hold, 125), [0; 0]);
    assert_eq!(written(&mut hold, 126), [1, 2, 5, 4, 6]);
    assert_eq!(written(&mut hold, 129), [7, 9]);
    assert_eq!(hold.size(), (0, 0));
}

#[test]
fn a_missing_event_without_a_later_one_waits_for_the_earlier_ones() {
    let mut hold = Hold::new(WINDOW, KEY);
    // The clock of a batch is that of its last event.
    push(&mut hold, &[('a', 1), ('c', 9)], 9);
    push_missing(&mut hold, 'a', 2, 2);
    assert_eq!(written(&mut hold, 128), [0; 0]);
    assert_eq!(written(&mut hold, 129), [1, 9]);
    assert_eq!(written(&mut hold, 161), [0; 0]);
    assert_eq!(written(&mut hold, 162), [2]);
}

#[test]
fn a_missing_event_of_a_commit_comes_in_its_place_whatever_the_times_say() {
    let rev_of = |i| if (2..6).contains(&i) { 2 } else { i };
    let event = |i: u64, late: u64| {
        let rev = format!("{:013}", rev_of(i));
        let time = format!("\"time_us\":{}", i + late);
        let rev = line('a', i).replace(&format!("{i:013}"), &rev);
        rev.replace(&format!("\"time_us\":{i}"), &time)
    };
    let mut hold = Hold::new(WINDOW, KEY);
    // The commit has the events 2 to 5, and the witness is 30 late.
    for i in [1, 3, 4, 7] {
        let mut batch = Batch::default();
        batch.push(event(i, 0).as_bytes());
        hold.push(Item::lines(batch, connection()), TimeUs(i));
    }
    for (i, rank) in [(2, 0), (5, 3)] {
        push_missing_line(&mut hold, &event(i, 30), i, i + 30, rank);
    }
    assert_eq!(written(&mut hold, 500), [1, 32, 3, 4, 35, 7]);
}

/// The witness lacks the first events of the commit, so that the number of events before a missing one
/// says too little.
#[test]
fn a_missing_event_of_a_commit_waits_for_the_one_that_follows_it() {
    let event = |i: u64| line('a', i).replace(&format!("{i:013}"), &format!("{:013}", 2));
    let mut hold = Hold::new(WINDOW, KEY);
    for i in [2, 3, 6] {
        let mut batch = Batch::default();
        batch.push(event(i).as_bytes());
        hold.push(Item::lines(batch, connection()), TimeUs(i));
    }
    let mut batch = Batch::default();
    batch.push(event(6).as_bytes());
    let header = batch.header_or_parse(0, EventFormat::V1).expect("an event");
    let last = EventIdHasher::new(KEY).of_line(&header, batch.line(0));
    for (i, rank, next) in [(4, 0, 5), (5, 1, last)] {
        push_missing_line(&mut hold, &event(i), i, i, rank);
        let successor = Successor { identity: next, is_of_commit: true };
        hold.note_successor("did:plc:a", i, successor);
    }
    assert_eq!(written(&mut hold, 500), [2, 3, 4, 5, 6]);
}

/// Returns an identity event of the account `a`, which has no rev.
fn identity(i: u64, time_us: u64) -> String {
    format!(
        r#"{{"did":"did:plc:a","time_us":{time_us},"kind":"identity","identity":{{"did":"did:plc:a","handle":"a.example","seq":{i},"time":"2026-07-04T14:38:08.000Z"}}}}"#
    )
}

#[test]
fn an_event_without_a_rev_comes_before_the_one_that_follows_it_on_the_witness() {
    let mut hold = Hold::new(WINDOW, KEY);
    for (i, line) in [(1, line('a', 1)), (4, identity(4, 4)), (6, line('a', 6))] {
        let mut batch = Batch::default();
        batch.push(line.as_bytes());
        hold.push(Item::lines(batch, connection()), TimeUs(i));
    }
    // The witness is 30 late.
    push_missing_line(&mut hold, &identity(2, 32), 2, 32, 0);
    push_missing_line(&mut hold, &identity(3, 33), 3, 33, 0);
    let mut batch = Batch::default();
    batch.push(identity(4, 34).as_bytes());
    let header = batch.header_or_parse(0, EventFormat::V1).expect("an event");
    let next = EventIdHasher::new(KEY).of_line(&header, batch.line(0));
    let successor = |identity| Successor { identity, is_of_commit: false };
    hold.note_successor("did:plc:a", 2, successor(3));
    hold.note_successor("did:plc:a", 3, successor(next));
    assert_eq!(written(&mut hold, 500), [1, 32, 33, 4, 6]);
}

#[test]
fn without_an_order_the_times_decide_by_the_difference_of_the_clocks() {
    let mut hold = Hold::new(WINDOW, KEY);
    let (second, jitter) = (1_000_000, MAX_JITTER_US);
    hold.set_offset(second as i64);
    for i in [1, 10 * jitter] {
        let mut batch = Batch::default();
        batch.push(identity(i, i).as_bytes());
        hold.push(Item::lines(batch, connection()), TimeUs(i));
    }
    push_missing_line(&mut hold, &identity(2, second + jitter), 2, second + jitter, 0);
    assert_eq!(written(&mut hold, u64::MAX), [1, second + jitter, 10 * jitter]);
}

#[test]
fn at_the_end_everything_is_written_in_order() {
    let mut hold = Hold::new(WINDOW, KEY);
    push(&mut hold, &[('a', 1), ('b', 3)], 3);
    push_missing(&mut hold, 'a', 2, 2);
    push_missing(&mut hold, 'b', 1, 1);
    assert_eq!(written(&mut hold, u64::MAX), [1, 1, 3, 2]);
}

#[test]
fn more_than_may_wait_is_written_before_its_time() {
    let mut hold = Hold::new(WINDOW, KEY);
    let many = vec![('a', 1); MAX_EVENTS / 4];
    (1..=4).for_each(|clock| push(&mut hold, &many, clock));
    assert!(hold.next(TimeUs(5)).is_none() && !hold.take_was_full());
    push(&mut hold, &[('a', 1)], 5);
    assert!(
        matches!(hold.next(TimeUs(5)), Some(Step::Main(item)) if item.batch.len() == many.len())
    );
    assert!(hold.next(TimeUs(5)).is_none() && hold.take_was_full() && !hold.take_was_full());
    assert_eq!(hold.size().0, MAX_EVENTS - many.len() + 1);
}
