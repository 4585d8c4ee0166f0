//! Checks the syntax of NSIDs, NSID patterns and DIDs like Jetstream.
//!
//! Source: protocol/jetstream-v1.md §3; the NSID and DID grammars of the AT Protocol.

/// The longest NSID in bytes.
const MAX_NSID_BYTES: usize = 317;
/// The longest DID in bytes.
const MAX_DID_BYTES: usize = 2048;

/// Returns whether `value` is an NSID: at least three labels, of which the last starts with a
/// letter.
#[must_use]
pub fn is_nsid(value: &str) -> bool {
    let Some((authority, name)) = value.rsplit_once('.') else {
        return false;
    };
    value.len() <= MAX_NSID_BYTES
        && is_authority(authority)
        && authority.contains('.')
        && (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Returns whether `value` can precede `.*` in a pattern: one or more labels.
#[must_use]
pub fn is_pattern_prefix(value: &str) -> bool {
    value.len() <= MAX_NSID_BYTES && is_authority(value)
}

fn is_authority(value: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    value.split('.').all(is_label) && value.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Returns whether `value` is a DID: `did:`, a method in lower case, and an identifier.
#[must_use]
pub fn is_did(value: &str) -> bool {
    let Some((method, identifier)) = value.strip_prefix("did:").and_then(|r| r.split_once(':'))
    else {
        return false;
    };
    let is_identifier_byte =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'%' | b'-');
    value.len() <= MAX_DID_BYTES
        && !method.is_empty()
        && method.bytes().all(|b| b.is_ascii_lowercase())
        && !identifier.is_empty()
        && identifier.bytes().all(is_identifier_byte)
        && !identifier.ends_with([':', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_nsids_only() {
        for good in ["app.bsky.feed.post", "com.example.fooBar", "a-0.b-1.c", "com.example.f00"] {
            assert!(is_nsid(good), "{good}");
        }
        let too_long = format!("a.{}.c", "b".repeat(64));
        for bad in [
            "",
            "post",
            "bsky.post",
            "app.bsky.feed.",
            ".app.bsky.feed",
            "app..feed",
            "app.bsky.fo*",
            "app.bsky.feed.*",
            "app.bsky.fe-ed",
            "app.bsky.3",
            "1app.bsky.x",
            "app.bsky.feed post",
            "app.bsky.fééd",
            "-app.bsky.x",
            &too_long,
        ] {
            assert!(!is_nsid(bad), "{bad}");
        }
    }

    #[test]
    fn accepts_dids_only() {
        for good in [
            "did:plc:z72i7hdynmk6r22z27h6tvur",
            "did:web:example.com",
            "did:web:a%3A80",
            "did:key:zQ3sh_-",
        ] {
            assert!(is_did(good), "{good}");
        }
        for bad in [
            "",
            "did",
            "did:plc",
            "did:plc:",
            "did:PLC:abc",
            "did::abc",
            "DID:plc:abc",
            "did:plc:a b",
            "did:plc:abc:",
            "did:plc:abc%",
            "did:plc:abc/path",
            "@alice.example.com",
            " did:plc:abc",
        ] {
            assert!(!is_did(bad), "{bad}");
        }
    }
}
