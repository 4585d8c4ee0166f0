//! How an event becomes a frame: its text by the endpoint's rules, then compression.

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::{Ended, Session};
use crate::position::ServerKind;
use crate::serve::subscription::Protocol;
use crate::serve::v2;

impl Session<'_> {
    /// The frame of an event with the seq of a slot; `None` where it is larger than the
    /// client wants. v2 measures the JSON, legacy what it sends (protocol/jetstream-v1.md §3).
    pub(super) fn encode(&mut self, event: u64, slot: u64) -> Result<Option<Frame>, Ended> {
        let Some(text) = self.text(event, slot) else { return Ok(None) };
        let text_bytes = text.len();
        let frame = self.pack(text)?;
        let measured = match self.kind() {
            ServerKind::V2 => text_bytes,
            ServerKind::Legacy => frame.payload().len(),
        };
        let limit = self.subscription.wants.max_message_bytes() as usize;
        Ok((limit == 0 || measured <= limit).then_some(frame))
    }

    fn text(&self, event: u64, slot: u64) -> Option<Bytes> {
        let timeline = &self.shared.timeline;
        let (stamps, shift_us) = (&timeline.stamps, timeline.shift_us());
        if !self.subscription.is_v2() {
            return Some(stamps.line(event, slot, shift_us));
        }
        let time_us = stamps.time_us(event).saturating_add_signed(shift_us);
        v2::message(&stamps.named_line(event), time_us, stamps.seq(slot)).map(Bytes::from)
    }

    /// A frame with this text, compressed where the client asked for that.
    pub(super) fn pack(&mut self, text: Bytes) -> Result<Frame, Ended> {
        let (payload, data): (Bytes, Data) = match &mut self.compressor {
            None => (text, Data::Text),
            Some(compressor) => {
                let packed = compressor.compress(&text).map_err(|_| Ended::Quietly)?;
                (packed.into(), Data::Binary)
            }
        };
        Ok(Frame::message(payload, OpCode::Data(data), true))
    }

    /// Puts what comes before all events into the socket's buffer.
    pub(super) async fn announce(&mut self) -> Result<(), Ended> {
        let Protocol::V2 { first: Some(first), .. } = &mut self.subscription.protocol else {
            return Ok(());
        };
        let text = std::mem::take(first);
        let frame = self.pack(text.into())?;
        self.put(Message::Frame(frame)).await?;
        self.flush().await
    }
}
