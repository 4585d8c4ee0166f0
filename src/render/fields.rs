//! `--fields`: the places in an event that become columns.

use jaq_json::Val;

/// Most columns.
const MOST_FIELDS: usize = 1_000;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The column's head: the keys with points between.
    pub name: String,
    /// The keys on the way; in an array a number.
    path: Vec<String>,
}

/// Why `--fields` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A key has no letters.
    #[error(
        "{0:?} is no field: write keys with points between, like commit.record.text (and langs.0 for the first of an array)"
    )]
    Empty(String),
    /// Too many.
    #[error("{0} fields are too many: name up to {MOST_FIELDS}")]
    TooMany(usize),
}

/// Reads the list of `--fields`, already split at its commas.
///
/// # Errors
/// [`FieldError`].
pub fn parse(names: &[String]) -> Result<Vec<Field>, FieldError> {
    if names.len() > MOST_FIELDS {
        return Err(FieldError::TooMany(names.len()));
    }
    let fields = names.iter().map(|given| {
        // Whoever knows jq writes a point in front.
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
    /// Returns whether an array can have this field.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.path.first().is_some_and(|key| key.parse::<usize>().is_ok())
    }

    /// What stands there.
    #[must_use]
    pub fn of<'v>(&self, value: &'v Val) -> Option<&'v Val> {
        self.path.iter().try_fold(value, |value, key| member(value, key))
    }
}

/// The member of an object, or the item of an array by its number.
#[must_use]
pub fn member<'v>(value: &'v Val, key: &str) -> Option<&'v Val> {
    match value {
        // Objects are small: looking at all keys is faster than making one to look up.
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
    fn a_field_leads_through_objects_and_arrays() {
        let event = jaq_json::read::parse_single(br#"{"a":{"b":[1,{"$c":"x"}]}}"#).unwrap();
        let at = |name: &str| {
            let fields = parse(&[name.to_owned()]).unwrap();
            fields[0].of(&event).map(ToString::to_string)
        };
        assert_eq!(at("a.b.1.$c").as_deref(), Some("\"x\""));
        assert_eq!(at(".a.b.0").as_deref(), Some("1"));
        assert_eq!((at("a.b.9"), at("a.x"), at("a.b.0.y")), (None, None, None));
    }

    #[test]
    fn a_field_without_keys_is_refused() {
        for name in ["", ".", "a..b", "a."] {
            assert!(matches!(parse(&[name.to_owned()]), Err(FieldError::Empty(_))), "{name}");
        }
        assert!(parse(&vec!["a".to_owned(); 1_001]).is_err());
    }
}
