use proptest::prelude::*;

use super::*;
use crate::event::simd::dispatch::at_each_level;

/// What a line's index says: the places of its quotes, and for each opening bracket where it ends.
#[derive(Default)]
struct Summary;

impl IndexReader for Summary {
    type Found<'a> = (Vec<usize>, Vec<Option<usize>>);

    fn read<'a>(&mut self, index: IndexedLine<'a, '_>) -> Option<Self::Found<'a>> {
        let mut quotes = Vec::new();
        while let Some(at) = index.next_quote(quotes.last().map_or(0, |last| last + 1)) {
            quotes.push(at);
        }
        let opens = brackets(index.line).into_iter().filter(|(_, is_open)| *is_open);
        Some((quotes, opens.map(|(at, _)| index.nested_end(at)).collect()))
    }
}

/// Returns the quotes that begin or end strings, one byte at a time; `None` if a string is not
/// closed or a backslash is outside of strings.
fn quotes(line: &[u8]) -> Option<Vec<usize>> {
    let (mut quotes, mut in_string, mut is_escaped) = (Vec::new(), false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if !in_string => return None,
            b'\\' => is_escaped = true,
            b'"' => {
                in_string = !in_string;
                quotes.push(at);
            }
            _ => {}
        }
    }
    (!in_string).then_some(quotes)
}

/// Returns the brackets outside of strings, and whether each one opens.
fn brackets(line: &[u8]) -> Vec<(usize, bool)> {
    let quotes = quotes(line).unwrap_or_default();
    let is_inside = |at: usize| quotes.partition_point(|quote| *quote <= at) % 2 == 1;
    let brackets =
        line.iter().enumerate().filter(|(at, byte)| b"{}[]".contains(byte) && !is_inside(*at));
    brackets.map(|(at, byte)| (at, matches!(byte, b'{' | b'['))).collect()
}

/// Returns where the bracket at `from` ends, one bracket at a time.
fn end(brackets: &[(usize, bool)], from: usize) -> Option<usize> {
    let mut depth = 0;
    let after = brackets.iter().skip_while(|(at, _)| *at < from);
    for (at, is_open) in after {
        depth += if *is_open { 1 } else { -1 };
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn check(line: &[u8]) {
    let is_sound = line.iter().all(|byte| *byte >= b' ') && std::str::from_utf8(line).is_ok();
    let expected = quotes(line).filter(|_| is_sound && (64..=8192).contains(&line.len()));
    let expected = expected.map(|quotes| {
        let brackets = brackets(line);
        let opens = brackets.iter().filter(|(_, is_open)| *is_open);
        (quotes, opens.map(|(at, _)| end(&brackets, *at)).collect::<Vec<_>>())
    });
    for found in at_each_level::<Summary>(line) {
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(line));
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let special = ["{", "}", "[", "]", "\"", "\\\"", "\\\\", "\\", "\"\"", "{[", "]}", "\u{e9}"];
    let special = prop::sample::select(special.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        6 => special,
        6 => prop::collection::vec(Just(b'a'), 0..70),
        3 => Just(b"\"a\\\"b\"".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ]
}

proptest! {
    #[test]
    fn the_index_agrees_with_one_byte_at_a_time(
        pieces in prop::collection::vec(piece(), 0..40), padding in 0..130_usize,
    ) {
        check(&[pieces.concat(), vec![b' '; padding]].concat());
    }

    #[test]
    fn sound_lines_of_every_length_have_an_index(length in 64..8192_usize, at in 0..64_usize) {
        let mut line = vec![b'a'; length];
        line[at] = b'"';
        line[length - 1] = b'"';
        check(&line);
    }
}

#[test]
fn lines_that_are_too_short_or_too_long_have_no_index() {
    for length in [0, 1, 63, 64, 65, 1023, 1024, 1025, 8191, 8192, 8193, 20_000] {
        check(&vec![b'a'; length]);
    }
}

#[test]
fn deep_nesting_is_left_to_the_general_parser() {
    for (depth, is_sure) in [(60, true), (300, true), (600, false)] {
        let line = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let line = format!("{line}{}", " ".repeat(64));
        for found in at_each_level::<Summary>(line.as_bytes()) {
            assert_eq!(found.unwrap().1[0].is_some(), is_sure, "{depth}");
        }
    }
}
