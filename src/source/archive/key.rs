//! The key that a gated archive wants to see (protocol/jetstream-v2-archive.md §1). It is
//! never printed, and goes nowhere but to the archive's own endpoints, over TLS or on this
//! machine.

use std::fmt;

use crate::display::secrets;
use crate::source::endpoint::Endpoint;

/// Longest key, in bytes.
const MAX_BYTES: usize = 4096;

/// A key of an archive.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why a text holds no key. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing in it.
    #[error("it is empty: it must hold the key, and nothing else")]
    Empty,
    /// More than one word, or what can't stand in a header.
    #[error(
        "it holds more than one word, or characters that no key has: it must hold the key, and nothing else"
    )]
    NotOneWord,
    /// Longer than any real one.
    #[error("it holds more than {MAX_BYTES} bytes, which is no key")]
    TooLong,
}

impl ApiKey {
    /// The key in a text, which must hold one word; blanks around it don't count.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let key = text.trim();
        match key {
            "" => Err(KeyError::Empty),
            _ if key.len() > MAX_BYTES => Err(KeyError::TooLong),
            _ if key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                secrets::register(key);
                Ok(Self(key.to_owned()))
            }
            _ => Err(KeyError::NotOneWord),
        }
    }

    /// The header line that shows it.
    pub(super) fn header(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Whether a key may be shown to this server: nobody else can read it on the way.
#[must_use]
pub fn may_be_shown(endpoint: &Endpoint) -> bool {
    endpoint.tls || endpoint.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::endpoint::parse;

    #[test]
    fn a_key_is_one_word_and_is_not_told() {
        let key = ApiKey::new(" s3cret\n").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(…)");
        assert_eq!(key.header(), "Authorization: Bearer s3cret\r\n");
        for (text, error) in [
            (" \n", KeyError::Empty),
            ("a b", KeyError::NotOneWord),
            ("a\r\nHost: b", KeyError::NotOneWord),
            ("schlüssel", KeyError::NotOneWord),
            (&"k".repeat(MAX_BYTES + 1), KeyError::TooLong),
        ] {
            assert_eq!(ApiKey::new(text), Err(error));
        }
    }

    #[test]
    fn a_key_is_shown_over_tls_and_on_this_machine_only() {
        for (host, may) in [
            ("archive.example", true),
            ("wss://archive.example", true),
            ("ws://archive.example", false),
            ("ws://10.0.0.1:6008", false),
            ("ws://127.0.0.1:6008", true),
            ("localhost:6008", true),
        ] {
            assert_eq!(may_be_shown(&parse(host).unwrap()), may, "{host}");
        }
    }
}
