//! How the server stops (§9).

use crate::support::client::{Client, End, Next};
use crate::support::{Scratch, ServeProcess, events};

#[tokio::test]
async fn a_signal_stops_the_server_and_each_kind_closes_in_its_own_way() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    for (kind, signal, end) in [
        ("v2", "INT", End::Closed(1001, "server shutting down".into())),
        ("v2", "TERM", End::Closed(1001, "server shutting down".into())),
        ("legacy", "TERM", End::Dropped),
    ] {
        let server = ServeProcess::start(&path, &["--server-kind", kind]);
        let mut client = Client::connect(&server.url("")).await;
        client.take(5).await;
        let stopped = tokio::task::spawn_blocking(move || server.stop(signal));
        assert_eq!(client.next().await, Next::End(end), "{kind} {signal}");
        let (status, stderr) = stopped.await.unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{kind} {signal}");
    }
}
