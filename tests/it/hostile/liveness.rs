//! Peers that stop responding: the program gives up on each, and the stream continues with the next
//! connection.

use std::time::Duration;

use crate::support::events;
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Drip, Hang, OnlyPongs, Send};
use crate::support::scripted::{ScriptedServer, Step, ping, text, texts};

/// Short enough for a test; answers on loopback take a thousandth of this.
const PINGS: &[&str] = &["--ping-after", "300ms", "--pong-timeout", "300ms"];

/// Sends an event, then behaves in `this` way; the next connection brings the rest.
#[track_caller]
fn continues_after(this: Step, flags: &[&str]) -> Run {
    let events = events(5, true);
    let server = ScriptedServer::start([
        vec![Accept, Send(text(&events[0])), this],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "5"]).flags(flags).run();
    run.ends_with(0).prints(&events);
    assert_eq!(server.requests()[1].query("cursor"), ["100"]);
    run
}

#[test]
fn a_vanished_peer_times_out() {
    continues_after(Hang, PINGS).says(&["no answer to a ping for 300ms"]);
}

#[test]
fn a_vanished_peer_times_out_even_if_silence_is_normal() {
    let flags = [PINGS, &["-d", "did:plc:even,did:plc:odd"]].concat();
    continues_after(Hang, &flags).says(&["no answer to a ping for 300ms"]);
}

#[test]
fn a_peer_that_only_answers_pings_times_out() {
    let flags = [PINGS, &["--stall-timeout", "1s"]].concat();
    continues_after(OnlyPongs, &flags).says(&["no event for 1s"]);
}

/// The first two idle periods cost a connection each; the third is attributed to the stream itself.
#[test]
fn an_idle_server_that_answers_pings_is_not_reconnected_repeatedly() {
    let events = events(5, true);
    let quiet = vec![Accept, Send(text(&events[0])), OnlyPongs];
    let pause = Step::Pause(Duration::from_millis(1_200));
    let server = ScriptedServer::start([
        quiet.clone(),
        quiet,
        vec![Accept, Send(text(&events[0])), pause, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "5", "--stall-timeout", "500ms"]).run();
    run.ends_with(0).prints(&events);
    assert_eq!(run.stderr.matches("no event for 500ms").count(), 2, "{}", run.stderr);
}

#[test]
fn a_peer_that_only_pings_times_out() {
    let flags = &["--stall-timeout", "500ms"];
    continues_after(Drip(ping(b"?"), Duration::from_millis(5)), flags)
        .says(&["no event for 500ms"]);
    // As fast as possible: a reader that never waits must still check its deadlines.
    continues_after(Drip(ping(b"?").repeat(50_000), Duration::ZERO), flags)
        .says(&["no event for 500ms"]);
}

#[test]
fn a_peer_that_sends_single_bytes_forever_times_out() {
    // Repeated 0x7f: a frame with reserved bits would end the connection at once, so the first byte
    // begins a long text message.
    let events = events(5, true);
    let server = ScriptedServer::start([
        vec![
            Accept,
            Send(text(&events[0])),
            Send(vec![0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]),
            Drip(b"x".to_vec(), Duration::from_millis(5)),
        ],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "5"]).flags(PINGS).run();
    run.ends_with(0).prints(&events).says(&["no answer to a ping for 300ms"]);
}

#[test]
fn a_peer_that_sends_an_endless_message_times_out() {
    let events = events(5, true);
    let server = ScriptedServer::start([
        vec![
            Accept,
            Send(text(&events[0])),
            Send(vec![0x81, 127, 0x10, 0, 0, 0, 0, 0, 0, 0]),
            Drip(vec![b'x'; 1 << 20], Duration::ZERO),
        ],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "5"]).flags(PINGS).run();
    run.ends_with(0).prints(&events).says(&["no answer to a ping for 300ms"]);
}

#[test]
fn a_response_in_single_bytes_times_out() {
    let events = events(1, true);
    let server = ScriptedServer::start([
        vec![Drip(b"H".to_vec(), Duration::from_millis(5))],
        vec![
            Step::Answer(b"HTTP/1.1 101 X\r\nX: ".to_vec()),
            Drip(b"x".to_vec(), Duration::from_millis(5)),
        ],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "1", "--connect-timeout", "500ms"]).run();
    run.ends_with(0).prints(&events);
    run.says(&[
        "the answer is not HTTP",
        "while waiting for the answer to the WebSocket handshake",
    ]);
}
