//! What a server may send instead of an event, without costing another event: bad messages are
//! skipped and reported, and a protocol error ends the connection but not the stream.

use crate::support::events;
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Hang, Send, Sync};
use crate::support::scripted::{ScriptedServer, binary, close, frame, ping, text, texts};

/// Sends an event, then `bad`, then another event: both events must be printed.
#[track_caller]
fn assert_skips(bad: Vec<u8>, flags: &[&str]) -> Run {
    let events = events(2, true);
    let script =
        vec![Accept, Send(text(&events[0])), Sync, Send(bad), Sync, Send(text(&events[1])), Hang];
    let server = ScriptedServer::start([script]);
    let run = Tail::of(&server).flags(&["-n", "2"]).flags(flags).run();
    run.ends_with(0).prints(&events);
    run
}

/// Sends an event, then `bad`, and more events on the next connection, which repeats the first.
#[track_caller]
fn reconnects_after(bad: Vec<u8>) -> Run {
    let events = events(3, true);
    let server = ScriptedServer::start([
        vec![Accept, Send(text(&events[0])), Sync, Send(bad), Hang],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "3"]).run();
    run.ends_with(0).prints(&events);
    assert_eq!(server.requests()[1].query("cursor"), ["100"]);
    run
}

/// Go's standard encoder ends each message with a line feed, and JSON's grammar allows more.
#[test]
fn white_space_around_and_within_an_event_is_not_printed() {
    let events = events(30, true);
    let spaced = |line: &String| format!("\t\n{line} \r\n");
    for (first, rest) in [(0, 30), (1, 29)] {
        // The first message is parsed in another way than later ones.
        let mut messages: Vec<String> = events[..first].to_vec();
        messages.extend(events[first..first + rest].iter().map(spaced));
        let server = ScriptedServer::start([vec![Accept, Send(texts(&messages)), Hang]]);
        let run = Tail::of(&server).flags(&["-n", "30", "--strict"]).run();
        run.ends_with(0).prints(&events).never_says("malformed");
    }
    let pretty = |line: &String| {
        let text = line.replace(",\"", ",\n  \"").replace("\":", "\":\t");
        format!("{text}\n")
    };
    let messages: Vec<String> = events.iter().map(pretty).collect();
    let server = ScriptedServer::start([vec![Accept, Send(texts(&messages)), Hang]]);
    let run = Tail::of(&server).flags(&["-n", "30", "--strict"]).run();
    run.ends_with(0).prints(&events).never_says("malformed");
}

#[test]
fn text_that_is_not_json_is_skipped_and_reported() {
    assert_skips(text("hello"), &[]).says(&["skipped a malformed event", "begins hello"]);
}

#[test]
fn json_that_is_not_an_object_is_skipped_and_reported() {
    for bad in ["[1,2]", "7", "null", "\"a string\""] {
        assert_skips(text(bad), &[]).says(&["skipped a malformed event: a JSON object expected"]);
    }
}

#[test]
fn events_without_did_or_time_are_skipped_and_reported() {
    assert_skips(text(r#"{"time_us":1}"#), &[]).says(&["no member did"]);
    assert_skips(text(r#"{"did":"did:plc:a"}"#), &[]).says(&["no member time_us"]);
    assert_skips(text(r#"{"did":7,"time_us":1}"#), &[]).says(&["did is no string"]);
    assert_skips(text(r#"{"did":"did:plc:a","time_us":-1}"#), &[])
        .says(&["time_us is no unsigned integer"]);
}

#[test]
fn an_empty_message_is_skipped_and_reported() {
    assert_skips(text(""), &[]).says(&["skipped a malformed event: a JSON object expected"]);
}

#[test]
fn a_binary_message_is_skipped_and_reported_if_text_was_requested() {
    let server_event = &events(9, true)[8];
    assert_skips(binary(server_event.as_bytes()), &[])
        .says(&["binary, though plain text was asked for"]);
}

// Guards INV-5.
#[test]
fn a_message_over_the_cap_is_skipped_and_reported() {
    let flags = &["--max-frame-size", "64KiB"];
    let words = &["longer than --max-frame-size (65536 bytes)"];
    assert_skips(text(vec![b'x'; 65_537]), flags).says(words);
    // In pieces that are each small enough, with a ping between them.
    let mut pieces = frame(0x01, &[b'x'; 60_000]);
    pieces.extend(ping(b"between"));
    pieces.extend(frame(0x80, &[b'x'; 60_000]));
    assert_skips(pieces, flags).says(words);
}

#[test]
fn a_message_as_long_as_the_cap_is_printed() {
    let padding = 65_536 - r#"{"did":"did:plc:a","time_us":1783175888000000,"x":""}"#.len();
    let event = format!(
        r#"{{"did":"did:plc:a","time_us":1783175888000000,"x":"{}"}}"#,
        "x".repeat(padding)
    );
    let server = ScriptedServer::start([vec![Accept, Send(text(&event)), Hang]]);
    let run = Tail::of(&server).flags(&["-n", "1", "--max-frame-size", "64KiB"]).run();
    run.ends_with(0).prints([event]);
}

// Guards INV-9.
#[test]
fn invalid_utf8_is_skipped_and_reported() {
    assert_skips(text(b"{\"did\":\"did:plc:\xff\",\"time_us\":1}"), &[]).says(&["invalid UTF-8"]);
}

// Guards INV-6.
#[test]
fn control_characters_reach_neither_stdout_nor_stderr() {
    for raw in ["\n", "\r", "\0", "\x1b[2J", "\x07", "\t"] {
        let inside = format!("{{\"did\":\"did:plc:a{raw}\",\"time_us\":1783175888000000}}");
        assert_skips(text(inside), &[]).says(&["raw control character"]);
        let nested = format!("{{\"did\":\"did:plc:a\",\"time_us\":1,\"x\":[1,{raw} {{\"y\":2}}]}}");
        assert_skips(text(nested), &[]).says(&["raw control character"]);
        let between = format!("{{\"did\":\"did:plc:a\",{raw}\"time_us\":1783175888000000}}");
        assert_skips(text(between), &[]).says(&["skipped a malformed event"]);
    }
}

#[test]
fn two_events_in_one_message_are_malformed() {
    let events = events(9, true);
    assert_skips(text(format!("{}\n{}", events[7], events[8])), &[])
        .says(&["raw control character"]);
    assert_skips(text(format!("{}{}", events[7], events[8])), &[]).says(&["text after the object"]);
}

#[test]
fn unbalanced_json_is_skipped_and_reported() {
    let start = r#"{"did":"did:plc:a","time_us":1783175888000000"#;
    for (rest, words) in [
        ("", "',' or '}' expected"),
        ("}}", "text after the object"),
        (r#","x":[1}"#, "',' or '}' expected"),
        (r#","x":"open"#, "unclosed string"),
        (r#","x":{"y":[1,2]"#, "unclosed object or array"),
    ] {
        assert_skips(text(format!("{start}{rest}")), &[]).says(&[words]);
    }
}

#[test]
fn invalid_grammar_is_skipped_with_strict() {
    for x in ["[1 2,]", "[{]}"] {
        let broken = format!(r#"{{"did":"did:plc:a","time_us":1783175888000000,"x":{x}}}"#);
        assert_skips(text(broken), &["--strict"]).says(&["invalid JSON"]);
    }
}

#[test]
fn very_deep_nesting_is_skipped_and_reported() {
    let deep = |depth: usize| {
        let (open, shut) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"did":"did:plc:a","time_us":1783175888000000,"x":{open}{shut}}}"#)
    };
    assert_skips(text(deep(1_000_000)), &[]).says(&["nested too deeply"]);
    // The output contains whatever a record may hold.
    let event = deep(130);
    let server = ScriptedServer::start([vec![Accept, Send(text(&event)), Hang]]);
    Tail::of(&server).flags(&["-n", "1"]).run().ends_with(0).prints([event]);
}

#[test]
fn fragments_with_pings_between_them_are_one_event() {
    let events = events(2, true);
    let (a, rest) = events[0].as_bytes().split_at(10);
    let (b, c) = rest.split_at(33);
    let pieces = [frame(0x01, a), ping(b"1"), frame(0x00, b), frame(0x8a, b"")];
    let end = [frame(0x00, b""), ping(b"2"), frame(0x80, c), text(&events[1])];
    let server = ScriptedServer::start([vec![
        Accept,
        Send(pieces.concat()),
        Sync,
        Send(end.concat()),
        Hang,
    ]]);
    Tail::of(&server).flags(&["-n", "2"]).run().ends_with(0).prints(&events);
    let pongs = server.requests()[0].frames.clone();
    assert!(pongs.starts_with(&[(10, b"1".to_vec()), (10, b"sync".to_vec())]), "{pongs:?}");
}

#[test]
fn a_masked_frame_ends_the_connection() {
    reconnects_after(vec![0x81, 0x81, 1, 2, 3, 4, 5]).says(&["a masked frame"]);
}

#[test]
fn reserved_bits_end_the_connection() {
    reconnects_after(vec![0xc1, 1, b'x']).says(&["a frame with reserved bits"]);
}

#[test]
fn an_unknown_opcode_ends_the_connection() {
    reconnects_after(vec![0x83, 1, b'x']).says(&["a frame with unknown opcode 3"]);
    reconnects_after(vec![0x8f, 1, b'x']).says(&["a frame with unknown opcode 15"]);
}

#[test]
fn bad_control_frames_and_fragments_end_the_connection() {
    reconnects_after(frame(0x89, &[0; 126])).says(&["a bad control frame"]);
    reconnects_after(vec![0x09, 0]).says(&["a bad control frame"]);
    reconnects_after(frame(0x80, b"x")).says(&["a fragment out of order"]);
    reconnects_after([frame(0x01, b"x"), frame(0x81, b"y")].concat())
        .says(&["a fragment out of order"]);
}

#[test]
fn an_impossible_length_ends_the_connection() {
    reconnects_after(vec![0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0])
        .says(&["an impossible frame length"]);
}

#[test]
fn a_huge_claimed_length_ends_with_the_connection_that_never_sends_it() {
    let events = events(2, true);
    let claim = vec![0x81, 127, 0x0f, 0, 0, 0, 0, 0, 0, 0, b'{'];
    let server = ScriptedServer::start([
        vec![Accept, Send(text(&events[0])), Sync, Send(claim), Hang],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = Tail::of(&server)
        .flags(&["-n", "2", "--ping-after", "200ms", "--pong-timeout", "200ms"])
        .run();
    run.ends_with(0).prints(&events).says(&["no answer to a ping"]);
}

#[test]
fn a_reset_in_the_middle_of_a_frame_costs_nothing() {
    let events = events(3, true);
    let whole = texts(&events);
    let first = text(&events[0]).len();
    for cut in [first + 1, first + 3, first + 50, whole.len() - 1] {
        let server = ScriptedServer::start([
            vec![Accept, Send(whole[..cut].to_vec())],
            vec![Accept, Send(whole.clone()), Hang],
        ]);
        let run = Tail::of(&server).flags(&["-n", "3"]).run();
        run.ends_with(0).prints(&events).says(&["the connection ended"]);
    }
}

#[test]
fn a_close_frame_is_reported_with_its_reason_and_the_stream_continues() {
    reconnects_after(close(1001, b"server shutting down"))
        .says(&["the server closed the connection with code 1001: server shutting down"]);
    reconnects_after(close(1008, b"\x1b[31mtoo\r\nslow\xff")).says(&[
        "the server closed the connection with code 1008: \\u{1b}[31mtoo\\u{d}\\u{a}slow\\xff;",
    ]);
    reconnects_after(close(1000, b"")).says(&["the server closed the connection with code 1000;"]);
    reconnects_after(frame(0x88, b"")).says(&["the server closed the connection;"]);
    reconnects_after(frame(0x88, b"\x03")).says(&["the server closed the connection;"]);
}

#[test]
fn unknown_kinds_and_members_are_passed_through_untouched() {
    let lines = [
        r#"{ "did": "did:plc:a", "time_us":1783175888000001,"cursor":1, "kind":"jubilee","jubilee":{"n":1.50,"x":"\u0026 é 🦋"} }"#,
        // Two events of one instant, as v2 stamps the operations of one commit.
        r#"{"did":"did:plc:a","time_us":1783175888000002,"cursor":2,"kind":"jubilee"}"#,
        r#"{"did":"did:plc:a","time_us":1783175888000002,"cursor":3,"kind":"jubilee"}"#,
        r#"{"did":"did:plc:a","time_us":1783175888000003,"cursor":4}"#,
        r#"{"zzz":[{}],"did":"did:plc:a","time_us":1783175888000004,"cursor":5,"kind":"commit","new":null,"commit":{"rev":"r","operation":"undo","collection":"c.d.e","rkey":"k","later":7}}"#,
        r#"{"did":"did:plc:a","time_us":1783175888000005,"cursor":6,"kind":"commit","commit":null}"#,
    ];
    let server = ScriptedServer::start([vec![Accept, Send(texts(lines)), Hang]]);
    Tail::of(&server).flags(&["-n", "6"]).run().ends_with(0).prints(lines);
}

// Guards INV-5.
#[test]
fn ten_thousand_malformed_events_do_not_flood_stderr() {
    let events = events(2, true);
    let mut script = vec![Accept, Send(text(&events[0]))];
    for _ in 0..100 {
        script.extend([Send(texts(vec!["no event"; 100])), Sync]);
    }
    script.extend([Send(text(&events[1])), Hang]);
    let server = ScriptedServer::start([script]);
    let run = Tail::of(&server).flags(&["-n", "2"]).run();
    run.ends_with(0).prints(&events).says(&["skipped a malformed event"]);
    let skipped = run.stderr.lines().filter(|line| line.contains("skipped")).count();
    assert!(skipped <= 20, "{skipped} times: {}", run.stderr);
}
