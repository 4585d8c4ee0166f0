//! The API key that archive clients must send (archive §1). Never printed.

use std::fmt;

use crate::serve::head::RequestHead;

/// An API key of the archive.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Parses a key from a text, which must be one word; surrounding white space is ignored.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let key = text.trim();
        let is_word = !key.is_empty() && !key.contains(char::is_whitespace);
        is_word.then(|| Self(key.to_owned()))
    }

    /// Returns whether a request carries this key.
    pub(super) fn is_presented_by(&self, head: &RequestHead) -> bool {
        let mut values = head.header("Authorization").map(str::trim);
        values.any(|value| value.strip_prefix("Bearer ").map(str::trim) == Some(self.0.as_str()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_and_is_not_printed() {
        let key = ApiKey::new(" s3cret\n").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(…)");
        assert_eq!((ApiKey::new("\n"), ApiKey::new("a b")), (None, None));
    }
}
