//! The choice between v1 and v2 with `--protocol auto`, and what either cannot express.

use super::v2::{ECHO, PATH, posts, xrpc};
use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Answer, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, http, texts};

#[test]
fn auto_uses_v2_if_available_and_logs_it() {
    let (messages, lines) = posts(500, 1);
    let server = ScriptedServer::start([vec![ECHO, Send(texts(&messages)), Hang]]);
    let run = Tail::of(&server).protocol("auto").flags(&["-n", "1", "-v"]).run();
    run.ends_with(0).prints(&lines).says(&["protocol=v2"]);
}

#[test]
fn auto_falls_back_to_v1_and_remembers_it() {
    let (_, lines) = posts(500, 6);
    let answers = [
        http("404 Not Found", "", r#"{"message":"Not Found"}"#),
        http("400 Bad Request", "", "what?"),
        http("501 Not Implemented", "", ""),
        http("200 OK", "", "<html>Welcome</html>"),
        http("302 Found", "Location: https://other.example/\r\n", ""),
        xrpc("404 Not Found", "XRPCNotSupported", "no"),
    ];
    for answer in answers {
        let server = ScriptedServer::start([
            vec![Answer(answer)],
            vec![Accept, Send(texts(&lines[..3]))],
            // The server is not asked for v2 again.
            vec![Accept, Send(texts(&lines[2..])), Hang],
        ]);
        let run = Tail::of(&server).protocol("auto").flags(&["-n", "6", "-v"]).run();
        run.ends_with(0).prints(&lines).says(&["no v2 here", "asking for v1", "protocol=v1"]);
        let targets: Vec<String> =
            server.requests().iter().map(|request| request.target().to_owned()).collect();
        assert_eq!(targets, [PATH, "/subscribe", "/subscribe?cursor=500"]);
    }
}

#[test]
fn auto_asks_for_v2_again_when_v1_is_gone() {
    let (messages, lines) = posts(500, 6);
    let gone = || vec![Answer(http("404 Not Found", "", "gone"))];
    let server = ScriptedServer::start([
        gone(),
        vec![Accept, Send(texts(&lines[..3]))],
        gone(),
        vec![ECHO, Send(texts(&messages[2..])), Hang],
    ]);
    // A position of one protocol is valid in the other.
    let run = Tail::of(&server).protocol("auto").flags(&["-n", "6"]).run();
    run.ends_with(0).prints(&lines).never_says("gap");
    assert_eq!(server.requests()[3].query("cursor"), ["500"]);
}

#[test]
fn auto_returns_to_v1_if_the_v2_endpoint_speaks_something_else() {
    let (_, lines) = posts(500, 3);
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(&lines)), Hang],
        vec![Accept, Send(texts(&lines)), Hang],
    ]);
    let run = Tail::of(&server).protocol("auto").flags(&["-n", "3"]).run();
    run.ends_with(0).prints(&lines).says(&["objects without $type", "asking it for v1"]);
}

#[test]
fn the_answer_of_v1_is_reported_if_neither_works() {
    let server = ScriptedServer::start([
        vec![Answer(http("404 Not Found", "", "no such route"))],
        vec![Answer(http("400 Bad Request", "", "invalid DID: did:x"))],
    ]);
    let run = Tail::of(&server).protocol("auto").run();
    run.ends_with(1).prints([""; 0]).says(&["HTTP 400: invalid DID: did:x"]);
}

#[test]
fn the_path_of_a_host_selects_the_protocol() {
    let (messages, lines) = posts(500, 1);
    let v2 = ScriptedServer::start([vec![ECHO, Send(texts(&messages)), Hang]]);
    let run = |host: &str| Tail::of_host(host).protocol("auto").flags(&["-n", "1"]).run();
    run(&format!("ws://{}{PATH}", v2.host())).ends_with(0).prints(&lines);
    let v1 = ScriptedServer::start([vec![Accept, Send(texts(&lines)), Hang]]);
    run(&format!("ws://{}/subscribe", v1.host())).ends_with(0).prints(&lines);
    assert_eq!(v1.requests()[0].target(), "/subscribe");
    let refusing =
        ScriptedServer::start([vec![Answer(http("404 Not Found", "", "no such route"))]]);
    let run = run(&format!("ws://{}{PATH}", refusing.host()));
    run.ends_with(1).says(&["HTTP 404: no such route"]);
}

#[test]
fn filters_that_v2_cannot_express_use_v1_or_are_refused() {
    let (_, lines) = posts(500, 1);
    let v1 = || ScriptedServer::start([vec![Accept, Send(texts(&lines)), Hang]]);
    let server = v1();
    let flags = ["-n", "1", "-c", "app.*", "-v"];
    let run = Tail::of(&server).protocol("auto").flags(&flags).run();
    run.ends_with(0).prints(&lines).says(&["speaking v1", "\"app.*\""]);
    let many: Vec<String> = (0..2_000).map(|i| format!("did:plc:{i:024}")).collect();
    let list = (many.join("\n") + "\ndid:plc:a\n").into_bytes();
    let server = ScriptedServer::start([vec![Accept, Step::WaitFor(1), Send(texts(&lines)), Hang]]);
    let tail = Tail::of(&server).protocol("auto");
    let dids = format!("@{}", tail.file("dids", &list));
    tail.flags(&["-n", "1", "-d", &dids]).run().ends_with(0).prints(&lines);
    assert_eq!(server.requests()[0].target(), "/subscribe?requireHello=true");
    let refused = |tail: Tail, flags: &[&str]| {
        tail.protocol("v2").flags(flags).run().ends_with(2).says(&["--protocol", "auto"]);
    };
    refused(Tail::of_host("127.0.0.1:1"), &["-c", "app.*"]);
    let tail = Tail::of_host("127.0.0.1:1");
    let dids = format!("@{}", tail.file("dids", &list));
    refused(tail, &["-d", &dids]);
    let only_sync = Tail::of_host("127.0.0.1:1").flags(&["-k", "sync"]).run();
    only_sync.ends_with(2).says(&["--kind", "v2"]);
}

/// A legacy server would replay all that it holds.
#[test]
fn a_sequence_number_is_not_sent_to_a_server_without_v2() {
    let server =
        ScriptedServer::start([vec![Answer(http("404 Not Found", "", "404 page not found"))]]);
    let run = Tail::of(&server).protocol("auto").flags(&["--cursor", "5"]).run();
    run.ends_with(1).prints([""; 0]).says(&["knows no sequence numbers", "use a time"]);
}
