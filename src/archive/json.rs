//! Appends strings, integers and floats as JSON, as a v2 server writes them
//! (protocol/jetstream-v2-archive.md §6). Only floats with an exponent allocate.

use std::io::Write as _;

/// Bytes compared in one step. The compiler makes vector instructions of the comparisons of a step.
const STEP: usize = 16;
/// Most bytes of a string that is copied in one step.
const SHORT: usize = 32;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Returns whether a byte may need an escape. With `ASCII`, every byte that is not ASCII may.
/// Without it, the first byte of `\u2028` may, which starts other characters too.
#[inline(always)]
fn is_special<const ASCII: bool>(byte: u8) -> bool {
    // With a sign, every byte that is not ASCII is less than a space, too.
    let outside = if ASCII { byte.cast_signed() < 0x20 } else { (byte < 0x20) | (byte == 0xe2) };
    // `"` and `&` differ in one bit, as do `<` and `>`.
    outside | (byte & 0xfb == b'"') | (byte & 0xfd == b'<') | (byte == b'\\')
}

/// Returns the number of leading bytes that need no escape.
#[inline]
fn plain_prefix<const ASCII: bool>(bytes: &[u8]) -> usize {
    let mut passed = 0;
    for chunk in bytes.as_chunks::<STEP>().0 {
        if chunk.iter().fold(false, |any, &byte| any | is_special::<ASCII>(byte)) {
            break;
        }
        passed += STEP;
    }
    let rest = bytes.get(passed..).unwrap_or_default();
    passed + rest.iter().take_while(|&&byte| !is_special::<ASCII>(byte)).count()
}

/// Marks the bytes of a chunk that may need an escape. The compiler makes one vector of the marks.
#[inline(always)]
fn mark<const ASCII: bool, const N: usize>(chunk: &[u8; N], marks: &mut [u8; N]) {
    for (mark, byte) in marks.iter_mut().zip(chunk) {
        *mark |= u8::from(is_special::<ASCII>(*byte));
    }
}

/// Returns whether one of the first and last `N` bytes, which may overlap, may need an escape; `None`
/// for fewer bytes.
#[inline(always)]
fn ends_need_escape<const ASCII: bool, const N: usize>(bytes: &[u8]) -> Option<bool> {
    let (first, last) = bytes.first_chunk::<N>().zip(bytes.last_chunk::<N>())?;
    let mut marks = [0; N];
    mark::<ASCII, N>(first, &mut marks);
    mark::<ASCII, N>(last, &mut marks);
    Some(marks != [0; N])
}

/// Returns whether no byte needs an escape. No byte is compared alone unless there are fewer than
/// four.
#[inline]
fn is_plain<const ASCII: bool>(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<STEP>() {
        let mut marks = [0; STEP];
        bytes.as_chunks().0.iter().for_each(|chunk| mark::<ASCII, STEP>(chunk, &mut marks));
        mark::<ASCII, STEP>(last, &mut marks);
        return marks == [0; STEP];
    }
    let needs_escape = ends_need_escape::<ASCII, 8>(bytes)
        .or_else(|| ends_need_escape::<ASCII, 4>(bytes))
        .unwrap_or_else(|| bytes.iter().any(|&byte| is_special::<ASCII>(byte)));
    !needs_escape
}

/// Appends the first `length` bytes of `from`. Most strings are short, and a copy of a fixed size is
/// cheaper than a call of `memcpy`: what it copies too much is cut off again.
#[inline]
fn copy_start(from: &[u8], length: usize, out: &mut Vec<u8>) {
    match from.first_chunk::<SHORT>() {
        Some(chunk) if length <= SHORT => {
            let end = out.len() + length;
            out.extend_from_slice(chunk);
            out.truncate(end);
        }
        _ => out.extend_from_slice(from.get(..length).unwrap_or_default()),
    }
}

/// Appends a string of `length` bytes, the first of `from`, with its quotes. If the bytes are not
/// UTF-8, returns the offset of the fault and may leave an incomplete string in `out`.
#[inline]
pub(super) fn append_checked(from: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), usize> {
    let bytes = from.get(..length).unwrap_or_default();
    if is_plain::<true>(bytes) {
        out.push(b'"');
        copy_start(from, length, out);
        out.push(b'"');
        return Ok(());
    }
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => {
            append_string(text, out);
            Ok(())
        }
        Err(_) => Err(std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to())),
    }
}

/// Appends a string with its quotes.
pub(super) fn append_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain::<false>(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut rest = text.as_bytes();
    loop {
        let (plain, tail) = rest.split_at_checked(plain_prefix::<false>(rest)).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some(&first) = tail.first() else { break };
        // U+2028 and U+2029, or another character that starts with this byte.
        let passed = match (first, tail.get(1), tail.get(2)) {
            (0xe2, Some(0x80), Some(last @ 0xa8..=0xa9)) => {
                out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                3
            }
            (0xe2, ..) => {
                out.push(first);
                1
            }
            _ => {
                append_escape(first, out);
                1
            }
        };
        rest = tail.get(passed..).unwrap_or_default();
    }
    out.push(b'"');
}

fn append_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends an unsigned integer.
pub(super) fn append_unsigned(mut n: u64, out: &mut Vec<u8>) {
    // The longest number has 20 digits.
    let mut digits = [[b'0'; 2]; 10];
    let mut used = 0;
    for pair in digits.iter_mut().rev() {
        let two = (n % 100) as u8;
        *pair = [b'0' + two / 10, b'0' + two % 10];
        used += 2;
        n /= 100;
        if n == 0 {
            used -= usize::from(two < 10);
            break;
        }
    }
    let digits = digits.as_flattened();
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Appends a float: the shortest decimal that parses to the same float, with an exponent below 1e-6
/// and from 1e21 on.
pub(super) fn append_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let signed = if size >= 1.0 { text.replace('e', "e+") } else { text };
        out.extend_from_slice(signed.as_bytes());
    } else {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        append_checked(text.as_bytes(), text.len(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_the_server_does() {
        for (text, json) in [
            ("", r#""""#),
            ("plain text of more than sixteen bytes", r#""plain text of more than sixteen bytes""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("<a href=\"x\">&</a>", r#""\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e""#),
            (
                "\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}",
                "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\u{7f}\"",
            ),
            ("\u{2027}\u{2028}\u{2029}\u{202a}€é", "\"\u{2027}\\u2028\\u2029\u{202a}€é\""),
        ] {
            assert_eq!(string(text), json);
        }
        let mut out = Vec::new();
        assert_eq!(append_checked(b"abc\xe2\x80", 5, &mut out), Err(3));
        // The bytes after the string do not belong to it.
        let long = [&b"abc"[..], &[b'"'; 40]].concat();
        let mut out = Vec::new();
        assert_eq!((append_checked(&long, 3, &mut out), out), (Ok(()), b"\"abc\"".to_vec()));
    }

    #[test]
    fn floats_are_the_shortest_that_read_back() {
        for (value, json) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e-6, "0.000001"),
            (9.5e-7, "9.5e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (5e-324, "5e-324"),
        ] {
            let mut out = Vec::new();
            append_float(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), json);
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in prop::collection::vec(
            prop_oneof![
                4 => prop::char::range(' ', '~'),
                1 => any::<char>(),
                1 => prop::sample::select(vec!['\u{2028}', '\u{2029}', '"', '\\', '\n', '&', '’']),
            ], 0..80,
        )) {
            let text: String = text.into_iter().collect();
            let json = string(&text);
            let is_escaped = !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            prop_assert!(is_escaped, "{}", json);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn a_text_is_plain_if_no_byte_needs_an_escape(bytes in prop::collection::vec(
            prop_oneof![30 => 0x20..0x7f_u8, 1 => any::<u8>()], 0..50,
        )) {
            let is_none = |special: fn(u8) -> bool| !bytes.iter().any(|&byte| special(byte));
            prop_assert_eq!(is_plain::<true>(&bytes), is_none(is_special::<true>));
            prop_assert_eq!(is_plain::<false>(&bytes), is_none(is_special::<false>));
        }

        #[test]
        fn any_integer_reads_back(n in prop_oneof![any::<u64>(), 0..200_u64]) {
            let mut out = Vec::new();
            append_unsigned(n, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }

        #[test]
        fn any_float_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut out = Vec::new();
            append_float(value, &mut out);
            let back: f64 = std::str::from_utf8(&out).unwrap().parse().unwrap();
            prop_assert_eq!(back.to_bits(), bits);
        }
    }
}
