//! One connection from the first byte to the last: request, upgrade, then a loop that sends events,
//! reads client messages and pings, and ends as the imitated server does (protocol/jetstream-v1.md
//! §6 and §9).
//!
//! `request` decides requests, `encode` turns events into frames, and `fault_injector` injects the
//! faults of `--chaos`.
//!
//! Memory per connection is bounded: one batch of output, one message of input, and on legacy the
//! queue of event numbers.

mod client_messages;
mod encode;
mod fault_injector;
mod fetch;
mod raw_socket;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use zstd::bulk::Compressor;

use super::archive::ArchiveEndpoint;
use super::chaos::Chaos;
use super::feed::Feed;
use super::filter::MAX_CLIENT_MESSAGE_BYTES;
use super::head::{HeadError, RequestHead};
use super::request;
use super::response::Response;
use super::step::Step;
use super::subscription::{Protocol, Subscription};
use super::{AtEnd, ServerState};
use crate::position::ServerKind;
use fault_injector::FaultInjector;

/// Timeout for a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for the peer's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of events between two flushes, and between two reads of client messages.
const BATCH_BYTES: usize = 64 * 1024;
/// Bytes of a response that the client must accept within [`HEAD_TIMEOUT`].
const ANSWER_BYTES: usize = 256 * 1024;
/// Maximum size of a message that is read at all, in bytes. Above the protocol's limit, so that
/// legacy can ignore longer messages and v2 can answer them with a close frame.
const MAX_MESSAGE_BYTES: usize = MAX_CLIENT_MESSAGE_BYTES + (4 << 20);
/// Maximum length of a close reason, in bytes (RFC 6455 §5.5).
const MAX_REASON_BYTES: usize = 123;

type Socket = WebSocketStream<TcpStream>;
type Stop = watch::Receiver<bool>;

/// How a stream ends.
enum StreamEnd {
    /// The connection is dropped without a close frame, or the client is gone.
    Drop,
    /// With a close frame.
    Close(CloseCode, String),
    /// Injected: a FIN without a close frame.
    Fin,
    /// Injected: an RST.
    Reset,
    /// Injected: the connection stays open without any activity.
    Hang,
}

/// Serves one connection until it ends or the server stops. `number` counts the server's
/// connections from 0.
pub(super) async fn run(
    mut stream: TcpStream,
    number: u64,
    shared: &Arc<ServerState>,
    mut stop: Stop,
) {
    // Disables Nagle's algorithm, which would delay small batches until an acknowledgement. If this
    // fails, they are delayed.
    let _ = stream.set_nodelay(true);
    let head = tokio::select! {
        head = timeout(HEAD_TIMEOUT, RequestHead::read(&mut stream)) => head,
        () = stopped(&mut stop) => return,
    };
    let mut head = match head {
        Ok(Ok(head)) => head,
        Err(_) | Ok(Err(HeadError::Disconnected)) => return,
        Ok(Err(HeadError::TooLong)) => {
            return send_response(stream, Response::head_too_long()).await;
        }
        Ok(Err(HeadError::Malformed)) => return send_response(stream, Response::malformed()).await,
    };
    let now = Instant::now();
    if let Some(endpoint) = ArchiveEndpoint::of(&head, shared.kind()) {
        return fetch::answer(stream, endpoint, head, shared, now).await;
    }
    let rest = std::mem::take(&mut head.leftover);
    match request::route(&head, number, shared, now) {
        Err(response) => send_response(stream, response).await,
        Ok(subscription) => {
            drop(head);
            let Some(socket) = upgrade(stream, rest, &subscription).await else { return };
            session(socket, number, subscription, shared, stop, now).await;
        }
    }
}

/// Resolves when the server stops.
async fn stopped(stop: &mut Stop) {
    let _ = stop.wait_for(|&s| s).await;
}

/// Sends a response and closes.
pub(super) async fn send_response(mut stream: impl AsyncWrite + Unpin, response: Response) {
    // The beginning is sent in one write, because some clients read the text of a refusal from the
    // first segment only.
    let mut head = response.head().into_bytes();
    let mut body = response.body;
    head.extend_from_slice(&body.split_to(body.len().min(ANSWER_BYTES)));
    // A client that is gone or does not read gets no response.
    for part in std::iter::once(&head[..]).chain(body.chunks(ANSWER_BYTES)) {
        if !matches!(timeout(HEAD_TIMEOUT, stream.write_all(part)).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(HEAD_TIMEOUT, stream.shutdown()).await;
}

async fn upgrade(
    mut stream: TcpStream,
    rest: Vec<u8>,
    subscription: &Subscription,
) -> Option<Socket> {
    let echo = match &subscription.protocol {
        Protocol::V2 { echo: Some(echo), .. } => format!("Sec-WebSocket-Protocol: {echo}\r\n"),
        _ => String::new(),
    };
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{echo}\r\n",
        subscription.accept_key
    );
    if !matches!(timeout(HEAD_TIMEOUT, stream.write_all(response.as_bytes())).await, Ok(Ok(()))) {
        return None;
    }
    let config = WebSocketConfig::default()
        // Allocated for each connection at once; client messages are short.
        .read_buffer_size(8 * 1024)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .write_buffer_size(BATCH_BYTES);
    Some(WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await)
}

async fn session(
    socket: Socket,
    number: u64,
    subscription: Subscription,
    shared: &ServerState,
    mut stop: Stop,
    now: Instant,
) {
    let dictionary = subscription.dictionary.clone();
    let compressor = match &dictionary {
        None => None,
        Some(dictionary) => match dictionary.compressor() {
            Ok(compressor) => Some(compressor),
            Err(_) => return,
        },
    };
    let mut crashes = shared.chaos.as_ref().map(Chaos::crashes);
    let crashes_so_far = crashes.as_mut().map_or(0, |crashes| *crashes.borrow_and_update());
    let mut session = Session {
        socket,
        shared,
        feed: (!subscription.require_hello).then(|| Feed::new(subscription.from, shared, now)),
        subscription,
        compressor,
        next_ping: now + shared.limits.ping_every,
        pong_due: None,
        injector: FaultInjector::new(shared, number, crashes_so_far),
        crashes,
    };
    match session.run(&mut stop).await {
        StreamEnd::Drop => {}
        StreamEnd::Close(code, reason) => session.close(code, &reason).await,
        StreamEnd::Fin => session.end_with_fin().await,
        StreamEnd::Reset => raw_socket::reset(&session.socket),
        StreamEnd::Hang => session.go_silent(&mut stop).await,
    }
}

struct Session<'a> {
    socket: Socket,
    shared: &'a ServerState,
    subscription: Subscription,
    /// `None` until the hello, if one is required.
    feed: Option<Feed>,
    compressor: Option<Compressor<'a>>,
    next_ping: Instant,
    /// When the connection is dropped if no pong has arrived.
    pong_due: Option<Instant>,
    injector: Option<FaultInjector<'a>>,
    /// The number of server crashes, if `--chaos` may crash the server.
    crashes: Option<watch::Receiver<u64>>,
}

/// When to poll the feed again.
enum Wait {
    Not,
    Until(Instant),
    ForClient,
}

impl Session<'_> {
    async fn run(&mut self, stop: &mut Stop) -> StreamEnd {
        if let Err(ended) = self.send_first_frame().await {
            return ended;
        }
        loop {
            let wait = match self.send_batch().await {
                Ok(wait) => wait,
                Err(ended) => return ended,
            };
            let timer = self.pong_due.unwrap_or(self.next_ping).min(self.next_ping);
            let pause = async {
                match wait {
                    Wait::Not => tokio::task::yield_now().await,
                    Wait::Until(at) => sleep_until(at.min(timer)).await,
                    Wait::ForClient => sleep_until(timer).await,
                }
            };
            let step = tokio::select! {
                biased;
                () = stopped(stop) => Err(self.server_stop_end()),
                () = fault_injector::crashed(&mut self.crashes) => Err(StreamEnd::Fin),
                message = self.socket.next() => self.on_client_message(message).await,
                () = pause => Ok(()),
            };
            let step = match step {
                Ok(()) => self.check_liveness().await,
                ended => ended,
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    fn kind(&self) -> ServerKind {
        self.shared.kind()
    }

    fn server_stop_end(&self) -> StreamEnd {
        match self.kind() {
            ServerKind::V2 => StreamEnd::Close(CloseCode::Away, "server shutting down".to_owned()),
            ServerKind::Legacy => StreamEnd::Drop,
        }
    }

    /// Sends the available events, up to one batch.
    async fn send_batch(&mut self) -> Result<Wait, StreamEnd> {
        let Some(mut feed) = self.feed.take() else {
            return Ok(Wait::ForClient);
        };
        let limit = self.shared.limits.write_timeout(self.kind());
        let mut injector = self.injector.take();
        let fill = async {
            match &mut injector {
                None => self.fill(&mut feed).await,
                Some(injector) => self.fill_with_faults(&mut feed, injector).await,
            }
        };
        let outcome = timeout(limit, fill).await.unwrap_or(Err(StreamEnd::Drop));
        (self.feed, self.injector) = (Some(feed), injector);
        outcome
    }

    async fn fill(&mut self, feed: &mut Feed) -> Result<Wait, StreamEnd> {
        let now = Instant::now();
        let mut bytes = 0;
        let wait = loop {
            match feed.step(&self.subscription.filter, self.shared, now, 0) {
                Step::Send(event) => {
                    let Some(frame) = self.encode(event, event)? else { continue };
                    bytes += frame.payload().len();
                    self.socket.feed(Message::Frame(frame)).await.map_err(|_| StreamEnd::Drop)?;
                    if bytes >= BATCH_BYTES {
                        break Wait::Not;
                    }
                }
                step => break self.wait_after(step)?,
            }
        };
        if bytes > 0 {
            self.socket.flush().await.map_err(|_| StreamEnd::Drop)?;
        }
        Ok(wait)
    }

    /// Returns the wait that follows a step without an event.
    fn wait_after(&self, step: Step) -> Result<Wait, StreamEnd> {
        match step {
            Step::Send(_) | Step::Yield => Ok(Wait::Not),
            Step::WaitUntil(at) => Ok(Wait::Until(at)),
            Step::End if self.shared.at_end == AtEnd::Close => {
                let end = "end of recording".to_owned();
                Err(StreamEnd::Close(CloseCode::Normal, end))
            }
            Step::End => Ok(Wait::ForClient),
            Step::Disconnect => Err(StreamEnd::Drop),
        }
    }

    /// Sends a ping when it is due, and drops a v2 client whose pong is overdue.
    async fn check_liveness(&mut self) -> Result<(), StreamEnd> {
        let now = Instant::now();
        if self.pong_due.is_some_and(|due| now >= due) {
            return Err(StreamEnd::Drop);
        }
        if now < self.next_ping {
            return Ok(());
        }
        self.next_ping = now + self.shared.limits.ping_every;
        if self.kind() == ServerKind::V2 && self.pong_due.is_none() {
            self.pong_due = Some(now + self.shared.limits.pong_within);
        }
        let limit = self.shared.limits.write_timeout(self.kind());
        let ping = self.socket.send(Message::Ping(Bytes::new()));
        match timeout(limit, ping).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StreamEnd::Drop),
        }
    }

    async fn flush(&mut self) -> Result<(), StreamEnd> {
        let limit = self.shared.limits.write_timeout(self.kind());
        match timeout(limit, self.socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StreamEnd::Drop),
        }
    }

    /// Sends a close frame and gives the client time to answer: closing a socket with unread input
    /// would reset the connection and destroy the frame.
    async fn close(&mut self, code: CloseCode, reason: &str) {
        let reason = shorten(reason, MAX_REASON_BYTES).to_owned();
        let close = async {
            let frame = CloseFrame { code, reason: reason.into() };
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}

/// Returns the longest prefix of `text` with at most `bytes` bytes.
fn shorten(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&i| text.is_char_boundary(i));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(shorten("abc", 5), "abc");
        assert_eq!(shorten("aé", 2), "a");
        assert_eq!(shorten("aé", 3), "aé");
    }
}
