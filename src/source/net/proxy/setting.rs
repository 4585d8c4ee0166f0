//! Parses the value of a proxy variable. No I/O.

use url::Host;

use crate::source::endpoint::{Credentials, redacted, zone};

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its protocol.
    pub kind: ProxyKind,
    /// Its name or address, without brackets, with the zone of a link-local address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The user name and password to log in with.
    pub credentials: Option<Credentials>,
    /// The variable that names it.
    pub variable: &'static str,
}

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Http,
    /// HTTP CONNECT over TLS.
    Https,
    /// SOCKS5 with addresses: skytail resolves the names.
    Socks5,
    /// SOCKS5 with names: the proxy resolves them.
    Socks5h,
}

impl Proxy {
    /// Returns whether the proxy resolves names, so that no DNS server sees them from this
    /// machine.
    #[must_use]
    pub fn resolves_names(&self) -> bool {
        self.kind == ProxyKind::Socks5h
    }
}

/// Why the value of a proxy variable is unusable. Shows no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} names no proxy that can be used, and skytail does not connect without it: {shown:?} {problem}; write http://HOST:PORT, https://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT, or unset {variable}"
)]
pub struct ProxySettingError {
    /// The variable.
    pub variable: &'static str,
    /// Its value, redacted.
    shown: String,
    /// What is wrong with it.
    problem: String,
}

/// Parses the value of a variable; `None` means that it is not UTF-8.
pub(super) fn parse(
    variable: &'static str,
    value: Option<&str>,
) -> Result<Proxy, ProxySettingError> {
    let error = |shown: String, problem: String| ProxySettingError { variable, shown, problem };
    let Some(value) = value else {
        return Err(error("…".to_owned(), "is not UTF-8".to_owned()));
    };
    let text = value.trim();
    let shown = || redacted(text);
    let (kind, rest) = scheme(text).map_err(|problem| error(shown(), problem))?;
    if rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        let problem = "contains white space, a backslash or a control character";
        return Err(error(shown(), problem.to_owned()));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // As in `http:/host:port`.
    if !text.contains("://") && !matches!(path, "" | "/") {
        return Err(error(shown(), "misses the :// after its scheme".to_owned()));
    }
    if path.contains('@') {
        let problem = "has an @ after a slash: in a user name or password write / as %2F";
        return Err(error(shown(), problem.to_owned()));
    }
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, authority),
    };
    let (host, port) = host_and_port(place).map_err(|problem| error(shown(), problem))?;
    let credentials = login.filter(|login| !login.is_empty()).map(|login| {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        Credentials::from_encoded(user, password)
    });
    let port = port.unwrap_or(match kind {
        ProxyKind::Http => 80,
        ProxyKind::Https => 443,
        ProxyKind::Socks5 | ProxyKind::Socks5h => 1080,
    });
    Ok(Proxy { kind, host, port, credentials, variable })
}

/// Returns the kind of proxy that the scheme names, in any case, and the rest. Without a scheme
/// the proxy is an HTTP one, as in curl.
fn scheme(text: &str) -> Result<(ProxyKind, &str), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((ProxyKind::Http, text));
    };
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "http" => ProxyKind::Http,
        "https" => ProxyKind::Https,
        "socks5" => ProxyKind::Socks5,
        // Without a number, let the proxy resolve: that shows the name to no DNS server.
        "socks5h" | "socks" => ProxyKind::Socks5h,
        "socks4" | "socks4a" => return Err(format!("is a {scheme} proxy, which is not supported")),
        _ => return Err("has an unknown scheme".to_owned()),
    };
    Ok((kind, rest))
}

/// Parses `HOST[:PORT]` or `[ADDRESS][:PORT]`.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), String> {
    let bad_host = || "has no valid host".to_owned();
    let (place, zone) = zone::split(place).ok_or_else(bad_host)?;
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (place.as_str(), ""),
    };
    let port = match port {
        "" => None,
        port => match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Some(number),
            _ => return Err("has no valid port".to_owned()),
        },
    };
    let host = match Host::parse(host).map_err(|_| bad_host())? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Ok((zone.map_or(host.clone(), |zone| format!("{host}%{zone}")), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(value: &str, kind: ProxyKind, host: &str, port: u16) {
        let proxy = parse("ALL_PROXY", Some(value)).unwrap();
        assert_eq!((proxy.kind, &*proxy.host, proxy.port), (kind, host, port), "{value}");
    }

    #[test]
    fn proxies_are_parsed_as_in_curl() {
        check("http://p.example:3128", ProxyKind::Http, "p.example", 3128);
        check("HTTP://P.Example:3128/", ProxyKind::Http, "p.example", 3128);
        check("p.example:3128", ProxyKind::Http, "p.example", 3128);
        check("p.example", ProxyKind::Http, "p.example", 80);
        check(" http://p.example:3128 ", ProxyKind::Http, "p.example", 3128);
        check("http://p.example:/", ProxyKind::Http, "p.example", 80);
        check("http://p.example:3128/path", ProxyKind::Http, "p.example", 3128);
        check("https://p.example", ProxyKind::Https, "p.example", 443);
        check("socks5://p.example", ProxyKind::Socks5, "p.example", 1080);
        check("socks5h://127.0.0.1:9050", ProxyKind::Socks5h, "127.0.0.1", 9050);
        check("SOCKS5H://127.0.0.1:9050", ProxyKind::Socks5h, "127.0.0.1", 9050);
        check("socks://127.0.0.1:9050", ProxyKind::Socks5h, "127.0.0.1", 9050);
        check("Socks://localhost", ProxyKind::Socks5h, "localhost", 1080);
        check("http://[::1]:3128", ProxyKind::Http, "::1", 3128);
        check("[::1]", ProxyKind::Http, "::1", 80);
        check("http://[fe80::1%25eth0]:3128", ProxyKind::Http, "fe80::1%eth0", 3128);
        check("http://me:p%40ss@p.example:1", ProxyKind::Http, "p.example", 1);
        let proxy = parse("ALL_PROXY", Some("me:p%40ss@p.example:1")).unwrap();
        assert_eq!(proxy.credentials, Some(Credentials::new("me", "p@ss")));
    }

    #[test]
    fn an_unusable_value_is_an_error_that_names_its_variable() {
        for (value, problem) in [
            ("foo://p.example", "unknown scheme"),
            ("socks4://p.example:1", "socks4 proxy"),
            ("socks4a://p.example:1", "socks4a proxy"),
            ("://p.example", "unknown scheme"),
            (" ", "no valid host"),
            ("http://", "no valid host"),
            ("http:/p.example:3128", "misses the ://"),
            ("http:p.example:3128", "no valid host"),
            ("http//p.example:3128", "misses the ://"),
            ("http://p.example:0", "no valid port"),
            ("http://p.example:99999", "no valid port"),
            ("http://p.example:+80", "no valid port"),
            ("http://p.example:80x", "no valid port"),
            ("http://p example:80", "white space"),
            ("http://p.example:80\u{7}", "a control character"),
            ("http://p<x>.example", "no valid host"),
            ("http://::1:80", "no valid host"),
            ("http://me:s3/cret@p.example", "%2F"),
        ] {
            let error = parse("ALL_PROXY", Some(value)).map(|proxy| format!("{proxy:?}"));
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with("ALL_PROXY ") && error.contains(problem), "{value}: {error}");
            assert!(!error.contains("s3") && !error.contains("cret"), "{error}");
        }
        assert!(parse("ALL_PROXY", None).unwrap_err().to_string().contains("not UTF-8"));
    }

    proptest! {
        #[test]
        fn any_value_is_a_proxy_or_an_error(value in any::<String>()) {
            match parse("ALL_PROXY", Some(&value)) {
                Ok(proxy) => prop_assert!(proxy.port > 0 && !proxy.host.is_empty()),
                Err(error) => prop_assert!(error.to_string().contains("ALL_PROXY")),
            }
        }
    }
}
