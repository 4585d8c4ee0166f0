//! `--archive-stripe I/N`: the outputs of all stripes, in order, equal the output of one run.

use crate::history::{Fixture, assert_same, in_parallel, without_line_feeds};
use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{FIRST_US, Scratch};

/// Twelve sealed segments of 2,000 events.
fn fixture() -> Fixture {
    Fixture::of_sizes(24_250, 2_000, 100, &[])
}

fn at(event: u64) -> String {
    (FIRST_US + 1_000 * event).to_string()
}

/// Runs without `--exit-when-live`: the end of a stripe ends the run.
fn run(fixture: &Fixture, flags: &[&str]) -> Ended {
    let home = Scratch::new();
    tail(&home.path(""), &[&["--host", &*fixture.host], flags].concat())
}

/// Returns the output of all stripes in order.
fn all_stripes(fixture: &Fixture, of: u32, flags: &[&str]) -> Vec<String> {
    let numbers: Vec<u32> = (1..=of).collect();
    let parts = std::sync::Mutex::new(vec![Vec::new(); numbers.len()]);
    in_parallel(&numbers, |number| {
        let stripe = format!("{number}/{of}");
        let ended = run(fixture, &[flags, &["--archive-stripe", &stripe]].concat());
        assert_eq!(ended.code(), 0, "{stripe}: {}", ended.stderr);
        let log = &ended.stderr;
        let is_at_end = log.contains("stopped at the end of --archive-stripe");
        // The last one may see events at the time of --until.
        assert!(is_at_end || *number == of && log.contains("stopped at --until"), "{log}");
        assert!(!log.contains("gap"), "{log}");
        parts.lock().unwrap()[*number as usize - 1] = without_line_feeds(ended.rest);
    });
    parts.into_inner().unwrap().concat()
}

#[test]
fn stripes_in_order_equal_one_run() {
    let fixture = fixture();
    let until = at(20_500);
    let whole = ["--cursor", "oldest", "--until", &*until];
    for of in [1, 3] {
        assert_same(&all_stripes(&fixture, of, &whole), &fixture.recorded[..20_500]);
    }
    // More stripes than segments: some are empty.
    assert_same(&all_stripes(&fixture, 14, &whole), &fixture.recorded[..20_500]);
}

#[test]
fn stripes_of_a_part_with_a_filter_equal_one_run() {
    let fixture = fixture();
    let (since, until) = (at(3_333), at(20_500));
    let part = ["--since", &*since, "--until", &*until, "-c", "app.bsky.feed.post"];
    let one = run(&fixture, &part);
    assert_eq!(one.code(), 0, "{}", one.stderr);
    let one = without_line_feeds(one.rest);
    assert!(one.len() > 5_000, "{}", one.len());
    assert_same(&all_stripes(&fixture, 4, &part), &one);
}

// Guards INV-1.
#[test]
fn killed_stripes_lose_and_repeat_nothing() {
    let fixture = fixture();
    let (until, of) = (at(20_500), 3);
    let files: Vec<String> = (1..=of)
        .map(|number| fixture.scratch.path(&format!("{number}.ndjson")).display().to_string())
        .collect();
    in_parallel(&[1, 2, 3], |number: &usize| {
        let (file, stripe) = (&*files[number - 1], format!("{number}/{of}"));
        let flags = ["--from", "oldest", "--until", &*until, "--archive-stripe", &*stripe];
        let output = ["-o", file, "--checkpoint-every", "5ms", "--buffer", "300"];
        let all = [&["--host", &*fixture.host][..], &flags, &output].concat();
        let home = fixture.scratch.path("");
        for round in 0..20 {
            let mut run = TailProcess::start(&home, &all);
            if round < 4 {
                let length = || std::fs::metadata(file).map_or(0, |file| file.len());
                let before = length();
                while length() <= before && !run.has_ended() {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                run.signal_until_it_ends("KILL");
            }
            let ended = run.wait();
            if ended.code() == 0 && round >= 4 {
                assert!(
                    ended.stderr.contains(&format!("+stripe:{number}of{of}-")),
                    "{}",
                    ended.stderr
                );
                return;
            }
            assert!(ended.code() <= 0, "{}", ended.stderr);
        }
        panic!("stripe {stripe} did not end");
    });
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let printed: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_same(&printed, &fixture.recorded[..20_500]);
}

#[test]
fn a_history_that_machines_could_divide_differently_is_refused() {
    let fixture = fixture();
    let fixed = ["--cursor", "oldest", "--until", "2026-07-04T00:00:00Z"];
    let host = ["--host", &*fixture.host];
    let stripe = ["--archive-stripe", "1/2"];
    for (flags, words) in [
        (&["--cursor", "oldest"][..], "the present"),
        (&["--cursor", "oldest", "--until", "10m"], "the present"),
        (&["--since", "2000d", "--until", "2026-07-04T00:00:00Z"], "the present"),
        (&["--until", "2026-07-04T00:00:00Z"], "a history needs a start"),
        (&[&fixed[..], &["--archive", "off"]].concat(), "the archive alone"),
        (&[&fixed[..], &["--protocol", "v1"]].concat(), "the archive alone"),
        (&[&fixed[..], &["--host", "b.example"]].concat(), "one server"),
    ] {
        let ended = run(&fixture, &[&stripe[..], flags].concat());
        assert_eq!(ended.code(), 2, "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
    let wrong = run(&fixture, &[&fixed[..], &["--archive-stripe", "3/2"]].concat());
    assert_eq!(wrong.code(), 2, "{}", wrong.stderr);
    // Not sealed yet.
    let later = [&host[..], &stripe, &["--cursor", "oldest", "--until", "2100-01-01"]].concat();
    let home = Scratch::new();
    let ended = tail(&home.path(""), &later);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no sealed segment with the time of --until"),
        "{}",
        ended.stderr
    );
}

/// The live stream is no part of a stripe, so a server without an archive is an error.
#[test]
fn without_an_archive_a_stripe_ends_with_an_error() {
    use crate::support::scripted::{ScriptedServer, Step::Answer, http};
    let server = ScriptedServer::start(vec![vec![Answer(http("404 Not Found", "", ""))]]);
    let home = Scratch::new();
    let host = server.host();
    let flags = ["--host", &*host, "--cursor", "oldest", "--until", "2026-07-04T00:00:00Z"];
    let ended = tail(&home.path(""), &[&flags[..], &["--archive-stripe", "1/2"]].concat());
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("reads the archive alone"), "{}", ended.stderr);
}
