//! `--fields` of Parquet files: values of the event as columns of their own.

use std::fmt;

use super::schema;
use crate::event::columns::{find, scalar_text};

/// The most added columns. Each takes memory for a page.
const MOST_FIELDS: usize = 64;

/// The type of an added column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A string.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// Any number.
    Float,
    /// A truth value.
    Bool,
    /// A string with date and time as RFC 3339 has them.
    Time,
}

const TYPES: [(&str, FieldType); 5] = [
    ("text", FieldType::Text),
    ("int", FieldType::Int),
    ("float", FieldType::Float),
    ("bool", FieldType::Bool),
    ("time", FieldType::Time),
];

/// An added column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name of the column: the keys, separated by dots.
    pub name: String,
    /// Its type.
    pub kind: FieldType,
    path: Vec<String>,
}

/// Why the value of `--fields` is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A key is empty.
    #[error(
        "{0:?} is not a field: write keys separated by dots, and a type if it is not text, like commit.record.text or commit.record.createdAt:time"
    )]
    Empty(String),
    /// The type is unknown.
    #[error("{0:?} is no type of a column: write text, int, float, bool or time")]
    Type(String),
    /// The name is taken.
    #[error(
        "there are two columns {0:?}: name each field once, and none like a column of each file"
    )]
    Twice(String),
    /// There are too many.
    #[error("{0} fields are too many: name at most {MOST_FIELDS}")]
    TooMany(usize),
}

/// Parses the list of `--fields`, which is already split at its commas.
///
/// # Errors
/// [`FieldError`].
pub fn parse<S: AsRef<str>>(given: &[S]) -> Result<Vec<Field>, FieldError> {
    if given.len() > MOST_FIELDS {
        return Err(FieldError::TooMany(given.len()));
    }
    let mut fields: Vec<Field> = Vec::new();
    for text in given {
        let text = text.as_ref().trim();
        let text = text.strip_prefix('.').unwrap_or(text);
        let (name, kind) = match text.rsplit_once(':') {
            None => (text, FieldType::Text),
            Some((name, word)) => {
                let found = TYPES.iter().find(|(known, _)| *known == word);
                (name, found.ok_or_else(|| FieldError::Type(word.to_owned()))?.1)
            }
        };
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(FieldError::Empty(text.to_owned()));
        }
        if schema::is_own(name) || fields.iter().any(|field| field.name == name) {
            return Err(FieldError::Twice(name.to_owned()));
        }
        fields.push(Field { name: name.to_owned(), kind, path });
    }
    Ok(fields)
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word =
            TYPES.iter().find(|(_, kind)| *kind == self.kind).map_or("text", |(word, _)| word);
        write!(f, "{}:{word}", self.name)
    }
}

/// What became of the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was appended.
    Value,
    /// It is missing or null.
    Missing,
    /// It has another type.
    Mismatch,
}

impl Field {
    /// Appends the value in an event, as a column stores it, to `out`.
    pub(super) fn append(&self, line: &[u8], out: &mut Vec<u8>) -> Found {
        let raw = match find(line, &self.path) {
            Ok(Some(raw)) if raw != "null" => raw,
            Ok(_) | Err(_) => return Found::Missing,
        };
        let is_number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let number = Some(raw).filter(|_| is_number);
        let bytes = match self.kind {
            FieldType::Text => scalar_text(raw).map(|text| text.as_bytes().to_vec()),
            FieldType::Int => {
                number.and_then(|raw| raw.parse::<i64>().ok()).map(|n| n.to_le_bytes().to_vec())
            }
            FieldType::Float => {
                number.and_then(|raw| raw.parse::<f64>().ok()).map(|n| n.to_le_bytes().to_vec())
            }
            FieldType::Bool => match raw {
                "true" => Some(vec![1]),
                "false" => Some(vec![0]),
                _ => None,
            },
            FieldType::Time => scalar_text(raw)
                .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                .map(|time| time.as_microsecond().to_le_bytes().to_vec()),
        };
        let Some(bytes) = bytes else { return Found::Mismatch };
        out.extend_from_slice(&bytes);
        Found::Value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_path_and_a_type() {
        let fields = parse(&["commit.record.text", ".a.b:int"]).unwrap();
        let words: Vec<String> = fields.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["commit.record.text:text", "a.b:int"]);
        assert_eq!(parse(&words).unwrap(), fields);
        for (bad, error) in [
            ("a:number", FieldError::Type("number".into())),
            ("a..b", FieldError::Empty("a..b".into())),
            (":int", FieldError::Empty(":int".into())),
            ("did", FieldError::Twice("did".into())),
        ] {
            assert_eq!(parse(&[bad]), Err(error));
        }
        assert_eq!(parse(&["a", "a:int"]), Err(FieldError::Twice("a".into())));
        assert_eq!(parse(&vec!["a"; 65]), Err(FieldError::TooMany(65)));
    }

    #[test]
    fn a_value_of_another_type_is_a_mismatch() {
        let line =
            br#"{"t":"x\n","i":-7,"f":1.5,"b":true,"z":"1970-01-01T00:00:01.5Z","n":null,"o":{}}"#;
        let value = |given: &str| {
            let mut out = Vec::new();
            let found = parse(&[given]).unwrap()[0].append(line, &mut out);
            (found, out)
        };
        assert_eq!(value("t"), (Found::Value, b"x\n".to_vec()));
        assert_eq!(value("i:int"), (Found::Value, (-7_i64).to_le_bytes().to_vec()));
        assert_eq!(value("i:float"), (Found::Value, (-7_f64).to_le_bytes().to_vec()));
        assert_eq!(value("f:float"), (Found::Value, 1.5_f64.to_le_bytes().to_vec()));
        assert_eq!(value("b:bool"), (Found::Value, vec![1]));
        assert_eq!(value("z:time"), (Found::Value, 1_500_000_i64.to_le_bytes().to_vec()));
        for missing in ["n", "n:int", "x", "t.x:bool"] {
            assert_eq!(value(missing).0, Found::Missing, "{missing}");
        }
        for other in ["i", "o", "t:int", "f:int", "t:float", "i:bool", "t:time", "i:time"] {
            assert_eq!(value(other), (Found::Mismatch, Vec::new()), "{other}");
        }
    }
}
