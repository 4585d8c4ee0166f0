//! Parses one message of the v2 stream: its envelope and its payload.
//!
//! Source: protocol/jetstream-v2.md §3. Pure functions: bytes in, slices of them or an error out.
//! `source::v2` decides what follows from a message.

mod fast_path;
pub mod payload;
pub mod time;
mod to_v1;
mod usual_order;

use std::borrow::Cow;

use super::error::Malformed;
use super::header;
use super::header_spans::{self, FieldSpan};
use super::scanner::{RawString, Scanner};

pub use fast_path::{EventReader, NativeEvent};
use payload::{Event, Members, Payload};

/// One message of the stream.
pub enum Message<'a> {
    /// An event.
    Event(Event<'a>),
    /// An advisory, which has no position in the stream.
    Info {
        /// For example `OutdatedCursor`.
        name: Cow<'a, str>,
        /// The server's text for people.
        message: Cow<'a, str>,
    },
    /// The last message of a connection.
    Error {
        /// For example `ConsumerTooSlow` (§5).
        name: Cow<'a, str>,
        /// The server's text for people.
        message: Cow<'a, str>,
    },
    /// A type that only later servers have, with its name. The caller should skip it.
    Unknown(Cow<'a, str>),
}

/// Why a message can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The message is not a well-formed JSON object, or its event is invalid.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A JSON object without an envelope: the server does not speak v2.
    #[error("an object without $type")]
    NoEnvelope,
}

/// The members of the envelope that were found so far.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<RawString<'a>>,
    /// The place of the payload.
    payload: Option<FieldSpan>,
    /// The payload's members. They stay in place, because moving this large struct would cost more
    /// than parsing it.
    members: Members<'a>,
    error: Option<RawString<'a>>,
    message: Option<RawString<'a>>,
}

/// Parses one message and checks its structure: every slice that it returns has balanced brackets
/// and no raw control character.
///
/// # Errors
/// [`MessageError`].
pub fn read(message: &[u8]) -> Result<Message<'_>, MessageError> {
    match EventReader::default().read(message) {
        Some(event) => Ok(Message::Event(event)),
        None => read_any(message),
    }
}

/// Parses one message, as [`read`] does, with the general parser.
///
/// # Errors
/// [`MessageError`].
#[inline(never)]
pub fn read_any(message: &[u8]) -> Result<Message<'_>, MessageError> {
    header_spans::check_length(message)?;
    let mut scanner = Scanner::new(message)?;
    let mut envelope = Envelope::default();
    header::members(&mut scanner, "a JSON object expected", |scanner, key| {
        envelope.take(scanner, key)
    })?;
    scanner.end()?;
    envelope.finish(message)
}

impl<'a> Envelope<'a> {
    fn take(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Result<(), Malformed> {
        let string = match key {
            "$type" => &mut self.kind,
            "error" => &mut self.error,
            "message" => &mut self.message,
            "payload" => return self.take_payload(scanner),
            _ => return scanner.skip_value(),
        };
        match scanner.peek() {
            Some(b'"') => *string = Some(scanner.string("a member of the envelope is no string")?),
            _ => {
                *string = None;
                scanner.skip_value()?;
            }
        }
        Ok(())
    }

    /// Collects the payload's members without judging them, because the envelope's type may come
    /// later, and a payload of an unknown type may have any members.
    fn take_payload(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        let start = scanner.offset();
        let is_object = scanner.peek() == Some(b'{');
        // Of a repeated member the last one counts, whatever the others were.
        if self.payload.is_some() {
            (self.payload, self.members) = (None, Members::default());
        }
        if !is_object {
            return scanner.skip_value();
        }
        payload::read(scanner, &mut self.members)?;
        self.payload = Some(FieldSpan::plain(start, start + scanner.text_since(start).len()));
        Ok(())
    }

    fn finish(&self, text: &'a [u8]) -> Result<Message<'a>, MessageError> {
        let kind = self.kind.ok_or(MessageError::NoEnvelope)?.decode()?;
        match &*kind {
            "message" => {
                let missing = Malformed { what: "no object as payload", at: 0 };
                let payload = self.payload.ok_or(missing)?;
                Ok(match self.members.finish(text, payload)? {
                    Payload::Event(event) => Message::Event(event),
                    Payload::Info { name, message } => Message::Info { name, message },
                    Payload::Unknown(kind) => Message::Unknown(kind),
                })
            }
            "error" => {
                let decode =
                    |text: Option<RawString<'a>>| text.map_or(Ok("".into()), |t| t.decode());
                Ok(Message::Error { name: decode(self.error)?, message: decode(self.message)? })
            }
            _ => Ok(Message::Unknown(kind)),
        }
    }
}
