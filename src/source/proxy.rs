//! Tunnels through HTTP (CONNECT) and SOCKS5 proxies, as the usual environment variables ask
//! for them. Decides nothing about the stream that runs inside.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::dial::error::{DialError, DialProblem, Peer, Phase, host_port};
use super::dial::steps;
use super::endpoint::Endpoint;
use super::head;
use super::tls::TlsContext;
use super::transport::Transport;
use crate::display::printable::one_line;

/// Which proxy to use for which endpoint.
#[derive(Debug)]
pub struct Proxies {
    matcher: Option<Matcher>,
}

impl Proxies {
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (or their lower-case
    /// forms) say now.
    #[must_use]
    pub fn from_env() -> Self {
        Self { matcher: Some(Matcher::from_env()) }
    }

    /// Always connect directly.
    #[must_use]
    pub fn none() -> Self {
        Self { matcher: None }
    }

    /// One proxy for everything that `no_proxy` (comma-separated) does not name.
    #[must_use]
    pub fn fixed(url: &str, no_proxy: &str) -> Self {
        let matcher = Matcher::builder().all(url.to_owned()).no(no_proxy.to_owned());
        Self { matcher: Some(matcher.build()) }
    }

    /// The proxy for an endpoint. Never one for loopback: a proxy's loopback is not ours.
    pub(super) fn for_endpoint(&self, endpoint: &Endpoint) -> Option<Intercept> {
        if endpoint.is_loopback() {
            return None;
        }
        let scheme = if endpoint.tls { "https" } else { "http" };
        let uri = format!("{scheme}://{}/", host_port(&endpoint.host, endpoint.port));
        self.matcher.as_ref()?.intercept(&uri.parse().ok()?)
    }
}

/// Opens a stream to `target` through the proxy.
pub(super) async fn tunnel(
    proxy: &Intercept,
    target: &Peer,
    tls: &TlsContext,
    deadline: Instant,
) -> Result<Transport, DialError> {
    let uri = proxy.uri();
    let scheme = uri.scheme_str().unwrap_or("http");
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => 1080,
    };
    let host = uri.host().unwrap_or_default();
    let peer = Peer {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: uri.port_u16().unwrap_or(default_port),
        is_proxy: true,
    };
    let target_name = host_port(&target.host, target.port);
    if !matches!(scheme, "http" | "https" | "socks5" | "socks5h") {
        return Err(peer.fails(DialProblem::Proxy {
            target: target_name,
            reason: format!(
                "{scheme} proxies are not supported: use http, https, socks5 or socks5h"
            ),
        }));
    }
    let mut stream = Transport::new(steps::tcp(&peer, deadline).await?);
    if scheme == "https" {
        stream = steps::wrap_tls(&peer, tls, stream, deadline).await?;
    }
    // `socks5` resolves here, `socks5h` at the proxy: the same words mean the same in curl.
    let destination = if scheme == "socks5" {
        let addresses = steps::resolve(target, deadline).await?;
        addresses.first().map_or(target_name, ToString::to_string)
    } else {
        target_name
    };
    let opening = async {
        match scheme {
            "http" | "https" => connect(proxy, stream, destination).await,
            _ => socks5(proxy, stream, destination).await,
        }
    };
    match timeout_at(deadline, opening).await {
        Err(_) => Err(peer.fails(DialProblem::TimedOut(Phase::Proxy))),
        Ok(outcome) => outcome.map_err(|problem| peer.fails(problem)),
    }
}

/// HTTP CONNECT (RFC 9110 §9.3.6). By hand, since the answer's status is to be told.
async fn connect(
    proxy: &Intercept,
    mut stream: Transport,
    target: String,
) -> Result<Transport, DialProblem> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(auth) = proxy.basic_auth() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(auth.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let exchange = async {
        stream.write_all(&request).await?;
        stream.flush().await?;
        head::read_head(&mut stream).await
    };
    let (answer, behind) = match exchange.await {
        Ok(answer) => answer,
        Err(e) => return Err(failed(target, &e)),
    };
    let mut headers = [httparse::EMPTY_HEADER; head::MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    if let Err(e) = response.parse(&answer) {
        return Err(failed(target, &e));
    }
    let status = response.code.unwrap_or_default();
    if !(200..300).contains(&status) {
        let words = one_line(response.reason.unwrap_or_default().as_bytes(), 80);
        let blank = if words.is_empty() { "" } else { " " };
        return Err(DialProblem::ProxyRefused {
            target,
            status,
            reason: format!("{blank}{words}"),
        });
    }
    // Both TLS and HTTP let the client speak first, so nothing may stand here yet.
    if !behind.is_empty() {
        return Err(DialProblem::Proxy {
            target,
            reason: "the proxy sent data before the server could".to_owned(),
        });
    }
    Ok(stream)
}

async fn socks5(
    proxy: &Intercept,
    stream: Transport,
    target: String,
) -> Result<Transport, DialProblem> {
    let destination = match format!("https://{target}/").parse() {
        Ok(uri) => uri,
        Err(e) => return Err(failed(target, &e)),
    };
    let mut service = SocksV5::new(proxy.uri().clone(), Connected(Some(stream)));
    if let Some((user, password)) = proxy.raw_auth() {
        service = service.with_auth(user.to_owned(), password.to_owned());
    }
    match service.call(destination).await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(e) => Err(failed(target, &e)),
    }
}

fn failed(target: String, error: &impl std::fmt::Display) -> DialProblem {
    DialProblem::Proxy { target, reason: one_line(error.to_string().as_bytes(), 200) }
}

/// Hands the SOCKS client the stream that is open already.
struct Connected(Option<Transport>);

impl Service<http::Uri> for Connected {
    type Response = TokioIo<Transport>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Transport>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let stream = self.0.take().map(TokioIo::new);
        ready(stream.ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
