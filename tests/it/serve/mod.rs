//! `skytail serve`, through the built binary over real sockets (and in `liveness`, which needs
//! shorter intervals, through the library).
//!
//! The tests follow protocol/jetstream-v1.md by section, in `v2` jetstream-v2.md, and in `archive`
//! jetstream-v2-archive.md.

mod archive;
mod chaos;
mod cursors;
mod ends;
mod filters;
mod liveness;
mod recordings;
mod refusals;
mod v2;

use crate::support::ServeProcess;
use crate::support::client::{Client, End};

const END: &str = "end of recording";

fn end_of_recording() -> End {
    End::Closed(1000, END.to_owned())
}

/// Returns all events of a connection with this query from a server that closes at the end.
async fn all(server: &ServeProcess, query: &str) -> Vec<String> {
    let (events, end) = Client::connect(&server.url(query)).await.rest().await;
    assert_eq!(end, end_of_recording());
    events
}
