use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::filter::Markers;

fn page(through: u64, tip: u64, segments: &str) -> String {
    format!(
        r#"{{"plannedThroughSeq":{through},"sealedTipSeq":{tip},"segments":[{segments}],"stats":{{"new":1}}}}"#
    )
}

fn segment(index: u64, min: u64, max: u64, rest: &str) -> String {
    let name = crate::archive::name::segment_name(index);
    format!(
        r#"{{"name":"{name}","index":{index},"checksum":"00","minSeq":{min},"maxSeq":{max},{rest}}}"#
    )
}

const WHOLE: &str = r#""mode":"segment""#;

#[test]
fn a_page_says_what_to_fetch() {
    let blocks = r#""mode":"blocks","blocks":[{"first":3,"last":7},{"first":90,"last":90}]"#;
    let text = page(200, 300, &[segment(1, 1, 99, WHOLE), segment(3, 150, 220, blocks)].join(","));
    let page = parse_page(text.as_bytes(), 0, None).unwrap();
    assert_eq!((page.planned_through_seq, page.sealed_tip_seq), (200, 300));
    assert_eq!(page.segments[0].blocks(), None);
    let ranges = [PlannedBlocks { first: 3, last: 7 }, PlannedBlocks { first: 90, last: 90 }];
    assert_eq!(page.segments[1].blocks(), Some(&ranges[..]));
}

#[test]
fn an_empty_page_at_the_tip_ends_the_plan() {
    assert!(parse_page(page(300, 300, "").as_bytes(), 100, Some(300)).is_ok());
    assert!(parse_page(page(0, 0, "").as_bytes(), 0, None).is_ok());
    // The archive may end before what the consumer has from the stream.
    assert!(parse_page(page(300, 300, "").as_bytes(), 400, None).is_ok());
}

#[test]
fn a_page_without_progress_is_an_error() {
    let stuck = |through, tip, after, pinned| {
        let read = parse_page(page(through, tip, "").as_bytes(), after, pinned);
        matches!(read, Err(PlanError::NoProgress { .. }))
    };
    assert!(stuck(100, 300, 100, None));
    assert!(stuck(50, 300, 100, Some(300)));
    // A tip below the pinned one is no progress either.
    assert!(stuck(100, 100, 100, Some(300)));
    assert!(!stuck(101, 300, 100, None));
}

#[test]
fn an_inconsistent_plan_is_refused() {
    let refused = |text: String| {
        let error = parse_page(text.as_bytes(), 0, Some(300)).unwrap_err();
        assert!(!matches!(error, PlanError::NoProgress { .. }), "{error}");
        error.to_string()
    };
    let with = |segments: &[String]| page(300, 300, &segments.join(","));
    let blocks =
        |list: &str| with(&[segment(1, 1, 9, &format!(r#""mode":"blocks","blocks":[{list}]"#))]);
    assert!(refused("{}".into()).contains("can't be read"));
    assert!(refused("[]".into()).contains("can't be read"));
    assert!(refused(page(301, 300, "")).contains("beyond the sealed tip (301)"));
    assert!(refused(page(301, 301, "")).contains("above the one that was asked for (301)"));
    assert!(refused(page(300, 1_000_000_000_000_000, "")).contains("not a seq"));
    let twice = [segment(1, 1, 9, WHOLE), segment(1, 10, 19, WHOLE)];
    assert!(refused(with(&twice)).contains("don't ascend (1)"));
    let overlap = [segment(1, 1, 9, WHOLE), segment(2, 9, 19, WHOLE)];
    assert!(refused(with(&overlap)).contains("don't ascend (2)"));
    assert!(refused(with(&[segment(1, 9, 1, WHOLE)])).contains("bounds that are none"));
    assert!(refused(with(&[segment(1, 1, 9, r#""mode":"torrent""#)])).contains("can't be read"));
    let named = segment(1, 1, 9, WHOLE).replace("seg_0000000001.jss", "../x.jss\\u001b");
    assert!(refused(with(&[named])).contains("not the name of segment number 1"));
    assert!(refused(blocks("")).contains("no block is named (1)"));
    assert!(refused(blocks(r#"{"first":3,"last":2}"#)).contains("block ranges"));
    assert!(
        refused(blocks(r#"{"first":3,"last":4},{"first":4,"last":5}"#)).contains("block ranges")
    );
    assert!(refused(blocks(r#"{"first":0,"last":1048576}"#)).contains("block ranges"));
}

#[test]
fn a_request_has_the_filter_and_the_bounds() {
    let text = |filter: &Filter, after, tip| {
        String::from_utf8(PlanFilter::new(filter).request(after, tip)).unwrap()
    };
    assert_eq!(text(&Filter::default(), 0, None), r#"{"afterSeq":0}"#);
    let mut filter = Filter {
        kinds: vec![Kind::Commit],
        dids: HashSet::from(["did:plc:b".into(), "did:plc:a".into()]),
        ..Filter::default()
    };
    filter.collections.add("app.bsky.feed.*").unwrap();
    assert_eq!(
        text(&filter, 7, Some(9)),
        r#"{"kinds":["commit"],"collections":["app.bsky.feed.*"],"dids":["did:plc:a","did:plc:b"],"afterSeq":7,"beforeSeq":9}"#
    );
    filter.markers = Markers::ForOutput;
    filter.dids.clear();
    assert_eq!(
        text(&filter, 7, None),
        r#"{"kinds":["commit","account","sync"],"collections":["app.bsky.feed.*"],"afterSeq":7}"#
    );
}

#[test]
fn an_empty_segment_in_a_plan_is_skipped() {
    let segments = [segment(0, 0, 0, WHOLE), segment(1, 1, 9, WHOLE), segment(2, 0, 0, WHOLE)];
    let page = parse_page(page(9, 9, &segments.join(",")).as_bytes(), 0, None).unwrap();
    assert_eq!(page.segments.iter().map(|s| s.index).collect::<Vec<_>>(), [1]);
}

#[test]
fn lists_beyond_the_limits_of_a_server_are_filtered_locally() {
    let mut filter = Filter::default();
    filter.collections.add("app.bsky.feed.post").unwrap();
    filter.collections.add("app.*").unwrap();
    filter.dids = (0..10_000).map(|i| format!("did:plc:{i:024}")).collect();
    let plan_filter = PlanFilter::new(&filter);
    assert_eq!((plan_filter.collections.len(), plan_filter.dids.len()), (0, 10_000));
    assert!(!plan_filter.is_unfiltered());
    filter.dids.insert("did:plc:more".into());
    assert!(PlanFilter::new(&filter).is_unfiltered());
    filter.dids = (0..1_000).map(|i| format!("did:web:{i:0>2000}")).collect();
    assert!(PlanFilter::new(&filter).request(0, None).len() < MAX_BODY_BYTES);
}

proptest! {
    #[test]
    fn an_accepted_page_always_makes_progress(
        through in 0_u64..400, tip in 0_u64..400, after in 0_u64..400,
        pinned in proptest::option::of(0_u64..400),
    ) {
        if let Ok(page) = parse_page(page(through, tip, "").as_bytes(), after, pinned) {
            let end = pinned.unwrap_or(page.sealed_tip_seq);
            prop_assert!(page.planned_through_seq > after || page.planned_through_seq >= end);
        }
    }
}
