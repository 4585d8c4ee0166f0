//! Strings in JSON text that is read without a parser: their ends, and one form of their escapes.

use std::borrow::Cow;

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

/// Returns valid JSON with each character in its shortest form: an escape only for quotes,
/// backslashes and control characters, which need one. Servers escape more than that, and not all
/// the same characters. Half of a surrogate pair has no other form, and stays as it is.
#[must_use]
pub fn shortest_escapes(json: &str) -> Cow<'_, str> {
    let Some((mut plain, mut rest)) = json.split_once('\\') else { return Cow::Borrowed(json) };
    let mut out = String::with_capacity(json.len());
    loop {
        out.push_str(plain);
        rest = push_escape(rest, &mut out);
        match rest.split_once('\\') {
            Some(split) => (plain, rest) = split,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends the shortest form of the escape whose backslash is before `rest`. Returns what follows it.
fn push_escape<'a>(rest: &'a str, out: &mut String) -> &'a str {
    if let Some(rest) = rest.strip_prefix('/') {
        out.push('/');
        return rest;
    }
    let Some(first) = rest.strip_prefix('u').and_then(code_unit) else {
        // The escape of one character, which may be a backslash.
        let length = rest.chars().next().map_or(0, char::len_utf8);
        let (character, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.push('\\');
        out.push_str(character);
        return rest;
    };
    let after_first = rest.get(5..).unwrap_or_default();
    let second = after_first.strip_prefix("\\u").and_then(code_unit);
    let pair = [first, second.unwrap_or(0)];
    let (character, rest) = match char::decode_utf16(pair).next() {
        Some(Ok(character)) if character.len_utf16() == 2 => {
            (character, after_first.get(6..).unwrap_or_default())
        }
        Some(Ok(character)) => (character, after_first),
        _ => {
            out.push('\\');
            out.push_str(rest.get(..5).unwrap_or_default());
            return after_first;
        }
    };
    push_character(character, out);
    rest
}

/// Returns the number of the four hexadecimal digits at the start of a text.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

fn push_character(character: char, out: &mut String) {
    let short = match character {
        '"' | '\\' => character,
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\0'..='\u{1f}' => {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
            return;
        }
        _ => return out.push(character),
    };
    out.push('\\');
    out.push(short);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_character_has_its_shortest_form() {
        for (given, expected) in [
            (r#"{"a":"plain"}"#, r#"{"a":"plain"}"#),
            (r#""\u003ca\u003E \u0026\/""#, r#""<a> &/""#),
            (r#""\\u003c\\\"\u0022\u005c""#, r#""\\u003c\\\"\"\\""#),
            (r#""\u000a\u0008\u001F\u0000\n""#, r#""\n\b\u001f\u0000\n""#),
            (r#""\u00e9\ud83d\ude00\u2028""#, "\"é😀\u{2028}\""),
            (r#""\ud83d\u0041\ude00\ud83d""#, r#""\ud83dA\ude00\ud83d""#),
            (r#""\ud83d\ud83d\ude00""#, "\"\\ud83d😀\""),
            (r#""\u12"#, r#""\u12"#),
            ("\\", "\\"),
        ] {
            assert_eq!(shortest_escapes(given), expected);
        }
    }

    proptest! {
        #[test]
        fn the_value_stays_and_all_forms_become_one(
            text in ".{0,20}",
            escaped in prop::collection::vec(any::<bool>(), 20),
        ) {
            let plain = serde_json::to_string(&text).unwrap();
            let mut other = String::from("\"");
            for (character, is_escaped) in text.chars().zip(escaped) {
                let needs = character < ' ' || matches!(character, '"' | '\\');
                if is_escaped || needs {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        other.push_str(&format!("\\u{unit:04X}"));
                    }
                } else {
                    other.push(character);
                }
            }
            other.push('"');
            prop_assert_eq!(&*shortest_escapes(&other), &*plain);
            prop_assert_eq!(shortest_escapes(&plain), &*plain);
        }
    }

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
