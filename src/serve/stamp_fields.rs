//! Finds the fields of an event that a server stamps, `time_us` and `cursor`, and splits objects
//! into members. Works on spans of the outermost object; `event::header::parse` has validated the
//! line before.

use std::ops::Range;

use crate::event::json_string::string_end;

/// The spans of the stamped fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StampFields {
    /// The digits of `time_us`.
    pub time: Range<usize>,
    /// `cursor`, if the line has one.
    pub cursor: Option<CursorField>,
}

/// The spans of a `cursor` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CursorField {
    /// The digits.
    pub value: Range<usize>,
    /// The bytes to cut in order to remove the field: key, value and one comma.
    pub whole: Range<usize>,
}

/// Finds the stamped fields of a line that `event::header::parse` accepted. `None` if `time_us` is
/// missing, written with escapes, or duplicated.
pub(super) fn find(line: &[u8]) -> Option<StampFields> {
    let mut scanner = Scanner { line, at: 0 };
    scanner.expect(b'{')?;
    let (mut time, mut cursor) = (None, None);
    let mut comma_before = None;
    loop {
        let key_start = scanner.skip_space();
        let key = scanner.string()?;
        scanner.expect(b':')?;
        scanner.skip_space();
        let value = scanner.value()?;
        let comma_after = scanner.comma();
        match line.get(key)? {
            b"time_us" if time.is_some() => return None,
            b"time_us" => time = Some(value),
            b"cursor" if cursor.is_some() => return None,
            b"cursor" => {
                let whole = match (comma_before, comma_after) {
                    (Some(before), _) => before..value.end,
                    (None, Some(after)) => key_start..after + 1,
                    (None, None) => key_start..value.end,
                };
                cursor = Some(CursorField { value, whole });
            }
            _ => {}
        }
        comma_before = comma_after;
        if comma_after.is_none() {
            return Some(StampFields { time: time?, cursor });
        }
    }
}

/// Returns the members of an object in their order: each key without its quotes, and its value.
/// `None` if the text is not an object.
pub(super) fn object_members(object: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut scanner = Scanner { line: object, at: 0 };
    let mut members = Vec::with_capacity(8);
    scanner.expect(b'{')?;
    if scanner.expect(b'}').is_some() {
        return Some(members);
    }
    loop {
        let key = scanner.string()?;
        scanner.expect(b':')?;
        scanner.skip_space();
        let value = scanner.value()?;
        members.push((object.get(key)?, object.get(value)?));
        if scanner.comma().is_none() {
            return Some(members);
        }
    }
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn skip_space(&mut self) -> usize {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.at
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (*self.line.get(self.at)? == byte).then(|| self.at += 1)
    }

    /// Consumes a comma, if one comes next, and returns its offset.
    fn comma(&mut self) -> Option<usize> {
        let at = self.skip_space();
        self.expect(b',').map(|()| at)
    }

    /// Consumes a string and returns the span between its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at;
        let end = string_end(self.line, start)?;
        self.at = end + 1;
        Some(start..end)
    }

    /// Consumes any value and returns its span, without trailing space.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match *self.line.get(self.at)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    continue;
                }
                _ => self.scalar(),
            }
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }

    fn scalar(&mut self) {
        let ends = |b: &u8| b",:]} \t\r\n".contains(b);
        while self.line.get(self.at).is_some_and(|b| !ends(b)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> (String, Option<(String, String)>) {
        let members = find(line.as_bytes()).unwrap();
        let cursor = members.cursor.map(|c| {
            let rest = format!("{}{}", &line[..c.whole.start], &line[c.whole.end..]);
            (line[c.value].to_owned(), rest)
        });
        (line[members.time].to_owned(), cursor)
    }

    #[test]
    fn finds_the_outer_members_only() {
        let line = r#"{"commit":{"time_us":1,"cursor":[2,{"cursor":3}]},"did":"a\"}","time_us":45,"cursor":67,"kind":"x"}"#;
        let rest = line.replace(r#","cursor":67"#, "");
        assert_eq!(texts(line), ("45".into(), Some(("67".into(), rest))));
    }

    #[test]
    fn a_leading_cursor_is_removed_with_the_comma_after_it() {
        let line = r#"{ "cursor" : 67 , "time_us" : 45 }"#;
        assert_eq!(
            texts(line),
            ("45".into(), Some(("67".into(), r#"{  "time_us" : 45 }"#.into())))
        );
    }

    #[test]
    fn lists_members_in_their_order() {
        let object = br#"{"b": [1,{"x":"}\\"}] , "a\"b":"c" ,"n":-1.50e3}"#;
        let members = object_members(object).unwrap();
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        let texts: Vec<_> = members.iter().map(|(k, v)| (text(k), text(v))).collect();
        let expected = [("b", r#"[1,{"x":"}\\"}]"#), (r#"a\"b"#, r#""c""#), ("n", "-1.50e3")];
        assert_eq!(texts, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(object_members(b"{ }"), Some(vec![]));
        assert_eq!(object_members(b"7"), None);
    }

    #[test]
    fn rejects_lines_without_unique_stamp_fields() {
        assert_eq!(find(br#"{"did":"a"}"#), None);
        assert_eq!(find(br#"{"time_us":1,"time_us":2}"#), None);
        assert_eq!(find(br#"{"time_us":"#), None);
        assert_eq!(find(b"{}"), None);
    }
}
