//! Makes text from the network safe for terminals and logs.

/// Returns `bytes` as text that can't control a terminal: control characters, invisible and
/// direction-changing characters and invalid UTF-8 become escapes. Truncated to `max_chars`
/// characters, the last one `…`.
#[must_use]
pub fn printable(bytes: &[u8], max_chars: usize) -> String {
    let mut shown = String::new();
    let mut room = max_chars;
    for chunk in bytes.utf8_chunks() {
        let invalid = chunk.invalid().iter().map(|b| format!("\\x{b:02x}"));
        let valid = chunk
            .valid()
            .chars()
            .map(|c| if is_harmless(c) { c.to_string() } else { c.escape_unicode().to_string() });
        for piece in valid.chain(invalid) {
            let length = piece.chars().count();
            if length >= room {
                shown.push('…');
                return shown;
            }
            room -= length;
            shown.push_str(&piece);
        }
    }
    shown
}

/// Returns `bytes` as one line, for text without significant layout: runs of white space, line
/// breaks and control characters become one space, and other characters that could hide or forge
/// text become `�`. Truncated to `max_chars` characters and a `…`.
#[must_use]
pub fn one_line(bytes: &[u8], max_chars: usize) -> String {
    // A character has at most four bytes, so later bytes are not needed.
    let bytes = bytes.get(..max_chars.saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let joined = words.join(" ");
    let harmless = |c: char| if is_harmless(c) { c } else { '\u{fffd}' };
    let mut shown: String = joined.chars().take(max_chars).map(harmless).collect();
    if joined.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

/// Appends `text` to `out` and replaces each character that could control a terminal with its JSON
/// escape `\u….`, which keeps the value of JSON text. Line feeds and tabs are kept; invalid UTF-8
/// becomes U+FFFD.
pub fn escape_for_terminal(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c| acts_on_terminal(c) && !matches!(c, '\n' | '\t')) {
            let (plain, from) = rest.split_at(at);
            out.extend_from_slice(plain.as_bytes());
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                push_json_escape(out, c);
            }
            rest = chars.as_str();
        }
        out.extend_from_slice(rest.as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Appends the JSON escape of `c`: `\u` and four digits per UTF-16 unit.
pub fn push_json_escape(out: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
}

/// Returns whether `c` could control a terminal or forge text: control characters, and invisible
/// and direction-changing characters. The joiners of emoji and Persian letters are exempt.
#[must_use]
pub fn acts_on_terminal(c: char) -> bool {
    !is_harmless(c) && !matches!(c, '\u{200c}' | '\u{200d}')
}

/// Returns whether a character is always visible and has no other effect.
#[must_use]
pub fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' // soft hyphen, Arabic direction mark, vowel separator
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers: blank letters
            | '\u{200b}'..='\u{200f}' // zero width, direction marks
            | '\u{2028}'..='\u{202e}' // line breaks, direction overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, direction isolates
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}') // tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable(b"a\x1b[31mb\r\n\x07", 99), r"a\u{1b}[31mb\u{d}\u{a}\u{7}");
        assert_eq!(printable("x\u{202e}y\u{9b}z".as_bytes(), 99), r"x\u{202e}y\u{9b}z");
        assert_eq!(printable(b"ok \xff\xfe \xc3\xa9", 99), r"ok \xff\xfe é");
    }

    #[test]
    fn every_direction_control_and_no_letter_is_escaped() {
        // Unicode Standard Annex #9, section 2: explicit and implicit controls.
        let controls = ['\u{61c}', '\u{200e}', '\u{200f}'];
        for c in controls.into_iter().chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}')
        {
            assert!(!is_harmless(c), "{c:?}");
            assert!(!one_line(c.to_string().as_bytes(), 9).contains(c), "{c:?}");
        }
        assert!("héllo, мир שלום 世界 👍 e\u{301}".chars().all(is_harmless));
    }

    #[test]
    fn text_without_layout_is_one_short_line() {
        assert_eq!(one_line(b" a\r\n\tb\x1b[31m ", 100), "a b [31m");
        assert_eq!(one_line("é".repeat(50).as_bytes(), 3), "ééé…");
        assert_eq!(one_line("a\u{202e}b".as_bytes(), 9), "a\u{fffd}b");
        assert_eq!(one_line(&[0xff, b'x'], 9), "\u{fffd}x");
    }

    #[test]
    fn long_text_is_shortened() {
        assert_eq!(printable(b"abcdef", 4), "abc…");
        assert_eq!(printable(b"abc", 4), "abc");
    }

    #[test]
    fn control_characters_become_json_escapes() {
        let mut out = Vec::new();
        let text = "\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\0\r\n\t\u{202e}é👩\u{200d}🚀\u{e0001}";
        escape_for_terminal(&mut out, text.as_bytes());
        escape_for_terminal(&mut out, b"\xffend");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\\u001b]0;x\\u0007\\u009b31m\\u007f\\u0000\\u000d\n\t\\u202eé👩\u{200d}🚀\\udb40\\udc01\u{fffd}end"
        );
    }

    proptest! {
        #[test]
        fn escaped_text_is_equal_json_without_control_characters(text in "\\PC{0,9}[\u{7f}-\u{9f}\u{2028}-\u{202e}é]{0,9}") {
            let json = serde_json::to_string(&text).unwrap();
            let mut out = Vec::new();
            escape_for_terminal(&mut out, json.as_bytes());
            prop_assert!(!String::from_utf8_lossy(&out).chars().any(acts_on_terminal));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_bytes_become_safe_and_short(bytes in prop::collection::vec(any::<u8>(), 0..99), max in 1usize..50) {
            let shown = printable(&bytes, max);
            prop_assert!(shown.chars().all(is_harmless));
            prop_assert!(shown.chars().count() <= max);
        }
    }
}
