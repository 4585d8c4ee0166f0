//! What a connection sends: pings, pongs, filter updates, and the close frame.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

use super::EventConnection;

/// The most frames that wait to be sent. A peer that pings without reading gets no more.
const MAX_OUTGOING_FRAMES: usize = 16;

impl EventConnection {
    /// Queues a ping.
    pub fn ping(&mut self) {
        self.enqueue(Frame::ping(Vec::new()));
    }

    /// Queues a frame. Returns `false` if the queue is full; the frame is dropped then.
    pub(super) fn enqueue(&mut self, frame: Frame) -> bool {
        let has_room = self.outgoing.len() < MAX_OUTGOING_FRAMES;
        if has_room {
            self.outgoing.push_back(masked(frame));
        }
        has_room
    }

    /// Sends as much of the queue as the network accepts now.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(front) = self.outgoing.front_mut() {
            match Pin::new(&mut self.transport).poll_write(cx, front) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) if n < front.len() => {
                    front.drain(..n);
                }
                Poll::Ready(Ok(_)) => {
                    self.outgoing.pop_front();
                }
                Poll::Ready(Err(e)) => return Err(e),
            }
            // TLS buffers records until it is flushed.
            if let Poll::Ready(Err(e)) = Pin::new(&mut self.transport).poll_flush(cx) {
                return Err(e);
            }
        }
        Ok(())
    }

    /// Sends a text message before `deadline`.
    pub(in crate::source) async fn send_text(
        &mut self,
        text: &str,
        deadline: Instant,
    ) -> io::Result<()> {
        let frame = Frame::message(text.to_owned(), OpCode::Data(Data::Text), true);
        self.send_now(masked(frame), deadline).await
    }

    /// Sends a close frame before `deadline`, and does not wait for an answer.
    pub async fn close(&mut self, deadline: Instant) {
        let close = CloseFrame { code: CloseCode::Normal, reason: Default::default() };
        let _ = self.send_now(masked(Frame::close(Some(close))), deadline).await;
    }

    async fn send_now(&mut self, bytes: Vec<u8>, deadline: Instant) -> io::Result<()> {
        let sending = async {
            self.transport.write_all(&bytes).await?;
            self.transport.flush().await
        };
        timeout_at(deadline, sending).await.unwrap_or_else(|e| Err(e.into()))
    }
}

/// Encodes a frame with a mask, as a client must (RFC 6455 §5.3). The mask protects proxies from
/// scripts that choose what they send; nothing that skytail sends is chosen by others.
fn masked(mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = Some(fastrand::u32(..).to_ne_bytes());
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing to a Vec can't fail.
    let _ = frame.format(&mut bytes);
    bytes
}
