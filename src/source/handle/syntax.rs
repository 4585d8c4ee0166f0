//! The syntax of handles. No I/O.
//!
//! Source: the handle specification of the AT Protocol, "Handle Identifier Syntax" and
//! "Additional Non-Syntax Restrictions".

use std::fmt;

/// The longest handle, in bytes.
const MAX_BYTES: usize = 253;
/// The longest label, in bytes.
const MAX_LABEL_BYTES: usize = 63;
/// The top-level domains under which no handle can exist.
const RESERVED: [&str; 9] =
    ["alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion", "test"];
/// The reserved domains that tests may use.
const FOR_TESTS: [&str; 2] = ["example", "test"];

/// A handle, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(String);

/// Why a text is not a handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// The syntax is wrong.
    #[error("{0:?} is not a handle: write a name with dots, like alice.bsky.social")]
    Syntax(String),
    /// The top-level domain is reserved.
    #[error("{0:?} is not a handle: none can exist under .{1}")]
    Reserved(String, String),
}

impl Handle {
    /// Parses a handle and converts it to lower case. `for_tests` allows the top-level domains
    /// `test` and `example`.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn parse(text: &str, for_tests: bool) -> Result<Self, HandleError> {
        let handle = text.to_ascii_lowercase();
        let labels: Vec<&str> = handle.split('.').collect();
        let last = labels.last().copied().unwrap_or_default();
        let is_handle = handle.len() <= MAX_BYTES
            && labels.len() >= 2
            && labels.iter().all(|label| is_label(label))
            && last.starts_with(|c: char| c.is_ascii_lowercase());
        if !is_handle {
            return Err(HandleError::Syntax(text.to_owned()));
        }
        if RESERVED.contains(&last) && !(for_tests && FOR_TESTS.contains(&last)) {
            return Err(HandleError::Reserved(text.to_owned(), last.to_owned()));
        }
        Ok(Self(handle))
    }

    /// Returns the handle, which is also a host name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn handles_are_distinguished_from_other_words() {
        for good in ["jay.bsky.social", "8.cn", "name.t--t", "XX.LCS.MIT.EDU", "a.co", "x.test.com"]
        {
            let handle = Handle::parse(good, false).unwrap();
            assert_eq!(handle.as_str(), good.to_lowercase());
        }
        let long_label = format!("{}.com", "a".repeat(64));
        let long = format!("{}com", "a.".repeat(126));
        for bad in [
            "",
            ".",
            "com",
            "jo@hn.test",
            "john..com",
            "xn--bücher.com",
            "john.0",
            "john.-",
            "john.com.",
            ".com",
            "-a.com",
            "a-.com",
            "did:plc:a",
            "cn.8",
            "a b.com",
            "a.c_m",
            &long_label,
            &long,
        ] {
            let error = Handle::parse(bad, true).unwrap_err();
            assert!(matches!(error, HandleError::Syntax(_)), "{bad}");
        }
    }

    #[test]
    fn no_handle_exists_under_a_reserved_domain() {
        for tld in RESERVED {
            let text = format!("alice.{}", tld.to_uppercase());
            let error = Handle::parse(&text, false).unwrap_err();
            assert!(error.to_string().contains(&format!("under .{tld}")), "{error}");
            assert_eq!(Handle::parse(&text, true).is_ok(), FOR_TESTS.contains(&tld), "{tld}");
        }
    }

    proptest! {
        #[test]
        fn every_handle_is_valid_in_a_url(text in "[a-zA-Z0-9.@:/ _-]{0,30}") {
            if let Ok(handle) = Handle::parse(&text, true) {
                let url = format!("https://{handle}/x");
                let parsed = url::Url::parse(&url).unwrap();
                prop_assert_eq!(parsed.as_str(), url);
            }
        }
    }
}
