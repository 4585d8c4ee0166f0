//! Another program writes to an output file while a run writes to it: its bytes stay, and no event is
//! lost or repeated.

use std::fs;

use crate::output::fixture::Fixture;
use crate::output::refusals::append_to;

/// Returns the lines of a file that are not events of the recording, after a check that every other
/// line occurs once.
#[track_caller]
pub(super) fn foreign_lines(fixture: &Fixture, file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut missing: std::collections::HashMap<&str, i32> =
        fixture.recorded.iter().map(|line| (&**line, 1)).collect();
    let mut foreign = Vec::new();
    for line in text.lines() {
        match missing.get_mut(line) {
            Some(count) => *count -= 1,
            None => foreign.push(line.to_owned()),
        }
    }
    let wrong: Vec<_> = missing.iter().filter(|(_, count)| **count != 0).take(5).collect();
    assert!(wrong.is_empty(), "lost (1) or repeated (below 0): {wrong:?}");
    foreign
}

#[test]
fn foreign_bytes_written_during_a_run_stay_and_no_event_is_lost_or_repeated() {
    // Several appends in a row, so that some lie on both sides of a write of the run.
    let many = [&["foreign\n"][..], &["\n"; 2_000], &["more\n"]].concat();
    let cases: [(&str, u64, &[&str]); 6] = [
        ("5ms", 5_000, &["foreign\n", "more\n"]),
        ("1h", 5_000, &["foreign\n", "more\n"]),
        ("1h", 3_000, &["foreign\n", "more\n"]),
        // Without a line feed.
        ("1h", 5_000, &["foreign", "\nmore"]),
        ("50ms", 5_000, &["foreign\nmo", "re"]),
        ("50ms", 5_000, &many),
    ];
    std::thread::scope(|scope| {
        for (every, events, foreign) in cases {
            scope.spawn(move || foreign_bytes_stay(every, events, foreign));
        }
    });
}

/// Appends `foreign` while a run writes `events` events, and then ends the recording with further
/// runs.
fn foreign_bytes_stay(every: &str, events: u64, foreign: &[&str]) {
    let fixture = Fixture::new(events, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["-o", &*file, "--checkpoint-every", every, "--buffer", "100"];
    let run = fixture.start(&flags);
    fixture.wait_for_bytes(100_000);
    for bytes in foreign {
        append_to(&file, bytes.as_bytes());
    }
    let ended = run.wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("was written to by another program"), "{}", ended.stderr);
    let ended = fixture.run(&flags);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("another program wrote to it"), "{}", ended.stderr);
    fixture.run_ok(&[&flags[..], &["--append"]].concat());
    // An event may follow foreign bytes without a line feed, and is then repeated below them.
    let foreign = foreign_lines(&fixture, &file);
    let foreign = foreign.iter().map(|line| line.split('{').next().unwrap_or_default());
    assert_eq!(foreign.collect::<String>(), "foreignmore");
    fixture.run_ok(&flags);
}

#[test]
fn a_compressed_file_with_foreign_bytes_loses_no_event() {
    for every in ["5ms", "1h"] {
        let fixture = Fixture::new(5_000, 5_000);
        let (file, next) = (fixture.file("out.ndjson.zst"), fixture.file("next.ndjson.zst"));
        let flags = ["--checkpoint-every", every, "--buffer", "100"];
        let run = fixture.start(&[&flags[..], &["-o", &file]].concat());
        fixture.wait_for_bytes(20_000);
        append_to(&file, b"foreign\n");
        let ended = run.wait();
        assert_eq!(ended.code(), 1, "{}", ended.stderr);
        let ended = fixture.run(&[&flags[..], &["-o", &file, "--append"]].concat());
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        fixture.run_ok(&[&flags[..], &["-o", &next]].concat());
        let packed = fs::read(&file).unwrap();
        let foreign = packed.windows(8).position(|bytes| bytes == b"foreign\n").unwrap();
        // The readable part, and the content of the next file: all events.
        let mut readable = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(&packed[..foreign]).unwrap();
        let _ = std::io::copy(&mut decoder, &mut readable);
        let before = String::from_utf8(readable).unwrap();
        let after = crate::output::fixture::unpacked(next.as_ref(), &fs::read(&next).unwrap());
        let after = String::from_utf8(after).unwrap();
        let events: std::collections::HashSet<&str> = before.lines().chain(after.lines()).collect();
        let missing = fixture.recorded.iter().filter(|line| !events.contains(&***line)).count();
        assert_eq!(missing, 0, "{every}: events that can't be read anywhere");
    }
}
