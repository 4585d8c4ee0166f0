//! Accounts: DIDs, or handles that resolve to one.

use std::path::Path;

use crate::filter::syntax::is_did;
use crate::source::handle::{Handle, HandleError};

/// One value of `--did`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    Did(String),
    Handle(Handle),
}

/// Why a value is not an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Neither a DID nor a handle.
    #[error(
        "{0:?} is neither a DID nor a handle: write one like did:plc:z72i7hdynmk6r22z27h6tvur, did:web:example.com or alice.bsky.social"
    )]
    Neither(String),
    /// A handle that no account can have.
    #[error(transparent)]
    Handle(HandleError),
}

/// Parses a DID, or a handle with or without a leading `@`. See [`Handle::parse`] for `for_tests`.
pub fn parse_account(text: &str, for_tests: bool) -> Result<Account, AccountError> {
    if is_did(text) {
        return Ok(Account::Did(text.to_owned()));
    }
    match Handle::parse(text.strip_prefix('@').unwrap_or(text), for_tests) {
        Ok(handle) => Ok(Account::Handle(handle)),
        Err(HandleError::Syntax(_)) => Err(AccountError::Neither(text.to_owned())),
        Err(reserved) => Err(AccountError::Handle(reserved)),
    }
}

/// File extensions that are not top-level domains. A mistyped file name gives an error about a
/// file, not about a handle.
const FILE_EXTENSIONS: [&str; 5] = [".txt", ".csv", ".tsv", ".lst", ".list"];

/// Removes the `@` in front of a handle. A value that names an existing file, or looks like the
/// name of one, is a list file and keeps its `@`.
pub fn strip_handle_prefix(value: &str, for_tests: bool) -> &str {
    let Some(name) = value.strip_prefix('@') else { return value };
    let is_file = FILE_EXTENSIONS.iter().any(|extension| name.ends_with(extension));
    if !is_file && Handle::parse(name, for_tests).is_ok() && !Path::new(name).exists() {
        return name;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_did_or_a_handle() {
        let of = |text| parse_account(text, false);
        assert_eq!(of("did:plc:abc"), Ok(Account::Did("did:plc:abc".into())));
        let alice = || Account::Handle(Handle::parse("alice.example.com", false).unwrap());
        for text in ["alice.example.com", "@alice.example.com", "@ALICE.example.com"] {
            assert_eq!(of(text), Ok(alice()), "{text}");
        }
        assert!(matches!(of("bob"), Err(AccountError::Neither(_))));
        assert!(matches!(of("@@a.com"), Err(AccountError::Neither(_))));
        assert!(matches!(of("a.local"), Err(AccountError::Handle(_))));
    }

    #[test]
    fn an_at_sign_in_front_of_a_file_is_kept() {
        let file = tempfile::Builder::new().prefix("list").suffix(".com").tempfile_in(".");
        let file = file.unwrap();
        let name = format!("@{}", file.path().file_name().unwrap().to_str().unwrap());
        assert_eq!(strip_handle_prefix(&name, false), name);
        file.close().unwrap();
        assert_eq!(strip_handle_prefix(&name, false), &name[1..]);
        assert_eq!(strip_handle_prefix("@nosuchfile.txt", false), "@nosuchfile.txt");
        assert_eq!(strip_handle_prefix("@dids", false), "@dids");
        assert_eq!(strip_handle_prefix("did:plc:a", false), "did:plc:a");
    }
}
