//! The NATS output, against a real `nats-server`.

use serde_json::json;

use crate::broker::fixture::Fixture;
use crate::broker::server::Nats;

/// In nanoseconds. Too short to remove duplicates of an earlier run: the program must read back
/// what that run published.
const NO_WINDOW: u64 = 100_000_000;

#[test]
fn a_run_that_is_killed_repeatedly_publishes_each_event_once_in_order() {
    let Some(nats) = Nats::start() else { return };
    let fixture = Fixture::new(8_000);
    let mut wire = nats.wire();
    wire.stream("S", json!({"duplicate_window": NO_WINDOW}));
    fixture.begin_at_oldest();
    let mut kills = 0;
    for round in 0..8_u64 {
        let run = fixture.start(&nats.to("S"), &["--checkpoint-every", "150ms"]);
        if round % 4 != 3 {
            // A few messages more than are stored, so that the kill falls at an odd position.
            let more = wire.newest("S") + 1 + round * 311;
            wire.wait_for("S", more.min(8_000));
        }
        run.signal("KILL");
        kills += u32::from(run.wait().code() == -1);
    }
    assert!(kills >= 5, "{kills} kills");
    let ended = fixture.run(&nats.to("S"), &[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    fixture.assert_is_the_recording(&wire.payloads("S"));
}

#[test]
fn a_broker_that_is_killed_paused_and_restarted_receives_each_event_once_in_order() {
    let Some(mut nats) = Nats::start() else { return };
    let fixture = Fixture::new(10_000);
    nats.wire().stream("S", json!({"duplicate_window": NO_WINDOW}));
    fixture.begin_at_oldest();
    let mut run = fixture.start(&nats.to("S"), &[]);
    for round in 0..5_u64 {
        let mut wire = nats.wire();
        let more = wire.newest("S") + 1 + round * 700;
        wire.wait_for("S", more.min(10_000));
        if round % 2 == 0 {
            nats.kill();
            nats.launch();
        } else {
            nats.signal("STOP");
            std::thread::sleep(std::time::Duration::from_millis(200));
            nats.signal("CONT");
        }
    }
    let mut ended = run.wait();
    // The program reports a broker that lost acknowledged messages, and the next run repeats them.
    for _ in 0..3 {
        if ended.code() == 1 && ended.stderr.contains("lost") {
            run = fixture.start(&nats.to("S"), &[]);
            ended = run.wait();
        }
    }
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("events wait, and nothing is lost"), "{}", ended.stderr);
    fixture.assert_is_the_recording(&nats.wire().payloads("S"));
}

#[test]
fn a_full_stream_blocks_the_run_and_receives_everything_once_it_has_room() {
    let Some(nats) = Nats::start() else { return };
    let fixture = Fixture::new(2_000);
    let mut wire = nats.wire();
    wire.stream("S", json!({"max_bytes": 400_000}));
    fixture.begin_at_oldest();
    let run = fixture.start(&nats.to("S"), &[]);
    let (mut found, mut purged) = (Vec::new(), 0);
    while found.len() < fixture.recorded.len() {
        wire.wait_for("S", purged + 1);
        let stored = wire.payloads("S");
        purged += stored.len() as u64;
        found.extend(stored);
        wire.api("STREAM.PURGE.S", &json!({"seq": purged + 1}));
    }
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("maximum bytes exceeded"), "{}", ended.stderr);
    fixture.assert_is_the_recording(&found);
}

#[test]
fn a_run_stopped_while_its_broker_is_down_saves_acknowledged_events() {
    let Some(mut nats) = Nats::start() else { return };
    let fixture = Fixture::new(10_000);
    let mut wire = nats.wire();
    wire.stream("S", json!({}));
    fixture.begin_at_oldest();
    let run = fixture.start(&nats.to("S"), &["--drain-timeout", "100ms"]);
    wire.wait_for("S", 500);
    nats.signal("STOP");
    run.signal("INT");
    let ended = run.wait();
    nats.signal("CONT");
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let ended = fixture.run(&nats.to("S"), &[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    fixture.assert_is_the_recording(&nats.wire().payloads("S"));
    nats.kill();
}

#[test]
fn accounts_are_spread_over_subjects_and_two_runs_publish_each_event_once() {
    let Some(nats) = Nats::start() else { return };
    let fixture = Fixture::new(2_000);
    let mut wire = nats.wire();
    wire.stream("S", json!({}));
    let to = nats.to("S?partitions=4");
    for consumer in ["one", "two"] {
        let ended = fixture.run(&to, &["--cursor", "oldest", "--consumer", consumer]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
    }
    let mut partitions = vec![Vec::new(); 4];
    for (subject, headers, payload) in wire.stored("S") {
        let did = payload.split('"').nth(3).unwrap();
        assert!(headers.contains(&format!("Skytail-Did: {did}\r\n")), "{headers}");
        let number: usize = subject.strip_prefix("S.").unwrap().parse().unwrap();
        partitions[number].push(payload);
    }
    assert!(partitions.iter().all(|partition| partition.len() > 100));
    fixture.assert_keeps_accounts_in_order(&partitions);
}

#[test]
fn a_permanent_error_ends_the_run_with_its_remedy() {
    let users = r#"authorization { users: [
        { user: all, password: pw },
        { user: some, password: pw, permissions: { publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } },
    ] }"#;
    let Some(nats) = Nats::with(users, Some(("all", "pw"))) else { return };
    let fixture = Fixture::new(500);
    let mut wire = nats.wire();
    wire.stream("S", json!({"max_msg_size": 500}));
    let all = nats.file("all", "user = all\npassword = pw\n");
    let some = nats.file("some", "user = some\npassword = pw\n");
    let wrong = nats.file("wrong", "user = all\npassword = hidden\n");
    let odd = nats.file("odd", "pasword = hidden\n");
    let whole = ["--max-message-size", "300"];
    for (subject, config, more, code, log) in [
        ("S", None, &[][..], 1, "give or correct them with --to-config"),
        ("S", Some(&wrong), &[][..], 1, "give or correct them with --to-config"),
        ("S", Some(&odd), &[][..], 2, "pasword: NATS knows"),
        ("S", Some(&some), &[][..], 1, "let this user publish to S"),
        ("T", Some(&all), &[][..], 1, "make one (nats stream add --subjects 'T')"),
        ("S.a.b", Some(&all), &[][..], 1, "has no stream that takes the subject \"S.a.b\""),
        (
            "S",
            Some(&all),
            &[][..],
            1,
            "raise max_msg_size there (some 200 bytes of headers count, too), or leave such events out",
        ),
        ("S", Some(&all), &whole[..], 0, "stopped at the live tip"),
    ] {
        let mut flags = vec!["--cursor", "oldest"];
        flags.extend(more);
        if let Some(config) = config {
            flags.extend(["--to-config", config]);
        }
        let ended = fixture.run(&nats.to(subject), &flags);
        assert_eq!(ended.code(), code, "{}", ended.stderr);
        assert!(ended.stderr.contains(log), "{log:?} is not in {}", ended.stderr);
        assert!(!ended.stderr.contains("hidden"), "{}", ended.stderr);
        assert_eq!(ended.rest.len(), 0, "stdout is not written");
    }
}
