use super::*;

fn listed(index: u64, events: u64, min: u64, max: u64) -> String {
    format!(
        r#"{{"index":{index},"eventCount":{events},"minSeq":{min},"maxSeq":{max},"maxWitnessedAt":5}}"#
    )
}

fn list(segments: &[String], cursor: &str) -> String {
    format!(r#"{{{cursor}"segments":[{}]}}"#, segments.join(","))
}

fn read(text: &str, order: &mut ListOrder) -> Result<SegmentPage, PlanError> {
    parse_page(text.as_bytes(), order)
}

#[test]
fn a_list_must_ascend_and_make_progress() {
    let ok = list(&[listed(1, 9, 1, 9), listed(2, 9, 10, 19)], r#""cursor":"2","#);
    let mut order = ListOrder::default();
    assert_eq!(read(&ok, &mut order).unwrap().cursor.as_deref(), Some("2"));
    // The same page again.
    assert!(read(&ok, &mut order).is_err());
    assert!(read(&list(&[], r#""cursor":"2","#), &mut ListOrder::default()).is_err());
    assert!(read(&list(&[listed(1, 9, 9, 1)], ""), &mut ListOrder::default()).is_err());
    assert!(read(&list(&[], ""), &mut order).is_ok());
    // An empty cursor ends the list.
    assert!(read(&list(&[], r#""cursor":"","#), &mut order).is_ok());
}

#[test]
fn empty_segments_may_appear_anywhere_in_a_list() {
    let empty = |index| listed(index, 0, 0, 0);
    let text = list(
        &[empty(0), listed(1, 9, 1, 9), empty(2), empty(3), listed(4, 9, 10, 19), empty(5)],
        "",
    );
    let mut order = ListOrder::default();
    assert_eq!(read(&text, &mut order).unwrap().segments.len(), 6);
    assert_eq!((order.index, order.seq), (Some(5), 19));
    // Compaction removed every event; the bounds are unchanged.
    assert!(read(&list(&[listed(6, 0, 15, 40)], ""), &mut order).is_ok());
    assert!(read(&list(&[empty(6)], ""), &mut order).is_err(), "numbers ascend nevertheless");
    // A page of empty segments only is valid.
    assert!(read(&list(&[empty(7)], r#""cursor":"8","#), &mut order).is_ok());
}

fn search(ends: (u64, u64), segments: &[(u64, u64, u64, u64)]) -> Option<String> {
    let mut search = PlanGapSearch::new(ends);
    for &(index, events, min_seq, max_seq) in segments {
        let event_count = Some(events);
        search.observe(&ListedSegment {
            index,
            event_count,
            min_seq,
            max_seq,
            size_bytes: None,
            min_witnessed_at: None,
            max_witnessed_at: 5,
        });
    }
    search.finish().map(|gap| gap.what)
}

#[test]
fn a_range_is_a_plan_gap_if_it_has_events_or_unlisted_segments() {
    let all = [(0, 9, 1, 9), (1, 9, 10, 19), (2, 0, 0, 0), (3, 9, 20, 29), (4, 9, 30, 39)];
    assert_eq!(search((9, 20), &all).as_deref(), Some("the plan leaves out seg_0000000001.jss"));
    let two = search((9, 30), &all);
    assert_eq!(two.as_deref(), Some("the plan leaves out 2 segments from seg_0000000001.jss on"));
    // Only an empty segment lies there, or one that compaction emptied.
    assert_eq!(search((19, 20), &all), None);
    let emptied = [(0, 9, 1, 9), (1, 0, 10, 19), (2, 9, 20, 29)];
    assert_eq!(search((9, 20), &emptied), None);
    // Not even listed.
    let unlisted = [(0, 9, 1, 9), (2, 9, 20, 29)];
    assert!(search((9, 20), &unlisted).is_some());
    assert!(search((0, 20), &[(2, 9, 20, 29)]).is_some());
    // Seqs may begin anywhere.
    assert_eq!(search((0, 100), &[(0, 9, 100, 109)]), None);
    // The rest of a segment, which is asked for block by block.
    assert_eq!(search((5, 10), &all), None);
    // At the end of the archive.
    assert!(search((29, 40), &all).is_some());
    assert_eq!(search((39, 50), &all), None);
}
