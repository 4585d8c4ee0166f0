//! Exporting and importing saved cursors: exact, checked, all or nothing.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::state::{CommandResult, command, run};
use crate::support::disk::Disk;
use crate::support::tail::TailProcess;
use crate::support::{Scratch, ServeProcess, events, tail};

/// Runs `skytail cursors import` with this on stdin.
fn import(state: &Path, text: &str, flags: &[&str]) -> CommandResult {
    let mut command = command(state, &[&["cursors", "import"], flags].concat());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    CommandResult {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn export(state: &Path, name: &str) -> String {
    run(state, &["cursors", "export", name]).ends_with(0).stdout
}

/// A server, and a state file in which a run stopped after 100 events.
fn stopped() -> (Scratch, ServeProcess, Vec<String>) {
    let scratch = Scratch::new();
    let recorded = events(300, true);
    let server = ServeProcess::start(&scratch.recording(&recorded), &["--rate", "max"]);
    let host = format!("ws://{}", server.address);
    let flags = ["--host", &host, "--consumer", "c", "--cursor", "oldest", "-n", "100"];
    assert_eq!(tail::tail(&scratch.path(""), &flags).code(), 0);
    (scratch, server, recorded)
}

// Guards INV-1.
#[test]
fn an_import_continues_without_loss_or_repetition_in_another_state_file() {
    let (scratch, server, recorded) = stopped();
    let state = scratch.path("state.db");
    let other = scratch.path("other");
    fs::create_dir(&other).unwrap();
    // The copy has its own name and secret.
    run(&other.join("state.db"), &["cursors", "set", "d", "12"]).ends_with(0);
    let text = export(&state, "c");
    assert_eq!(text.lines().count(), 1, "{text}");
    import(&other.join("state.db"), &text, &[]).ends_with(0).says(&["imported \"c\""]);
    assert_eq!(export(&other.join("state.db"), "c"), text);
    let host = format!("ws://{}", server.address);
    let flags = ["--host", &host, "--consumer", "c", "--cursor", "auto", "--rewind", "1h"];
    for (from, to) in [(100, 200), (200, 300)] {
        let ended = tail::tail(&other, &[&flags[..], &["-n", "100"]].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let lines: Vec<&str> = ended.rest.iter().map(|line| line.trim_end()).collect();
        assert!(lines == recorded[from..to], "the lines are not exactly {from} to {to}");
    }
    run(&other.join("state.db"), &["cursors", "rm", "c"]).ends_with(0);
    let left = fs::read(other.join("state.db")).unwrap();
    assert!(!left.is_empty());
}

#[test]
fn an_import_refuses_a_name_that_exists_or_is_in_use() {
    let (scratch, ..) = stopped();
    let state = scratch.path("state.db");
    let other = scratch.path("other.db");
    let text = export(&state, "c");
    import(&state, &text, &[]).ends_with(1).says(&["\"c\" exists already", "--force"]);
    run(&state, &["cursors", "set", "c", "12"]).ends_with(0);
    import(&state, &text, &["--force"]).ends_with(0);
    assert_eq!(export(&state, "c"), text);
    let lease = skytail::checkpoint::lease::Lease::acquire(&state, "c").unwrap();
    import(&state, &text, &["--force"]).ends_with(1).says(&["is in use by skytail", "stop it"]);
    drop(lease);
    // An import changes all or nothing.
    run(&other, &["cursors", "set", "d", "12"]).ends_with(0);
    let both = text.clone() + &export(&other, "d");
    import(&other, &both, &[]).ends_with(1).says(&["\"d\" exists already"]);
    assert!(!run(&other, &["cursors", "list"]).stdout.contains("example"), "c was imported");
    run(&other, &["cursors", "show", "c"]).ends_with(1);
    import(&other, &both, &["--force"]).ends_with(0);
    assert_eq!(export(&other, "c") + &export(&other, "d"), both);
    import(&other, &(text.clone() + &text), &["--force"]).ends_with(1).says(&["occurs twice"]);
    let file = scratch.path("export.json");
    fs::write(&file, &text).unwrap();
    let new = scratch.path("new.db");
    run(&new, &["cursors", "import", file.to_str().unwrap()]).ends_with(0);
    assert_eq!(export(&new, "c"), text);
    run(&new, &["cursors", "export", "x"]).ends_with(1).says(&["no cursor is saved as \"x\""]);
}

/// A gap and an output of consumer "c", as an export has them.
fn gap_and_output() -> (Value, Value) {
    let gap = json!({"consumer": "c", "seen_at_us": 1, "reason": "r", "count": 1});
    let output = json!({"consumer": "c", "path": "/o", "ordinal": 1, "pattern": "/o",
        "rotation": null, "state": "open", "length_bytes": 1, "tail_hash": "-9223372036854775808",
        "period_start_us": null, "number": 0});
    (gap, output)
}

fn with(of: &Value, key: &str, value: Value) -> Value {
    let mut of = of.clone();
    of[key] = value;
    of
}

/// Returns `export` with one row in a table.
fn with_row(export: &Value, table: &str, row: Value) -> Value {
    let mut tables = export["tables"].clone();
    tables[table] = json!([row]);
    with(export, "tables", tables)
}

/// Returns exports that each have one wrong value, with words of the error.
fn wrong_exports(good: &Value) -> Vec<(&'static str, Value)> {
    let (gap, output) = gap_and_output();
    let tables = |name: &str, row: Value| with_row(good, name, row);
    let consumer = &good["tables"]["consumers"][0];
    let column = |key: &str, value: Value| tables("consumers", with(consumer, key, value));
    vec![
        ("skytail_cursor", with(good, "skytail_cursor", 2.into())),
        ("newer skytail", with(good, "schema", 99.into())),
        ("schema can't be 0", with(good, "schema", 0.into())),
        ("unknown field", with(good, "more", 1.into())),
        ("no secrets", with(good, "secrets", json!({}))),
        ("is not 16 hexadecimal digits", with(good, "secrets", json!({"identity_seed": "xyz"}))),
        ("no secret \"other\"", with(good, "secrets", json!({"other": "12"}))),
        ("no table \"meta\"", tables("meta", json!({"consumer": "c", "key": "x"}))),
        ("no table \"x; DROP", tables("x; DROP TABLE gaps", json!({}))),
        ("must have exactly one row", with(good, "tables", json!({}))),
        ("of another consumer", column("name", "d".into())),
        ("no column \"x", column("x) VALUES (1); --", 1.into())),
        ("newest_time_us", column("newest_time_us", "then".into())),
        ("newest_time_us", column("newest_time_us", json!(1.5))),
        ("newest_time_us", column("newest_time_us", json!([1]))),
        ("newest_time_us", column("newest_time_us", Value::Null)),
        ("identities", column("identities", "0g".into())),
        ("identities", column("identities", "0102".into())),
        ("identities", column("identities", 5.into())),
        ("server_kind", column("server_kind", "v9".into())),
        ("although a cursor was set by hand", column("set_seq", 12.into())),
        ("gaps", tables("gaps", with(&gap, "reason", Value::Null))),
        ("count", tables("gaps", with(&gap, "count", 0.into()))),
        ("of another consumer", tables("gaps", with(&gap, "consumer", "d".into()))),
        ("neither open", tables("outputs", with(&output, "state", "shut".into()))),
        ("not absolute", tables("outputs", with(&output, "path", "o".into()))),
        ("number", tables("outputs", with(&output, "number", (-1).into()))),
    ]
}

#[test]
fn an_import_checks_every_value_and_changes_nothing_when_one_is_wrong() {
    let (scratch, ..) = stopped();
    let state = scratch.path("state.db");
    let text = export(&state, "c");
    let good: Value = serde_json::from_str(&text).unwrap();
    let other = scratch.path("other.db");
    run(&other, &["cursors", "set", "d", "12"]).ends_with(0);
    let before = export(&other, "d");
    let (gap, output) = gap_and_output();
    import(&other, &with_row(&good, "gaps", gap).to_string(), &[]).ends_with(0);
    import(&other, &with_row(&good, "outputs", output).to_string(), &["--force"]).ends_with(0);
    run(&other, &["cursors", "rm", "c"]).ends_with(0);
    for (words, wrong) in wrong_exports(&good) {
        let text = wrong.to_string();
        let result = import(&other, &text, &[]);
        assert_eq!(result.code, Some(1), "{words:?}: {result:?}");
        assert!(
            result.stderr.contains(words) || words == "skytail_cursor",
            "{words:?}: {result:?}"
        );
        run(&other, &["cursors", "show", "c"]).ends_with(1);
    }
    for text in ["", "{", "[]", "null", &text[..text.len() / 2], &text.replace("\"c\"", "\"a b\"")]
    {
        import(&other, text, &[]).ends_with(1);
    }
    assert_eq!(export(&other, "d"), before);
}

#[test]
fn a_backup_is_consistent_while_a_run_saves() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let flags = ["--demo", "--consumer", "c", "--checkpoint-events", "1"];
    let mut run_meanwhile = TailProcess::start(&scratch.path(""), &flags);
    run_meanwhile.lines(50);
    for i in 0..10 {
        let copy = scratch.path(&format!("copy{i}.db"));
        run(&state, &["cursors", "backup", copy.to_str().unwrap()])
            .ends_with(0)
            .says(&["copied 1 cursor to"]);
        let listed = run(&copy, &["cursors", "list"]).ends_with(0);
        assert!(listed.stdout.contains("\nc "), "{listed:?}");
        run_meanwhile.lines(5);
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(scratch.path("copy0.db")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    run_meanwhile.signal("KILL");
    run_meanwhile.wait();
    // The copy includes the rows that a killed run left in the write-ahead log.
    let copy = scratch.path("last.db");
    run(&state, &["cursors", "backup", copy.to_str().unwrap()]).ends_with(0);
    assert_eq!(export(&copy, "c"), export(&state, "c"));
    let left: Vec<_> = fs::read_dir(scratch.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_backup_overwrites_nothing_and_is_atomic() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let path = |name: &str| scratch.path(name).to_str().unwrap().to_owned();
    run(&state, &["cursors", "backup", &path("copy.db")])
        .ends_with(1)
        .says(&["there is nothing to copy"]);
    run(&state, &["cursors", "set", "c", "12"]).ends_with(0);
    fs::write(path("diary"), "dear").unwrap();
    let words = ["exists already", "--force"];
    run(&state, &["cursors", "backup", &path("diary")]).ends_with(1).says(&words);
    for flags in [&[][..], &["--force"]] {
        let backup = |to: &str| run(&state, &[&["cursors", "backup", to], flags].concat());
        backup(&path("state.db")).ends_with(1).says(&["the state file itself"]);
        backup(&path(".")).ends_with(1);
        backup(&path("missing/copy.db")).ends_with(1).says(&["No such file"]);
        fs::write(path("used.db-wal"), "x").unwrap();
        backup(&path("used.db")).ends_with(1).says(&["is a database in use"]);
    }
    assert_eq!(fs::read_to_string(path("diary")).unwrap(), "dear");
    run(&state, &["cursors", "backup", &path("diary"), "--force"]).ends_with(0);
    assert!(run(&scratch.path("diary"), &["cursors", "list"]).stdout.contains("\nc "));

    fs::create_dir(path("disk")).unwrap();
    let Some(_disk) = Disk::new(scratch.path("disk"), "20k") else { return };
    let result = run(&state, &["cursors", "backup", &path("disk/copy.db")]).ends_with(1);
    assert!(result.stderr.contains("its disk is full"), "{result:?}");
    assert_eq!(fs::read_dir(path("disk")).unwrap().count(), 0);
}
