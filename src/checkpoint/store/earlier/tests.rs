use std::sync::Arc;

use super::*;
use crate::checkpoint::store::ManualCursor;
use crate::checkpoint::{Checkpoint, CursorValue};
use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind};

const DAY_US: u64 = 24 * 3600 * 1_000_000;
const NOW: TimeUs = TimeUs(100 * DAY_US);

fn home() -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&home.path().join("state.db")).unwrap();
    (home, store)
}

fn checkpoint(time: u64) -> Checkpoint {
    let mark = EventPosition { time: TimeUs(time), seq: Some(Seq(time)) };
    let origin =
        Origin { server: Arc::from("example.com"), kind: ServerKind::V2, filter_fingerprint: 1 };
    let position = Position { origin, newest: mark, rewind_to: mark, max_time: mark.time };
    Checkpoint {
        resume: Resume { position, identities: vec![1, time] },
        filter: None,
        outputs: vec![],
        additions: None,
    }
}

fn times(store: &Store, now: TimeUs) -> Vec<u64> {
    let time = |earlier: EarlierCursor| match earlier.cursor {
        SavedCursor::Position(resume) => resume.position.newest.time.0,
        SavedCursor::Manual(ManualCursor { at: CursorValue::Time(time), .. }) => time.0,
        SavedCursor::Manual(_) => 0,
    };
    store.earlier("a", now).unwrap().into_iter().map(time).collect()
}

fn skipped(from: u64, to: u64) -> CursorOverride {
    CursorOverride {
        skipped: Some(Gap {
            seen_at: TimeUs(to),
            from_time: Some(TimeUs(from)),
            to_time: Some(TimeUs(to)),
            from_seq: Some(Seq(from)),
            to_seq: None,
            reason: "skipped on request".to_owned(),
        }),
    }
}

#[test]
fn ten_positions_of_a_name_are_kept_for_thirty_days() {
    let (_home, mut store) = home();
    for n in 1..=15 {
        store.set_cursor_override(CursorOverride { skipped: None });
        store.save("a", &checkpoint(n), TimeUs(NOW.0 + n)).unwrap();
        // What follows in the same run replaces no earlier position.
        store.save("a", &checkpoint(n + 100), TimeUs(NOW.0 + n)).unwrap();
    }
    assert_eq!(times(&store, NOW), [114, 113, 112, 111, 110, 109, 108, 107, 106, 105]);
    store.save("b", &checkpoint(1), NOW).unwrap();
    store.keep_earlier("b", NOW).unwrap();
    assert_eq!(times(&store, NOW).len(), 10, "another name has its own");
    assert_eq!(times(&store, TimeUs(NOW.0 + 30 * DAY_US)).len(), 10);
    assert_eq!(times(&store, TimeUs(NOW.0 + 31 * DAY_US)).len(), 0);
    store.keep_earlier("a", TimeUs(NOW.0 + 31 * DAY_US)).unwrap();
    let rows = "SELECT count(*) FROM earlier_positions WHERE consumer = 'a'";
    assert_eq!(store.connection.query_row(rows, [], |row| row.get::<_, u32>(0)), Ok(1));
    store.remove("a").unwrap();
    assert_eq!(store.connection.query_row(rows, [], |row| row.get::<_, u32>(0)), Ok(0));
}

#[test]
fn a_restored_position_is_exact_and_changes_places_with_the_present_one() {
    let (_home, mut store) = home();
    for n in 1..=11 {
        store.save("a", &checkpoint(n), TimeUs(NOW.0 + n)).unwrap();
        store.keep_earlier("a", TimeUs(NOW.0 + n)).unwrap();
    }
    store.save("a", &checkpoint(50), NOW).unwrap();
    assert_eq!(times(&store, NOW), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let later = TimeUs(NOW.0 + 60);
    for number in [0, 11] {
        assert_eq!(store.restore("a", number, later), Ok(false));
    }
    // The last of ten.
    assert_eq!(store.restore("a", 10, later), Ok(true));
    let resume = checkpoint(2).resume().clone();
    assert_eq!(store.load("a"), Ok(Some(SavedCursor::Position(resume))));
    assert_eq!(times(&store, later), [50, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(store.restore("a", 1, later), Ok(true));
    assert_eq!(times(&store, later), [2, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(store.restore("unknown", 1, later), Ok(false));
    let set = ManualCursor { at: CursorValue::Time(TimeUs(Seq::LIMIT)), server: None };
    store.set("a", &set, later).unwrap();
    store.set("a", &set, later).unwrap();
    assert_eq!(times(&store, later)[..2], [Seq::LIMIT, 50]);
    assert_eq!(store.restore("a", 2, later), Ok(true));
    assert_eq!(store.restore("a", 1, later), Ok(true));
    assert_eq!(store.load("a"), Ok(Some(SavedCursor::Manual(set))));
}

#[test]
fn what_a_run_skips_is_saved_with_its_first_position() {
    let (_home, mut store) = home();
    store.save("a", &checkpoint(10), NOW).unwrap();
    store.set_cursor_override(skipped(10, 90));
    assert_eq!((times(&store, NOW).len(), store.gaps("a", 10).unwrap().len()), (0, 0));
    store.save("a", &checkpoint(95), NOW).unwrap();
    store.save("a", &checkpoint(96), NOW).unwrap();
    assert_eq!(times(&store, NOW), [10]);
    // The next one begins where the first ends.
    for (from, to) in [(90, 120), (121, 130)] {
        store.set_cursor_override(skipped(from, to));
        store.save("a", &checkpoint(to), NOW).unwrap();
    }
    let ends = |saved: crate::checkpoint::store::SavedGap| {
        (saved.gap.from_time.unwrap().0, saved.gap.to_time.unwrap().0, saved.count)
    };
    let gaps: Vec<_> = store.gaps("a", 10).unwrap().into_iter().map(ends).collect();
    assert_eq!(gaps, [(121, 130, 1), (10, 120, 2)]);
}

#[test]
fn what_the_user_asked_for_is_told_from_what_a_casual_run_saved() {
    let (_home, mut store) = home();
    assert_eq!(store.is_asked_for("a"), Ok(false));
    store.save("a", &checkpoint(1), NOW).unwrap();
    assert_eq!(store.is_asked_for("a"), Ok(true), "not known");
    for is_asked_for in [false, true] {
        store.set_asked_for(is_asked_for);
        store.save("a", &checkpoint(1), NOW).unwrap();
        assert_eq!(store.is_asked_for("a"), Ok(is_asked_for));
    }
}
