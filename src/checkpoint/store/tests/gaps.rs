use super::*;

#[test]
fn removing_forgets_the_cursor_and_its_gaps() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    let gap = |us| Gap {
        seen_at: TimeUs(us),
        from_time: Some(TimeUs(us)),
        to_time: None,
        from_seq: None,
        to_seq: Some(Seq(4)),
        reason: "the server no longer holds it".to_owned(),
    };
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    store.record_gap("posts", &gap(1)).unwrap();
    store.record_gap("posts", &gap(2)).unwrap();
    // The same hole, met again after a kill.
    store.record_gap("posts", &Gap { seen_at: TimeUs(9), ..gap(2) }).unwrap();
    let one = |us| SavedGap { gap: gap(us), count: 1 };
    assert_eq!(store.gaps("posts", 10), Ok(vec![one(2), one(1)]));
    assert_eq!(store.gaps("posts", 1), Ok(vec![one(2)]));
    assert_eq!(store.remove("posts"), Ok(true));
    assert_eq!(store.remove("posts"), Ok(false));
    assert_eq!(store.gaps("posts", 10), Ok(vec![]));
    assert_eq!(store.names(), Ok(vec![]));
}

/// Returns a gap between two sequence numbers and the instants of the same numbers.
fn seq_gap(from: u64, to: u64, reason: &str) -> Gap {
    Gap {
        seen_at: TimeUs(to),
        from_time: Some(TimeUs(from)),
        to_time: Some(TimeUs(to)),
        from_seq: Some(Seq(from)),
        to_seq: Some(Seq(to)),
        reason: reason.to_owned(),
    }
}

#[test]
fn gaps_that_touch_become_one_row() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    for i in 1..=5_000 {
        store.record_gap("posts", &seq_gap(i * 10, (i + 1) * 10, "a")).unwrap();
    }
    let merged = SavedGap { gap: seq_gap(10, 50_010, "a"), count: 5_000 };
    assert_eq!(store.gaps("posts", 10), Ok(vec![merged.clone()]));
    // A part of it that is met again after a kill.
    let again = Gap { seen_at: TimeUs(60_000), ..seq_gap(50_000, 50_010, "a") };
    store.record_gap("posts", &again).unwrap();
    assert_eq!(store.gaps("posts", 10), Ok(vec![merged]));
    for (from, to, reason) in [(50_010, 50_020, "b"), (50_030, 50_040, "b"), (5, 9, "b")] {
        store.record_gap("posts", &seq_gap(from, to, reason)).unwrap();
    }
    assert_eq!(store.gaps("posts", 10).unwrap().len(), 4);
}

#[test]
fn very_many_gaps_are_bounded_and_counted() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    for i in 1..=1_300 {
        let reason = if i % 2 == 0 { "even" } else { "odd" };
        store.record_gap("posts", &seq_gap(i * 10, i * 10 + 5, reason)).unwrap();
    }
    let gaps = store.gaps("posts", 9_999).unwrap();
    assert_eq!(gaps.len(), 1_000);
    assert_eq!(gaps[0], SavedGap { gap: seq_gap(13_000, 13_005, "even"), count: 1 });
    let oldest = SavedGap { gap: seq_gap(10, 3_015, "several reasons"), count: 301 };
    assert_eq!(gaps[999], oldest);
}
