//! Proxies: chooses one for each server from the usual environment variables, and opens tunnels
//! through HTTP (CONNECT) and SOCKS5 proxies.
//!
//! An unusable setting is an error that names its variable, and never a direct connection, which
//! would show the user's address to a server that must not see it.

mod no_proxy;
mod setting;
mod socks;
mod tunnel;

use crate::source::endpoint::Endpoint;
use no_proxy::NoProxy;
pub use setting::{Proxy, ProxySettingError};
pub(super) use tunnel::tunnel;

/// What errors call a proxy that no variable set.
const FIXED: &str = "the proxy";

/// The proxies of this run.
#[derive(Debug, Default)]
pub struct Proxies {
    /// For plain-text connections.
    http: Option<Setting>,
    /// For TLS connections.
    https: Option<Setting>,
    /// For both, if they have no proxy of their own.
    all: Option<Setting>,
    no: NoProxy,
}

type Setting = Result<Proxy, ProxySettingError>;

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the lower-case form of
    /// each that is empty.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// As [`Proxies::from_env`], with a function that looks up a variable.
    fn from_variables(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let first = |names: &[&'static str]| {
            let values = names.iter().map(|name| (*name, variable(name).unwrap_or_default()));
            values.into_iter().find(|(_, value)| !value.is_empty())
        };
        let setting = |names: &[&'static str]| {
            first(names).map(|(name, value)| setting::parse(name, value.to_str()))
        };
        // In a CGI program, a client can set HTTP_PROXY with a header named Proxy.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http: &[_] = if is_cgi { &["http_proxy"] } else { &["HTTP_PROXY", "http_proxy"] };
        let no = first(&["NO_PROXY", "no_proxy"]);
        Self {
            http: setting(http),
            https: setting(&["HTTPS_PROXY", "https_proxy"]),
            all: setting(&["ALL_PROXY", "all_proxy"]),
            no: no.map(|(_, list)| NoProxy::parse(&list.to_string_lossy())).unwrap_or_default(),
        }
    }

    /// Returns the proxy for an endpoint; `None` for a direct connection. Loopback addresses, and
    /// link-local ones with their zone, are always direct, because they mean other machines to a
    /// proxy.
    ///
    /// # Errors
    /// [`ProxySettingError`] if the variable that decides is unusable.
    pub fn for_endpoint(&self, endpoint: &Endpoint) -> Result<Option<&Proxy>, &ProxySettingError> {
        let is_local = endpoint.is_loopback() || endpoint.zone.is_some();
        if is_local || self.no.matches(&endpoint.host, endpoint.port) {
            return Ok(None);
        }
        let own = if endpoint.tls { &self.https } else { &self.http };
        own.as_ref().or(self.all.as_ref()).map(Result::as_ref).transpose()
    }
}

/// For tests only.
#[doc(hidden)]
impl Proxies {
    /// Returns the setting that always connects directly.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns one proxy for all servers that `no_proxy` does not name.
    #[must_use]
    pub fn fixed(url: &str, no_proxy: &str) -> Self {
        let all = Some(setting::parse(FIXED, Some(url)));
        Self { all, no: NoProxy::parse(no_proxy), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::endpoint;

    fn variable_used(pairs: &[(&str, &str)], host: &str) -> Option<String> {
        let proxies = Proxies::from_variables(|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        });
        let endpoint = endpoint::parse(host).unwrap();
        match proxies.for_endpoint(&endpoint) {
            Ok(proxy) => proxy.map(|proxy| proxy.variable.to_owned()),
            Err(error) => Some(format!("error {}", error.variable)),
        }
    }

    #[test]
    fn the_scheme_selects_the_variable() {
        let both =
            [("HTTPS_PROXY", "http://a"), ("HTTP_PROXY", "http://b"), ("ALL_PROXY", "http://c")];
        assert_eq!(variable_used(&both, "h.example").unwrap(), "HTTPS_PROXY");
        assert_eq!(variable_used(&both, "ws://h.example").unwrap(), "HTTP_PROXY");
        assert_eq!(variable_used(&both[2..], "h.example").unwrap(), "ALL_PROXY");
        assert_eq!(variable_used(&both[1..2], "h.example"), None);
        assert_eq!(variable_used(&both, "127.0.0.1"), None);
        assert_eq!(variable_used(&both, "localhost"), None);
        assert_eq!(variable_used(&both, "[fe80::1%25eth0]"), None);
    }

    #[test]
    fn an_empty_variable_yields_to_its_lower_case_form() {
        let pairs = [
            ("HTTPS_PROXY", ""),
            ("https_proxy", "http://a"),
            ("NO_PROXY", ""),
            ("no_proxy", "b.example"),
        ];
        assert_eq!(variable_used(&pairs, "a.example").unwrap(), "https_proxy");
        assert_eq!(variable_used(&pairs, "b.example"), None);
        let upper = [("HTTPS_PROXY", "http://a"), ("https_proxy", "foo://b")];
        assert_eq!(variable_used(&upper, "a.example").unwrap(), "HTTPS_PROXY");
    }

    #[test]
    fn an_unusable_setting_is_an_error_only_if_it_decides() {
        let pairs =
            [("HTTPS_PROXY", "foo://a"), ("ALL_PROXY", "http://b"), ("NO_PROXY", "n.example")];
        assert_eq!(variable_used(&pairs, "h.example").unwrap(), "error HTTPS_PROXY");
        assert_eq!(variable_used(&pairs, "ws://h.example").unwrap(), "ALL_PROXY");
        assert_eq!(variable_used(&pairs, "n.example"), None);
        assert_eq!(variable_used(&pairs, "::1"), None);
    }

    #[test]
    fn a_header_of_a_cgi_request_selects_no_proxy() {
        let pairs =
            [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil"), ("https_proxy", "http://a")];
        assert_eq!(variable_used(&pairs, "ws://h.example"), None);
        assert_eq!(variable_used(&pairs, "h.example").unwrap(), "https_proxy");
    }
}
