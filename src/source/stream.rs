//! The lines of one connection: messages into batches, pings answered, the server's kind told.
//! What is asked for, and what a v2 message means, is known elsewhere.

mod breadth;
mod error;
mod outgoing;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use crate::compression::inflate::{InflateError, Inflater};
use crate::event::batch::Batch;
use crate::event::header;
use crate::event::shape::Shape;
use crate::event::space;
use crate::metrics::Metrics;
use crate::position::{Origin, ServerKind};
use crate::source::frame::{FrameBuffer, Message};
use crate::source::handshake::Upgraded;
use crate::source::protocol::Protocol;
use crate::source::transport::Transport;
use crate::source::v2::intake::{Intake, Taken};
use crate::source::{Asked, Connection, reject};

use breadth::Breadth;
pub use error::StreamError;

/// Memory kept between v2 messages that are decompressed, in bytes.
const KEEP_INFLATED_BYTES: usize = 256 * 1024;

/// The limits of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub(super) max_message_bytes: usize,
}

/// What is known of a connection before its first event.
#[derive(Clone, Debug)]
pub struct About {
    /// The server's name.
    pub(super) label: Arc<str>,
    /// The fingerprint of the filter.
    pub(super) stream: u64,
    /// Where it was asked to begin.
    pub(super) asked: Asked,
    /// Counts the connections of a run.
    pub(super) number: u64,
}

/// Why [`Stream::fill`] returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch is as full as it may be.
    Full,
    /// The batch has lines, and no more bytes are here yet.
    Dry,
}

/// One connection.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    frames: FrameBuffer,
    outgoing: VecDeque<Vec<u8>>,
    inflater: Option<Inflater>,
    /// What v2 messages come to; `None` where v1 is spoken.
    intake: Option<Intake>,
    /// A v2 message, decompressed.
    inflated: Vec<u8>,
    max_message_bytes: usize,
    about: About,
    connection: Option<Arc<Connection>>,
    messages: u64,
    events: u64,
    pongs: u64,
    /// The message before this one was compressed with another dictionary.
    was_foreign: bool,
    breadth: Breadth,
    /// The server writes events over several lines.
    is_spaced: bool,
    metrics: Arc<Metrics>,
}

impl Stream {
    pub(super) fn new(
        upgraded: Upgraded,
        limits: Limits,
        inflater: Option<Inflater>,
        intake: Option<Intake>,
        about: About,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            frames: FrameBuffer::new(limits.max_message_bytes, &upgraded.leftover),
            transport: upgraded.stream,
            outgoing: VecDeque::new(),
            inflater,
            intake,
            inflated: Vec::new(),
            max_message_bytes: limits.max_message_bytes,
            about,
            connection: None,
            messages: 0,
            events: 0,
            pongs: 0,
            was_foreign: false,
            breadth: Breadth::default(),
            is_spaced: false,
            metrics,
        }
    }

    /// The connection's number within the run.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.about.number
    }

    /// Messages of any kind so far.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Events so far, malformed ones included.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Answers to our pings so far.
    #[must_use]
    pub fn pongs(&self) -> u64 {
        self.pongs
    }

    /// Whether a sound event has come.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.connection.is_some()
    }

    /// What the server turned out to be; `None` before the first sound event.
    #[must_use]
    pub fn kind(&self) -> Option<ServerKind> {
        self.connection.as_ref().map(|connection| connection.origin.kind)
    }

    /// What the lines so far belong to. Before the first sound event the kind of server is
    /// a guess, and no line that could prove it wrong exists.
    #[must_use]
    pub fn connection(&self) -> Arc<Connection> {
        match &self.connection {
            Some(connection) => Arc::clone(connection),
            None => Arc::new(self.describe(match self.intake {
                Some(_) => ServerKind::V2,
                None => ServerKind::Legacy,
            })),
        }
    }

    /// The protocol spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        if self.intake.is_some() { Protocol::V2 } else { Protocol::V1 }
    }

    /// Whether the server said that it no longer holds the instant that was asked for. Said in
    /// front of the first event, if at all (protocol/jetstream-v2.md §4).
    #[must_use]
    pub fn is_clamped(&self) -> bool {
        self.intake.as_ref().is_some_and(Intake::is_clamped)
    }

    fn describe(&self, kind: ServerKind) -> Connection {
        let server = Arc::clone(&self.about.label);
        let origin = Origin { server, kind, stream: self.about.stream };
        Connection {
            number: self.about.number,
            origin,
            asked: self.about.asked,
            protocol: self.protocol(),
            shape: self.intake.as_ref().map_or(Shape::V1, Intake::shape),
            is_clamped: self.is_clamped(),
        }
    }

    /// Appends lines to `batch` until it holds `max_events` or `max_bytes`, or until no more
    /// bytes are here and it has at least one. Cancel-safe: lines stay in the batch.
    ///
    /// # Errors
    /// [`StreamError`]: the connection is over. Lines that came before are in the batch.
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
        let is_full = |batch: &Batch| batch.len() >= max_events || batch.held_bytes() >= max_bytes;
        loop {
            while self.take_message(batch)? {
                if is_full(batch) {
                    return Poll::Ready(Ok(Fill::Full));
                }
            }
            self.poll_send(cx)?;
            let room_bytes = if self.has_lines() { self.frames.open_in(batch) } else { 0 };
            let read = match room_bytes {
                0 => self.poll_read(cx),
                _ => self.poll_read_lines(cx, batch, room_bytes, max_events),
            };
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(StreamError::Ended)),
                Poll::Ready(Ok(bytes)) => self.metrics.wire_bytes.add(bytes as u64),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e.into())),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(Fill::Dry)),
            }
            if is_full(batch) {
                return Poll::Ready(Ok(Fill::Full));
            }
        }
    }

    /// Whether messages are lines as they come, and nothing is to be learned from the next.
    fn has_lines(&self) -> bool {
        let is_plain = self.intake.is_none() && self.inflater.is_none();
        is_plain && self.connection.is_some() && !self.is_spaced
    }

    /// Reads to where frames are taken apart. Says how many bytes came; 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(self.frames.spare());
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut space))?;
        let bytes = space.filled().len();
        self.frames.filled(bytes);
        Poll::Ready(Ok(bytes))
    }

    /// Reads to where lines shall stand, behind what [`FrameBuffer::open_in`] opened. Says how
    /// many bytes came; 0 at the end.
    fn poll_read_lines(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        room_bytes: usize,
        max_events: usize,
    ) -> Poll<io::Result<usize>> {
        let mut space = batch.open_line().limit(room_bytes);
        match pin!(self.transport.read_buf(&mut space)).poll(cx) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {
                let taken = self.frames.take_texts(batch, max_events) as u64;
                self.messages += taken;
                self.events += taken;
                Poll::Ready(Ok(bytes))
            }
            nothing => {
                batch.discard_open_line();
                nothing
            }
        }
    }

    /// Deals with the next whole message; `false` where there is none yet.
    fn take_message(&mut self, batch: &mut Batch) -> Result<bool, StreamError> {
        // Its first events show whether a server writes them over several lines; then the
        // others are not searched for line breaks.
        let may_be_spaced = self.connection.is_none() || self.is_spaced;
        let one_line = |text| if may_be_spaced { space::compacted(text) } else { None };
        let Some(message) = self.frames.next()? else { return Ok(false) };
        self.messages += 1;
        match message {
            Message::Text(line) => {
                if let Some(intake) = &mut self.intake {
                    let taken = intake.take(line, batch, &self.metrics);
                    return self.took(taken);
                }
                let text = space::trimmed(line);
                match one_line(text) {
                    Some(compact) => {
                        self.is_spaced = true;
                        batch.push(&compact);
                    }
                    None => batch.push(text),
                }
            }
            Message::Binary(bytes) => {
                let Some(inflater) = &mut self.inflater else {
                    reject(&self.metrics, "binary, though plain text was asked for", &[]);
                    self.events += 1;
                    return Ok(true);
                };
                // A v1 message is a line as it is; a v2 message becomes one.
                let out = match self.intake {
                    Some(_) => {
                        self.inflated.clear();
                        &mut self.inflated
                    }
                    None => batch.open_line(),
                };
                match inflater.append(bytes, out, self.max_message_bytes) {
                    Ok(()) => self.was_foreign = false,
                    Err(e) => {
                        batch.discard_open_line();
                        return self.not_inflated(e);
                    }
                }
                if let Some(intake) = &mut self.intake {
                    let taken = intake.take(&self.inflated, batch, &self.metrics);
                    // A large event is rare; its memory is given back.
                    self.inflated.shrink_to(KEEP_INFLATED_BYTES);
                    return self.took(taken);
                }
                let (before, length) = space::text_span(batch.opened());
                let text = batch.opened().get(before..before + length).unwrap_or_default();
                match one_line(text) {
                    Some(compact) => {
                        self.is_spaced = true;
                        batch.discard_open_line();
                        batch.push(&compact);
                    }
                    None => {
                        batch.take_line(before, length);
                        batch.discard_open_line();
                    }
                }
            }
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
                let reason = crate::display::printable::printable(reason, 200);
                return Err(StreamError::Closed { code, reason });
            }
            Message::TooLong => {
                let limit = self.max_message_bytes;
                let what = format!("longer than --max-frame-size ({limit} bytes)");
                reject(&self.metrics, &what, &[]);
                self.events += 1;
                return Ok(true);
            }
        }
        self.events += 1;
        if self.connection.is_none() {
            self.meet(batch)?;
        }
        Ok(true)
    }

    /// Draws the consequences of a v2 message.
    fn took(&mut self, taken: Taken) -> Result<bool, StreamError> {
        match taken {
            Taken::Event => {
                self.events += 1;
                if self.connection.is_none() {
                    self.connection = Some(Arc::new(self.describe(ServerKind::V2)));
                    tracing::info!(server = %self.about.label, server_kind = "v2", "receiving events");
                }
            }
            Taken::Skipped => self.events += 1,
            Taken::Advisory => {}
            Taken::Last(farewell) => return Err(StreamError::Farewell(farewell)),
            Taken::Foreign => return Err(StreamError::NotV2),
        }
        Ok(true)
    }

    fn not_inflated(&mut self, error: InflateError) -> Result<bool, StreamError> {
        if matches!(error, InflateError::Dictionary { .. }) && self.is_believed() {
            return Err(StreamError::Dictionary(error));
        }
        reject(&self.metrics, &error.to_string(), &[]);
        self.events += 1;
        Ok(true)
    }

    /// Whether a message of another dictionary speaks for the server: a second one in a row
    /// does. One alone is damaged. (If it was not, the next connection's replay brings it
    /// again.)
    fn is_believed(&mut self) -> bool {
        std::mem::replace(&mut self.was_foreign, true)
    }

    /// Tells the kind of server from its first sound event (protocol/jetstream-v1.md §2).
    fn meet(&mut self, batch: &mut Batch) -> Result<(), StreamError> {
        let Some(header) = batch.lines().last().and_then(|line| header::parse(line).ok()) else {
            return Ok(());
        };
        let kind = if header.cursor.is_some() { ServerKind::V2 } else { ServerKind::Legacy };
        if kind == ServerKind::Legacy && matches!(self.about.asked, Asked::Seq(_)) {
            // What it replays has nothing to do with what was asked for.
            batch.reset(usize::MAX);
            return Err(StreamError::NoSequence);
        }
        tracing::info!(server = %self.about.label, server_kind = kind.as_str(), "receiving events");
        self.connection = Some(Arc::new(self.describe(kind)));
        Ok(())
    }
}
