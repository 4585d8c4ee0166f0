use super::*;
use crate::filter::Filter;
use crate::filter::additions::Lists;
use crate::pipeline::dedup::{Delivery, ProcessorConfig};
use crate::position::{Origin, ServerKind, StartPosition};
use crate::settings::OnGap;
use crate::source::{ConnectionInfo, RequestedCursor};

/// A time at which every server existed.
const T0: u64 = 1_783_000_000_000_000;

fn lists(dids: &[&str]) -> Lists {
    let dids = dids.iter().map(|did| (*did).to_owned()).collect();
    Lists { dids, ..Lists::default() }
}

/// A stage whose live list has `a`, while `b` waits, and the feed of the history of `b`.
fn stage(limit: Option<u64>, until: Option<TimeUs>) -> (EventProcessor, Arc<SideFeed>) {
    let mut state = Additions::all_live(lists(&["a"]));
    state.update(lists(&["a", "b"]), None);
    let wanted = Filter::default();
    let config = ProcessorConfig {
        filter: Arc::new(state.live_filter(&wanted)),
        strict: false,
        limit,
        until,
        until_margin_us: 0,
        live_at: None,
        rewind_us: 1_000_000,
        secrets: crate::event::event_id::EventIdSecrets {
            key: crate::event::event_id::EventIdKey::new(1),
            legacy_seed: None,
        },
        on_gap: OnGap::Warn,
        period_us: None,
    };
    let mut processor = EventProcessor::new(config, &StartPosition::Live, Arc::default());
    let filter = state.side_filter(&wanted, state.next().unwrap());
    processor.set_additions(Arc::new(state));
    let feed =
        SideFeed { addition: 1, server: "a.example".into(), filter, format: EventFormat::V1 };
    (processor, Arc::new(feed))
}

fn batch(events: &[(&str, u64)]) -> Batch {
    let mut batch = Batch::default();
    for (did, seq) in events {
        let line = format!(
            r#"{{"did":"{did}","time_us":{},"cursor":{seq},"kind":"identity","identity":{{}}}}"#,
            T0 + seq
        );
        batch.push(line.as_bytes());
    }
    batch
}

fn reached(processor: &EventProcessor) -> Option<u64> {
    processor.additions().unwrap().reached.map(|(_, reached)| reached.seq)
}

#[test]
fn side_history_moves_its_own_progress_and_nothing_of_the_stream() {
    let (mut processor, feed) = stage(None, None);
    let origin = Origin { server: "a.example".into(), kind: ServerKind::V2, filter_fingerprint: 1 };
    let live = Arc::new(ConnectionInfo::v1(1, origin, RequestedCursor::Live));
    let staged = processor.process(batch(&[("a", 100)]), &live, TimeUs(T0));
    let _ = processor.commit(staged, Delivery::Bytes(1));
    let resume = processor.resume();
    // Events of the live list are not side history, and neither is what is malformed.
    let staged = processor.process_side(batch(&[("b", 1), ("a", 2), ("c", 3), ("b", 4)]), &feed);
    assert_eq!(staged.lines().len(), 2);
    assert_eq!(reached(&processor), None, "nothing is delivered yet");
    let _ = processor.commit(staged, Delivery::Bytes(1));
    assert_eq!(reached(&processor), Some(4));
    processor.advance_side(&feed, Seq(9));
    processor.advance_side(&feed, Seq(8));
    assert_eq!(reached(&processor), Some(9));
    assert_eq!(processor.resume(), resume);
}

#[test]
fn an_event_that_comes_again_in_the_same_batch_or_later_is_written_once() {
    let (mut processor, feed) = stage(None, None);
    for (events, written) in [(&[("b", 1), ("b", 2), ("b", 2), ("b", 3)][..], 3), (&[("b", 3)], 0)]
    {
        let staged = processor.process_side(batch(events), &feed);
        assert_eq!(staged.lines().len(), written);
        let bytes = staged.lines().bytes().len();
        let _ = processor.commit(staged, Delivery::Bytes(bytes));
    }
}

#[test]
fn a_partial_write_moves_the_progress_to_the_last_whole_line() {
    let (mut processor, feed) = stage(None, None);
    let staged = processor.process_side(batch(&[("b", 1), ("b", 2), ("b", 3)]), &feed);
    let bytes = staged.lines().bytes().len() / 3 * 2 + 5;
    let _ = processor.rollback(staged, Delivery::Bytes(bytes));
    assert_eq!(reached(&processor), Some(2));
}

#[test]
fn lines_that_lie_unread_in_a_pipe_are_taken_back_even_after_the_addition_is_live() {
    for is_finished in [false, true] {
        let (mut processor, feed) = stage(None, None);
        processor.enable_pipe_backlog(10_000);
        let staged = processor.process_side(batch(&[("b", 1), ("b", 2), ("b", 3)]), &feed);
        let bytes = staged.lines().bytes().len();
        let _ = processor.commit(staged, Delivery::Bytes(bytes));
        processor.advance_side(&feed, Seq(7));
        if is_finished {
            let mut state = (*processor.additions().unwrap().state).clone();
            state.finish(1);
            processor.set_additions(Arc::new(state));
            assert_eq!(reached(&processor), None);
        }
        assert_eq!(processor.rollback_unread(bytes / 3 + 1), 2);
        assert_eq!(reached(&processor), Some(1), "{is_finished}");
        assert!(processor.additions().unwrap().state.next().is_some());
    }
}

#[test]
fn a_limit_counts_side_history_and_until_leaves_later_events_out() {
    let (mut processor, feed) = stage(Some(2), Some(TimeUs(T0 + 3)));
    let staged = processor.process_side(batch(&[("b", 3), ("b", 4)]), &feed);
    assert_eq!((staged.lines().len(), processor.stop_reason()), (0, None));
    let _ = processor.commit(staged, Delivery::Bytes(0));
    let staged = processor.process_side(batch(&[("b", 0), ("b", 1), ("b", 2), ("b", 2)]), &feed);
    assert_eq!(staged.lines().len(), 2, "an event of a v2 server has a number");
    assert_eq!(processor.stop_reason(), Some(StopReason::Limit));
    let _ = processor.commit(staged, Delivery::Bytes(0));
    assert_eq!(reached(&processor), Some(2));
}

#[test]
fn a_restored_state_continues_at_its_progress() {
    let (mut processor, feed) = stage(None, None);
    let mut state = (*processor.additions().unwrap().state).clone();
    state.pending[0].reached = Some(Reached { server: "a.example".to_owned(), seq: 40 });
    processor.set_additions(Arc::new(state));
    assert_eq!(reached(&processor), Some(40));
    processor.advance_side(&feed, Seq(30));
    assert_eq!(reached(&processor), Some(40));
    // The connection of the switch begins with the last event of the history.
    let staged = processor.process_side(batch(&[("b", 40), ("b", 41)]), &feed);
    assert_eq!(staged.lines().len(), 1);
    let _ = processor.commit(staged, Delivery::Bytes(0));
    assert_eq!(reached(&processor), Some(41));
}
