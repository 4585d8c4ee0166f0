//! Output that fails in the middle: the state file stays true, and the next run resumes without a
//! gap, a duplicate or a partial line.

use std::process::Command;

use crate::output::fixture::Fixture;
use crate::support::disk::Disk;
use crate::support::tail::tail_command;

// Guards INV-2.
#[test]
fn a_full_disk_ends_the_run_at_its_last_checkpoint() {
    for (name, more, room) in [
        ("out.ndjson", &["--checkpoint-events", "100"][..], "3m"),
        ("out.ndjson.zst", &["--checkpoint-events", "100"], "1m"),
        ("out.ndjson", &["--rotate", "500KiB"], "3m"),
        ("out-%FT%H.ndjson", &["--rotate", "hourly"], "3m"),
    ] {
        let fixture = Fixture::new(10_000, 1_000_000);
        let Some(disk) = Disk::new(fixture.files.clone(), room) else { return };
        let file = fixture.file(name);
        let flags = [&["-o", &*file], more].concat();
        for _ in 0..2 {
            let ended = fixture.run(&flags);
            assert_eq!(ended.code(), 1, "{}", ended.stderr);
            for words in ["can't write to", "out", "No space left", "free some space"] {
                assert!(ended.stderr.contains(words), "{words:?} is not in {}", ended.stderr);
            }
            fixture.assert_state_matches_files();
            fixture.assert_files_hold(fixture.saved());
            assert!(fixture.rows().iter().all(|row| row.state != "open"), "{:?}", fixture.rows());
        }
        disk.remount("size=64m");
        fixture.run_ok(&flags);
        fixture.assert_files_are_the_recording();
    }
}

#[test]
fn a_read_only_disk_is_refused() {
    let fixture = Fixture::new(10, 1_000_000);
    let Some(disk) = Disk::new(fixture.files.clone(), "1m") else { return };
    let file = fixture.file("out.ndjson");
    fixture.run_ok(&["-o", &file, "-n", "5"]);
    disk.remount("ro");
    for (file, more) in [
        (&*file, &[][..]),
        (&fixture.file("new.ndjson"), &[]),
        (&fixture.file("%F.ndjson"), &["--rotate", "daily"]),
    ] {
        let ended = fixture.run(&[&["-o", file], more].concat());
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("Read-only file system"), "{}", ended.stderr);
    }
    disk.remount("rw");
    fixture.run_ok(&["-o", &file]);
    fixture.assert_files_are_the_recording();
}

#[test]
fn a_limit_on_file_sizes_is_reported_and_the_next_run_resumes() {
    let fixture = Fixture::new(20_000, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["-o", &*file, "--checkpoint-every", "50ms"];
    let inner = tail_command(&fixture.scratch.path(""), &fixture.flags(&flags));
    let mut command = Command::new("sh");
    // 8 MiB; the unit of POSIX is 512 bytes, that of bash 1024.
    command.args(["-c", "ulimit -f 16384; exec \"$@\"", "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    crate::support::isolate_environment(&mut command, &fixture.scratch.path(""));
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("File too large") && stderr.contains("ulimit -f"), "{stderr}");
    fixture.assert_state_matches_files();
    fixture.assert_files_hold(fixture.saved());
    fixture.run_ok(&flags);
    fixture.assert_files_are_the_recording();
}

// Guards INV-2.
#[test]
fn a_position_that_cannot_be_saved_is_not_reported_as_saved() {
    let fixture = Fixture::new(5_000, 5_000);
    let file = fixture.file("out.ndjson");
    fixture.run_ok(&["-o", &file, "-n", "1000"]);
    fixture.sql(
        "CREATE TRIGGER broken BEFORE INSERT ON consumers BEGIN SELECT raise(ABORT, 'broken'); END",
    );
    let ended = fixture.run(&["-o", &file, "-n", "1000", "--checkpoint-events", "10"]);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("a restart would cut off the events written since"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("the position was not saved"), "{}", ended.stderr);
    fixture.sql("DROP TRIGGER broken");
    assert_eq!(fixture.saved(), 1000);
    fixture.assert_state_matches_files();
    fixture.run_ok(&["-o", &file]);
    fixture.assert_files_are_the_recording();
}

#[test]
fn a_file_that_cannot_be_recorded_is_not_created() {
    let fixture = Fixture::new(5_000, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["-o", &*file, "--rotate", "100KiB"];
    fixture.run_ok(&[&flags[..], &["-n", "10"]].concat());
    fixture.sql(
        "CREATE TRIGGER broken BEFORE INSERT ON outputs WHEN new.length_bytes = 0
         BEGIN SELECT raise(ABORT, 'broken'); END",
    );
    let ended = fixture.run(&flags);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("out.1.ndjson, because the state file can't record it"),
        "{}",
        ended.stderr
    );
    fixture.sql("DROP TRIGGER broken");
    fixture.assert_state_matches_files();
    fixture.run_ok(&flags);
    fixture.assert_files_are_the_recording();
}

#[test]
fn moving_the_output_file_ends_the_run() {
    let fixture = Fixture::new(100, 5_000);
    let (file, moved) = (fixture.file("out.ndjson"), fixture.file("moved.ndjson"));
    let flags = ["-o", &*file, "--demo", "--consumer", "d", "--checkpoint-every", "10ms"];
    let run = crate::support::tail::TailProcess::start(&fixture.scratch.path(""), &flags);
    fixture.wait_for_bytes(1);
    std::fs::rename(&file, &moved).unwrap();
    let ended = run.wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("out.ndjson was moved or removed"), "{}", ended.stderr);
    assert!(ended.stderr.contains("use --rotate"), "{}", ended.stderr);
}

#[test]
fn a_state_file_that_disappears_is_reported_and_ends_with_1() {
    let fixture = Fixture::new(20_000, 5_000);
    let run = fixture.start(&["-o", &fixture.file("out.ndjson"), "--checkpoint-every", "5ms"]);
    fixture.wait_for_bytes(100_000);
    std::fs::remove_file(fixture.scratch.path("state.db")).unwrap();
    let ended = run.wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("was moved, removed or replaced"), "{}", ended.stderr);
}
