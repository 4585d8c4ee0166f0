//! A request for the archive: its body, and an answer that is made on a thread of its own.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{HEAD_TIMEOUT, refuse};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Xrpc};
use crate::serve::archive::{self, Endpoint};
use crate::serve::head::{BadBody, Head};

/// Bytes that are read and forgotten after a refusal.
const MAX_PASSED_BYTES: usize = 16 << 20;

/// Answers a request, whose head was read.
pub(super) async fn answer(
    mut stream: TcpStream,
    endpoint: Endpoint,
    mut head: Head,
    shared: &Arc<Shared>,
    now: Instant,
) {
    let body = head.read_body(&mut stream, archive::MAX_BODY_BYTES);
    let body = match timeout(HEAD_TIMEOUT, body).await {
        Ok(Ok(body)) => body,
        Err(_) | Ok(Err(BadBody::Gone)) => return,
        Ok(Err(BadBody::TooLong)) => {
            let message = format!("the body is longer than {} bytes", archive::MAX_BODY_BYTES);
            return refuse_unread(stream, Answer::xrpc(Xrpc::TooLarge, &message)).await;
        }
        Ok(Err(BadBody::Unsized)) => return refuse_unread(stream, Answer::length_required()).await,
    };
    let shared = Arc::clone(shared);
    let answer =
        tokio::task::spawn_blocking(move || archive::answer(endpoint, &head, &body, &shared, now));
    // Only a panic or the end of the program takes the answer away.
    if let Ok(answer) = answer.await {
        refuse(stream, answer).await;
    }
}

/// Answers while the client still sends: hanging up on unread input would destroy the answer
/// on its way.
async fn refuse_unread(stream: TcpStream, answer: Answer) {
    let (mut input, output) = stream.into_split();
    let pass = async {
        let mut sink = [0; 16 * 1024];
        let mut left = MAX_PASSED_BYTES;
        while left > 0 && matches!(input.read(&mut sink).await, Ok(1..)) {
            left = left.saturating_sub(sink.len());
        }
    };
    let _ = timeout(HEAD_TIMEOUT, async { tokio::join!(refuse(output, answer), pass) }).await;
}
