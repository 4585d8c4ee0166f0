//! Handles client messages on an open connection: pongs, hellos, filter updates and invalid
//! messages.

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Session, StreamEnd};
use crate::position::ServerKind;
use crate::serve::feed::Feed;
use crate::serve::filter::{MessageError, V1Filter};
use crate::serve::subscription::EventFilter;

impl Session<'_> {
    /// Handles one message of the client.
    pub(super) async fn on_client_message(
        &mut self,
        message: Option<Result<Message, Error>>,
    ) -> Result<(), StreamEnd> {
        match message {
            // The v2 stream is push only (v2 §1).
            Some(Ok(Message::Text(_) | Message::Binary(_)) | Err(Error::Capacity(_)))
                if self.subscription.is_v2() =>
            {
                let reason = "this stream takes no messages".to_owned();
                Err(StreamEnd::Close(CloseCode::Policy, reason))
            }
            Some(Ok(Message::Text(text))) => self.on_text(&text),
            Some(Ok(Message::Pong(_))) => {
                self.pong_due = None;
                Ok(())
            }
            // tungstenite answers pings and closes at the next flush.
            Some(Ok(Message::Ping(_))) => self.flush().await,
            Some(Ok(Message::Close(_))) => {
                self.flush().await?;
                Err(StreamEnd::Drop)
            }
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => Ok(()),
            Some(Err(Error::Capacity(_))) if self.kind() == ServerKind::V2 => {
                self.close_for(MessageError::TooLong)
            }
            Some(Err(_)) | None => Err(StreamEnd::Drop),
        }
    }

    fn on_text(&mut self, text: &str) -> Result<(), StreamEnd> {
        let EventFilter::V1(filter) = &self.subscription.filter else { return Ok(()) };
        match V1Filter::from_message(text, filter, self.kind()) {
            Ok(None) => Ok(()),
            Ok(Some(filter)) => {
                self.subscription.filter = EventFilter::V1(filter);
                if self.feed.is_none() {
                    let from = self.subscription.from;
                    self.feed = Some(Feed::new(from, self.shared, Instant::now()));
                }
                Ok(())
            }
            Err(error) => self.close_for(error),
        }
    }

    /// Returns the close frame for an invalid message (table in protocol/jetstream-v1.md §6).
    fn close_for(&self, error: MessageError) -> Result<(), StreamEnd> {
        let close = |code, text: &str| Err(StreamEnd::Close(code, text.to_owned()));
        match (self.kind(), error) {
            (ServerKind::V2, MessageError::Envelope(_)) => {
                close(CloseCode::Invalid, "bad SubscriberSourcedMessage envelope")
            }
            (ServerKind::V2, MessageError::Payload(_)) => {
                close(CloseCode::Invalid, "bad options_update payload")
            }
            (ServerKind::V2, MessageError::Options(text)) => close(CloseCode::Policy, &text),
            (ServerKind::V2, MessageError::TooLong) => close(CloseCode::Size, "message too big"),
            // Ignored, as far as it was read at all (see `MAX_MESSAGE_BYTES`).
            (ServerKind::Legacy, MessageError::TooLong) => Ok(()),
            (
                ServerKind::Legacy,
                MessageError::Envelope(text)
                | MessageError::Payload(text)
                | MessageError::Options(text),
            ) => close(CloseCode::Normal, &text),
        }
    }
}
