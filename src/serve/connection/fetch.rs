//! Serves an archive request: reads its body and builds the response on a blocking thread.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{HEAD_TIMEOUT, send_response};
use crate::serve::ServerState;
use crate::serve::archive::{self, ArchiveEndpoint};
use crate::serve::head::{BodyError, RequestHead};
use crate::serve::response::{Response, XrpcErrorCode};

/// Maximum number of bytes that are read and discarded after a refusal.
const MAX_PASSED_BYTES: usize = 16 << 20;

/// Answers a request whose head was read.
pub(super) async fn answer(
    mut stream: TcpStream,
    endpoint: ArchiveEndpoint,
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
            return respond_to_unread(stream, Response::xrpc(XrpcErrorCode::TooLarge, &message))
                .await;
        }
        Ok(Err(BodyError::Chunked)) => {
            return respond_to_unread(stream, Response::length_required()).await;
        }
    };
    let shared = Arc::clone(shared);
    let response =
        tokio::task::spawn_blocking(move || archive::answer(endpoint, &head, &body, &shared, now));
    // Fails only after a panic or at the end of the program.
    if let Ok(response) = response.await {
        send_response(stream, response).await;
    }
}

/// Responds while the client is still sending: closing a socket with unread input would reset the
/// connection and destroy the response.
async fn respond_to_unread(stream: TcpStream, response: Response) {
    let (mut input, output) = stream.into_split();
    let pass = async {
        let mut sink = [0; 16 * 1024];
        let mut left = MAX_PASSED_BYTES;
        while left > 0 && matches!(input.read(&mut sink).await, Ok(1..)) {
            left = left.saturating_sub(sink.len());
        }
    };
    let _ =
        timeout(HEAD_TIMEOUT, async { tokio::join!(send_response(output, response), pass) }).await;
}
