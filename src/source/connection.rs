//! One connection to a server, read as batches of lines.
//!
//! [`EventConnection`] owns the transport, the frame buffer and the outgoing control frames. It
//! reads messages, answers pings, and gives each data message to the connection's [`Decoder`].
//! [`super::client`] decides what to request and opens connections.

mod error;
mod outgoing;
mod server_filter;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use super::decoder::Decoder;
use super::decoding::{Decoded, WireMessage};
use super::net::transport::Transport;
use super::protocol::Protocol;
use super::websocket::frame::{FrameBuffer, Message};
use super::websocket::handshake::Upgraded;
use super::{ConnectionInfo, RequestedCursor, count_malformed};
use crate::display::printable::printable;
use crate::event::batch::Batch;
use crate::metrics::Metrics;
use crate::position::cursor_unit::CursorUnit;
use crate::position::{Origin, ServerKind};

pub use error::StreamError;
use server_filter::ServerFilter;

/// The most characters of a close frame's reason that are shown.
const MAX_REASON_CHARS: usize = 200;

/// What the client knows about a connection before its first event.
#[derive(Clone, Debug)]
pub struct ConnectionParams {
    /// The server's label.
    pub(super) label: Arc<str>,
    /// The fingerprint of the filter; see [`Origin::stream`].
    pub(super) filter_fingerprint: u64,
    /// Where the server was asked to start.
    pub(super) requested: RequestedCursor,
    /// Counts the connections of a run.
    pub(super) number: u64,
    /// The largest message, in bytes, after decompression.
    pub(super) max_message_bytes: usize,
}

/// Why [`EventConnection::fill`] returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch reached one of its limits.
    Full,
    /// The batch has lines, and the network has no more bytes at present.
    WouldBlock,
}

/// An open connection.
#[derive(Debug)]
pub struct EventConnection {
    transport: Transport,
    frames: FrameBuffer,
    outgoing: VecDeque<Vec<u8>>,
    decoder: Decoder,
    params: ConnectionParams,
    /// `None` before the first sound event.
    info: Option<Arc<ConnectionInfo>>,
    messages: u64,
    events: u64,
    pongs: u64,
    server_filter: ServerFilter,
    metrics: Arc<Metrics>,
}

impl EventConnection {
    pub(super) fn new(
        upgraded: Upgraded,
        decoder: Decoder,
        params: ConnectionParams,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            frames: FrameBuffer::new(params.max_message_bytes, &upgraded.leftover),
            transport: upgraded.stream,
            outgoing: VecDeque::new(),
            decoder,
            params,
            info: None,
            messages: 0,
            events: 0,
            pongs: 0,
            server_filter: ServerFilter::default(),
            metrics,
        }
    }

    /// Returns the connection's number within the run.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.params.number
    }

    /// Returns the number of messages so far, control frames included.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Returns the number of events so far, malformed ones included.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Returns the number of pongs so far.
    #[must_use]
    pub fn pongs(&self) -> u64 {
        self.pongs
    }

    /// Returns the kind of server; `None` before the first sound event.
    #[must_use]
    pub fn kind(&self) -> Option<ServerKind> {
        self.info.as_ref().map(|info| info.origin.kind)
    }

    /// Describes the connection that the lines so far belong to. Before the first sound event
    /// the kind of server is a guess, and no line exists that could prove it wrong.
    #[must_use]
    pub fn info(&self) -> Arc<ConnectionInfo> {
        match &self.info {
            Some(info) => Arc::clone(info),
            None => Arc::new(self.describe(self.decoder.presumed_kind())),
        }
    }

    /// Sets whether the batches may have messages that are not decoded yet ([`Batch::decode`]).
    pub fn set_deferring(&mut self, defers: bool) {
        self.decoder.set_deferring(defers);
    }

    /// Returns the negotiated protocol.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.decoder.protocol()
    }

    /// Returns whether the server said that it no longer holds the requested time. A server says
    /// so before its first event, if at all (protocol/jetstream-v2.md §4).
    #[must_use]
    pub fn is_clamped(&self) -> bool {
        self.decoder.is_clamped()
    }

    fn describe(&self, kind: ServerKind) -> ConnectionInfo {
        let server = Arc::clone(&self.params.label);
        ConnectionInfo {
            number: self.params.number,
            origin: Origin { server, kind, filter_fingerprint: self.params.filter_fingerprint },
            requested: self.params.requested,
            protocol: self.protocol(),
            shape: self.decoder.format(),
            is_clamped: self.is_clamped(),
        }
    }

    /// Appends lines to `batch` until it holds `max_events` or `max_bytes`, or until the network
    /// has no more bytes and the batch has at least one line. Cancel-safe: lines stay in the
    /// batch.
    ///
    /// # Errors
    /// [`StreamError`] when the connection has ended. The lines that came before stay in the
    /// batch.
    pub async fn fill(
        &mut self,
        batch: &mut Batch,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Fill, StreamError> {
        poll_fn(|cx| self.poll_fill(cx, batch, max_events, max_bytes)).await
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        max_events: usize,
        max_bytes: usize,
    ) -> Poll<Result<Fill, StreamError>> {
        let is_full =
            |batch: &Batch| batch.len() >= max_events || batch.buffered_bytes() >= max_bytes;
        loop {
            while self.next_message(batch)? {
                if is_full(batch) {
                    return Poll::Ready(Ok(Fill::Full));
                }
            }
            self.poll_send(cx)?;
            let lines = batch.len();
            let room_bytes = match self.decoder.reads_inline(batch) {
                true => self.frames.begin_inline(batch),
                false => 0,
            };
            let read = match room_bytes {
                0 => self.poll_read(cx),
                _ => self.poll_read_inline(cx, batch, room_bytes, max_events),
            };
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(StreamError::Ended)),
                Poll::Ready(Ok(bytes)) => {
                    self.metrics.wire_bytes.add(bytes as u64);
                    if room_bytes > 0 {
                        self.remove_others(batch, lines)?;
                    }
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e.into())),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(Fill::WouldBlock)),
            }
            if is_full(batch) {
                return Poll::Ready(Ok(Fill::Full));
            }
        }
    }

    /// Reads into the frame buffer. Returns the number of bytes, 0 at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(self.frames.unfilled());
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut space))?;
        let bytes = space.filled().len();
        self.frames.advance(bytes);
        Poll::Ready(Ok(bytes))
    }

    /// Reads straight into `batch`, after the bytes that [`FrameBuffer::begin_inline`] put
    /// there. Returns the number of bytes, 0 at the end of the stream.
    fn poll_read_inline(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        room_bytes: usize,
        max_events: usize,
    ) -> Poll<io::Result<usize>> {
        let mut space = batch.line_buffer().limit(room_bytes);
        match pin!(self.transport.read_buf(&mut space)).poll(cx) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {
                let lines = self.frames.parse_inline_text(batch, max_events) as u64;
                self.messages += lines;
                self.events += lines;
                Poll::Ready(Ok(bytes))
            }
            no_bytes => {
                batch.discard_partial_line();
                no_bytes
            }
        }
    }

    /// Removes the messages other than events from the lines from `first` on, which were read
    /// inline, and processes them.
    fn remove_others(&mut self, batch: &mut Batch, first: usize) -> Result<(), StreamError> {
        let mut place = first;
        while let Some((at, decoded)) = self.decoder.next_other(batch, place) {
            place = at;
            self.events -= 1;
            batch.remove_line(at);
            let processed = self.on_decoded(decoded, batch);
            if processed.is_err() {
                // They came after the end.
                self.events -= (batch.len() - at) as u64;
                batch.truncate(at);
            }
            processed?;
        }
        Ok(())
    }

    /// Processes the next whole message in the frame buffer. Returns `false` if it holds no
    /// whole message.
    fn next_message(&mut self, batch: &mut Batch) -> Result<bool, StreamError> {
        let Some(message) = self.frames.next()? else { return Ok(false) };
        self.messages += 1;
        let data = match message {
            Message::Text(text) => WireMessage::Text(text),
            Message::Binary(bytes) => WireMessage::Binary(bytes),
            Message::Ping(payload) => {
                let payload = payload.to_vec();
                self.enqueue(Frame::pong(payload));
                return Ok(true);
            }
            Message::Pong => {
                self.pongs += 1;
                return Ok(true);
            }
            Message::Close { code, reason } => {
                let reason = printable(reason, MAX_REASON_CHARS);
                return Err(StreamError::Closed { code, reason });
            }
            Message::TooLong => {
                let limit = self.params.max_message_bytes;
                let what = format!("longer than --max-frame-size ({limit} bytes)");
                count_malformed(&self.metrics, &what, &[]);
                self.events += 1;
                return Ok(true);
            }
        };
        let decoded = self.decoder.decode(data, batch);
        self.on_decoded(decoded, batch)?;
        Ok(true)
    }

    /// Counts an event, or ends the connection.
    fn on_decoded(&mut self, decoded: Decoded, batch: &mut Batch) -> Result<(), StreamError> {
        match decoded {
            Decoded::Event => {
                self.events += 1;
                if self.info.is_none() {
                    self.identify(batch)?;
                }
            }
            Decoded::Skipped => self.events += 1,
            Decoded::Advisory => {}
            Decoded::ServerClose(close) => return Err(StreamError::ServerClose(close)),
            Decoded::UnknownDictionary(error) => return Err(StreamError::Dictionary(error)),
            Decoded::NotV2 => return Err(StreamError::NotV2),
        }
        Ok(())
    }

    /// Records the kind of server once the first sound event has shown it.
    fn identify(&mut self, batch: &mut Batch) -> Result<(), StreamError> {
        let Some(kind) = self.decoder.server_kind() else { return Ok(()) };
        let is_seq = matches!(self.params.requested, RequestedCursor::Seq(_));
        if is_seq && kind.cursor_unit() != CursorUnit::Seq {
            // The server took the number for a time, so its replay starts somewhere else.
            batch.reset(usize::MAX);
            return Err(StreamError::NoSequence);
        }
        tracing::info!(server = %self.params.label, server_kind = kind.as_str(), "receiving events");
        self.info = Some(Arc::new(self.describe(kind)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
