//! What `--host` names: one server and how to reach it.

use std::sync::Arc;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The path in front of `/subscribe` or `/xrpc/…`; empty for most.
    pub base_path: String,
    /// The name for people, logs and the state file: no scheme, no secrets, no default port.
    pub label: Arc<str>,
}
