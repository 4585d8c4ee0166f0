//! Finds the ends of strings in JSON text that is read without a parser.

/// Returns the offset of the quote that closes the string whose body starts at `at`; `None` if the
/// text ends before.
#[must_use]
pub fn string_end(json: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        match json.get(at) {
            Some(b'"') => return Some(at),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_quote_does_not_close_a_string() {
        for (json, at, end) in [
            (r#"a" "b""#, 0, Some(1)),
            (r#"a\"b"c"#, 0, Some(4)),
            (r#"\\"c"#, 0, Some(2)),
            (r#"["a"]"#, 2, Some(3)),
            (r#"a\""#, 0, None),
            (r"a\", 0, None),
            ("", 0, None),
            ("", 5, None),
        ] {
            assert_eq!(string_end(json.as_bytes(), at), end, "{json} from {at}");
        }
    }
}
