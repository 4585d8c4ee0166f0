//! What a run refuses before it connects.

use std::fs;

use super::fixture::Fixture;

#[test]
fn flags_that_a_database_has_no_place_for_are_usage_errors() {
    let fixture = Fixture::new(1);
    for (flags, said) in [
        (&["--format", "csv", "--fields", "did"][..], "choose columns with --fields"),
        (&["--jq", ".", "--raw-output"], "JSON object"),
        (&["--operation", "create"], "creates, updates and deletes"),
        (&["--max-message-size", "1000"], "outdated record"),
        (&["--shape", "native"], "whatever the shape"),
        (&["-o", "x.ndjson"], "one output"),
        (&["--fields", "identity.handle"], "commit.record."),
        (&["--fields", "commit.record.n,did"], "\"did\" is a column of every database already"),
        (&["--fields", "commit.record.a.b,commit.record.a_b"], "column a_b"),
    ] {
        let run = fixture.run(flags);
        assert_eq!(run.code(), 2, "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{flags:?}: {}", run.stderr);
        assert!(!fixture.database().exists());
    }
    let directory = format!("sqlite:{}", fixture.scratch.path(".").display());
    for (to, said) in [
        ("sqlite:", "names no file"),
        ("sqlite:a.db?x=1", "is not an option"),
        ("sqlite:a.db?history&history=scrubbed", "history is given twice"),
        ("sqlite:a.db?tombstones=0s", "a duration over zero"),
        ("sqlite:none/a.db", "the directory none does not exist: make it first, or name another"),
        ("sqlite:/dev/null", "it is a device, and a database is a file, or name another"),
        (&*directory, "it is a directory: name a file in it, or name another"),
    ] {
        let run = fixture.run(&["--to", to]);
        assert!(run.code() == 2 && run.stderr.contains(said), "{to}: {}", run.stderr);
    }
    let run = fixture.run(&["--to", "sqlite:a.db?strict", "--protocol", "v1"]);
    assert!(run.code() == 2 && run.stderr.contains("?strict"), "{}", run.stderr);
}

#[test]
fn a_second_run_on_a_database_is_refused() {
    let fixture = Fixture::new(3_000);
    let first = fixture.follow(&["--consumer", "a"]);
    fixture.wait_for(3_000);
    let second = fixture.run(&["--consumer", "b"]);
    assert_eq!(second.code(), 1, "{}", second.stderr);
    assert!(second.stderr.contains("another skytail with pid"), "{}", second.stderr);
    first.signal("TERM");
    assert_eq!(first.wait().code(), 0);
    let left: Vec<_> = fs::read_dir(fixture.scratch.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("out.db") && name != "out.db")
        .collect();
    assert_eq!(left, [""; 0], "files beside the database after a clean end");
    fixture.run_ok(&["--consumer", "b"]);
    fixture.assert_is_complete();
}

#[test]
fn foreign_files_and_other_filters_are_refused_and_left_as_they_are() {
    let fixture = Fixture::new(50);
    fs::write(fixture.database(), "a diary ".repeat(100)).unwrap();
    let run = fixture.run(&[]);
    assert_eq!(run.code(), 2, "{}", run.stderr);
    assert!(run.stderr.contains("is not a SQLite database"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(fixture.database()).unwrap(), "a diary ".repeat(100));
    fs::remove_file(fixture.database()).unwrap();

    fixture.run_ok(&["--collection", "a.b.post"]);
    let other = fixture.run(&["--collection", "a.b.like"]);
    assert_eq!(other.code(), 2, "{}", other.stderr);
    assert!(other.stderr.contains("made for \"a.b.post\""), "{}", other.stderr);
}
