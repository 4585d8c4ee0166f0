//! Opens a tunnel through a SOCKS5 proxy (RFC 1928), with a user name and a password if the
//! setting has them (RFC 1929).

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::source::endpoint::Credentials;

/// Why the tunnel could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocksError {
    #[error("{0}")]
    Io(io::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("it does not speak SOCKS5")]
    NotSocks,
    #[error(
        "it accepts none of the authentication methods of skytail: give socks5h://USER:PASSWORD@HOST:PORT"
    )]
    NoMethod,
    #[error("it refuses the user name or the password")]
    Login,
    #[error("the user name, the password or the host is longer than SOCKS5 allows (255 bytes)")]
    TooLong,
    #[error("{0}")]
    Refused(&'static str),
}

impl From<io::Error> for SocksError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// The destination of a tunnel.
#[derive(Debug)]
pub(super) enum Destination<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

/// Opens the tunnel. Reads no byte of the tunnelled stream.
pub(super) async fn open(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    destination: &Destination<'_>,
    credentials: Option<&Credentials>,
) -> Result<(), SocksError> {
    log_in(stream, credentials).await?;
    let mut request = vec![5, 1, 0];
    match destination {
        Destination::Address(address) => add_address(&mut request, address.ip(), address.port()),
        Destination::Name(host, port) => match host.parse::<IpAddr>() {
            Ok(address) => add_address(&mut request, address, *port),
            Err(_) => {
                request.push(3);
                request.extend_from_slice(&length_prefixed(host)?);
                request.extend_from_slice(&port.to_be_bytes());
            }
        },
    }
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    match reply {
        [5, 0, _, kind] => skip_address(stream, kind).await,
        [5, code, ..] => Err(SocksError::Refused(reply_text(code))),
        _ => Err(SocksError::NotSocks),
    }
}

async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&Credentials>,
) -> Result<(), SocksError> {
    let methods: &[u8] = if credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await?;
    stream.flush().await?;
    let mut picked = [0; 2];
    stream.read_exact(&mut picked).await?;
    match (picked, credentials) {
        ([5, 0], _) => Ok(()),
        ([5, 2], Some(credentials)) => {
            let mut login = vec![1];
            login.extend_from_slice(&length_prefixed(credentials.user())?);
            login.extend_from_slice(&length_prefixed(credentials.password())?);
            stream.write_all(&login).await?;
            stream.flush().await?;
            let mut status = [0; 2];
            stream.read_exact(&mut status).await?;
            if status[1] == 0 { Ok(()) } else { Err(SocksError::Login) }
        }
        ([5, _], _) => Err(SocksError::NoMethod),
        _ => Err(SocksError::NotSocks),
    }
}

fn add_address(request: &mut Vec<u8>, address: IpAddr, port: u16) {
    match address {
        IpAddr::V4(v4) => {
            request.push(1);
            request.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            request.push(4);
            request.extend_from_slice(&v6.octets());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
}

/// Skips the address at the end of a reply, which is not needed.
async fn skip_address(stream: &mut (impl AsyncRead + Unpin), kind: u8) -> Result<(), SocksError> {
    let length = match kind {
        1 => 4,
        3 => usize::from(stream.read_u8().await?),
        4 => 16,
        _ => return Err(SocksError::NotSocks),
    };
    stream.read_exact(&mut vec![0; length + 2]).await?;
    Ok(())
}

/// Returns a text with its length in front, in one byte.
fn length_prefixed(text: &str) -> Result<Vec<u8>, SocksError> {
    let length = u8::try_from(text.len()).map_err(|_| SocksError::TooLong)?;
    Ok([&[length], text.as_bytes()].concat())
}

/// Describes a reply code of RFC 1928 §6.
fn reply_text(code: u8) -> &'static str {
    match code {
        1 => "it failed for a reason of its own",
        2 => "its rules don't allow this connection",
        3 => "it can't reach the network",
        4 => "it can't reach the host, or resolve its name",
        5 => "the host refused its connection",
        6 => "its connection to the host timed out",
        7 => "it does not support connections of this kind",
        8 => "it does not support this kind of address",
        _ => "it refused with a code that SOCKS5 does not define",
    }
}
