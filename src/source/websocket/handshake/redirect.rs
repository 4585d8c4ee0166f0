//! The target of a redirect, for an error message. Redirects are not followed, because a saved
//! position belongs to one server.

use std::fmt;

use http::header::{HeaderMap, LOCATION};
use url::Url;

use crate::display::printable::one_line;
use crate::source::endpoint::{self, Endpoint};

/// Where a redirect points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectTarget {
    /// Another path of the same server.
    SameServer,
    /// Another server: its scheme, host and port, printable. The rest of the URL may hold secrets.
    Other(String),
    /// No valid address.
    Invalid,
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameServer => f.write_str(
                "to another path of the same server, which is not followed: check the path of --host, and whether the server wants a log-in",
            ),
            Self::Other(server) => {
                write!(f, "to {server}: give that as --host, if you trust it")
            }
            Self::Invalid => f.write_str("to nowhere: it names no address"),
        }
    }
}

/// Returns the target of a response with the headers `headers` from `endpoint`.
pub(super) fn target(headers: &HeaderMap, endpoint: &Endpoint) -> RedirectTarget {
    let base = endpoint.request_uri("/", "");
    let target = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| Url::parse(&base).ok()?.join(text).ok());
    let Some(target) = target else {
        return RedirectTarget::Invalid;
    };
    let Some(host) = target.host_str() else {
        return RedirectTarget::Invalid;
    };
    let port = target.port().map(|p| format!(":{p}")).unwrap_or_default();
    let server = format!("{}://{host}{port}", target.scheme());
    let is_same = endpoint::parse(&server).is_ok_and(|to| {
        (to.tls, &to.host, to.port) == (endpoint.tls, &endpoint.host, endpoint.port)
    });
    if is_same {
        RedirectTarget::SameServer
    } else {
        RedirectTarget::Other(one_line(server.as_bytes(), 260))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, location: &'static str) -> RedirectTarget {
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        target(&headers, &endpoint::parse(host).unwrap())
    }

    #[test]
    fn redirects_are_shown_without_their_path() {
        for (location, shown) in [
            ("https://other.example:8443/x?token=secret", "https://other.example:8443"),
            ("https://u:secret@other.example/", "https://other.example"),
            ("//other.example/secret", "wss://other.example"),
            ("http://h.example/subscribe?secret", "http://h.example"),
            ("https://h.example:8443/subscribe", "https://h.example:8443"),
        ] {
            assert_eq!(
                of("h.example", location),
                RedirectTarget::Other(shown.to_owned()),
                "{location}"
            );
        }
        let endpoint = endpoint::parse("h.example").unwrap();
        assert_eq!(target(&HeaderMap::new(), &endpoint), RedirectTarget::Invalid);
        assert_eq!(of("h.example", "http://["), RedirectTarget::Invalid);
        assert_eq!(of("h.example", "mailto:a@b.example"), RedirectTarget::Invalid);
    }

    #[test]
    fn a_redirect_to_the_same_server_does_not_suggest_its_host() {
        for (host, location) in [
            ("h.example", "/login?secret"),
            ("h.example", "https://h.example/subscribe/"),
            ("h.example", "wss://H.example:443/x"),
            ("h.example/base", "https://h.example/"),
            ("ws://127.0.0.1:6008", "http://127.0.0.1:6008/subscribe/"),
            ("[::1]:6008", "http://[::1]:6008/subscribe/"),
        ] {
            assert_eq!(of(host, location), RedirectTarget::SameServer, "{location}");
            let words = RedirectTarget::SameServer.to_string();
            assert!(!words.contains("h.example") && words.contains("the same server"), "{words}");
        }
    }
}
