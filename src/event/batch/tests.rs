use super::*;
use crate::event::header;
use proptest::prelude::*;

/// Returns a line of its own length and places for each DID.
fn event(did: &str) -> String {
    format!(r#"{{"x":"{did}","did":"{did}","time_us":{}}}"#, did.len())
}

#[test]
fn a_discarded_partial_line_leaves_no_bytes() {
    let mut batch = Batch::default();
    batch.push(b"one");
    batch.line_buffer().extend_from_slice(b"tw");
    assert_eq!(batch.partial_line(), b"tw");
    batch.discard_partial_line();
    batch.push(b"three");
    assert_eq!(CompactBatch::from(batch).bytes(), b"one\nthree\n");
}

#[test]
fn a_line_feed_overwrites_the_byte_after_the_line() {
    let mut batch = Batch::default();
    batch.line_buffer().extend_from_slice(b"..one..two");
    assert_eq!(batch.take_line(2, 3), Some(b'.'));
    assert_eq!(batch.partial_line(), b".two");
    assert_eq!(batch.take_line(1, 3), None);
    assert!(batch.lines().eq([b"one", b"two"]));
    assert_eq!((batch.text_bytes(), batch.buffered_bytes()), (6, 11));
}

#[test]
fn a_removed_line_leaves_no_bytes_for_the_next_one() {
    for (index, left) in [(2, [b"one", b"two", b"ten"]), (0, [b"two", b"six", b"ten"])] {
        let mut batch = Batch::default();
        [b"one", b"two", b"six"].iter().for_each(|line| batch.push(*line));
        batch.remove_line(index);
        assert_eq!(batch.partial_line(), b"");
        batch.push(b"ten");
        assert!(batch.lines().eq(left));
    }
}

#[test]
fn lines_can_be_removed_at_both_ends() {
    let mut batch = Batch::default();
    [b"one", b"two", b"six"].iter().for_each(|line| batch.push(*line));
    batch.remove_first(1);
    batch.truncate(1);
    assert!(batch.lines().eq([b"two"]));
    batch.remove_first(9);
    assert_eq!((batch.len(), batch.partial_line()), (0, &b""[..]));
}

proptest! {
    #[test]
    fn retaining_agrees_with_filtering_a_list(
        lines in prop::collection::vec(
            ("[a-z]{0,9}", 0..3_usize, any::<bool>(), 0..4_u8), 0..20,
        ),
        (from, to) in (0..9_usize, 12..20_usize),
    ) {
        let mut batch = Batch::default();
        for (line, gap, _, filled) in &lines {
            let line = event(line);
            if *filled == 0 {
                batch.push_with(line.as_bytes(), header::parse_spans(line.as_bytes()).ok());
                continue;
            }
            batch.line_buffer().extend(std::iter::repeat_n(b'#', *gap));
            batch.line_buffer().extend_from_slice(line.as_bytes());
            batch.take_line(*gap, line.len());
        }
        for (i, _) in lines.iter().enumerate().filter(|(_, (.., filled))| *filled == 1) {
            prop_assert!(batch.header_or_parse(i, EventFormat::V1).is_some());
        }
        let mut joined = Batch::default();
        joined.append(&batch);
        joined.truncate(to);
        joined.remove_first(from);
        let lines: Vec<_> = lines.iter().take(to).skip(from).collect();
        let mut all = lines.iter();
        let retained = joined.retain(|line, header| {
            let (_, _, keep, filled) = all.next().unwrap();
            assert_eq!(header.is_some(), *filled < 2);
            if *filled == 2 {
                *header = header::parse_spans(line).ok();
            }
            *keep
        });
        let kept = lines.iter().filter(|(_, _, keep, _)| *keep);
        let expected: String = kept.clone().map(|(line, ..)| event(line) + "\n").collect();
        prop_assert_eq!(retained.bytes(), expected.as_bytes());
        let ends = retained.spans().iter().map(|span| span.end);
        prop_assert!(ends.eq(expected.match_indices('\n').map(|(at, _)| at + 1)));
        for (i, (line, (.., filled))) in retained.iter().zip(kept).enumerate() {
            let expected = (*filled < 3).then(|| header::parse_spans(line).unwrap());
            prop_assert_eq!(retained.header(i), expected);
        }
    }
}
