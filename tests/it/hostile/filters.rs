//! A server that ignores every filter: the output never holds an event that the flags exclude. Also
//! the rules that end a run.

use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Hang, OnlyPongs, Send, Sync};
use crate::support::scripted::{ScriptedServer, texts};
use crate::support::{FIRST_US, Scratch, events};

/// Events of every kind, and a last one that every filter below accepts.
fn events_of_all_kinds() -> Vec<String> {
    let mut lines = events(20, true);
    for (n, (did, operation, collection)) in (120_u64..).zip([
        ("did:plc:even", "delete", "app.bsky.feed.post"),
        ("did:plc:even", "update", "app.bsky.actor.profile"),
        ("did:plc:odd", "delete", "app.bsky.graph.follow"),
        ("did:plc:odd", "create", "app.bsky.feedgen.thing"),
    ]) {
        let time_us = FIRST_US + n * 1_000;
        lines.push(format!(
            r#"{{"did":"{did}","time_us":{time_us},"cursor":{n},"kind":"commit","commit":{{"rev":"3mptbypluud2b","operation":"{operation}","collection":"{collection}","rkey":"{n}"}}}}"#
        ));
    }
    let account = r#""kind":"account","account":{"active":false,"did":"did:plc:even","seq":9,"status":"deactivated"}"#;
    let time_us = FIRST_US + 124_000;
    lines.push(format!(r#"{{"did":"did:plc:even","time_us":{time_us},"cursor":124,{account}}}"#));
    lines
        .push(format!(r#"{{"did":"did:plc:even","time_us":{time_us},"cursor":125,"kind":"new"}}"#));
    lines
}

fn event_at(time_us: u64) -> String {
    format!(
        r#"{{"did":"did:plc:last","time_us":{time_us},"cursor":{},"kind":"new"}}"#,
        time_us % 1_000_000 + 1_000
    )
}

fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

/// Runs with these flags against a server that sends everything and then closes.
#[track_caller]
fn assert_keeps(flags: &[&str], keep: impl Fn(&str) -> bool) {
    let lines = events_of_all_kinds();
    let expected: Vec<_> = lines.iter().filter(|line| keep(line)).collect();
    assert!(
        !expected.is_empty() && expected.len() < lines.len(),
        "the filter must accept some events and drop others"
    );
    let server = ScriptedServer::start([vec![Accept, Send(texts(&lines)), Sync]]);
    let run = Tail::of(&server).flags(&["--max-retries", "0"]).flags(flags).run();
    run.ends_with(3).prints(expected);
}

fn has(words: &'static str) -> impl Fn(&str) -> bool {
    move |line| line.contains(words)
}

#[test]
fn only_wanted_collections_are_printed() {
    assert_keeps(&["-c", "app.bsky.feed.post"], has("app.bsky.feed.post"));
    assert_keeps(&["-c", "app.bsky.feed.*"], has(r#""collection":"app.bsky.feed."#));
    assert_keeps(&["-c", "app.bsky.graph.*,app.bsky.actor.profile"], |line| {
        line.contains("app.bsky.graph.follow") || line.contains("app.bsky.actor.profile")
    });
    assert_keeps(&["-c", "app.bsky.feed.like", "-k", "commit,identity"], |line| {
        line.contains("app.bsky.feed.like") || line.contains(r#""kind":"identity""#)
    });
}

#[test]
fn only_wanted_accounts_are_printed() {
    assert_keeps(&["-d", "did:plc:odd"], |line| line.starts_with(r#"{"did":"did:plc:odd""#));
    assert_keeps(&["-d", "did:plc:tenth,did:plc:odd"], |line| {
        !line.starts_with(r#"{"did":"did:plc:even""#)
    });
}

#[test]
fn only_wanted_kinds_are_printed() {
    assert_keeps(&["-k", "commit"], has(r#""kind":"commit""#));
    assert_keeps(&["-k", "identity"], has(r#""kind":"identity""#));
    assert_keeps(&["-k", "account,identity"], |line| {
        line.contains(r#""kind":"account""#) || line.contains(r#""kind":"identity""#)
    });
}

#[test]
fn only_wanted_operations_are_printed() {
    assert_keeps(&["--operation", "delete"], has(r#""operation":"delete""#));
    assert_keeps(&["--operation", "update,delete"], |line| {
        line.contains(r#""operation":"delete""#) || line.contains(r#""operation":"update""#)
    });
}

#[test]
fn only_events_of_the_wanted_size_are_printed() {
    assert_keeps(&["--max-message-size", "190"], |line| line.len() <= 190);
    let edge = events_of_all_kinds()[20].len();
    assert_keeps(&["--max-message-size", &edge.to_string()], |line| line.len() <= edge);
}

#[test]
fn excluded_collections_are_not_printed() {
    assert_keeps(&["--exclude", "app.bsky.feed.post"], |line| !line.contains("app.bsky.feed.post"));
    assert_keeps(&["--exclude", "app.bsky.feed.*,app.bsky.graph.follow"], |line| {
        !line.contains(r#""collection":"app.bsky.feed."#) && !line.contains("graph.follow")
    });
    assert_keeps(&["-c", "app.bsky.feed.*", "--exclude", "app.bsky.feed.like"], |line| {
        line.contains("app.bsky.feed.post")
    });
}

#[test]
fn only_records_with_a_matching_string_are_printed() {
    assert_keeps(&["--grep", "^event 1[0-4]$"], |line| {
        (10..15).any(|n| line.contains(&format!(r#""text":"event {n}""#)))
    });
    assert_keeps(&["--grep", "event", "-k", "commit,account"], |line| {
        line.contains(r#""text":"event"#) || line.contains(r#""kind":"account""#)
    });
}

#[test]
fn filters_combine() {
    assert_keeps(
        &["-c", "app.bsky.feed.*", "-d", "did:plc:even", "--operation", "delete"],
        |line| line.contains(r#""rkey":"120""#),
    );
}

#[test]
fn the_limit_counts_printed_events() {
    let lines = events_of_all_kinds();
    let server = ScriptedServer::start([vec![Accept, Send(texts(&lines)), Hang]]);
    let run = Tail::of(&server).flags(&["-n", "3", "-c", "app.bsky.feed.like"]).run();
    run.ends_with(0).prints(lines.iter().filter(|line| has("app.bsky.feed.like")(line)).take(3));
}

#[test]
fn until_prints_earlier_events_and_reads_on_for_stragglers() {
    let mut events = events(30, true);
    events.swap(9, 12);
    // One event alone is no proof.
    events.extend([1_100_000, 1_100_001].map(|us| event_at(FIRST_US + us)));
    let until = (FIRST_US + 10_000).to_string();
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    let run = Tail::of(&server).flags(&["--until", &until]).run();
    run.ends_with(0).prints(events[..9].iter().chain(&events[10..=12][2..]));
}

#[test]
fn the_position_stays_before_until() {
    let (events, scratch) = (events(30, true), Scratch::new());
    let until = (FIRST_US + 10_000).to_string();
    let mut first = events.clone();
    first.extend([1_100_000, 1_100_001].map(|us| event_at(FIRST_US + us)));
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(&first)), Hang],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let tail = || Tail::of(&server).state(scratch.path("state.db")).flags(&["--cursor", "auto"]);
    tail().flags(&["--until", &until]).run().ends_with(0).prints(&events[..10]);
    tail().flags(&["-n", "20"]).run().ends_with(0).prints(&events[10..]);
    let seq: u64 = server.requests()[1].query("cursor")[0].parse().unwrap();
    assert!(seq <= 110, "{seq}");
}

#[test]
fn until_ends_an_idle_stream_at_its_time() {
    let events = events(5, true);
    let until = (FIRST_US + 10_000).to_string();
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), OnlyPongs]]);
    Tail::of(&server).flags(&["--until", &until]).run().ends_with(0).prints(&events);
}

#[test]
fn the_live_tip_ends_a_replay() {
    let mut events = events(5, true);
    // Far after the start of any run of this test.
    let live = now_us() + 30_000_000;
    events.extend([live, live + 1, live + 2].map(event_at));
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    let flags = &["--exit-when-live", "--cursor", "oldest"];
    Tail::of(&server).flags(flags).run().ends_with(0).prints(&events[..7]);
}

#[test]
fn an_idle_stream_that_answers_pings_counts_as_live() {
    let events = events(5, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), OnlyPongs]]);
    let flags = &["--exit-when-live", "--cursor", "oldest"];
    Tail::of(&server).flags(flags).run().ends_with(0).prints(&events);
}

#[test]
fn the_timeout_ends_a_run_in_any_state() {
    let events = events(5, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Sync, Hang]]);
    Tail::of(&server).flags(&["--timeout", "1s"]).run().ends_with(0).prints(&events);
    // Also before any answer.
    let server = ScriptedServer::start([vec![Hang]]);
    Tail::of(&server).flags(&["--timeout", "300ms"]).run().ends_with(0).prints([""; 0]);
}

#[test]
fn an_excluded_event_still_moves_the_position() {
    let lines = events_of_all_kinds();
    let wanted: Vec<_> = lines.iter().filter(|line| has("app.bsky.graph.follow")(line)).collect();
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(&lines[..20])), Sync],
        vec![Accept, Send(texts(&lines[20..])), Hang],
    ]);
    let run = Tail::of(&server).flags(&["-n", "1", "-c", "app.bsky.graph.follow"]).run();
    run.ends_with(0).prints(wanted);
    // Nothing was printed, and still the second connection asks for a position of the first.
    assert_eq!(server.requests()[1].query("cursor"), ["100"]);
}
