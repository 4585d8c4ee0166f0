//! Encodes events as frames: the text by the endpoint's rules, then compression.

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::{Session, StreamEnd};
use crate::position::ServerKind;
use crate::serve::subscription::Protocol;
use crate::serve::v2;

impl Session<'_> {
    /// Encodes an event with the seq of a slot; `None` if it exceeds the client's size limit. v2
    /// measures the JSON, legacy the payload that it sends (protocol/jetstream-v1.md §3).
    pub(super) fn encode(&mut self, event: u64, slot: u64) -> Result<Option<Frame>, StreamEnd> {
        let Some(text) = self.text(event, slot) else { return Ok(None) };
        let text_bytes = text.len();
        let frame = self.encode_frame(text)?;
        let measured = match self.kind() {
            ServerKind::V2 => text_bytes,
            ServerKind::Legacy => frame.payload().len(),
        };
        let limit = self.subscription.filter.max_message_bytes() as usize;
        Ok((limit == 0 || measured <= limit).then_some(frame))
    }

    fn text(&self, event: u64, slot: u64) -> Option<Bytes> {
        let timeline = &self.shared.timeline;
        let (stamps, shift_us) = (&timeline.stamps, timeline.shift_us());
        if !self.subscription.is_v2() {
            return Some(stamps.line(event, slot, shift_us));
        }
        let time_us = stamps.time_us(event).saturating_add_signed(shift_us);
        v2::message(&stamps.line_with_round_id(event), time_us, stamps.seq(slot)).map(Bytes::from)
    }

    /// Returns a frame with this text, compressed if the client requested compression.
    pub(super) fn encode_frame(&mut self, text: Bytes) -> Result<Frame, StreamEnd> {
        let (payload, data): (Bytes, Data) = match &mut self.compressor {
            None => (text, Data::Text),
            Some(compressor) => {
                let compressed = compressor.compress(&text).map_err(|_| StreamEnd::Drop)?;
                (compressed.into(), Data::Binary)
            }
        };
        Ok(Frame::message(payload, OpCode::Data(data), true))
    }

    /// Sends the message that precedes all events, if there is one.
    pub(super) async fn send_first_frame(&mut self) -> Result<(), StreamEnd> {
        let Protocol::V2 { first: Some(first), .. } = &mut self.subscription.protocol else {
            return Ok(());
        };
        let text = std::mem::take(first);
        let frame = self.encode_frame(text.into())?;
        self.buffer_message(Message::Frame(frame)).await?;
        self.flush().await
    }
}
