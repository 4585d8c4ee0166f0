//! Colours JSON as jq does, without changing any other byte.
//!
//! The text is coloured token by token, and not value by value, so that one function colours
//! events as they came, outputs of `--jq` and indented JSON.

use crate::event::json_string::string_end;

/// The levels of arrays and objects from which on a text is no longer coloured.
const MOST_LEVELS: usize = 10_000;
/// The longest escape sequence of one colour that is accepted, in bytes.
const MOST_CODE_BYTES: usize = 12;

/// Codes of jq 1.7 for null, false, true, numbers, strings, arrays, objects and object keys.
const DEFAULTS: [&str; 8] = ["0;90", "0;39", "0;39", "0;39", "0;32", "1;39", "1;39", "34;1"];

/// The index of a kind of token in a palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Null,
    False,
    True,
    Number,
    String,
    Array,
    Object,
    Key,
}

/// The colours of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    /// The start of each token, in the order of [`Token`].
    starts: [String; 8],
}

impl Default for Palette {
    fn default() -> Self {
        Self { starts: DEFAULTS.map(escape_sequence) }
    }
}

fn escape_sequence(code: &str) -> String {
    format!("\x1b[{code}m")
}

impl Palette {
    /// Parses the value of `JQ_COLORS`: up to eight codes with `:` between them. A code that is
    /// missing or empty is that of jq. Returns `None` if another character than a digit or `;` is
    /// in a code, because the terminal would take it for a command.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut palette = Self::default();
        let is_code = |code: &str| {
            code.len() <= MOST_CODE_BYTES && code.bytes().all(|b| b.is_ascii_digit() || b == b';')
        };
        for (i, code) in text.split(':').enumerate() {
            let start = palette.starts.get_mut(i).filter(|_| is_code(code))?;
            if !code.is_empty() {
                *start = escape_sequence(code);
            }
        }
        Some(palette)
    }

    /// Appends a JSON text in colours. What is not JSON is appended without.
    pub fn paint(&self, out: &mut Vec<u8>, json: &[u8]) {
        Painter { palette: self, out, open: Vec::new(), expects_key: false, colour: None }
            .paint(json);
    }

    fn start(&self, token: Token) -> &str {
        self.starts.get(token as usize).map_or("", String::as_str)
    }
}

/// Colours one text.
struct Painter<'p> {
    palette: &'p Palette,
    out: &'p mut Vec<u8>,
    /// The open arrays and objects.
    open: Vec<Token>,
    /// Whether a string is the key of an object.
    expects_key: bool,
    /// The colour that the output is in.
    colour: Option<Token>,
}

impl Painter<'_> {
    fn paint(&mut self, json: &[u8]) {
        let mut rest = json;
        while let Some(first) = rest.first() {
            if self.open.len() > MOST_LEVELS {
                break;
            }
            let (token, length) = self.token(*first, rest);
            let (text, after) = rest.split_at(length.clamp(1, rest.len()));
            self.set_colour(token);
            self.out.extend_from_slice(text);
            self.after(*first);
            rest = after;
        }
        self.set_colour(None);
        self.out.extend_from_slice(rest);
    }

    /// Returns the kind and the length of the token that `rest` begins with. A string that does
    /// not end extends to the end of the text.
    fn token(&self, first: u8, rest: &[u8]) -> (Option<Token>, usize) {
        match first {
            b'"' => {
                let token = if self.expects_key { Token::Key } else { Token::String };
                (Some(token), string_length(rest))
            }
            b'{' => (Some(Token::Object), 1),
            b'[' => (Some(Token::Array), 1),
            b'}' | b']' | b',' | b':' => (self.open.last().copied(), 1),
            b'n' => (Some(Token::Null), word_length(rest)),
            b'f' => (Some(Token::False), word_length(rest)),
            b't' => (Some(Token::True), word_length(rest)),
            b'-' | b'0'..=b'9' => (Some(Token::Number), word_length(rest)),
            b' ' | b'\n' | b'\r' | b'\t' => (None, 1),
            _ => (None, word_length(rest)),
        }
    }

    /// Records what a token changes.
    fn after(&mut self, first: u8) {
        match first {
            b'{' => self.open.push(Token::Object),
            b'[' => self.open.push(Token::Array),
            b'}' | b']' => {
                self.open.pop();
            }
            b' ' | b'\n' | b'\r' | b'\t' => return,
            _ => {}
        }
        let is_in_object = self.open.last() == Some(&Token::Object);
        self.expects_key = is_in_object && matches!(first, b'{' | b',');
    }

    fn set_colour(&mut self, colour: Option<Token>) {
        if self.colour == colour {
            return;
        }
        if self.colour.is_some() {
            self.out.extend_from_slice(b"\x1b[0m");
        }
        if let Some(token) = colour {
            self.out.extend_from_slice(self.palette.start(token).as_bytes());
        }
        self.colour = colour;
    }
}

/// Returns the length of the string at the beginning of a text, with its quotes.
fn string_length(text: &[u8]) -> usize {
    string_end(text, 1).map_or(text.len(), |end| end + 1)
}

/// Returns the length of the word at the beginning of a text, at least 1.
fn word_length(text: &[u8]) -> usize {
    let is_end = |byte: &u8| {
        matches!(
            byte,
            b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t'
        )
    };
    text.iter().position(is_end).unwrap_or(text.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn painted(palette: &Palette, json: &str) -> String {
        let mut out = Vec::new();
        palette.paint(&mut out, json.as_bytes());
        String::from_utf8(out).unwrap()
    }

    /// Returns the text without escape sequences.
    fn stripped(text: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if *first == 0x1b {
                let end = rest.iter().position(|byte| *byte == b'm').unwrap();
                rest = &rest[end + 1..];
            } else {
                plain.push(*first);
            }
        }
        plain
    }

    #[test]
    fn tokens_have_the_colours_of_jq() {
        let shown = painted(
            &Palette::default(),
            r#"{"a":null,"b\"":[1.5e3,true,false,"x: {\"",{}],"c":{"d":[]}}"#,
        )
        .replace('\x1b', "");
        let expected = "[1;39m{[0m[34;1m\"a\"[0m[1;39m:[0m[0;90mnull[0m[1;39m,[0m[34;1m\"b\\\"\"[0m[1;39m:[0m\
            [1;39m[[0m[0;39m1.5e3[0m[1;39m,[0m[0;39mtrue[0m[1;39m,[0m[0;39mfalse[0m[1;39m,[0m\
            [0;32m\"x: {\\\"\"[0m[1;39m,[0m[1;39m{}[0m[1;39m][0m[1;39m,[0m[34;1m\"c\"[0m[1;39m:{[0m[34;1m\"d\"[0m\
            [1;39m:[0m[1;39m[][0m[1;39m}}[0m";
        assert_eq!(shown, expected);
    }

    #[test]
    fn jq_colors_changes_colours_and_cannot_smuggle_commands() {
        let palette = Palette::parse("4;31::1").unwrap();
        assert_eq!(painted(&palette, "[null,false,true]").matches("\x1b[4;31mnull").count(), 1);
        assert!(painted(&palette, "false").starts_with("\x1b[0;39mfalse"));
        assert!(painted(&palette, "true").starts_with("\x1b[1mtrue"));
        assert_eq!(Palette::parse(""), Some(Palette::default()));
        for bad in ["x", "1m\x1b[2J", "1:2:3:4:5:6:7:8:9", "1;1;1;1;1;1;1;1", "31 "] {
            assert_eq!(Palette::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_changed_and_no_colour_is_left(
            text in prop_oneof![
                "[\\[\\]{}:,\" \\n0-9a-z\\\\]{0,60}".prop_map(String::into_bytes),
                prop::collection::vec((0u8..=255).prop_filter("no escape", |b| *b != 0x1b), 0..80),
            ]
        ) {
            let mut out = Vec::new();
            Palette::default().paint(&mut out, &text);
            prop_assert_eq!(stripped(&out), text);
            let reset = out.ends_with(b"\x1b[0m") || !out.contains(&0x1b);
            let last = out.iter().rposition(|byte| *byte == 0x1b).map_or(&out[..0], |at| &out[at..]);
            prop_assert!(reset || last.starts_with(b"\x1b[0m"));
        }
    }
}
