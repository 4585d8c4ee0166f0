//! Opens a tunnel through a proxy. Decides nothing about the stream that runs inside.

use tokio::io::AsyncWriteExt as _;

use super::setting::{Kind, Proxy};
use super::socks::{self, Destination};
use crate::display::printable::one_line;
use crate::source::dial::clock::Clock;
use crate::source::dial::error::{DialError, DialProblem, Peer, Phase, host_port};
use crate::source::dial::steps;
use crate::source::dial::with_other_scheme;
use crate::source::head::{self, Head};
use crate::source::tls::TlsContext;
use crate::source::transport::Transport;

/// Opens a stream to `target` through the proxy.
pub async fn tunnel(
    proxy: &Proxy,
    target: &Peer,
    tls: &TlsContext,
    clock: &mut Clock,
) -> Result<Transport, DialError> {
    let peer =
        Peer { host: proxy.host.clone(), port: proxy.port, proxy_variable: Some(proxy.variable) };
    let mut stream = Transport::new(steps::tcp(&peer, clock).await?);
    if proxy.kind == Kind::Https {
        let wrapped = steps::wrap_tls(&peer, tls, stream, clock).await;
        let plain = format!("http://{} in {}", host_port(&peer.host, peer.port), proxy.variable);
        stream = wrapped.map_err(|error| with_other_scheme(error, &plain))?;
    }
    // `socks5` resolves here, `socks5h` at the proxy: the same words mean the same in curl.
    let destination = match proxy.kind {
        Kind::Socks5 => {
            let addresses = steps::resolve(target, clock).await?;
            addresses.first().map(|address| Destination::Address(*address))
        }
        _ => None,
    };
    let destination = destination.unwrap_or(Destination::Name(&target.host, target.port));
    let target_name = host_port(&target.host, target.port);
    let opening = async {
        match proxy.kind {
            Kind::Http | Kind::Https => connect(proxy, stream, target_name).await,
            Kind::Socks5 | Kind::Socks5h => {
                let opened = socks::open(&mut stream, &destination, proxy.credentials.as_ref());
                match opened.await {
                    Ok(()) => Ok(stream),
                    Err(e) => Err(failed(target_name, &e)),
                }
            }
        }
    };
    match clock.run(Phase::Proxy, opening).await {
        Ok(outcome) => outcome.map_err(|problem| peer.fails(problem)),
        Err(problem) => Err(peer.fails(problem)),
    }
}

/// HTTP CONNECT (RFC 9110 §9.3.6).
async fn connect(
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
    let Head { status, reason, behind, .. } = match exchange.await {
        Ok(answer) => answer,
        Err(e) => return Err(failed(target, &e)),
    };
    if !(200..300).contains(&status) {
        let blank = if reason.is_empty() { "" } else { " " };
        let variable = proxy.variable;
        let (target, reason) = (target.into(), format!("{blank}{reason}").into());
        return Err(DialProblem::ProxyRefused { target, status, reason, variable });
    }
    // Both TLS and HTTP let the client speak first, so nothing may be here yet.
    if !behind.is_empty() {
        let reason = "the proxy sent data before the server could".to_owned();
        return Err(DialProblem::Proxy { target, reason });
    }
    Ok(stream)
}

fn failed(target: String, error: &impl std::fmt::Display) -> DialProblem {
    DialProblem::Proxy { target, reason: one_line(error.to_string().as_bytes(), 200) }
}
