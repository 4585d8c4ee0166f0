//! Low-level writes and ends of a connection that tungstenite does not offer. Only `fault_injector`
//! and the end of a session use them.

use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use super::{CLOSE_TIMEOUT, Session, Socket, Stop, StreamEnd, stopped};

impl Session<'_> {
    /// Sends bytes one by one.
    pub(super) async fn dribble(&mut self, wire: &[u8]) -> Result<(), StreamEnd> {
        self.flush_all().await?;
        for byte in wire {
            self.write_unbuffered(std::slice::from_ref(byte)).await?;
            // Lets the client read this byte alone.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Adds a message to the socket's buffer.
    pub(super) async fn buffer_message(&mut self, message: Message) -> Result<(), StreamEnd> {
        self.socket.feed(message).await.map_err(|_| StreamEnd::Drop)
    }

    /// As `flush`, but covered by the batch's timeout.
    pub(super) async fn flush_all(&mut self) -> Result<(), StreamEnd> {
        self.socket.flush().await.map_err(|_| StreamEnd::Drop)
    }

    /// Writes bytes that tungstenite would refuse to send.
    pub(super) async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), StreamEnd> {
        self.flush_all().await?;
        self.write_unbuffered(bytes).await
    }

    /// Writes directly to the socket; the caller has flushed the buffer.
    async fn write_unbuffered(&mut self, bytes: &[u8]) -> Result<(), StreamEnd> {
        self.socket.get_mut().write_all(bytes).await.map_err(|_| StreamEnd::Drop)
    }

    /// Closes with a FIN, after all buffered bytes were sent.
    pub(super) async fn end_with_fin(&mut self) {
        let close = async {
            self.socket.flush().await.ok()?;
            let stream = self.socket.get_mut();
            stream.shutdown().await.ok()?;
            // If unread input remained, the system would send an RST.
            drain(stream).await;
            Some(())
        };
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }

    /// Keeps the connection open without any activity until the client disconnects.
    pub(super) async fn go_silent(&mut self, stop: &mut Stop) {
        tokio::select! {
            () = stopped(stop) => {}
            () = drain(self.socket.get_mut()) => {}
        }
    }
}

/// Makes the close send an RST when the socket is dropped.
pub(super) fn reset(socket: &Socket) {
    // If the system refuses, the connection ends with a FIN.
    let _ = socket.get_ref().set_zero_linger();
}

/// Reads until the peer closes.
async fn drain(stream: &mut tokio::net::TcpStream) {
    let mut sink = [0; 4_096];
    while matches!(stream.read(&mut sink).await, Ok(1..)) {}
}

/// Encodes a frame.
pub(super) fn frame_bytes(frame: &Frame) -> Result<Vec<u8>, StreamEnd> {
    let mut bytes = Vec::with_capacity(frame.len());
    frame.clone().format(&mut bytes).map_err(|_| StreamEnd::Drop)?;
    Ok(bytes)
}
