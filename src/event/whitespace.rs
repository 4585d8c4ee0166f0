//! Removes JSON white space (RFC 8259 §2) around and between the tokens of a message. Servers that
//! use Go's standard encoder end each message with a line feed. An output line must not contain a
//! line feed, because that would end the line.

/// Returns whether a byte is JSON's white space.
fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the offset and the length of the JSON text within a message.
#[inline]
#[must_use]
pub fn text_span(message: &[u8]) -> (usize, usize) {
    let ends = (message.first(), message.last());
    if let (Some(first), Some(last)) = ends
        && !is_whitespace(*first)
        && !is_whitespace(*last)
    {
        return (0, message.len());
    }
    let Some(start) = message.iter().position(|&byte| !is_whitespace(byte)) else { return (0, 0) };
    let end = message.iter().rposition(|&byte| !is_whitespace(byte)).unwrap_or(start);
    (start, end + 1 - start)
}

/// Returns the message without the white space around it.
#[inline]
#[must_use]
pub fn trimmed(message: &[u8]) -> &[u8] {
    let (start, length) = text_span(message);
    message.get(start..start + length).unwrap_or_default()
}

/// Removes all white space outside of strings from a message that has tabs or line breaks between
/// its tokens. Returns `None` for a message without those, and for one with a control character
/// inside a string, which the grammar forbids.
#[cold]
#[must_use]
pub fn compacted(message: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(message.len());
    let (mut in_string, mut is_escaped, mut has_breaks) = (false, false, false);
    for &byte in message {
        if in_string {
            if byte < b' ' {
                return None;
            }
            in_string = is_escaped || byte != b'"';
            is_escaped = byte == b'\\' && !is_escaped;
        } else if is_whitespace(byte) {
            has_breaks |= byte != b' ';
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    has_breaks.then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_around_the_text_is_removed() {
        assert_eq!(trimmed(b"{}"), b"{}");
        assert_eq!(trimmed(b" \t\r\n{ }\n\n"), b"{ }");
        assert_eq!(trimmed(b" \n"), b"");
        assert_eq!(trimmed(b""), b"");
        // Not white space in JSON.
        assert_eq!(trimmed(b"\x0b{}\xc2\xa0"), b"\x0b{}\xc2\xa0");
    }

    #[test]
    fn a_text_over_several_lines_becomes_one_line() {
        let pretty = b"{\n\t\"a b\": \"c \\\" \\\\\",\r\n  \"d\": [1, 2]\n}";
        assert_eq!(compacted(pretty).unwrap(), b"{\"a b\":\"c \\\" \\\\\",\"d\":[1,2]}");
        assert_eq!(compacted(b"{ \"a\": 1 }"), None);
        assert_eq!(compacted(b"{\n\"a\": \"\n\"}"), None);
    }

    proptest! {
        #[test]
        fn compacting_changes_no_value(text in "[a-z \\\\\"\u{e4}]{0,20}", number in any::<u64>()) {
            let value = serde_json::json!({"k": text, "list": [number, {"x": null}]});
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            let compact = compacted(&pretty).unwrap();
            prop_assert!(!compact.contains(&b'\n'));
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&compact).unwrap(), value);
        }
    }
}
