//! Responses that serve stored bytes, with conditional requests and ranges (RFC 9110 §13 and §14),
//! which HTTP clients use to resume downloads.

use std::ops::Range;

use tokio_tungstenite::tungstenite::Bytes;

use super::head::RequestHead;
use super::response::Response;

/// Stored bytes and their validators.
#[derive(Clone, Debug)]
pub(super) struct FileResponse {
    pub body: Bytes,
    /// Strong entity tag, with its quotes.
    pub etag: String,
    /// HTTP date; empty to omit the header.
    pub last_modified: String,
    /// Additional header lines.
    pub headers: String,
}

/// The result of a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RequestedRange {
    Whole,
    Part(Range<usize>),
    Unsatisfiable,
}

impl FileResponse {
    /// Returns the response to a GET or HEAD request.
    pub(super) fn respond(self, head: &RequestHead) -> Response {
        self.respond_with_range(head).0
    }

    /// As [`Self::respond`]; also returns which bytes the response contains.
    pub(super) fn respond_with_range(self, head: &RequestHead) -> (Response, Range<usize>) {
        let requested = self.requested_range(head);
        self.build(requested, head)
    }

    /// Responds as a server without support for ranges.
    pub(super) fn respond_whole(self, head: &RequestHead) -> (Response, Range<usize>) {
        self.build(RequestedRange::Whole, head)
    }

    fn build(self, requested: RequestedRange, head: &RequestHead) -> (Response, Range<usize>) {
        let mut headers = format!(
            "Content-Type: application/octet-stream\r\nETag: {}\r\nAccept-Ranges: bytes\r\n{}",
            self.etag, self.headers
        );
        if !self.last_modified.is_empty() {
            headers.push_str(&format!("Last-Modified: {}\r\n", self.last_modified));
        }
        if self.is_not_modified(head) {
            return (Response::new("304 Not Modified", headers, Bytes::new()), 0..0);
        }
        let length = self.body.len();
        let (response, sent) = match requested {
            RequestedRange::Whole => (Response::new("200 OK", headers, self.body), 0..length),
            RequestedRange::Part(part) => {
                let (first, last) = (part.start, part.end.saturating_sub(1));
                headers.push_str(&format!("Content-Range: bytes {first}-{last}/{length}\r\n"));
                let body = self.body.slice(part.clone());
                (Response::new("206 Partial Content", headers, body), part)
            }
            RequestedRange::Unsatisfiable => {
                let headers = format!("Content-Range: bytes */{length}\r\n");
                let response = Response::text("416 Range Not Satisfiable", "invalid range");
                (response.with_headers(&headers), 0..0)
            }
        };
        if head.method == "HEAD" {
            let length = Some(response.body.len() as u64);
            return (Response { body: Bytes::new(), length, ..response }, 0..0);
        }
        (response, sent)
    }

    /// Returns whether the client's copy is current.
    fn is_not_modified(&self, head: &RequestHead) -> bool {
        let mut tags = head.header("If-None-Match").flat_map(|v| v.split(',')).map(str::trim);
        if head.header("If-None-Match").next().is_some() {
            return tags.any(|t| t == "*" || t.strip_prefix("W/").unwrap_or(t) == self.etag);
        }
        let mut since = head.header("If-Modified-Since");
        !self.last_modified.is_empty() && since.any(|date| date.trim() == self.last_modified)
    }

    fn requested_range(&self, head: &RequestHead) -> RequestedRange {
        let Some(range) = head.header("Range").next() else { return RequestedRange::Whole };
        if let Some(tag) = head.header("If-Range").next().map(str::trim)
            && tag != self.etag
            && (self.last_modified.is_empty() || tag != self.last_modified)
        {
            return RequestedRange::Whole;
        }
        parse_range(range, self.body.len())
    }
}

/// Parses a range of bytes. Several ranges, other units and malformed values are ignored, which the
/// RFC allows.
fn parse_range(range: &str, length: usize) -> RequestedRange {
    let number = |text: &str| text.parse::<usize>().ok();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|r| r.split_once('-'))
    else {
        return RequestedRange::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if !digits(first) || !digits(last) {
        return RequestedRange::Whole;
    }
    let part = match (first, last) {
        ("", "") => return RequestedRange::Whole,
        ("", suffix) => length.saturating_sub(number(suffix).unwrap_or(usize::MAX))..length,
        (first, "") => number(first).unwrap_or(usize::MAX)..length,
        (first, last) => {
            let (first, last) =
                (number(first).unwrap_or(usize::MAX), number(last).unwrap_or(usize::MAX));
            if last < first {
                return RequestedRange::Whole;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    if part.start < part.end { RequestedRange::Part(part) } else { RequestedRange::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_range_exceeds_the_content(
            range in prop_oneof!["bytes=[0-9]{0,25}-[0-9]{0,25}", "\\PC{0,20}"],
            length in 0..1_000_usize,
        ) {
            if let RequestedRange::Part(part) = parse_range(&range, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }

    #[test]
    fn ranges_are_clamped_to_the_content() {
        for (range, requested) in [
            ("bytes=0-3", RequestedRange::Part(0..4)),
            ("bytes=0-", RequestedRange::Part(0..10)),
            ("bytes=9-99", RequestedRange::Part(9..10)),
            ("bytes=-3", RequestedRange::Part(7..10)),
            ("bytes=-99", RequestedRange::Part(0..10)),
            ("bytes=10-", RequestedRange::Unsatisfiable),
            ("bytes=10-12", RequestedRange::Unsatisfiable),
            ("bytes=-0", RequestedRange::Unsatisfiable),
            ("bytes=99999999999999999999999-", RequestedRange::Unsatisfiable),
            ("bytes=5-3", RequestedRange::Whole),
            ("bytes=0-1,4-5", RequestedRange::Whole),
            ("bytes=-", RequestedRange::Whole),
            ("bytes=+1-2", RequestedRange::Whole),
            ("lines=1-2", RequestedRange::Whole),
        ] {
            assert_eq!(parse_range(range, 10), requested, "{range}");
        }
    }
}
