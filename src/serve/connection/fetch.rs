//! A request for the archive: its body, and an answer that is made on a thread of its own.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{HEAD_TIMEOUT, refuse};
use crate::serve::ServerState;
use crate::serve::archive::{self, Endpoint};
use crate::serve::head::{BodyError, RequestHead};
use crate::serve::response::{Response, XrpcErrorCode};

/// Bytes that are read and forgotten after a refusal.
const MAX_PASSED_BYTES: usize = 16 << 20;

/// Answers a request, whose head was read.
pub(super) async fn answer(
    mut stream: TcpStream,
    endpoint: Endpoint,
    mut head: RequestHead,
    shared: &Arc<ServerState>,
    now: Instant,
) {
    let body = head.read_body(&mut stream, archive::MAX_BODY_BYTES);
    let body = match timeout(HEAD_TIMEOUT, body).await {
        Ok(Ok(body)) => body,
        Err(_) | Ok(Err(BodyError::Disconnected)) => return,
        Ok(Err(BodyError::TooLong)) => {
            let message = format!("the body is longer than {} bytes", archive::MAX_BODY_BYTES);
            return refuse_unread(stream, Response::xrpc(XrpcErrorCode::TooLarge, &message)).await;
        }
        Ok(Err(BodyError::Chunked)) => {
            return refuse_unread(stream, Response::length_required()).await;
        }
    };
    let shared = Arc::clone(shared);
    let response =
        tokio::task::spawn_blocking(move || archive::answer(endpoint, &head, &body, &shared, now));
    // Only a panic or the end of the program takes the answer away.
    if let Ok(response) = response.await {
        refuse(stream, response).await;
    }
}

/// Answers while the client still sends: hanging up on unread input would destroy the answer
/// on its way.
async fn refuse_unread(stream: TcpStream, response: Response) {
    let (mut input, output) = stream.into_split();
    let pass = async {
        let mut sink = [0; 16 * 1024];
        let mut left = MAX_PASSED_BYTES;
        while left > 0 && matches!(input.read(&mut sink).await, Ok(1..)) {
            left = left.saturating_sub(sink.len());
        }
    };
    let _ = timeout(HEAD_TIMEOUT, async { tokio::join!(refuse(output, response), pass) }).await;
}
