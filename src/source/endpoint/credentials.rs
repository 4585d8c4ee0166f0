//! A user name and a password, as a URL has them before its `@`.

use std::fmt;

use url::Url;

use crate::display::secrets;

/// A user name and a password for `Authorization: Basic`. `Debug` shows neither, and the log
/// leaves both the password and the pair out, also if a peer repeats them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// A user name and a password, neither of them encoded.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        secrets::keep_login(user, password);
        Self { user: user.to_owned(), password: password.to_owned() }
    }

    /// The percent-encoded credentials of a URL.
    #[must_use]
    pub fn of_url(url: &Url) -> Option<Self> {
        let password = url.password();
        if url.username().is_empty() && password.is_none() {
            return None;
        }
        Some(Self::encoded(url.username(), password.unwrap_or_default()))
    }

    /// Percent-encoded credentials.
    #[must_use]
    pub fn encoded(user: &str, password: &str) -> Self {
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
        };
        // The URL may encode more than needed, and a peer may repeat it as it came.
        secrets::keep(password);
        Self::new(&decode(user), &decode(password))
    }

    /// The value of the `Authorization` header (RFC 7617).
    #[must_use]
    pub fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
    }

    /// The user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password; may be empty.
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
