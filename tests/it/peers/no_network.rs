//! A run that reaches no server says once what to check, and then waits quietly.

use std::net::TcpListener;

use crate::support::events;
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{ScriptedServer, texts};

/// Returns addresses at which nothing listens.
fn refusing(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn warnings(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter(|line| line.contains("skytail: warning: ")).collect()
}

#[test]
fn several_unreachable_servers_get_one_warning() {
    for more in [&["--cursor", "live"][..], &["--cursor", "oldest", "--protocol", "auto"]] {
        let hosts = refusing(3);
        let flags = ["--host", &hosts[1], "--host", &hosts[2], "--max-retries", "4"];
        let mut tail = Tail::of_host(&hosts[0]).flags(&flags).flags(&more[..2]);
        if more.len() > 2 {
            tail = tail.protocol("auto").archive("auto");
        }
        let run = tail.run();
        run.ends_with(3).says(&["gave up after 5 failed attempts; the last: "]);
        let warnings = warnings(&run);
        let [warning] = warnings[..] else { panic!("{}", run.stderr) };
        let start = format!("no server can be reached yet: {}: connection refused", hosts[0]);
        for part in [&start, "check the network, DNS", "trying 3 servers in turn, 4 more attempts"]
        {
            assert!(warning.contains(part), "{part:?} is missing in {warning}");
        }
    }
}

#[test]
fn one_unreachable_server_gets_one_warning_and_verbose_runs_log_each_attempt() {
    let run = Tail::of_host("no-such-host.invalid").flags(&["--max-retries", "2"]).run();
    run.ends_with(3);
    let [warning] = warnings(&run)[..] else { panic!("{}", run.stderr) };
    let text = "no-such-host.invalid:443: the name can't be resolved";
    assert!(warning.contains(text) && warning.contains("check its spelling"), "{warning}");
    assert!(warning.ends_with("trying again, 2 more attempts (-v logs each)"), "{warning}");
    let run = Tail::of_host(&refusing(1)[0]).flags(&["--max-retries", "2", "-v"]).run();
    run.ends_with(3);
    assert_eq!(run.stderr.matches("; connecting to ").count(), 1, "{}", run.stderr);
}

#[test]
fn a_run_without_a_limit_says_again_that_it_waits() {
    let host = &refusing(1)[0];
    let run = Tail::of_host(host).flags(&["--max-retries", "never", "--timeout", "1s"]).run();
    run.ends_with(0);
    assert_eq!(warnings(&run).len(), 1, "{}", run.stderr);
    run.says(&["trying again, until one answers (-v logs each attempt)"]);
}

#[test]
fn a_server_that_was_reached_is_reported_at_each_loss() {
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(events(2, true)))],
        vec![Accept, Send(texts(events(3, true))), Hang],
    ]);
    let first = &refusing(1)[0];
    let run = Tail::of_host(first).flags(&["--host", &server.host(), "-n", "3"]).run();
    run.ends_with(0);
    let warnings = warnings(&run);
    assert!(warnings[0].contains("no server can be reached yet"), "{}", run.stderr);
    assert!(warnings[1].contains("connecting to "), "{}", run.stderr);
}
