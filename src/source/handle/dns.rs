//! Looks up a handle's DID in DNS: the TXT record of `_atproto.HANDLE`.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::time::{Instant, timeout_at};

use super::syntax::Handle;
use crate::display::printable::one_line;
use crate::filter::syntax::is_did;

/// The start of a record with a DID.
const PREFIX: &[u8] = b"did=";
/// The longest name in DNS, in characters of its text form.
const MAX_NAME_BYTES: usize = 253;

/// Why DNS has no DID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsProblem {
    /// No record has a DID.
    #[error("DNS has no did= in a TXT record of {0}")]
    NoRecord(String),
    /// Several records have different DIDs.
    #[error("the TXT records of {name} in DNS name more than one DID ({first} and {second})")]
    Conflict {
        /// The name of the records.
        name: String,
        /// One DID.
        first: String,
        /// Another one.
        second: String,
    },
    /// The value of a record is not a DID.
    #[error("the TXT record of {name} in DNS names {value:?}, which is not a DID")]
    NoDid {
        /// The name of the record.
        name: String,
        /// The value, printable.
        value: String,
    },
    /// DNS was not used, because the proxy that this variable names resolves names.
    #[error("DNS was not asked, because {0} names a proxy (--dns-server names a server to ask)")]
    NotAsked(&'static str),
    /// No DNS server answered.
    #[error("DNS gave no answer ({0})")]
    NoAnswer(String),
}

/// Looks up DIDs in DNS.
#[derive(Debug)]
pub struct DnsLookup {
    resolver: Result<TokioResolver, String>,
}

impl DnsLookup {
    /// Asks `server`, or those of the system; each question may take `timeout`.
    #[must_use]
    pub fn new(server: Option<SocketAddr>, timeout: Duration) -> Self {
        Self { resolver: resolver(server, timeout).map_err(|error| error.to_string()) }
    }

    /// Returns the DID of a handle.
    ///
    /// # Errors
    /// [`DnsProblem`].
    pub(super) async fn did(
        &self,
        handle: &Handle,
        deadline: Instant,
    ) -> Result<String, DnsProblem> {
        let name = format!("_atproto.{handle}");
        if name.len() > MAX_NAME_BYTES {
            return Err(DnsProblem::NoRecord(name));
        }
        let resolver = self.resolver.as_ref().map_err(|e| DnsProblem::NoAnswer(e.clone()))?;
        // The dot at the end excludes the system's search domains.
        let query = resolver.txt_lookup(format!("{name}."));
        let answer = match timeout_at(deadline, query).await {
            Err(_) => return Err(DnsProblem::NoAnswer("timed out".to_owned())),
            Ok(Err(error)) if error.is_no_records_found() => {
                return Err(DnsProblem::NoRecord(name));
            }
            Ok(Err(error)) => {
                let text = one_line(error.to_string().as_bytes(), 100);
                return Err(DnsProblem::NoAnswer(text));
            }
            Ok(Ok(answer)) => answer,
        };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        });
        only_did(name, texts)
    }
}

/// Returns the only DID in the records. Ignores records of other kinds.
fn only_did(name: String, texts: impl Iterator<Item = Vec<u8>>) -> Result<String, DnsProblem> {
    let mut found: Option<String> = None;
    for text in texts {
        let Some(value) = text.strip_prefix(PREFIX) else { continue };
        let did = std::str::from_utf8(value).ok().filter(|value| is_did(value));
        let Some(did) = did else {
            return Err(DnsProblem::NoDid { name, value: one_line(value, 80) });
        };
        match found {
            Some(first) if first != did => {
                let second = did.to_owned();
                return Err(DnsProblem::Conflict { name, first, second });
            }
            _ => found = Some(did.to_owned()),
        }
    }
    found.ok_or(DnsProblem::NoRecord(name))
}

fn resolver(server: Option<SocketAddr>, timeout: Duration) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = address.port();
            }
            let server = NameServerConfig::new(address.ip(), true, connections);
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    // Two attempts within the timeout.
    options.timeout = timeout / 2;
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_did_of(texts: &[&str]) -> Result<String, DnsProblem> {
        only_did("_atproto.a.com".into(), texts.iter().map(|text| text.as_bytes().to_vec()))
    }

    #[test]
    fn one_did_is_returned_and_two_are_a_conflict() {
        let did = || Ok("did:plc:abc".to_owned());
        assert_eq!(only_did_of(&["v=spf1 -all", "did=did:plc:abc", "did=did:plc:abc"]), did());
        let error = only_did_of(&["did=did:plc:abc", "did=did:web:b.com"]).unwrap_err();
        assert!(matches!(error, DnsProblem::Conflict { .. }), "{error}");
        let error = only_did_of(&["x", "did:plc:abc"]).unwrap_err();
        assert!(matches!(error, DnsProblem::NoRecord(_)), "{error}");
        let error = only_did_of(&["did=did:plc:\u{1b}[2J"]).unwrap_err();
        assert!(matches!(error, DnsProblem::NoDid { .. }), "{error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}
