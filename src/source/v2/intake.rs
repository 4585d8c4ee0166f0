//! The messages of one v2 connection: which become lines, which end it, which are passed over.
//! Pure but for the log and the counters.

use crate::display::printable::one_line;
use crate::event::batch::Batch;
use crate::event::shape::Shape;
use crate::event::space;
use crate::event::v2::{self, Message, Unreadable};
use crate::metrics::Metrics;
use crate::source::reject;

/// Most characters of a server's words that are shown.
const MAX_SHOWN_CHARS: usize = 300;

/// The advisory that a time was older than what the server holds (§4).
const OUTDATED_CURSOR: &str = "OutdatedCursor";

/// What a message came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A line in the batch.
    Event,
    /// An event that is no line: damaged, or of a kind that only later servers know.
    Skipped,
    /// Nothing that counts as an event.
    Advisory,
    /// The server's last message: it ends the connection.
    Last(Farewell),
    /// It is no v2 message, and none has come before: another protocol is spoken here.
    Foreign,
}

/// Why a server ends a connection, in its own words (protocol/jetstream-v2.md §5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Farewell {
    /// Too far behind, and scanning too slowly.
    #[error("the server ended the stream since it was read too slowly (ConsumerTooSlow: {0})")]
    TooSlow(String),
    /// Something failed on the server.
    #[error("the server ended the stream after a failure of its own (InternalError: {0})")]
    Internal(String),
    /// A name of a later server.
    #[error("the server ended the stream with {name:?}: {message}")]
    Other {
        /// The name, printable.
        name: String,
        /// The server's words, printable.
        message: String,
    },
}

/// The state of one connection.
#[derive(Debug)]
pub struct Intake {
    shape: Shape,
    /// The sequence number of the last event; 0 before the first.
    last_seq: u64,
    /// Whether any message was one of v2.
    is_v2: bool,
    is_clamped: bool,
}

impl Intake {
    /// A connection whose events become lines of this shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self { shape, last_seq: 0, is_v2: false, is_clamped: false }
    }

    /// Whether the server said that it no longer holds the instant that was asked for.
    #[must_use]
    pub fn is_clamped(&self) -> bool {
        self.is_clamped
    }

    /// The shape of the lines.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes one message.
    pub fn take(&mut self, message: &[u8], batch: &mut Batch, metrics: &Metrics) -> Taken {
        let message = space::trimmed(message);
        match v2::read(message) {
            Err(Unreadable::Malformed(error)) => match space::compacted(message) {
                Some(compact) => self.took(v2::read(&compact), message, batch, metrics),
                None => self.took(Err(error.into()), message, batch, metrics),
            },
            read => self.took(read, message, batch, metrics),
        }
    }

    fn took(
        &mut self,
        read: Result<Message<'_>, Unreadable>,
        message: &[u8],
        batch: &mut Batch,
        metrics: &Metrics,
    ) -> Taken {
        if matches!(read, Err(Unreadable::NoEnvelope)) && !self.is_v2 {
            return Taken::Foreign;
        }
        self.is_v2 |= read.is_ok();
        match read {
            Ok(Message::Event(event, json)) => {
                if event.seq <= self.last_seq {
                    self.tell_disorder(event.seq, metrics);
                }
                self.last_seq = event.seq;
                match self.shape {
                    Shape::V1 => event.write_v1_line(batch.open_line()),
                    Shape::Native => batch.open_line().extend_from_slice(json.as_bytes()),
                }
                batch.end_line();
                Taken::Event
            }
            Ok(Message::Info { name, message }) => {
                self.take_info(&name, &message);
                Taken::Advisory
            }
            Ok(Message::Error { name, message }) => Taken::Last(farewell(&name, &message)),
            Ok(Message::Unknown(kind)) => {
                metrics.received.add(1);
                metrics.unknown.add(1);
                let total = metrics.unknown.get();
                if total.is_power_of_two() {
                    let kind = one_line(kind.as_bytes(), MAX_SHOWN_CHARS);
                    tracing::warn!(
                        total,
                        "passed over an event of a type that skytail does not know: {kind}"
                    );
                }
                Taken::Skipped
            }
            Err(error) => {
                reject(metrics, &error.to_string(), message);
                Taken::Skipped
            }
        }
    }

    fn take_info(&mut self, name: &str, message: &str) {
        self.is_clamped |= name == OUTDATED_CURSOR;
        let name = one_line(name.as_bytes(), MAX_SHOWN_CHARS);
        let message = one_line(message.as_bytes(), MAX_SHOWN_CHARS);
        tracing::info!("the server says {name}: {message}");
    }

    /// Order is the server's promise (§4). What is lost or doubled by its breach nobody can say
    /// from numbers; identities decide, as always.
    #[cold]
    fn tell_disorder(&self, seq: u64, metrics: &Metrics) {
        metrics.disordered.add(1);
        let total = metrics.disordered.get();
        if total.is_power_of_two() {
            let last = self.last_seq;
            let what = if seq == last { "repeated" } else { "went back" };
            tracing::warn!(
                total,
                "the server's sequence numbers {what}: seq {seq} came after seq {last}; each event is printed once all the same"
            );
        }
    }
}

fn farewell(name: &str, message: &str) -> Farewell {
    let message = one_line(message.as_bytes(), MAX_SHOWN_CHARS);
    match name {
        "ConsumerTooSlow" => Farewell::TooSlow(message),
        "InternalError" => Farewell::Internal(message),
        _ => Farewell::Other { name: one_line(name.as_bytes(), MAX_SHOWN_CHARS), message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> String {
        format!(
            r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
        )
    }

    #[test]
    fn messages_become_lines_of_the_shape_that_is_wanted() {
        let (mut batch, metrics) = (Batch::default(), Metrics::default());
        let mut v1 = Intake::new(Shape::V1);
        assert_eq!(v1.take(event(5).as_bytes(), &mut batch, &metrics), Taken::Event);
        let mut native = Intake::new(Shape::Native);
        assert_eq!(native.take(event(5).as_bytes(), &mut batch, &metrics), Taken::Event);
        let headers: Vec<_> = batch.lines().collect();
        assert_eq!(Shape::V1.parse(headers[0]), Shape::Native.parse(headers[1]));
        assert!(headers[1].starts_with(br#"{"$type":"network"#));
    }

    #[test]
    fn white_space_around_and_within_a_message_is_no_fault() {
        let (mut batch, metrics) = (Batch::default(), Metrics::default());
        let mut intake = Intake::new(Shape::Native);
        let value: serde_json::Value = serde_json::from_str(&event(6)).unwrap();
        for message in [format!(" {}\r\n", event(5)), serde_json::to_string_pretty(&value).unwrap()]
        {
            assert_eq!(intake.take(message.as_bytes(), &mut batch, &metrics), Taken::Event);
        }
        assert!(batch.lines().all(|line| Shape::Native.parse(line).is_ok()));
        assert_eq!(metrics.malformed.get(), 0);
    }

    #[test]
    fn an_advisory_is_no_event_and_an_error_is_the_end() {
        let (mut batch, metrics) = (Batch::default(), Metrics::default());
        let mut intake = Intake::new(Shape::V1);
        let mut take = |message: &str| {
            let taken = intake.take(message.as_bytes(), &mut batch, &metrics);
            (taken, intake.is_clamped())
        };
        let info = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","name":"NAME","message":"m"}}"#;
        assert_eq!(take(info), (Taken::Advisory, false));
        assert_eq!(take(&info.replace("NAME", OUTDATED_CURSOR)), (Taken::Advisory, true));
        let error = r#"{"$type":"error","error":"NAME","message":"m\u001b[31m"}"#;
        for (name, farewell) in [
            ("ConsumerTooSlow", Farewell::TooSlow("m [31m".into())),
            ("InternalError", Farewell::Internal("m [31m".into())),
            ("New", Farewell::Other { name: "New".into(), message: "m [31m".into() }),
        ] {
            let taken = take(&error.replace("NAME", name)).0;
            assert_eq!(taken, Taken::Last(farewell));
        }
        assert!(batch.is_empty());
    }

    #[test]
    fn an_object_without_a_type_is_foreign_only_as_the_first_thing() {
        let (mut batch, metrics) = (Batch::default(), Metrics::default());
        let mut intake = Intake::new(Shape::V1);
        let mut take = |message: &str| intake.take(message.as_bytes(), &mut batch, &metrics);
        let v1 = r#"{"did":"did:plc:a","time_us":1,"kind":"commit"}"#;
        assert_eq!(take("{broken"), Taken::Skipped);
        assert_eq!(take(v1), Taken::Foreign);
        assert_eq!(take(&event(5)), Taken::Event);
        assert_eq!(take(v1), Taken::Skipped);
        assert_eq!(metrics.malformed.get(), 2);
    }

    #[test]
    fn numbers_that_do_not_rise_are_counted_and_the_events_kept() {
        let (mut batch, metrics) = (Batch::default(), Metrics::default());
        let mut intake = Intake::new(Shape::V1);
        for seq in [5, 5, 4, 6] {
            intake.take(event(seq).as_bytes(), &mut batch, &metrics);
        }
        assert_eq!((batch.len(), metrics.disordered.get()), (4, 2));
    }
}
