//! A page of a plan from an untrusted peer: what is accepted makes progress, ascends, and stays
//! within its bounds, and memory stays within a small multiple of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skytail::archive::name::segment_index;
use skytail::archive::segment::header::MAX_BLOCKS;
use skytail::position::Seq;
use skytail::source::archive::plan::parse_page;
use skytail_fuzz::{Counting, Input, is_showable, peak_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (after, flags) = (u64::from(input.byte()), input.byte());
    let tip = (flags & 1 != 0).then(|| u64::from(input.byte()) + 1);
    let body = input.rest();
    let (read, peak) = peak_bytes(|| parse_page(body, after, tip));
    assert!(peak <= 64 * 1024 + 40 * body.len(), "{peak} bytes for {}", body.len());
    let page = match read {
        Ok(page) => page,
        Err(error) => return assert!(is_showable(&error.to_string(), 400), "{error}"),
    };
    let end = tip.unwrap_or(page.sealed_tip_seq);
    assert!(page.planned_through_seq > after || page.planned_through_seq >= end);
    assert!(page.planned_through_seq <= page.sealed_tip_seq && page.sealed_tip_seq < Seq::LIMIT);
    assert!(tip.is_none_or(|tip| page.sealed_tip_seq <= tip));
    let mut last = None;
    for segment in &page.segments {
        assert_eq!(segment_index(&segment.name), Some(segment.index));
        assert!(segment.min_seq <= segment.max_seq && last < Some(segment.min_seq));
        last = Some(segment.max_seq);
        let mut next = 0;
        for range in segment.blocks().unwrap_or_default() {
            assert!(next <= range.first && range.first <= range.last && range.last < MAX_BLOCKS);
            next = range.last + 1;
        }
    }
});
