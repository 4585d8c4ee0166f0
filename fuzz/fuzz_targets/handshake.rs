//! The answer to the opening handshake: any bytes in any chunks result in a connection that lost no
//! byte, or in a short, printable reason that does not depend on the chunks.
#![no_main]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use skytail::source::endpoint;
use skytail::source::websocket::handshake::{HandshakeError, UpgradeRequest, Upgraded, upgrade};
use skytail::source::net::transport::Transport;
use skytail_fuzz::{Input, is_showable};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The placeholder in the input for the right answer to the random key.
const ACCEPT: &[u8] = b"~ACCEPT~";

/// A peer that answers with prepared bytes, in prepared chunks.
struct Peer {
    request: Vec<u8>,
    answer: Vec<u8>,
    at: usize,
    steps: [u8; 3],
    reads: usize,
}

impl Peer {
    /// Inserts the accept key as soon as the key is known.
    fn prepare(&mut self) {
        let text = String::from_utf8_lossy(&self.request).to_ascii_lowercase();
        let Some(at) = text.find("sec-websocket-key: ") else { return };
        let key = String::from_utf8_lossy(&self.request[at + 19..]);
        let accept = derive_accept_key(key.split("\r\n").next().unwrap_or_default().as_bytes());
        let found = self.answer.windows(ACCEPT.len()).position(|w| w == ACCEPT);
        if let Some(found) = found {
            self.answer.splice(found..found + ACCEPT.len(), accept.bytes());
        }
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reads == 0 {
            self.prepare();
        }
        let step = 1 + usize::from(self.steps[self.reads % 3]) * 8;
        self.reads += 1;
        let end = (self.at + step.min(buf.remaining())).min(self.answer.len());
        buf.put_slice(&self.answer[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.request.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Returns the result of an answer: a reason, or the bytes after the head.
async fn outcome(answer: &[u8], steps: [u8; 3]) -> Result<Vec<u8>, String> {
    let peer = Peer { request: Vec::new(), answer: answer.to_vec(), at: 0, steps, reads: 0 };
    let endpoint = endpoint::parse("ws://user:hunter2@server.example").expect("sound");
    let request = UpgradeRequest { path: "/subscribe".to_owned(), ..UpgradeRequest::default() };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(3600);
    match upgrade(Transport::new(peer), &endpoint, &request, deadline).await {
        Ok(Upgraded { mut stream, leftover: mut rest, .. }) => {
            stream.read_to_end(&mut rest).await.expect("a peer that never fails");
            Ok(rest)
        }
        Err(error) => {
            assert!(error.retry_after().is_none_or(|wait| wait <= Duration::from_secs(300)));
            let _ = error.is_permanent();
            let text = error.to_string();
            assert!(is_showable(&text, 700), "{text:?}");
            assert!(!text.contains("hunter2"), "{text:?}");
            // Errors show headers with escapes, and a library's words may contain the random key.
            Err(match error {
                HandshakeError::Protocol(_) => "protocol".to_owned(),
                _ => text,
            })
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let steps = [input.byte(), input.byte(), input.byte()];
    let answer = input.rest();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let pieces = outcome(answer, steps).await;
        let whole = outcome(answer, [255, 255, 255]).await;
        // The right answer differs each time, and an error may show it as part of a body.
        if answer.windows(ACCEPT.len()).any(|window| window == ACCEPT) {
            assert_eq!(pieces.is_ok(), whole.is_ok());
        } else {
            assert_eq!(pieces, whole);
            assert!(pieces.is_err(), "no server knows the answer by chance");
        }
    });
});
