//! What the client says on an open connection: pongs, hellos, new filters, mistakes.

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Ended, Session};
use crate::position::ServerKind;
use crate::serve::feed::Feed;
use crate::serve::subscription::Wants;
use crate::serve::wanted::{Mistake, Wanted};

impl Session<'_> {
    /// Deals with what the client sent.
    pub(super) async fn take(
        &mut self,
        message: Option<Result<Message, Error>>,
    ) -> Result<(), Ended> {
        match message {
            // The v2 stream is push only (v2 §1).
            Some(Ok(Message::Text(_) | Message::Binary(_)) | Err(Error::Capacity(_)))
                if self.subscription.is_v2() =>
            {
                let reason = "this stream takes no messages".to_owned();
                Err(Ended::Close(CloseCode::Policy, reason))
            }
            Some(Ok(Message::Text(text))) => self.hello(&text),
            Some(Ok(Message::Pong(_))) => {
                self.pong_due = None;
                Ok(())
            }
            // The library answers pings and closes with the next flush.
            Some(Ok(Message::Ping(_))) => self.flush().await,
            Some(Ok(Message::Close(_))) => {
                self.flush().await?;
                Err(Ended::Quietly)
            }
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => Ok(()),
            Some(Err(Error::Capacity(_))) if self.kind() == ServerKind::V2 => {
                self.mistake(Mistake::TooLong)
            }
            Some(Err(_)) | None => Err(Ended::Quietly),
        }
    }

    fn hello(&mut self, text: &str) -> Result<(), Ended> {
        let Wants::V1(wanted) = &self.subscription.wants else { return Ok(()) };
        match Wanted::from_message(text, wanted, self.kind()) {
            Ok(None) => Ok(()),
            Ok(Some(wanted)) => {
                self.subscription.wants = Wants::V1(wanted);
                if self.feed.is_none() {
                    let from = self.subscription.from;
                    self.feed = Some(Feed::new(from, self.shared, Instant::now()));
                }
                Ok(())
            }
            Err(mistake) => self.mistake(mistake),
        }
    }

    /// The table of protocol/jetstream-v1.md §6.
    fn mistake(&self, mistake: Mistake) -> Result<(), Ended> {
        let close = |code, text: &str| Err(Ended::Close(code, text.to_owned()));
        match (self.kind(), mistake) {
            (ServerKind::V2, Mistake::Envelope(_)) => {
                close(CloseCode::Invalid, "bad SubscriberSourcedMessage envelope")
            }
            (ServerKind::V2, Mistake::Payload(_)) => {
                close(CloseCode::Invalid, "bad options_update payload")
            }
            (ServerKind::V2, Mistake::Options(text)) => close(CloseCode::Policy, &text),
            (ServerKind::V2, Mistake::TooLong) => close(CloseCode::Size, "message too big"),
            // Ignored, as far as it was taken in at all (see `MAX_MESSAGE_BYTES`).
            (ServerKind::Legacy, Mistake::TooLong) => Ok(()),
            (
                ServerKind::Legacy,
                Mistake::Envelope(text) | Mistake::Payload(text) | Mistake::Options(text),
            ) => close(CloseCode::Normal, &text),
        }
    }
}
