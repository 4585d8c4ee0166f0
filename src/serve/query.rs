//! Parses query strings; each endpoint interprets its own parameters.

use super::response::Response;
use crate::position::ServerKind;

/// The parameters of a query string, in order.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

/// A query string that v2 servers reject.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidQuery;

impl Query {
    /// Parses a query string. v2 rejects malformed pairs; legacy ignores them.
    pub(super) fn parse(query: &str, kind: ServerKind) -> Result<Self, InvalidQuery> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            if is_well_formed(pair) {
                pairs.extend(url::form_urlencoded::parse(pair.as_bytes()).into_owned());
            } else if kind == ServerKind::V2 {
                return Err(InvalidQuery);
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.clone()).collect()
    }
}

impl From<InvalidQuery> for Response {
    fn from(InvalidQuery: InvalidQuery) -> Self {
        Self::bad_request("subscribe: invalid query string")
    }
}

/// Returns whether a pair has neither a raw semicolon nor an invalid percent escape.
fn is_well_formed(pair: &str) -> bool {
    let escapes_are_hex = pair.split('%').skip(1).all(|after| {
        after.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    !pair.contains(';') && escapes_are_hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_malformed_ones_rejected_on_v2_only() {
        let query = Query::parse("a=1&b=x%2Ay&a=2&&c", ServerKind::V2).unwrap();
        assert_eq!(query.first("a"), Some("1"));
        assert_eq!(query.all("a"), ["1", "2"]);
        assert_eq!(query.first("b"), Some("x*y"));
        assert_eq!(query.first("c"), Some(""));
        for bad in ["a=%", "a=%2", "a=%zz", "a=1;b=2"] {
            assert!(Query::parse(bad, ServerKind::V2).is_err(), "{bad}");
            let query = Query::parse(&format!("{bad}&z=1"), ServerKind::Legacy).unwrap();
            assert_eq!((query.first("a"), query.first("z")), (None, Some("1")), "{bad}");
        }
    }
}
