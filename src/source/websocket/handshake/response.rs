//! Checks the header fields of a 101 response (RFC 6455 §4.1). They are lists of tokens, in any
//! case, in one field or in several, and everything that the grammar allows is accepted.

use http::header::{
    CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{HandshakeError, MAX_SHOWN_CHARS};
use crate::display::printable::one_line;

/// Checks the response to a request with this `Sec-WebSocket-Key` and these offered subprotocols.
///
/// # Errors
/// [`HandshakeError::Subprotocol`] for a choice that was not offered, and
/// [`HandshakeError::Protocol`] for any other violation.
pub(super) fn check(
    headers: &HeaderMap,
    key: &str,
    offered: &[String],
) -> Result<(), HandshakeError> {
    let upgrade = tokens(headers, UPGRADE);
    let stray = upgrade.iter().find(|token| !token.eq_ignore_ascii_case("websocket"));
    if let Some(stray) = stray {
        return violation(format!("its Upgrade header says {stray:?}, not \"websocket\""));
    }
    if upgrade.is_empty() {
        return violation("it has no Upgrade header".to_owned());
    }
    let connection = tokens(headers, CONNECTION);
    if !connection.iter().any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return violation("its Connection header does not say \"Upgrade\"".to_owned());
    }
    let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    match (accepts.next(), accepts.next()) {
        (None, _) => return violation("it has no Sec-WebSocket-Accept header".to_owned()),
        (Some(_), Some(_)) => {
            return violation("it has more than one Sec-WebSocket-Accept header".to_owned());
        }
        (Some(accept), None) => {
            if accept.as_bytes().trim_ascii() != derive_accept_key(key.as_bytes()).as_bytes() {
                return violation("its Sec-WebSocket-Accept does not answer our key".to_owned());
            }
        }
    }
    if let Some(extension) = tokens(headers, SEC_WEBSOCKET_EXTENSIONS).first() {
        return violation(format!("it uses the extension {extension:?}, which was not offered"));
    }
    check_subprotocol(headers, offered)
}

/// Checks the picked subprotocol. A server may pick one of those that were offered, or none,
/// because a proxy may strip its choice (protocol/jetstream-v2.md §1).
fn check_subprotocol(headers: &HeaderMap, offered: &[String]) -> Result<(), HandshakeError> {
    let picked = tokens(headers, SEC_WEBSOCKET_PROTOCOL);
    let is_picked = headers.contains_key(SEC_WEBSOCKET_PROTOCOL) && !offered.is_empty();
    match picked.as_slice() {
        // An empty choice is not among those that were offered.
        [] if !is_picked => Ok(()),
        _ if offered.is_empty() => violation(format!(
            "it uses the subprotocol {:?}, and none was offered",
            picked.join(", ")
        )),
        [picked] if offered.contains(picked) => Ok(()),
        _ => Err(HandshakeError::Subprotocol {
            picked: one_line(picked.join(", ").as_bytes(), MAX_SHOWN_CHARS),
            offered: offered.join(", "),
        }),
    }
}

fn violation(what: String) -> Result<(), HandshakeError> {
    Err(HandshakeError::Protocol(what))
}

/// Returns the elements of all fields of this name, without empty ones (RFC 9110 §5.6.1.2).
fn tokens(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name);
    let elements = values.iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let elements = elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
    elements.map(|element| one_line(element, MAX_SHOWN_CHARS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    /// The right `Sec-WebSocket-Accept` for that key (RFC 6455 §1.3).
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn outcome(fields: &str, offered: &[&str]) -> Result<(), HandshakeError> {
        let headers = fields.lines().map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        let offered: Vec<String> = offered.iter().map(|name| (*name).to_owned()).collect();
        check(&map, KEY, &offered)
    }

    fn with(fields: &str) -> Result<(), HandshakeError> {
        outcome(&format!("{fields}\nsec-websocket-accept:{ACCEPT}"), &["v2", "v3"])
    }

    #[test]
    fn all_that_the_grammar_allows_is_accepted() {
        for fields in [
            "upgrade:websocket\nconnection:Upgrade",
            "upgrade:WebSocket\nconnection:keep-alive, Upgrade",
            "upgrade: websocket \nconnection:uPGRADE ,keep-alive",
            "upgrade:,websocket,\nconnection:,,upgrade",
            "upgrade:websocket\nconnection:keep-alive\nconnection:Upgrade",
            "upgrade:websocket\nconnection:upgrade\nsec-websocket-protocol:v3",
            "upgrade:websocket\nconnection:upgrade\nsec-websocket-extensions:",
        ] {
            assert!(with(fields).is_ok(), "{fields}: {:?}", with(fields));
        }
        let blanks =
            format!("upgrade:websocket\nconnection:upgrade\nsec-websocket-accept:\t {ACCEPT} ");
        assert!(outcome(&blanks, &[]).is_ok());
        let empty = format!("{blanks}\nsec-websocket-protocol:");
        assert!(outcome(&empty, &[]).is_ok());
    }

    #[test]
    fn violations_of_the_grammar_are_named() {
        let plain = "upgrade:websocket\nconnection:upgrade";
        for (fields, words) in [
            ("connection:upgrade".to_owned(), "no Upgrade header"),
            ("upgrade:h2c\nconnection:upgrade".to_owned(), "says \"h2c\""),
            ("upgrade:websocket, h2c\nconnection:upgrade".to_owned(), "says \"h2c\""),
            ("upgrade:websocket".to_owned(), "does not say \"Upgrade\""),
            ("upgrade:websocket\nconnection:upgraded".to_owned(), "does not say"),
            ("upgrade:websocket\nconnection:keep-alive".to_owned(), "does not say"),
            (format!("{plain}\nsec-websocket-accept:{ACCEPT}"), "more than one"),
            (
                format!("{plain}\nsec-websocket-extensions:permessage-deflate; x"),
                "\"permessage-deflate; x\"",
            ),
        ] {
            let error = with(&fields).unwrap_err();
            assert!(matches!(error, HandshakeError::Protocol(_)), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
        for picked in ["", "v4", "V2", "v2, v3", "v2\nsec-websocket-protocol:v2"] {
            let error = with(&format!("{plain}\nsec-websocket-protocol:{picked}")).unwrap_err();
            assert!(matches!(error, HandshakeError::Subprotocol { .. }), "{error:?}");
        }
        let lower = format!("{plain}\nsec-websocket-accept:{}", ACCEPT.to_lowercase());
        assert!(outcome(&lower, &[]).unwrap_err().to_string().contains("our key"));
        assert!(outcome(plain, &[]).unwrap_err().to_string().contains("no Sec-WebSocket-Accept"));
        let unasked = format!("{plain}\nsec-websocket-accept:{ACCEPT}\nsec-websocket-protocol:v1");
        assert!(outcome(&unasked, &[]).unwrap_err().to_string().contains("none was offered"));
    }
}
