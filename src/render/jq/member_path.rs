//! Expressions that name one member, such as `.did` or `.commit.record.text`. Its value is read from
//! the event's text: a value of the whole event, and the interpreter, cost ten times as much
//! (benches/instructions).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The names on the way to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberPath(Vec<String>);

impl MemberPath {
    /// Returns the path of an expression that only names a member.
    pub(super) fn of(expression: &str) -> Option<Self> {
        let is_name = |name: &&str| {
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let names: Vec<&str> = expression.trim().strip_prefix('.')?.split('.').collect();
        let is_path = names.iter().all(is_name);
        is_path.then(|| Self(names.into_iter().map(str::to_owned).collect()))
    }

    /// Returns the JSON text of the member's value. `None` if the interpreter has to decide: the
    /// event is no valid JSON, may have half a surrogate pair, or has no object where the path
    /// needs one.
    pub(super) fn find<'a>(&self, event: &'a [u8]) -> Option<&'a str> {
        let mut json = simdutf8::basic::from_utf8(event).ok()?;
        if memchr::memchr_iter(b'\\', event).any(|at| event.get(at + 1) == Some(&b'u')) {
            return None;
        }
        for name in &self.0 {
            if json == "null" {
                break;
            }
            let mut deserializer = serde_json::Deserializer::from_str(json);
            let found = deserializer.deserialize_map(Member(name)).ok()?;
            deserializer.end().ok()?;
            json = found.map_or("null", RawValue::get);
        }
        Some(json)
    }
}

/// Reads an object, and keeps the value of the member with this name; of several the last one.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Name(self.0))? {
            if is_wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a key with a name.
struct Name<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expressions_that_name_a_member_are_paths() {
        for (expression, names) in [
            (".did", Some(vec!["did"])),
            (" .commit.record.text\n", Some(vec!["commit", "record", "text"])),
            ("._a1", Some(vec!["_a1"])),
            (".", None),
            ("..", None),
            (".a.", None),
            (".a[0]", None),
            (".a?", None),
            (".1", None),
            (".\"a\"", None),
            (".a | .b", None),
            ("did", None),
            (".a.b # comment", None),
        ] {
            let names =
                names.map(|names| MemberPath(names.into_iter().map(str::to_owned).collect()));
            assert_eq!(MemberPath::of(expression), names, "{expression}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_interpreter() {
        let path = MemberPath::of(".a.b").unwrap();
        for (event, found) in [
            (r#"{"x":[{}],"a":{"b":[1, 2.50],"c":3}}"#, Some("[1, 2.50]")),
            (r#"{"a":{"b":1},"a":{"b":2}}"#, Some("2")),
            (r#"{"a":{"b":1},"a":{}}"#, Some("null")),
            (r#"{"a":null}"#, Some("null")),
            ("{}", Some("null")),
            (r#"{"a":{"b":1},"c":"\u0041"}"#, None),
            (r#"{"a":7}"#, None),
            (r#"{"a":{"b":1}"#, None),
            (r#"{"a":{"b":1}} {}"#, None),
            (r#"{"a":{"b":1},}"#, None),
            ("[]", None),
            ("null", Some("null")),
        ] {
            assert_eq!(path.find(event.as_bytes()), found, "{event}");
        }
        assert_eq!(path.find(b"{\"a\":{\"b\":\"\xff\"}}"), None);
    }
}
