//! Compares a sample output in a document with what a program prints.

use regex::Regex;

/// Replaces what differs from run to run: times, durations and rates.
const VOLATILE: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"\b1\d{15}\b", "TIME_US"),
    (r"\d[\d.,]*/s\b", "RATE"),
    (r"\b(\d+m)?\d+(\.\d+)?m?s\b", "DURATION"),
    (r"\d+%", "PERCENT"),
];

/// Returns the words of an output, for comparison: the place of a line break does not matter,
/// because the documents are narrower than a pipe.
fn words(text: &str, do_numbers_vary: bool) -> Vec<String> {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (pattern, name) in VOLATILE {
        text = Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned();
    }
    if do_numbers_vary {
        text = Regex::new(r"\d[\d,.]*").unwrap().replace_all(&text, "N").into_owned();
    }
    text.split(' ').map(str::to_owned).collect()
}

/// Returns the first difference between a sample and what was printed.
pub fn difference(sample: &str, printed: &str, do_numbers_vary: bool) -> Option<String> {
    let (expected, found) = (words(sample, do_numbers_vary), words(printed, do_numbers_vary));
    if expected == found {
        return None;
    }
    let at = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let from = |words: &[String]| {
        words[at.min(words.len())..].iter().take(8).cloned().collect::<Vec<_>>().join(" ")
    };
    Some(format!(
        "the document has {:?}, and the program prints {:?}; all of it:\n{printed}",
        from(&expected),
        from(&found)
    ))
}

#[test]
fn only_what_varies_may_differ() {
    let sample = "3 events in 0.1s\n(29/s) at 2026-11-28T15:27:57Z";
    assert_eq!(
        difference(sample, "3 events in 12.0s (1,000/s) at 2027-01-01T00:00:00.5Z", false),
        None
    );
    assert!(difference(sample, "4 events in 0.1s (29/s) at 2026-11-28T15:27:57Z", false).is_some());
    assert_eq!(difference("a 1 b", "a 23.5 b", true), None);
    assert!(difference("a 1 b", "a 1 c", true).is_some());
}
