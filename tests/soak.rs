//! A day of stream through one process: memory stays flat (invariant 5).
//!
//! It takes minutes, so it does not run by default:
//! `cargo test --release --test soak -- --ignored --nocapture`. `SKYTAIL_SOAK_EVENTS` sets how many
//! events pass (20 million by default).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::io::Read as _;

use support::tail::tail_command;
use support::{Scratch, ServeProcess, events};

/// Long enough that no event repeats while its dedup key is remembered.
const RECORDING: u64 = 200_000;

/// How often the memory is measured.
const LOOKS: u64 = 20;

/// How much larger the process may be at the end than after a tenth of the events, in KiB.
const MAY_GROW_KIB: u64 = 2_048;

fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Reads nothing until the process has stopped growing. Its queue is full then; otherwise a pause
/// of the reader could fill it at any moment of the run.
fn fill_the_queue(pid: u32) {
    let (mut before, mut steady) = (0, 0);
    while steady < 10 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = rss_kib(pid);
        steady = if now == before { steady + 1 } else { 0 };
        before = now;
    }
    eprintln!("with a full queue: {before:>6} KiB");
}

// Guards INV-5.
#[test]
#[ignore = "takes minutes: run it by hand, in release"]
fn memory_is_flat_over_a_day_of_stream() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: memory is read from /proc");
        return;
    }
    let asked = std::env::var("SKYTAIL_SOAK_EVENTS").ok();
    let total: u64 = asked.map_or(20_000_000, |events| events.parse().expect("a number"));
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(RECORDING, true)), &["--loop"]);
    let host = server.address.to_string();
    let flags =
        ["--host", &host, "--cursor", "oldest", "--archive", "off", "-n", &total.to_string()];
    let mut child = tail_command(&scratch.path(""), &flags).spawn().expect("start skytail");
    let mut stdout = child.stdout.take().expect("piped");

    fill_the_queue(child.id());
    let (mut seen, mut sizes) = (0, Vec::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let bytes = stdout.read(&mut buffer).expect("read stdout");
        if bytes == 0 {
            break;
        }
        seen += memchr::memchr_iter(b'\n', &buffer[..bytes]).count() as u64;
        // The first measurement comes after the buffers and the window have reached their size.
        if seen < total && seen >= total / LOOKS * (sizes.len() as u64 + 1) {
            sizes.push(rss_kib(child.id()));
            eprintln!("{seen:>12} events: {:>6} KiB", sizes.last().unwrap());
        }
    }
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("read stderr");
    assert!(child.wait().expect("wait").success(), "{stderr}");
    eprint!("{stderr}");
    assert_eq!(seen, total);
    let (early, last) = (sizes[1], *sizes.last().unwrap());
    assert!(last <= early + MAY_GROW_KIB, "{early} KiB became {last} KiB");
}
