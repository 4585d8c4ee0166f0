//! Responses to the opening handshake, and hosts that send none.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{header, listener, listener_at, read_head, stream_events, tail};
use crate::support::events;
use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Answer, Hang, Send};
use crate::support::scripted::{ScriptedServer, http, texts};

#[test]
fn interim_responses_and_token_lists_are_part_of_a_handshake() {
    let address = listener(|mut stream| {
        let head = read_head(&mut stream)?;
        let accept = derive_accept_key(header(&head, "sec-websocket-key").unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 101 \r\nconnection: keep-alive\r\nConnection: close-not, uPGRADE\r\nUPGRADE:\tWebSocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes())?;
        stream.write_all(&texts(events(3, true)))
    });
    tail(&format!("ws://{address}")).run().ends_with(0).prints(events(3, true));
}

#[test]
fn a_redirect_to_the_given_host_does_not_suggest_it() {
    let address = listener(|mut stream| {
        let head = read_head(&mut stream)?;
        let host = header(&head, "host").unwrap();
        let location = format!("Location: http://{host}/subscribe/\r\n");
        stream.write_all(&http("301 Moved Permanently", &location, ""))
    });
    let run = tail(&format!("ws://{address}")).run();
    run.ends_with(3).says(&["HTTP 301", "another path of the same server"]);
    run.never_says("give that as --host");
}

#[test]
fn a_date_in_retry_after_is_waited_for() {
    // Two seconds later by the server's own clock, which is years off, in each form of a date.
    for later in [
        "Sun, 06 Nov 1994 08:49:39 GMT",
        "Sunday, 06-Nov-94 08:49:39 GMT",
        "Sun Nov  6 08:49:39 1994",
    ] {
        let headers = format!("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: {later}\r\n");
        let server = ScriptedServer::start([
            vec![Answer(http("503 Service Unavailable", &headers, "later"))],
            vec![Accept, Send(texts(events(3, true))), Hang],
        ]);
        let run = Tail::of(&server).flags(&["-n", "3"]).run();
        run.ends_with(0);
        let (_, wait) = run.stderr.split_once(" in ").expect("a wait in the log");
        let seconds: f64 = wait.split(' ').next().unwrap().parse().unwrap();
        assert!((2.0..10.0).contains(&seconds), "{}", run.stderr);
    }
}

/// A port that drops SYNs, as a firewall does: its queue of connections is full.
fn full_accept_queue() -> (TcpListener, Vec<TcpStream>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let patience = std::time::Duration::from_millis(300);
    while let Ok(stream) = TcpStream::connect_timeout(&address, patience) {
        queue.push(stream);
        assert!(queue.len() < 5_000, "the accept queue has no limit");
    }
    (listener, queue, address.port())
}

#[test]
fn an_unanswered_syn_is_reported_as_a_connect_timeout() {
    let (_listener, _queue, port) = full_accept_queue();
    // With v2 the dictionary is fetched first.
    for (protocol, compress) in [("v2", "on"), ("auto", "on"), ("v1", "off")] {
        let run = Tail::of_host(&format!("ws://127.0.0.1:{port}"))
            .protocol(protocol)
            .flags(&["--compress", compress, "--connect-timeout", "500ms", "--max-retries", "0"])
            .run();
        run.ends_with(3).says(&["timed out after 0.5s while connecting"]);
        run.never_says("looking up").never_says("zstd");
    }
}

#[test]
fn the_zone_of_an_ipv6_address_leads_to_its_interface() {
    let Ok(address) = listener_at("[::1]:0", stream_events) else {
        // This machine has no IPv6.
        return;
    };
    for zone in ["%251", "%1"] {
        let host = format!("ws://[::1{zone}]:{}", address.port());
        tail(&host).run().ends_with(0).prints(events(3, true));
    }
    let run = tail("ws://[fe80::1%25nosuch0]:6008").run();
    run.ends_with(3).says(&["\"nosuch0\"", "zone"]);
}
