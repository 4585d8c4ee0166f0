//! One connection from the first byte to the last: request, upgrade, then one loop that
//! sends events, reads what the client says, pings, and ends the way the imitated server
//! ends (protocol/jetstream-v1.md §6 and §9).
//!
//! Requests are decided by `request`, how events become frames is in `encode`, and what
//! `--chaos` does to a connection in `chaotic`.
//!
//! Memory per connection is bounded: one batch of output, one message of input, and on legacy
//! the queue of event numbers.

mod client_messages;
mod encode;
mod fault_injector;
mod fetch;

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

use super::archive::Endpoint;
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

/// Time for a request head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the peer to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of events between two flushes, and between two looks at what the client says.
const BATCH_BYTES: usize = 64 * 1024;
/// Bytes of an answer that must be taken within [`HEAD_TIMEOUT`].
const ANSWER_BYTES: usize = 256 * 1024;
/// Longest message that is taken in at all. Above the protocol's limit, so that legacy can
/// ignore what is too long for it and v2 can answer with a close frame.
const MAX_MESSAGE_BYTES: usize = MAX_CLIENT_MESSAGE_BYTES + (4 << 20);
/// Longest reason of a close frame, in bytes (RFC 6455 §5.5).
const MAX_REASON_BYTES: usize = 123;

type Socket = WebSocketStream<TcpStream>;
type Stop = watch::Receiver<bool>;

/// How a stream ends.
enum StreamEnd {
    /// The client is gone, or is dropped without a close frame.
    Drop,
    /// With a close frame.
    Close(CloseCode, String),
    /// On purpose: with a FIN and no close frame.
    Fin,
    /// On purpose: with an RST.
    Reset,
    /// On purpose: never, as far as the client can tell.
    Hang,
}

/// Serves one connection until it ends or `stop` says so. `number` counts the server's
/// connections from 0.
pub(super) async fn run(
    mut stream: TcpStream,
    number: u64,
    shared: &Arc<ServerState>,
    mut stop: Stop,
) {
    // Without it small batches would wait for acknowledgements; where it fails they do.
    let _ = stream.set_nodelay(true);
    let head = tokio::select! {
        head = timeout(HEAD_TIMEOUT, RequestHead::read(&mut stream)) => head,
        () = stopped(&mut stop) => return,
    };
    let mut head = match head {
        Ok(Ok(head)) => head,
        Err(_) | Ok(Err(HeadError::Disconnected)) => return,
        Ok(Err(HeadError::TooLong)) => return refuse(stream, Response::head_too_long()).await,
        Ok(Err(HeadError::Malformed)) => return refuse(stream, Response::malformed()).await,
    };
    let now = Instant::now();
    if let Some(endpoint) = Endpoint::of(&head, shared.kind()) {
        return fetch::answer(stream, endpoint, head, shared, now).await;
    }
    let rest = std::mem::take(&mut head.leftover);
    match request::route(&head, number, shared, now) {
        Err(response) => refuse(stream, response).await,
        Ok(subscription) => {
            drop(head);
            let Some(socket) = upgrade(stream, rest, &subscription).await else { return };
            session(socket, number, subscription, shared, stop, now).await;
        }
    }
}

/// Ready when the server stops, or is gone.
async fn stopped(stop: &mut Stop) {
    let _ = stop.wait_for(|&s| s).await;
}

/// Sends an answer and closes.
pub(super) async fn refuse(mut stream: impl AsyncWrite + Unpin, response: Response) {
    // The beginning goes out in one piece: there are clients that look no further for the words
    // of a refusal.
    let mut head = response.head().into_bytes();
    let mut body = response.body;
    head.extend_from_slice(&body.split_to(body.len().min(ANSWER_BYTES)));
    // A client that is gone, or does not read, misses its answer.
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
        // Allocated at once for each connection, and clients say little.
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
        StreamEnd::Reset => fault_injector::reset(&session.socket),
        StreamEnd::Hang => session.go_silent(&mut stop).await,
    }
}

struct Session<'a> {
    socket: Socket,
    shared: &'a ServerState,
    subscription: Subscription,
    /// `None` until the hello, where one is required.
    feed: Option<Feed>,
    compressor: Option<Compressor<'a>>,
    next_ping: Instant,
    /// When the connection is dropped unless a pong came.
    pong_due: Option<Instant>,
    injector: Option<FaultInjector<'a>>,
    /// The server's crashes, where it may crash.
    crashes: Option<watch::Receiver<u64>>,
}

/// When to look at the feed again.
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
                Ok(()) => self.liveness().await,
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

    /// Sends what the feed has, up to one batch.
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

    /// What a step that sends nothing means for the connection.
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

    /// Pings when it is time, and drops a v2 client that owes a pong.
    async fn liveness(&mut self) -> Result<(), StreamEnd> {
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

    /// Sends a close frame and gives the client a moment to answer: hanging up on unread
    /// input would destroy the frame on its way.
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

/// The longest start of `text` with at most `bytes` bytes.
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
