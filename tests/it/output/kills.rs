//! Repeated `kill -9` during a stream: no event is lost, and none repeats.

use crate::output::fixture::Fixture;

/// Kills runs at different places until one reaches the end of the recording.
fn killed(step_us: u64, name: &str, more: &[&str], grow_bytes: u64) -> Fixture {
    let fixture = Fixture::new(20_000, step_us);
    let file = fixture.file(name);
    let flags = [&["-o", &*file, "--checkpoint-every", "10ms"], more].concat();
    let mut kills = 0;
    for round in 0..14_u64 {
        let run = fixture.start(&flags);
        if round % 5 != 4 {
            // A few bytes more than are stored, so that the kill falls at an odd position.
            fixture
                .wait_for_bytes(fixture.bytes().min(7 * grow_bytes) + round * grow_bytes / 3 + 1);
        }
        run.signal("KILL");
        kills += u32::from(run.wait().code() == -1);
        fixture.assert_state_matches_files();
    }
    assert!(kills >= 10, "{kills} kills");
    fixture.run_ok(&flags);
    fixture.assert_files_are_the_recording();
    fixture.assert_state_matches_files();
    fixture
}

// Guards INV-3.
#[test]
fn a_plain_file_equals_the_stream_after_many_kills() {
    killed(5_000, "out.ndjson", &[], 1_000_000);
}

// Guards INV-3.
#[test]
fn a_compressed_file_equals_the_stream_after_many_kills() {
    killed(5_000, "out.ndjson.zst", &[], 500_000);
}

#[test]
fn hourly_files_equal_the_stream_after_many_kills() {
    let fixture = killed(2_000_000, "out-%Y%m%dT%H.ndjson", &["--rotate", "hourly"], 1_000_000);
    // From 14:38, 11 hours and 7 minutes.
    assert_eq!(fixture.names().len(), 12);
    assert!(fixture.names()[0].ends_with("out-20260704T14.ndjson"));
    assert!(fixture.names()[11].ends_with("out-20260705T01.ndjson"));
}

#[test]
fn compressed_files_rotated_by_size_equal_the_stream_after_many_kills() {
    let fixture = killed(5_000, "out.ndjson.zst", &["--rotate", "1MiB"], 500_000);
    let names = fixture.names();
    assert!(names.len() > 5, "{names:?}");
    assert!(names[1].ends_with("out.1.ndjson.zst"));
}

#[test]
fn plain_files_rotated_by_size_end_at_the_same_event_despite_kills() {
    let fixture = killed(5_000, "out.ndjson", &["--rotate", "1000000"], 1_000_000);
    let whole = fixture.names();
    let lines = fixture.recorded.iter().map(|line| line.len() as u64 + 1);
    let mut expected = vec![0];
    for line in lines {
        if *expected.last().unwrap() >= 1_000_000 {
            expected.push(0);
        }
        *expected.last_mut().unwrap() += line;
    }
    let found: Vec<u64> = whole.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_run_killed_before_its_first_save_starts_again_at_its_start() {
    let fixture = Fixture::new(5_000, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["-o", &*file, "--checkpoint-every", "1h", "--buffer", "100"];
    let run = fixture.start(&flags);
    fixture.wait_for_bytes(100_000);
    run.signal("KILL");
    assert_eq!(run.wait().code(), -1);
    assert_eq!(fixture.rows()[0].length, 0);
    assert_eq!(fixture.start_seq(), Some(5_000), "the first event's sequence number");
    fixture.run_ok(&flags);
    fixture.assert_files_are_the_recording();
}
