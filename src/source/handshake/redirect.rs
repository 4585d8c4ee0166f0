//! Where a redirect points. It is not followed: a saved position belongs to one server.

use std::fmt;

use http::header::{HeaderMap, LOCATION};
use url::Url;

use crate::display::printable::one_line;
use crate::source::endpoint::{self, Endpoint};

/// The target of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Another path of the server that was asked.
    SameServer,
    /// Another server: scheme, host and port only, printable, since the rest may hold anything.
    Other(String),
    /// No address at all.
    Nowhere,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameServer => f.write_str(
                "to another path of the same server, which is not followed: check the path of --host, and whether the server wants a log-in",
            ),
            Self::Other(server) => {
                write!(f, "to {server}: give that as --host, if you trust it")
            }
            Self::Nowhere => f.write_str("to nowhere: it names no address"),
        }
    }
}

/// Returns the target of a response with the headers `headers` from `endpoint`.
pub(super) fn target(headers: &HeaderMap, endpoint: &Endpoint) -> Target {
    let base = endpoint.request_uri("/", "");
    let target = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| Url::parse(&base).ok()?.join(text).ok());
    let Some(target) = target else {
        return Target::Nowhere;
    };
    let Some(host) = target.host_str() else {
        return Target::Nowhere;
    };
    let port = target.port().map(|p| format!(":{p}")).unwrap_or_default();
    let server = format!("{}://{host}{port}", target.scheme());
    let is_same = endpoint::parse(&server).is_ok_and(|to| {
        (to.tls, &to.host, to.port) == (endpoint.tls, &endpoint.host, endpoint.port)
    });
    if is_same { Target::SameServer } else { Target::Other(one_line(server.as_bytes(), 260)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, location: &'static str) -> Target {
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
            assert_eq!(of("h.example", location), Target::Other(shown.to_owned()), "{location}");
        }
        let endpoint = endpoint::parse("h.example").unwrap();
        assert_eq!(target(&HeaderMap::new(), &endpoint), Target::Nowhere);
        assert_eq!(of("h.example", "http://["), Target::Nowhere);
        assert_eq!(of("h.example", "mailto:a@b.example"), Target::Nowhere);
    }

    #[test]
    fn the_host_that_was_given_is_not_advised() {
        for (host, location) in [
            ("h.example", "/login?secret"),
            ("h.example", "https://h.example/subscribe/"),
            ("h.example", "wss://H.example:443/x"),
            ("h.example/base", "https://h.example/"),
            ("ws://127.0.0.1:6008", "http://127.0.0.1:6008/subscribe/"),
            ("[::1]:6008", "http://[::1]:6008/subscribe/"),
        ] {
            assert_eq!(of(host, location), Target::SameServer, "{location}");
            let words = Target::SameServer.to_string();
            assert!(!words.contains("h.example") && words.contains("the same server"), "{words}");
        }
    }
}
