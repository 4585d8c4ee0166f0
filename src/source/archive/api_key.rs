//! The key that a gated archive asks for (protocol/jetstream-v2-archive.md §1). skytail never
//! prints it, and sends it only to the archive's own endpoints, over TLS or loopback.

use std::fmt;

use crate::display::secrets;
use crate::source::endpoint::Endpoint;

/// Longest key, in bytes.
const MAX_BYTES: usize = 4096;

/// An archive's key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why a text is not an API key. The messages don't quote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is empty or blank.
    #[error("it is empty: it must hold the key, and nothing else")]
    Empty,
    /// The text has several words, or characters that a header can't hold.
    #[error(
        "it holds more than one word, or characters that no key has: it must hold the key, and nothing else"
    )]
    NotOneWord,
    /// The text is longer than any real key.
    #[error("it holds more than {MAX_BYTES} bytes, which is not a key")]
    TooLong,
}

impl ApiKey {
    /// Parses a text of one word, with or without blanks around it, and registers it with the
    /// log's redaction.
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

    /// Returns the value of the `Authorization` header.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Returns whether the API key may be sent to this server: only over TLS or loopback.
#[must_use]
pub fn may_send_key(endpoint: &Endpoint) -> bool {
    endpoint.tls || endpoint.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::endpoint::parse;

    #[test]
    fn a_key_is_one_word_and_debug_hides_it() {
        let key = ApiKey::new(" s3cret\n").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(…)");
        assert_eq!(key.authorization(), "Bearer s3cret");
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
    fn a_key_is_sent_over_tls_and_loopback_only() {
        for (host, may) in [
            ("archive.example", true),
            ("wss://archive.example", true),
            ("ws://archive.example", false),
            ("ws://10.0.0.1:6008", false),
            ("ws://127.0.0.1:6008", true),
            ("localhost:6008", true),
        ] {
            assert_eq!(may_send_key(&parse(host).unwrap()), may, "{host}");
        }
    }
}
