//! Opens a tunnel through a proxy of any kind. TLS to the server, inside the tunnel, is the
//! caller's task.

use tokio::io::AsyncWriteExt as _;

use super::setting::{Proxy, ProxyKind};
use super::socks::{self, Destination};
use crate::display::printable::one_line;
use crate::source::http::head::{self, ResponseHead};
use crate::source::net::connect;
use crate::source::net::error::{DialError, DialProblem, Peer, host_port};
use crate::source::net::phase_timer::{Phase, PhaseTimer};
use crate::source::net::tls::TlsContext;
use crate::source::net::transport::Transport;

/// Opens a stream to `target` through the proxy.
pub async fn tunnel(
    proxy: &Proxy,
    target: &Peer,
    tls: &TlsContext,
    timer: &mut PhaseTimer,
) -> Result<Transport, DialError> {
    let peer =
        Peer { host: proxy.host.clone(), port: proxy.port, proxy_variable: Some(proxy.variable) };
    let mut stream = Transport::new(connect::tcp(&peer, timer).await?);
    if proxy.kind == ProxyKind::Https {
        let wrapped = connect::wrap_tls(&peer, tls, stream, timer).await;
        let plain_text =
            format!("http://{} in {}", host_port(&peer.host, peer.port), proxy.variable);
        stream = wrapped.map_err(|error| error.suggesting(&plain_text))?;
    }
    // As in curl, skytail resolves the name for `socks5`, and the proxy does for `socks5h`.
    let destination = match proxy.kind {
        ProxyKind::Socks5 => {
            let addresses = connect::resolve(target, timer).await?;
            addresses.first().map(|address| Destination::Address(*address))
        }
        _ => None,
    };
    let destination = destination.unwrap_or(Destination::Name(&target.host, target.port));
    let target_name = host_port(&target.host, target.port);
    let opening = async {
        match proxy.kind {
            ProxyKind::Http | ProxyKind::Https => http_connect(proxy, stream, target_name).await,
            ProxyKind::Socks5 | ProxyKind::Socks5h => {
                let opened = socks::open(&mut stream, &destination, proxy.credentials.as_ref());
                match opened.await {
                    Ok(()) => Ok(stream),
                    Err(e) => Err(proxy_error(target_name, &e)),
                }
            }
        }
    };
    match timer.run(Phase::Proxy, opening).await {
        Ok(outcome) => outcome.map_err(|problem| peer.error(problem)),
        Err(timeout) => Err(peer.timed_out(timeout)),
    }
}

/// Opens a tunnel with HTTP CONNECT (RFC 9110 §9.3.6).
async fn http_connect(
    proxy: &Proxy,
    mut stream: Transport,
    target: String,
) -> Result<Transport, DialProblem> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(credentials) = &proxy.credentials {
        request.push_str(&format!("Proxy-Authorization: {}\r\n", credentials.basic()));
    }
    request.push_str("\r\n");
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        head::read_head(&mut stream).await
    };
    let ResponseHead { status, reason, rest, .. } = match exchange.await {
        Ok(answer) => answer,
        Err(e) => return Err(proxy_error(target, &e)),
    };
    if !(200..300).contains(&status) {
        let space = if reason.is_empty() { "" } else { " " };
        let variable = proxy.variable;
        let (target, reason) = (target.into(), format!("{space}{reason}").into());
        return Err(DialProblem::ProxyRefused { target, status, reason, variable });
    }
    // In TLS and in HTTP the client sends first, so the server cannot have sent anything yet.
    if !rest.is_empty() {
        let reason = "the proxy sent data before the server could".to_owned();
        return Err(DialProblem::Proxy { target, reason });
    }
    Ok(stream)
}

fn proxy_error(target: String, error: &impl std::fmt::Display) -> DialProblem {
    DialProblem::Proxy { target, reason: one_line(error.to_string().as_bytes(), 200) }
}
