//! What the decoders of all wire formats share: their input, their result, and decompression.

use crate::compression::inflate::{InflateError, Inflater};
use crate::metrics::Metrics;

use super::count_malformed;

/// The payload of one WebSocket data message. The UTF-8 of a text is not checked yet.
#[derive(Clone, Copy, Debug)]
pub enum WireMessage<'a> {
    /// A text message.
    Text(&'a [u8]),
    /// A binary message: one zstd frame.
    Binary(&'a [u8]),
}

/// The result of decoding one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The message was an event, and its line is in the batch.
    Event,
    /// The message was an event without a line: damaged, or of a type that only later servers
    /// send.
    Skipped,
    /// The message was not an event.
    Advisory,
    /// The server announced that it ends the connection.
    ServerClose(ServerClose),
    /// The server compresses with a dictionary that the client does not have.
    UnknownDictionary(InflateError),
    /// The first message was not one of v2, so that the server speaks another protocol here.
    NotV2,
}

/// Why a server ends a connection, in its own words (protocol/jetstream-v2.md §5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerClose {
    /// The client fell too far behind the live tip and did not catch up fast enough.
    #[error("the server ended the stream because it was read too slowly (ConsumerTooSlow: {0})")]
    TooSlow(String),
    /// Something failed on the server.
    #[error("the server ended the stream after a failure of its own (InternalError: {0})")]
    Internal(String),
    /// An error name of a later server.
    #[error("the server ended the stream with {name:?}: {message}")]
    Other {
        /// The error's name, printable.
        name: String,
        /// The server's text, printable.
        message: String,
    },
}

/// Decompresses binary messages, if the client asked for compression.
#[derive(Debug)]
pub struct Decompressor {
    /// `None` if the client asked for plain text.
    inflater: Option<Inflater>,
    max_message_bytes: usize,
    /// Whether the message before this one was compressed with an unknown dictionary.
    prev_unknown_dictionary: bool,
}

impl Decompressor {
    /// Creates a decompressor that yields at most `max_message_bytes` for one message. Without
    /// an `inflater` it refuses every binary message.
    #[must_use]
    pub fn new(inflater: Option<Inflater>, max_message_bytes: usize) -> Self {
        Self { inflater, max_message_bytes, prev_unknown_dictionary: false }
    }

    /// Returns whether the client asked for compression.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inflater.is_some()
    }

    /// Appends the decompressed `frame` to `out`. On an error, `out` is as it was before.
    ///
    /// # Errors
    /// The result for the message: [`Decoded::Skipped`], counted and logged, or
    /// [`Decoded::UnknownDictionary`].
    pub fn append(
        &mut self,
        frame: &[u8],
        out: &mut Vec<u8>,
        metrics: &Metrics,
    ) -> Result<(), Decoded> {
        let Some(inflater) = &mut self.inflater else {
            count_malformed(metrics, "binary, though plain text was asked for", &[]);
            return Err(Decoded::Skipped);
        };
        match inflater.append(frame, out, self.max_message_bytes) {
            Ok(()) => {
                self.prev_unknown_dictionary = false;
                Ok(())
            }
            Err(error) if self.proves_new_dictionary(&error) => {
                Err(Decoded::UnknownDictionary(error))
            }
            Err(error) => {
                count_malformed(metrics, &error.to_string(), &[]);
                Err(Decoded::Skipped)
            }
        }
    }

    /// Returns whether the server has changed its dictionary. A single message with another
    /// dictionary counts as damaged; a second one in a row is proof. (If the first one was not
    /// damaged, the next connection's replay brings it again.)
    fn proves_new_dictionary(&mut self, error: &InflateError) -> bool {
        matches!(error, InflateError::Dictionary { .. })
            && std::mem::replace(&mut self.prev_unknown_dictionary, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a frame that needs the dictionary 7 (RFC 8878 §3.1.1.1), and an empty block.
    const OTHER_DICTIONARY: [u8; 10] = [0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 0, 1, 0, 0];

    #[test]
    fn two_messages_in_a_row_prove_that_the_dictionary_changed() {
        let metrics = Metrics::default();
        let mut decompressor = Decompressor::new(Some(Inflater::new(&[]).unwrap()), 100);
        let good = zstd::bulk::compress(b"{}", 3).unwrap();
        let mut out = Vec::new();
        for _ in 0..2 {
            let decoded = decompressor.append(&OTHER_DICTIONARY, &mut out, &metrics);
            assert_eq!(decoded, Err(Decoded::Skipped));
            assert_eq!(decompressor.append(&good, &mut out, &metrics), Ok(()));
        }
        assert_eq!((&*out, metrics.malformed.get()), (&b"{}{}"[..], 2));
        assert_eq!(
            decompressor.append(&OTHER_DICTIONARY, &mut out, &metrics),
            Err(Decoded::Skipped)
        );
        assert!(matches!(
            decompressor.append(&OTHER_DICTIONARY, &mut out, &metrics),
            Err(Decoded::UnknownDictionary(InflateError::Dictionary { frame: 7, ours: 0 }))
        ));
    }

    #[test]
    fn a_damaged_frame_is_no_proof_and_leaves_nothing_in_the_output() {
        let metrics = Metrics::default();
        let mut decompressor = Decompressor::new(Some(Inflater::new(&[]).unwrap()), 100);
        let mut out = b"kept".to_vec();
        for _ in 0..3 {
            assert_eq!(decompressor.append(b"{}", &mut out, &metrics), Err(Decoded::Skipped));
        }
        assert_eq!((&*out, metrics.malformed.get()), (&b"kept"[..], 3));
    }
}
