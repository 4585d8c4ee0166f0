//! The user name and password of a URL.

use std::fmt;

use url::Url;

use crate::display::secrets;

/// A user name and a password for `Authorization: Basic`. `Debug` shows neither. The log redacts
/// the password and the encoded pair, even if a peer repeats them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Creates credentials from an unencoded user name and password.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        secrets::register_login(user, password);
        Self { user: user.to_owned(), password: password.to_owned() }
    }

    /// Returns the credentials of a URL, if it has any.
    #[must_use]
    pub fn from_url(url: &Url) -> Option<Self> {
        let password = url.password();
        if url.username().is_empty() && password.is_none() {
            return None;
        }
        Some(Self::from_encoded(url.username(), password.unwrap_or_default()))
    }

    /// Creates credentials from a percent-encoded user name and password.
    #[must_use]
    pub fn from_encoded(user: &str, password: &str) -> Self {
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
        };
        // The URL may encode more than needed, and a peer may repeat it as it came.
        secrets::register(password);
        Self::new(&decode(user), &decode(password))
    }

    /// Returns the value of the `Authorization` header (RFC 7617).
    #[must_use]
    pub fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
    }

    /// Returns the user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the password; may be empty.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}
