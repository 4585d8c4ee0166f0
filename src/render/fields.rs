//! `--fields`: paths into an event, one per column.

use jaq_json::Val;

/// The most columns of a table.
const MOST_FIELDS: usize = 1_000;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The column's name: the keys, separated by dots.
    pub name: String,
    /// The keys of the path; for an item of an array, its index.
    path: Vec<String>,
}

/// Why the value of `--fields` is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A key is empty.
    #[error(
        "{0:?} is not a field: write keys separated by dots, like commit.record.text (or langs.0 for the first item of an array)"
    )]
    Empty(String),
    /// There are too many fields.
    #[error("{0} fields are too many: name at most {MOST_FIELDS}")]
    TooMany(usize),
}

/// Parses the list of `--fields`, which is already split at its commas.
///
/// # Errors
/// [`FieldError`].
pub fn parse(names: &[String]) -> Result<Vec<Field>, FieldError> {
    if names.len() > MOST_FIELDS {
        return Err(FieldError::TooMany(names.len()));
    }
    let fields = names.iter().map(|given| {
        // People who know jq write a leading dot.
        let name = given.trim();
        let name = name.strip_prefix('.').unwrap_or(name);
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        match path.iter().any(String::is_empty) {
            true => Err(FieldError::Empty(given.clone())),
            false => Ok(Field { name: name.to_owned(), path }),
        }
    });
    fields.collect()
}

impl Field {
    /// Returns whether the first key is an index, so that an array can have this field.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.path.first().is_some_and(|key| key.parse::<usize>().is_ok())
    }

    /// Returns the value at the path; `None` if it is missing.
    #[must_use]
    pub fn get<'v>(&self, value: &'v Val) -> Option<&'v Val> {
        self.path.iter().try_fold(value, |value, key| member(value, key))
    }
}

/// Returns the member of an object, or the item of an array at the index `key`.
#[must_use]
pub fn member<'v>(value: &'v Val, key: &str) -> Option<&'v Val> {
    match value {
        // Objects are small, so comparing all keys is faster than allocating a key for a lookup.
        Val::Obj(members) => members.iter().find_map(|(name, value)| match name {
            Val::TStr(name) if ***name == *key.as_bytes() => Some(value),
            _ => None,
        }),
        Val::Arr(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_arrays() {
        let event = jaq_json::read::parse_single(br#"{"a":{"b":[1,{"$c":"x"}]}}"#).unwrap();
        let at = |name: &str| {
            let fields = parse(&[name.to_owned()]).unwrap();
            fields[0].get(&event).map(ToString::to_string)
        };
        assert_eq!(at("a.b.1.$c").as_deref(), Some("\"x\""));
        assert_eq!(at(".a.b.0").as_deref(), Some("1"));
        assert_eq!((at("a.b.9"), at("a.x"), at("a.b.0.y")), (None, None, None));
    }

    #[test]
    fn a_field_with_an_empty_key_is_rejected() {
        for name in ["", ".", "a..b", "a."] {
            assert!(matches!(parse(&[name.to_owned()]), Err(FieldError::Empty(_))), "{name}");
        }
        assert!(parse(&vec!["a".to_owned(); 1_001]).is_err());
    }
}
