//! One message of the v2 stream: what its envelope holds.
//!
//! Source: protocol/jetstream-v2.md §3. Pure: bytes in, slices of them or an error out. What
//! follows from a message is the source's business.

mod line;
pub mod payload;
pub mod time;

use std::borrow::Cow;

use super::header;
use super::malformed::Malformed;
use super::scan::{RawString, Scanner};

use payload::{Event, Members, Payload};

/// One message.
pub enum Message<'a> {
    /// An event, and the JSON object that it was read from.
    Event(Event<'a>, &'a str),
    /// An advisory, without a place in the stream.
    Info {
        /// Its name, such as `OutdatedCursor`.
        name: Cow<'a, str>,
        /// The server's words.
        message: Cow<'a, str>,
    },
    /// The last message of a connection.
    Error {
        /// Its name, such as `ConsumerTooSlow` (§5).
        name: Cow<'a, str>,
        /// The server's words.
        message: Cow<'a, str>,
    },
    /// Of a type that only later servers know: to be passed over.
    Unknown(Cow<'a, str>),
}

/// Why a message says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no sound JSON object, or no sound event.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A JSON object that has no envelope: whoever sends it does not speak v2.
    #[error("an object without $type")]
    NoEnvelope,
}

/// The members of the envelope met so far.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<RawString<'a>>,
    /// The payload's JSON, and its members. These are large: moving them would cost more than
    /// reading them.
    payload: Option<&'a str>,
    members: Members<'a>,
    error: Option<RawString<'a>>,
    message: Option<RawString<'a>>,
}

/// Reads one message and checks its structure: all that is handed out of it is balanced, and
/// holds no raw control character.
///
/// # Errors
/// [`Unreadable`].
pub fn read(message: &[u8]) -> Result<Message<'_>, Unreadable> {
    let mut scanner = Scanner::new(message)?;
    let mut envelope = Envelope::default();
    header::members(&mut scanner, "a JSON object expected", |scanner, key| {
        envelope.take(scanner, key)
    })?;
    scanner.end()?;
    envelope.finish()
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

    /// What a payload lacks matters only where the envelope's type is known, which may be
    /// still to come.
    fn take_payload(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        let mark = scanner.mark();
        if scanner.peek() != Some(b'{') {
            self.payload = None;
            return scanner.skip_value();
        }
        if self.payload.is_some() {
            self.members = Members::default();
        }
        payload::read(scanner, &mut self.members)?;
        self.payload = Some(scanner.since(mark));
        Ok(())
    }

    fn finish(&self) -> Result<Message<'a>, Unreadable> {
        let kind = self.kind.ok_or(Unreadable::NoEnvelope)?.decode()?;
        match &*kind {
            "message" => {
                let missing = Malformed { what: "no object as payload", at: 0 };
                let json = self.payload.ok_or(missing)?;
                Ok(match self.members.finish()? {
                    Payload::Event(event) => Message::Event(event, json),
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
