//! White space around and between the tokens of a JSON text (RFC 8259 §2). A message may have
//! it, and servers that use Go's standard encoder end each message in a line feed; a line must
//! not have it, because a line feed would end the line.

/// Returns whether a byte is JSON's white space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns where the text stands within a message: the number of bytes before it, and its
/// length.
#[inline]
#[must_use]
pub fn text_span(message: &[u8]) -> (usize, usize) {
    let ends = (message.first(), message.last());
    if let (Some(first), Some(last)) = ends
        && !is_space(*first)
        && !is_space(*last)
    {
        return (0, message.len());
    }
    let Some(start) = message.iter().position(|&byte| !is_space(byte)) else { return (0, 0) };
    let end = message.iter().rposition(|&byte| !is_space(byte)).unwrap_or(start);
    (start, end + 1 - start)
}

/// Returns the message without the white space around it.
#[inline]
#[must_use]
pub fn trimmed(message: &[u8]) -> &[u8] {
    let (start, length) = text_span(message);
    message.get(start..start + length).unwrap_or_default()
}

/// Returns a message that has tabs or line breaks between its tokens without any white space
/// outside of strings; `None` for every other message, also for one with such bytes inside a
/// string, where the grammar forbids them.
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
        } else if is_space(byte) {
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
    fn space_around_a_text_is_no_part_of_it() {
        assert_eq!(trimmed(b"{}"), b"{}");
        assert_eq!(trimmed(b" \t\r\n{ }\n\n"), b"{ }");
        assert_eq!(trimmed(b" \n"), b"");
        assert_eq!(trimmed(b""), b"");
        // No white space of JSON.
        assert_eq!(trimmed(b"\x0b{}\xc2\xa0"), b"\x0b{}\xc2\xa0");
    }

    #[test]
    fn a_text_over_several_lines_becomes_one() {
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
