//! Input and output that `skytail convert` refuses: the error says what to do, and nothing is
//! written.

use std::fs;

use crate::parquet::{names, run};
use crate::support::disk::Disk;
use crate::support::{Scratch, events};

#[test]
fn a_line_that_is_no_event_stops_the_conversion_unless_it_may_be_left_out() {
    let scratch = Scratch::new();
    let lines = events(10, true);
    let torn = &lines[9][..50];
    let text = format!("{}\n\nnot json\n{torn}", lines[..9].join("\n"));
    fs::write(scratch.path("a.ndjson"), text).unwrap();
    let args = ["convert", "a.ndjson", "-o", "a.parquet"];
    let (_, err) = run(&scratch, &args, 1);
    assert!(err.contains("a.ndjson, line 11, is not an event: "), "{err}");
    assert!(err.contains("leave out such lines with --skip-malformed"), "{err}");
    assert_eq!(names(&scratch.path(".")), ["a.ndjson"]);
    let (out, err) = run(&scratch, &[&args[..], &["--skip-malformed"]].concat(), 0);
    assert!(out.contains("9 events"), "{out}");
    assert!(err.contains("2 lines left out as no events; the first: a.ndjson, line 11"), "{err}");
}

#[test]
fn a_parquet_file_that_can_not_be_read_is_named_with_the_reason() {
    let scratch = Scratch::new();
    scratch.recording(&events(500, true));
    run(&scratch, &["convert", "recording.ndjson", "-o", "a.parquet"], 0);
    let whole = fs::read(scratch.path("a.parquet")).unwrap();
    fs::write(scratch.path("cut.parquet"), &whole[..whole.len() - 20]).unwrap();
    let mut damaged = whole;
    damaged[60] ^= 0x55;
    fs::write(scratch.path("damaged.parquet"), damaged).unwrap();
    for (file, reason) in [("cut.parquet", "it is cut off"), ("damaged.parquet", "it is damaged")] {
        for args in [&["stats", file][..], &["convert", file, "-o", "out.ndjson"]] {
            let (_, err) = run(&scratch, args, 1);
            assert!(err.contains(file) && err.contains(reason), "{err}");
        }
        let (_, err) = run(&scratch, &["serve", file], 1);
        assert!(err.contains(file) && err.contains(reason), "{err}");
    }
    assert!(!names(&scratch.path(".")).iter().any(|name| name.starts_with("out")));
}

#[test]
fn names_and_inputs_that_only_look_like_parquet_are_refused() {
    let scratch = Scratch::new();
    scratch.recording(&events(10, true));
    for name in ["y.parquet.zst", "x.PARQUET"] {
        let (out, err) = run(&scratch, &["convert", "recording.ndjson", "-o", name], 2);
        assert!(err.contains(name) && err.contains("write .parquet"), "{err}");
        assert!(out.is_empty() && !scratch.path(name).exists());
    }
    fs::write(scratch.path("empty.parquet"), "").unwrap();
    for args in [&["convert", "empty.parquet", "-o", "x.ndjson"][..], &["stats", "empty.parquet"]] {
        let (_, err) = run(&scratch, args, 1);
        assert!(err.contains("empty.parquet") && err.contains("it is cut off"), "{err}");
    }
    run(&scratch, &["convert", "recording.ndjson", "-o", "a.parquet"], 0);
    let flags = ["convert", "-", "-o", "x.ndjson", "--skip-malformed"];
    let mut command = crate::parquet::skytail(&scratch, &flags);
    let stdin = fs::File::open(scratch.path("a.parquet")).unwrap();
    let output = command.stdin(stdin).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("give the name of the file in place of -"), "{err}");
    assert!(!scratch.path("x.ndjson").exists());
}

#[test]
fn an_existing_output_stays() {
    let scratch = Scratch::new();
    scratch.recording(&events(10, true));
    fs::write(scratch.path("mine.parquet"), "mine").unwrap();
    fs::create_dir(scratch.path("dir.parquet")).unwrap();
    std::os::unix::fs::symlink("elsewhere", scratch.path("link.parquet")).unwrap();
    std::os::unix::fs::symlink("elsewhere", scratch.path("new.parquet.tmp")).unwrap();
    for (name, reason) in [
        ("mine.parquet", "exists already"),
        ("dir.parquet", "exists already"),
        ("link.parquet", "exists already"),
        ("new.parquet", "new.parquet.tmp is not a regular file"),
        ("no/such.parquet", "the directory no does not exist: make it first"),
        ("no/such.ndjson", "the directory no does not exist: make it first"),
        ("mine.parquet/a.ndjson", "mine.parquet is not a directory"),
    ] {
        let (_, err) = run(&scratch, &["convert", "recording.ndjson", "-o", name], 1);
        assert!(err.contains(reason), "{name}: {err}");
    }
    assert_eq!(fs::read(scratch.path("mine.parquet")).unwrap(), b"mine");
    assert!(!scratch.path("elsewhere").exists());
    for (args, reason) in [
        (&["-o", "a.gz"][..], "says gzip"),
        (&["-o", "a.ndjson", "--fields", "did2"], "only Parquet files have columns"),
        (&["-o", "a.parquet", "--fields", "a:word"], "\"word\" is no type of a column"),
        (&["-", "-", "-o", "a.parquet"], "- is given twice"),
        (&["-o", "a-%F.parquet"], "has a field for the time"),
        (&["-o", "a-{did}.parquet"], "\"{did}\" is not a field of a name"),
    ] {
        let (_, err) = run(&scratch, &[&["convert", "recording.ndjson"], args].concat(), 2);
        assert!(err.contains(reason), "{err}");
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("disk")).unwrap();
    let Some(_disk) = Disk::new(scratch.path("disk"), "16k") else { return };
    let mut noise = 1_u64;
    let mut lines = events(2_000, true);
    for line in &mut lines {
        noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        *line = line.replace("\"event ", &format!("\"{noise:x}{:x}", noise.rotate_left(7)));
    }
    scratch.recording(&lines);
    for name in ["disk/a.parquet", "disk/a.ndjson", "disk/a.ndjson.zst"] {
        let (_, err) = run(&scratch, &["convert", "recording.ndjson", "-o", name], 1);
        assert!(err.contains("No space left") && err.contains("free some space"), "{err}");
        assert_eq!(names(&scratch.path("disk")), [""; 0]);
    }
}

#[test]
fn only_files_that_a_split_could_write_are_in_its_way() {
    let scratch = Scratch::new();
    scratch.recording(&events(100, true));
    fs::write(scratch.path("by-week.parquet"), "mine").unwrap();
    fs::write(scratch.path("by-.parquet"), "mine").unwrap();
    let convert = ["convert", "recording.ndjson", "-o", "by-{collection}.parquet"];
    let tail = ["tail", "--demo", "-n", "20", "-q", "-o", "by-{collection}.parquet"];
    run(&scratch, &convert, 0);
    let files = || -> Vec<String> {
        names(&scratch.path(".")).into_iter().filter(|name| name.starts_with("by-")).collect()
    };
    let written = files();
    // Nothing is read if one of them could be replaced.
    fs::write(scratch.path("recording.ndjson"), "not read").unwrap();
    let (_, err) = run(&scratch, &convert, 1);
    assert!(err.contains("by-_other.parquet exists already: move it away"), "{err}");
    let (_, err) = run(&scratch, &tail, 2);
    assert!(err.contains("by-_other.parquet is complete"), "{err}");
    assert_eq!(files(), written);
    for name in written.iter().filter(|name| name.contains("app.") || name.contains("_other")) {
        fs::remove_file(scratch.path(name)).unwrap();
    }
    fs::write(scratch.path("by-app.bsky.feed.post.parquet"), "mine").unwrap();
    for (args, code) in [(&convert[..], 1), (&tail, 2)] {
        let (_, err) = run(&scratch, args, code);
        assert!(err.contains("by-app.bsky.feed.post.parquet exists already"), "{err}");
        assert!(err.contains("move it away, or name another file"), "{err}");
    }
    fs::remove_file(scratch.path("by-app.bsky.feed.post.parquet")).unwrap();
    run(&scratch, &tail, 0);
    assert_eq!(fs::read(scratch.path("by-week.parquet")).unwrap(), b"mine");
    let (_, err) = run(&scratch, &["tail", "--demo", "-o", "by-{did}.ndjson"], 2);
    assert!(err.contains("\"{did}\" is not a field of a name"), "{err}");
}
