//! Parses WebSocket frames from a server (RFC 6455).
//!
//! Bytes go in through [`FrameBuffer::unfilled`] and [`FrameBuffer::advance`], and messages come
//! out of [`FrameBuffer::next`], borrowed from the buffer. There is no I/O, so that fuzz targets
//! and golden tests apply directly.
//!
//! The WebSocket library's reader does not fit: it ends the connection after a message over the
//! size limit or with invalid UTF-8. Every replay would bring such an event again, and the stream
//! could never get past it. Here it costs one message, which is counted, and the stream
//! continues. (This parser is also 2.5 times as fast.) The event parser checks UTF-8, once, for
//! text and decompressed messages alike.
//!
//! Memory: the buffer starts at [`READ_BYTES`] and doubles only as bytes arrive, up to the largest
//! message allowed; it shrinks again afterwards.

/// The size of one read, in bytes. In the prototypes, 64 KiB took three quarters of the time of
/// 16 KiB; 512 KiB is no faster than this (`cargo bench --bench pipeline -- --only zstd`), and takes
/// more memory.
pub const READ_BYTES: usize = 128 * 1024;

/// The longest payload of a control frame, in bytes (RFC 6455 §5.5).
const MAX_CONTROL_BYTES: usize = 125;

/// The longest frame header from a server, in bytes: two bytes and a 64-bit length.
const MAX_HEADER_BYTES: usize = 10;

/// A message or control frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message; its UTF-8 is not checked yet.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping; the pong must repeat its payload.
    Ping(&'a [u8]),
    /// The answer to one of the client's pings.
    Pong,
    /// A close frame.
    Close {
        /// The status code, if the frame has one.
        code: Option<u16>,
        /// The reason, as it was sent.
        reason: &'a [u8],
    },
    /// A message over the size limit, which was skipped.
    TooLong,
}

/// How a server violated RFC 6455. The connection is unusable afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// RSV bits without a negotiated extension.
    #[error("a frame with reserved bits")]
    ReservedBits,
    /// An opcode that RFC 6455 doesn't define.
    #[error("a frame with unknown opcode {0}")]
    UnknownOpcode(u8),
    /// A masked frame; servers must not mask.
    #[error("a masked frame")]
    Masked,
    /// A control frame that is fragmented or longer than 125 bytes.
    #[error("a bad control frame")]
    BadControl,
    /// A continuation without a first fragment, or a first fragment inside a message.
    #[error("a fragment out of order")]
    BadFragment,
    /// A 64-bit length with its highest bit set.
    #[error("an impossible frame length")]
    BadLength,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataKind {
    Text,
    Binary,
}

/// The fragments of an incomplete message.
#[derive(Debug)]
struct Fragments {
    kind: DataKind,
    bytes: Vec<u8>,
    is_too_long: bool,
}

/// The parsed header of a frame.
#[derive(Clone, Copy, Debug)]
struct Header {
    is_final: bool,
    opcode: u8,
    header_bytes: usize,
    payload_bytes: usize,
}

/// Buffers bytes from a server and parses the messages in them.
#[derive(Debug)]
pub struct FrameBuffer {
    pub(super) buffer: Vec<u8>,
    /// The start of the bytes that are not parsed yet.
    pub(super) start: usize,
    /// The end of them; the buffer is free from here on.
    pub(super) end: usize,
    /// Bytes of a message over the size limit that are still to be skipped.
    skip_bytes: usize,
    fragments: Option<Fragments>,
    /// The last fragmented message, while a caller borrows it.
    assembled: Vec<u8>,
    pub(super) max_message_bytes: usize,
}

impl FrameBuffer {
    /// Creates a buffer that begins with `leftover`, the bytes that came after the handshake.
    #[must_use]
    pub fn new(max_message_bytes: usize, leftover: &[u8]) -> Self {
        let mut buffer = vec![0; READ_BYTES.max(leftover.len())];
        if let Some(head) = buffer.get_mut(..leftover.len()) {
            head.copy_from_slice(leftover);
        }
        Self {
            buffer,
            start: 0,
            end: leftover.len(),
            skip_bytes: 0,
            fragments: None,
            assembled: Vec::new(),
            max_message_bytes,
        }
    }

    /// Returns the space to read the next bytes into; never empty. Call it only after
    /// [`FrameBuffer::next`] has returned `None`.
    pub fn unfilled(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            // A large message is rare, so its memory is freed as soon as it was processed.
            if self.buffer.len() > READ_BYTES {
                self.buffer = vec![0; READ_BYTES];
            }
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            let largest = self.max_message_bytes.saturating_add(MAX_HEADER_BYTES);
            let doubled = self.buffer.len().saturating_mul(2).min(largest);
            self.buffer.resize(doubled.max(self.buffer.len() + MAX_HEADER_BYTES), 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Records that `bytes` were read into [`FrameBuffer::unfilled`].
    pub fn advance(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes).min(self.buffer.len());
    }

    /// Returns whether the buffer's start is the start of a message, and not the inside of a
    /// fragmented or skipped one.
    pub(super) fn is_at_message_start(&self) -> bool {
        self.skip_bytes == 0 && self.fragments.is_none()
    }

    /// Returns the next message; `None` if it needs more bytes.
    ///
    /// # Errors
    /// [`FrameError`] if the server violated the protocol.
    #[allow(clippy::should_implement_trait)] // its items borrow from it, which an Iterator can't
    pub fn next(&mut self) -> Result<Option<Message<'_>>, FrameError> {
        if !self.assembled.is_empty() {
            self.assembled = Vec::new();
        }
        loop {
            if self.skip_bytes > 0 {
                let skipped = self.skip_bytes.min(self.end - self.start);
                self.start += skipped;
                self.skip_bytes -= skipped;
                if self.skip_bytes > 0 {
                    return Ok(None);
                }
            }
            let Some(header) = self.header()? else { return Ok(None) };
            if header.opcode < 8 && header.payload_bytes > self.max_message_bytes {
                if self.skip_payload(header)? {
                    return Ok(Some(Message::TooLong));
                }
                continue;
            }
            let payload = self.start + header.header_bytes;
            if self.end - payload.min(self.end) < header.payload_bytes {
                return Ok(None);
            }
            self.start = payload + header.payload_bytes;
            if let Some(located) = self.on_frame(header, payload)? {
                return Ok(Some(self.borrow(located)));
            }
        }
    }

    /// Parses the header of the frame at `start`; `None` if it is incomplete.
    fn header(&self) -> Result<Option<Header>, FrameError> {
        let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits);
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(FrameError::UnknownOpcode(opcode));
        }
        let (length_bytes, length) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (2, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (0, u64::from(short)),
        };
        if length >> 63 != 0 {
            return Err(FrameError::BadLength);
        }
        let payload_bytes = usize::try_from(length).map_err(|_| FrameError::BadLength)?;
        if opcode >= 8 && (!is_final || payload_bytes > MAX_CONTROL_BYTES) {
            return Err(FrameError::BadControl);
        }
        Ok(Some(Header { is_final, opcode, header_bytes: 2 + length_bytes, payload_bytes }))
    }

    /// Starts to skip a frame's payload. Returns whether its message ends with it.
    fn skip_payload(&mut self, header: Header) -> Result<bool, FrameError> {
        self.start += header.header_bytes;
        self.skip_bytes = header.payload_bytes;
        self.on_fragment(header, None)
    }

    /// Processes a whole frame. Returns the message that it completes, if it does.
    fn on_frame(&mut self, header: Header, payload: usize) -> Result<Option<Located>, FrameError> {
        let range = (payload, payload + header.payload_bytes);
        match header.opcode {
            8 => Ok(Some(Located::Close(range))),
            9 => Ok(Some(Located::Ping(range))),
            10 => Ok(Some(Located::Pong)),
            1 | 2 if header.is_final && self.fragments.is_none() => {
                let kind = if header.opcode == 1 { DataKind::Text } else { DataKind::Binary };
                Ok(Some(Located::Whole(kind, range)))
            }
            _ => Ok(self.on_fragment(header, Some(range))?.then_some(Located::Fragments)),
        }
    }

    /// Adds a frame to a fragmented message; `range` is `None` for a frame that is skipped.
    /// Returns whether the message is complete.
    fn on_fragment(
        &mut self,
        header: Header,
        range: Option<(usize, usize)>,
    ) -> Result<bool, FrameError> {
        let new = match header.opcode {
            1 => Some(DataKind::Text),
            2 => Some(DataKind::Binary),
            _ => None,
        };
        let mut fragments = match (self.fragments.take(), new) {
            (Some(fragments), None) => fragments,
            (None, Some(kind)) => Fragments { kind, bytes: Vec::new(), is_too_long: false },
            _ => return Err(FrameError::BadFragment),
        };
        let piece = range.and_then(|(from, to)| self.buffer.get(from..to));
        match piece {
            Some(piece) if fragments.bytes.len() + piece.len() <= self.max_message_bytes => {
                if !fragments.is_too_long {
                    fragments.bytes.extend_from_slice(piece);
                }
            }
            _ => {
                fragments.is_too_long = true;
                fragments.bytes = Vec::new();
            }
        }
        self.fragments = Some(fragments);
        if header.is_final && range.is_none() {
            self.fragments = None;
        }
        Ok(header.is_final)
    }

    /// Returns a located message as one that borrows from the buffer.
    fn borrow(&mut self, located: Located) -> Message<'_> {
        if matches!(located, Located::Fragments) {
            return self.borrow_fragments();
        }
        let slice = |(from, to): (usize, usize)| self.buffer.get(from..to).unwrap_or_default();
        match located {
            Located::Whole(DataKind::Text, range) => Message::Text(slice(range)),
            Located::Whole(DataKind::Binary, range) => Message::Binary(slice(range)),
            Located::Ping(range) => Message::Ping(slice(range)),
            Located::Pong => Message::Pong,
            Located::Close(range) => match slice(range) {
                [a, b, reason @ ..] => {
                    Message::Close { code: Some(u16::from_be_bytes([*a, *b])), reason }
                }
                _ => Message::Close { code: None, reason: &[] },
            },
            Located::Fragments => Message::TooLong,
        }
    }

    /// Returns the fragmented message that is complete now.
    fn borrow_fragments(&mut self) -> Message<'_> {
        match self.fragments.take() {
            Some(Fragments { is_too_long: false, kind, bytes }) => {
                self.assembled = bytes;
                match kind {
                    DataKind::Text => Message::Text(&self.assembled),
                    DataKind::Binary => Message::Binary(&self.assembled),
                }
            }
            _ => Message::TooLong,
        }
    }
}

/// A complete message, with the range of its payload in the buffer.
#[derive(Clone, Copy)]
enum Located {
    Whole(DataKind, (usize, usize)),
    Fragments,
    Ping((usize, usize)),
    Pong,
    Close((usize, usize)),
}

#[cfg(test)]
mod tests;
