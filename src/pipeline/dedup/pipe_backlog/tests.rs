use super::*;
use proptest::prelude::*;

fn mark(n: u64) -> EventPosition {
    EventPosition { time: TimeUs(n), seq: None }
}

fn known(n: u64) -> Predecessor {
    Predecessor::Event(Checkpointable { at: mark(n), identity: Some(n), max_time: TimeUs(n) })
}

/// Returns a rollback without side history.
fn stream(events: usize, after_change: Option<usize>, predecessor: Predecessor) -> Rollback {
    Rollback { events, after_change, predecessor, side_events: 0, oldest_side: None }
}

fn backlog(before: Predecessor, lengths: &[usize]) -> PipeBacklog {
    let mut unread = PipeBacklog::new(before);
    unread.enable(100);
    for (n, length) in lengths.iter().enumerate() {
        unread.begin_batch();
        unread.stage(mark(n as u64), n as u64, TimeUs(n as u64));
        unread.sent(std::iter::once(*length), 0);
    }
    unread
}

#[test]
fn an_event_counts_as_read_with_its_last_byte() {
    let rollback = |bytes| backlog(Predecessor::RunStart, &[10, 10, 10]).rollback(bytes);
    let back = |events, before| Some(stream(events, None, before));
    assert_eq!(rollback(0), None);
    assert_eq!(rollback(1), back(1, known(1)));
    assert_eq!(rollback(10), back(1, known(1)));
    assert_eq!(rollback(11), back(2, known(0)));
    assert_eq!(rollback(30), back(3, Predecessor::RunStart));
}

#[test]
fn a_part_of_a_line_is_no_event() {
    let mut some = backlog(Predecessor::RunStart, &[10]);
    some.begin_batch();
    some.stage(mark(1), 1, TimeUs(1));
    some.sent(std::iter::empty(), 4);
    assert_eq!(some.rollback(4), None);
}

fn send(unread: &mut PipeBacklog, events: impl Iterator<Item = u64>) {
    for n in events {
        unread.begin_batch();
        unread.stage(mark(n), n, TimeUs(n));
        unread.sent(std::iter::once(10), 0);
    }
}

#[test]
fn a_rollback_can_undo_a_change_of_server() {
    let rollback = |bytes| {
        let mut some = backlog(Predecessor::RunStart, &[10, 10]);
        some.change_server();
        send(&mut some, 5..7);
        some.rollback(bytes).map(|back| (back.events, back.after_change, back.predecessor))
    };
    assert_eq!(rollback(10), Some((1, None, known(5))));
    assert_eq!(rollback(20), Some((0, Some(2), Predecessor::OtherServer)));
    assert_eq!(rollback(30), Some((1, Some(2), known(0))));
    assert_eq!(rollback(99), Some((2, Some(2), Predecessor::RunStart)));
}

#[test]
fn the_first_line_between_two_changes_of_server_stays() {
    let mut some = backlog(Predecessor::RunStart, &[10]);
    some.change_server();
    send(&mut some, 5..7);
    some.change_server();
    send(&mut some, 8..9);
    let back = stream(1, Some(1), known(5));
    assert_eq!(some.rollback(99), Some(back));
}

#[test]
fn a_change_of_server_is_kept_as_long_as_the_pipe_may_hold_it() {
    let mut some = backlog(Predecessor::RunStart, &[10]);
    some.change_server();
    send(&mut some, 1..11);
    assert!(some.reaches_change());
    send(&mut some, 11..12);
    assert!(!some.reaches_change());
    assert_eq!(some.rollback(100).map(|back| back.events), Some(10));
}

#[test]
fn a_change_of_server_is_kept_while_the_line_after_it_was_read_in_part() {
    let mut some = backlog(Predecessor::RunStart, &[10]);
    some.change_server();
    send(&mut some, 5..7);
    some.was_read(15);
    let back = some.rollback(15);
    assert_eq!(back.map(|back| (back.events, back.after_change)), Some((0, Some(2))));
    let mut some = backlog(Predecessor::RunStart, &[10]);
    some.change_server();
    send(&mut some, 5..7);
    some.was_read(10);
    assert!(!some.reaches_change());
}

#[test]
fn read_lines_are_dropped() {
    let mut some = backlog(Predecessor::RunStart, &[10, 10, 10]);
    some.was_read(11);
    assert_eq!(some.oldest(), Some((2, TimeUs(1))));
    assert_eq!(some.rollback(99).map(|back| back.predecessor), Some(known(0)));
    some.was_read(0);
    assert_eq!((some.oldest(), some.rollback(9)), (None, None));
}

proptest! {
    #[test]
    fn rolls_back_like_a_list(
        lengths in prop::collection::vec(0..40_usize, 1..60),
        bytes in 0..100_usize,
    ) {
        let total: usize = lengths.iter().sum();
        let bytes = bytes.min(total);
        let mut end = 0;
        let ends = lengths.iter().map(|length| { end += length; end });
        let read = ends.filter(|end| *end <= total - bytes).count();
        let back = backlog(Predecessor::RunStart, &lengths).rollback(bytes);
        // Lines without a byte in front of the first unread one count as read.
        prop_assert_eq!(back.map_or(0, |back| back.events), lengths.len() - read);
    }
}

fn send_side(unread: &mut PipeBacklog, seqs: impl Iterator<Item = u64>) {
    for seq in seqs {
        unread.begin_batch();
        unread.stage_side(SideEvent { addition: 1, seq: Seq(seq) });
        unread.sent(std::iter::once(10), 0);
    }
}

#[test]
fn side_history_is_undone_beside_the_stream_and_counts_for_no_position() {
    let side = |seq| Some(SideEvent { addition: 1, seq: Seq(seq) });
    let mixed = || {
        let mut some = backlog(Predecessor::RunStart, &[10, 10]);
        send_side(&mut some, 5..7);
        send(&mut some, 2..3);
        send_side(&mut some, 7..8);
        some
    };
    let back = |bytes| mixed().rollback(bytes);
    let only_side = Rollback { side_events: 1, oldest_side: side(7), ..stream(0, None, known(2)) };
    assert_eq!(back(10), Some(only_side));
    let both = Rollback { side_events: 2, oldest_side: side(6), ..stream(1, None, known(1)) };
    assert_eq!(back(30), Some(both));
    let all =
        Rollback { side_events: 3, oldest_side: side(5), ..stream(3, None, Predecessor::RunStart) };
    assert_eq!(back(60), Some(all));
    let mut read = mixed();
    assert_eq!(read.oldest(), Some((3, TimeUs(0))));
    read.was_read(25);
    assert_eq!(read.oldest(), Some((1, TimeUs(2))));
    let rest = Rollback { side_events: 2, oldest_side: side(6), ..stream(1, None, known(1)) };
    assert_eq!(read.rollback(99), Some(rest));
}
