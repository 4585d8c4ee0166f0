//! Answers with stored bytes: conditional requests and ranges (RFC 9110 §13 and §14), as an
//! HTTP client resumes downloads with. Which bytes, is the caller's matter.

use std::ops::Range;

use tokio_tungstenite::tungstenite::Bytes;

use super::answer::Answer;
use super::head::Head;

/// Bytes to hand out.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub body: Bytes,
    /// With its quotes; strong.
    pub etag: String,
    /// An HTTP date; empty where none is told.
    pub last_modified: String,
    /// Further header lines.
    pub headers: String,
}

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<usize>),
    Unsatisfiable,
}

impl Content {
    /// The answer to a GET or HEAD.
    pub(super) fn answer(self, head: &Head) -> Answer {
        self.part(head).0
    }

    /// The same, and which of the bytes it has.
    pub(super) fn part(self, head: &Head) -> (Answer, Range<usize>) {
        let asked = self.asked(head);
        self.give(asked, head)
    }

    /// The answer of a server that does not know of ranges.
    pub(super) fn whole(self, head: &Head) -> (Answer, Range<usize>) {
        self.give(Asked::Whole, head)
    }

    fn give(self, asked: Asked, head: &Head) -> (Answer, Range<usize>) {
        let mut headers = format!(
            "Content-Type: application/octet-stream\r\nETag: {}\r\nAccept-Ranges: bytes\r\n{}",
            self.etag, self.headers
        );
        if !self.last_modified.is_empty() {
            headers.push_str(&format!("Last-Modified: {}\r\n", self.last_modified));
        }
        if self.is_known(head) {
            return (Answer::new("304 Not Modified", headers, Bytes::new()), 0..0);
        }
        let length = self.body.len();
        let (answer, given) = match asked {
            Asked::Whole => (Answer::new("200 OK", headers, self.body), 0..length),
            Asked::Part(part) => {
                let (first, last) = (part.start, part.end.saturating_sub(1));
                headers.push_str(&format!("Content-Range: bytes {first}-{last}/{length}\r\n"));
                let body = self.body.slice(part.clone());
                (Answer::new("206 Partial Content", headers, body), part)
            }
            Asked::Unsatisfiable => {
                let headers = format!("Content-Range: bytes */{length}\r\n");
                let answer = Answer::text("416 Range Not Satisfiable", "invalid range");
                (answer.with(&headers), 0..0)
            }
        };
        if head.method == "HEAD" {
            let length = Some(answer.body.len() as u64);
            return (Answer { body: Bytes::new(), length, ..answer }, 0..0);
        }
        (answer, given)
    }

    /// Whether the client has it already.
    fn is_known(&self, head: &Head) -> bool {
        let mut tags = head.header("If-None-Match").flat_map(|v| v.split(',')).map(str::trim);
        if head.header("If-None-Match").next().is_some() {
            return tags.any(|t| t == "*" || t.strip_prefix("W/").unwrap_or(t) == self.etag);
        }
        let mut since = head.header("If-Modified-Since");
        !self.last_modified.is_empty() && since.any(|date| date.trim() == self.last_modified)
    }

    fn asked(&self, head: &Head) -> Asked {
        let Some(range) = head.header("Range").next() else { return Asked::Whole };
        if let Some(tag) = head.header("If-Range").next().map(str::trim)
            && tag != self.etag
            && (self.last_modified.is_empty() || tag != self.last_modified)
        {
            return Asked::Whole;
        }
        range_of(range, self.body.len())
    }
}

/// One range of bytes. Several at once, other units and nonsense count as none, which is what
/// a server may do.
fn range_of(range: &str, length: usize) -> Asked {
    let number = |text: &str| text.parse::<usize>().ok();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|r| r.split_once('-'))
    else {
        return Asked::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if !digits(first) || !digits(last) {
        return Asked::Whole;
    }
    let part = match (first, last) {
        ("", "") => return Asked::Whole,
        ("", suffix) => length.saturating_sub(number(suffix).unwrap_or(usize::MAX))..length,
        (first, "") => number(first).unwrap_or(usize::MAX)..length,
        (first, last) => {
            let (first, last) =
                (number(first).unwrap_or(usize::MAX), number(last).unwrap_or(usize::MAX));
            if last < first {
                return Asked::Whole;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    if part.start < part.end { Asked::Part(part) } else { Asked::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_range_reaches_beyond_what_there_is(
            range in prop_oneof!["bytes=[0-9]{0,25}-[0-9]{0,25}", "\\PC{0,20}"],
            length in 0..1_000_usize,
        ) {
            if let Asked::Part(part) = range_of(&range, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        for (range, asked) in [
            ("bytes=0-3", Asked::Part(0..4)),
            ("bytes=0-", Asked::Part(0..10)),
            ("bytes=9-99", Asked::Part(9..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=10-12", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=99999999999999999999999-", Asked::Unsatisfiable),
            ("bytes=5-3", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(range_of(range, 10), asked, "{range}");
        }
    }
}
