use super::*;
use crate::event::batch::CompactBatch;
use crate::position::{Origin, ServerKind};
use crate::source::RequestedCursor;

fn connection() -> Arc<ConnectionInfo> {
    let origin = Origin {
        server: Arc::from("wss://jetstream.example.com"),
        kind: ServerKind::V2,
        filter_fingerprint: 0,
    };
    Arc::new(ConnectionInfo::v1(1, origin, RequestedCursor::Live))
}

fn item(connection: &Arc<ConnectionInfo>, lines: &[&[u8]]) -> Item {
    let mut batch = Batch::default();
    for line in lines {
        batch.push(line);
    }
    Item::lines(batch, Arc::clone(connection))
}

fn open(events: usize, when_full: WhenFull) -> (Sender, Receiver) {
    let bounds = Buffer { events, bytes: 4 * BATCH_BYTES, when_full, max_lag_events: None };
    channel(bounds, Arc::new(Metrics::default()))
}

/// Receives until nothing waits; one entry for each item.
fn received(receiver: &Receiver) -> Vec<Vec<u8>> {
    let next = || match receiver.recv(None) {
        Recv::Item(item) => Some(CompactBatch::from(item.batch).bytes().to_vec()),
        Recv::Resume | Recv::TimedOut | Recv::Closed => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn few_lines_are_appended_to_the_last_queued_batch() {
    let (sender, receiver) = open(100, WhenFull::Block);
    let from = connection();
    for lines in [&[&b"a"[..], b"b"][..], &[b"c"], &[b"d", b"e"]] {
        sender.send(item(&from, lines)).unwrap();
    }
    let Recv::Item(all) = receiver.recv(None) else { panic!("nothing came") };
    assert_eq!(all.batch.lines().collect::<Vec<_>>(), [b"a", b"b", b"c", b"d", b"e"]);
    assert_eq!(received(&receiver), [b""; 0]);
}

#[test]
fn lines_of_two_connections_stay_apart() {
    let (sender, receiver) = open(100, WhenFull::Block);
    let (one, two) = (connection(), connection());
    for from in [&one, &two, &two, &one] {
        sender.send(item(from, &[b"x"])).unwrap();
    }
    assert_eq!(received(&receiver), [&b"x\n"[..], b"x\nx\n", b"x\n"]);
}

#[test]
fn an_append_never_exceeds_the_bounds_of_a_batch() {
    let (sender, receiver) = open(1_000, WhenFull::Block);
    let from = connection();
    let line = vec![b'x'; BATCH_BYTES / 2 - 1];
    for _ in 0..3 {
        sender.send(item(&from, &[&line])).unwrap();
    }
    let sizes: Vec<usize> = received(&receiver).iter().map(Vec::len).collect();
    assert_eq!(sizes, [BATCH_BYTES, BATCH_BYTES / 2]);

    let (sender, receiver) = open(8, WhenFull::Block);
    for _ in 0..5 {
        sender.send(item(&from, &[b"x"])).unwrap();
    }
    assert_eq!(received(&receiver), [&b"x\nx\n"[..], b"x\nx\n", b"x\n"]);
}

#[test]
fn appended_events_are_counted_when_they_are_dropped() {
    let (sender, receiver) = open(4, WhenFull::DropOldest);
    let from = connection();
    let dropped: u64 = [b"a", b"b", b"c", b"d", b"e"]
        .map(|line| sender.send(item(&from, &[line])).unwrap())
        .iter()
        .sum();
    assert_eq!(
        (dropped, received(&receiver)),
        (1, vec![b"b\n".to_vec(), b"c\n".to_vec(), b"d\n".to_vec(), b"e\n".to_vec()])
    );
}

#[test]
fn the_reader_acquires_the_output_only_while_the_writer_is_idle() {
    let (sender, receiver) = open(100, WhenFull::Block);
    let handoff = sender.handoff();
    assert!(handoff.try_acquire());
    assert!(!handoff.try_acquire());
    handoff.release(false);
    sender.send(item(&connection(), &[b"x"])).unwrap();
    assert!(!handoff.try_acquire(), "an item is queued");
    assert_eq!(receiver.recv(None).name(), "item");
    assert!(!handoff.try_acquire(), "the writer writes it");
    assert_eq!(receiver.recv(None).name(), "timed out");
    assert!(handoff.try_acquire());
    handoff.release(false);
    drop(receiver);
    assert!(!handoff.try_acquire(), "the writer could not finish the write");
}

#[test]
fn the_rest_of_an_inline_write_comes_before_queued_lines() {
    let (sender, receiver) = open(100, WhenFull::Block);
    assert!(sender.handoff().try_acquire());
    sender.handoff().release(true);
    sender.send(item(&connection(), &[b"x"])).unwrap();
    drop(sender);
    let came = std::array::from_fn(|_| receiver.recv(None).name());
    assert_eq!(came, ["resume", "item", "closed"]);
}

impl Recv {
    fn name(&self) -> &'static str {
        match self {
            Self::Item(_) => "item",
            Self::Resume => "resume",
            Self::TimedOut => "timed out",
            Self::Closed => "closed",
        }
    }
}

#[test]
fn lines_after_a_change_of_the_filter_are_not_appended_to_it() {
    let (sender, receiver) = open(100, WhenFull::DropOldest);
    let from = connection();
    let filter = Arc::new(Filter::default());
    sender.send(Item::filter_change(filter, Arc::clone(&from))).unwrap();
    sender.send(item(&from, &[b"x"])).unwrap();
    let Recv::Item(change) = receiver.recv(None) else { panic!("nothing came") };
    assert!(change.filter.is_some() && change.batch.is_empty());
    let Recv::Item(lines) = receiver.recv(None) else { panic!("nothing came") };
    assert!(lines.filter.is_none() && !lines.is_history && lines.batch.len() == 1);
}

#[test]
fn a_change_that_is_dropped_for_newer_lines_is_kept_with_them() {
    let (sender, receiver) = open(1, WhenFull::DropOldest);
    let from = connection();
    let lists = Arc::new(Additions::default());
    let change = Item::filter_change(Arc::new(Filter::default()), Arc::clone(&from));
    sender.send(Item { additions: Some(Arc::clone(&lists)), ..change }).unwrap();
    sender.send(item(&from, &[b"x"])).unwrap();
    sender.send(item(&from, &[b"y"])).unwrap();
    let Recv::Item(first) = receiver.recv(None) else { panic!("nothing came") };
    assert!(first.filter.is_some());
    assert!(first.additions.is_some_and(|state| Arc::ptr_eq(&state, &lists)));
}

#[test]
fn side_history_waits_for_the_stream_and_takes_one_place() {
    let (sender, receiver) = open(100, WhenFull::DropOldest);
    let from = connection();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        sender.send_side(item(&from, &[b"side 1"])).await.unwrap();
        sender.send(item(&from, &[b"stream"])).unwrap();
        let mut second = std::pin::pin!(sender.send_side(item(&from, &[b"side 2"])));
        tokio::select! {
            biased;
            _ = &mut second => panic!("its place is taken"),
            () = std::future::ready(()) => {}
        }
        let next = || match receiver.recv(None) {
            Recv::Item(item) => CompactBatch::from(item.batch).bytes().to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(next(), b"stream\n");
        assert_eq!(next(), b"side 1\n");
        second.await.unwrap();
        assert_eq!(next(), b"side 2\n");
    });
}
