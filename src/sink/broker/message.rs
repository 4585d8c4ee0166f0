//! A line as a message: with its account, and an id by which the broker and the next run recognise
//! it.

use std::fmt;

use bytes::Bytes;

use crate::event::batch::CompactBatch;
use crate::event::event_id::EventIdHasher;
use crate::event::format::EventFormat;

/// The event id without a secret: two runs, or two machines, that publish the same event give it
/// the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u128);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&self.0.to_be_bytes()))
    }
}

impl MessageId {
    #[cfg(test)]
    pub fn of_test(number: u8) -> Self {
        Self(u128::from(number))
    }

    /// Parses what `Display` writes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text).ok()?;
        Some(Self(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
}

/// One event to publish.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its event id.
    pub id: MessageId,
    /// Its account; empty if it has none.
    pub did: Box<str>,
    /// The line without its line feed.
    pub payload: Bytes,
}

impl Message {
    /// Returns the memory that it uses while it waits, in bytes, headers included.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.did.len() + 128
    }
}

/// Returns the messages of a batch's lines. They share one copy of the batch.
pub fn messages<'a>(
    lines: &'a CompactBatch,
    shape: EventFormat,
    identities: &'a mut EventIdHasher,
) -> impl Iterator<Item = Message> + 'a {
    let copy = Bytes::copy_from_slice(lines.bytes());
    lines.spans().iter().enumerate().map(move |(i, span)| {
        let payload = copy.slice(span.start..span.end - 1);
        // The dedup stage has parsed the line. If it is no event after all, it gets a random id:
        // publishing it twice is better than taking it for another line with the same text.
        match lines.header(i).or_else(|| shape.parse_spans(&payload).ok()) {
            Some(header) => {
                let id = MessageId(identities.digest_line(&header, &payload));
                let did = header.did(&payload).into();
                Message { id, did, payload }
            }
            None => {
                let id = MessageId(fastrand::u128(..));
                Message { id, did: Box::default(), payload }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::batch::Batch;

    fn sent(lines: &[&str]) -> Vec<Message> {
        let mut batch = Batch::with_capacity(1000);
        lines.iter().for_each(|line| batch.push(line.as_bytes()));
        let lines = batch.retain(|_, _| true);
        messages(
            &lines,
            EventFormat::V1,
            &mut EventIdHasher::new(crate::event::event_id::EventIdKey::random()),
        )
        .collect()
    }

    #[test]
    fn an_event_has_one_identity_wherever_it_is_read() {
        let legacy = r#"{"did":"did:plc:a","time_us":5,"kind":"identity","identity":{"seq":7}}"#;
        let v2 =
            r#"{"did":"did:plc:a","time_us":6,"cursor":3,"kind":"identity","identity":{"seq":7}}"#;
        let other = r#"{"did":"did:plc:a","time_us":5,"kind":"identity","identity":{"seq":8}}"#;
        let sent = sent(&[legacy, v2, other]);
        assert_eq!(sent[0].id, sent[1].id);
        assert_ne!(sent[0].id, sent[2].id);
        assert_eq!(&*sent[0].did, "did:plc:a");
        assert_eq!(sent[2].payload, other.as_bytes());
    }

    #[test]
    fn an_identity_is_read_back_from_what_was_written() {
        let id = sent(&[r#"{"did":"d","time_us":5}"#])[0].id;
        assert_eq!(MessageId::parse(id.to_string().as_bytes()), Some(id));
        for text in ["", "x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!!!!"] {
            assert_eq!(MessageId::parse(text.as_bytes()), None);
        }
    }
}
