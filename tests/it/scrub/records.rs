//! What is removed and what stays.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};
use skytail::event::format::EventFormat;

use super::{account, commit, identity, names, read, scrub, sync, write};
use crate::history::canonical;
use crate::support::tail::tail;
use crate::support::{Scratch, ServeProcess, isolate_environment};

/// Events of several accounts, and whether each stays without flags.
fn events() -> Vec<(String, bool)> {
    vec![
        (commit("a", 1, "create", "deleted"), false),
        (commit("a", 2, "create", "kept"), true),
        (commit("a", 3, "create", "replaced"), false),
        (commit("a", 4, "update", "replaced"), true),
        (commit("a", 5, "delete", "deleted"), true),
        (commit("b", 6, "create", "x"), false),
        (identity("b", 7), false),
        (commit("b", 8, "delete", "before"), true),
        (account("b", 9, Some("deleted")), true),
        (account("b", 10, None), true),
        (commit("b", 11, "create", "after"), true),
        (commit("c", 12, "create", "x"), true),
        (identity("c", 13), true),
        (account("c", 14, Some("deactivated")), true),
        (commit("d", 15, "create", "gone"), false),
        (commit("d", 16, "create", "restored"), false),
        (sync("d", 17), true),
        (commit("d", 18, "create", "restored"), true),
        (commit("e", 19, "delete", "recreated"), true),
        (commit("e", 20, "create", "recreated"), true),
    ]
}

fn split(events: &[(String, bool)]) -> (Vec<String>, Vec<String>) {
    let all = events.iter().map(|(line, _)| line.clone()).collect();
    let kept = events.iter().filter(|(_, stays)| *stays).map(|(line, _)| line.clone()).collect();
    (all, kept)
}

// Guards INV-10.
#[test]
fn deleted_records_and_accounts_leave_plain_and_compressed_files() {
    let (all, kept) = split(&events());
    for name in ["a.ndjson", "a.ndjson.zst"] {
        let scratch = Scratch::new();
        let path = write(&scratch, name, &all);
        let before = fs::metadata(&path).unwrap().len();
        let report = scrub(&scratch, &["--json"], &[&path]).ends_with(0).report();
        assert_eq!(read(&path), kept);
        let after = fs::metadata(&path).unwrap().len();
        let removed = json!({"events": 6, "deleted": 1, "replaced": 1, "of_deleted_accounts": 2,
            "of_inactive_accounts": 0, "repaired": 2});
        assert_eq!(report["removed"], removed);
        assert_eq!((&report["events"], &report["uris"]), (&json!(20), &json!(5)));
        assert_eq!((&report["accounts"], &report["dry_run"]), (&json!(1), &json!(false)));
        assert_eq!(
            (&report["bytes_before"], &report["bytes_after"]),
            (&json!(before), &json!(after))
        );
        let file = &report["files"][0];
        assert_eq!((&file["outcome"], &file["removed"]), (&json!("scrubbed"), &json!(6)));
        // Nothing is left to do, and nothing is left behind.
        let inode = fs::metadata(&path).unwrap().ino();
        scrub(&scratch, &[], &[&path]).ends_with(0).prints(&["removed 0 of 14 events in 1 file\n"]);
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        assert_eq!(names(&scratch), [name]);
    }
}

#[test]
fn each_flag_changes_what_is_removed() {
    let cases: [(&[&str], &[usize], &[usize]); 4] = [
        (&["--keep-history"], &[2, 15], &[]),
        (&["--inactive"], &[], &[11, 12]),
        (&["--ignore-sync"], &[14], &[]),
        (&["--ignore-sync", "--keep-history", "--inactive"], &[2, 14, 15], &[11, 12]),
    ];
    for (flags, kept, removed) in cases {
        let mut events = events();
        kept.iter().for_each(|at| events[*at].1 = true);
        removed.iter().for_each(|at| events[*at].1 = false);
        let (all, kept) = split(&events);
        let scratch = Scratch::new();
        let path = write(&scratch, "a.ndjson", &all);
        scrub(&scratch, flags, &[&path]).ends_with(0);
        assert_eq!(read(&path), kept, "{flags:?}");
        scrub(&scratch, flags, &[&path]).ends_with(0).prints(&["removed 0 of"]);
    }
}

#[test]
fn deletes_count_for_all_files_and_from_elsewhere() {
    let scratch = Scratch::new();
    let (old, new) = (commit("a", 1, "create", "x"), commit("a", 2, "create", "y"));
    let first = write(&scratch, "1.ndjson.zst", std::slice::from_ref(&old));
    let second = write(&scratch, "2.ndjson", std::slice::from_ref(&new));
    let third = write(&scratch, "3.ndjson", &[commit("a", 3, "delete", "x")]);
    let markers = [account("a", 4, Some("deleted")), commit("b", 4, "create", "z")];
    let elsewhere = write(&scratch, "4.ndjson.zst", &markers);
    let inode = fs::metadata(&third).unwrap().ino();
    let files = [&*first, &*second, &*third];
    scrub(&scratch, &[], &files).ends_with(0).prints(&["removed 1 of 3 events in 3 files"]);
    assert_eq!((read(&first).len(), read(&second)), (0, vec![new]));
    let flags = ["--markers-from", elsewhere.to_str().unwrap()];
    scrub(&scratch, &flags, &files).ends_with(0).prints(&["read 2 markers from elsewhere"]);
    assert_eq!((read(&second).len(), read(&third).len()), (0, 1));
    assert_eq!(read(&elsewhere), markers);
    assert_eq!(fs::metadata(&third).unwrap().ino(), inode, "a clean file was rewritten");
    let missing = scratch.path("none");
    let flags = ["--markers-from", missing.to_str().unwrap()];
    scrub(&scratch, &flags, &files).ends_with(1).says(&["--markers-from", "there is no such file"]);
}

#[test]
fn a_database_says_what_was_deleted() {
    let (scratch, home) = (Scratch::new(), Scratch::new());
    let mut events = events();
    events.retain(|(line, _)| !line.contains("did:plc:b"));
    events.push((commit("f", 21, "create", "x"), false));
    events.push((account("f", 22, Some("deleted")), true));
    let (all, _) = split(&events);
    let server = ServeProcess::start(&home.recording(&all), &["--server-kind", "v2"]);
    let (host, database) = (server.address.to_string(), scratch.path("a.db"));
    let to = format!("sqlite:{}", database.display());
    let ended = tail(&home.path(""), &["--host", &*host, "--from", "oldest", "-e", "--to", &*to]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    events.retain(|(line, _)| line.contains(r#""record":"#));
    let (all, kept) = split(&events);
    assert_eq!((all.len(), kept.len()), (10, 5));
    let path = write(&scratch, "a.ndjson", &all);
    scrub(&scratch, &["--markers-from", database.to_str().unwrap()], &[&path]).ends_with(0);
    assert_eq!(read(&path), kept);
}

#[test]
fn a_dry_run_changes_nothing() {
    let scratch = Scratch::new();
    let (all, _) = split(&events());
    let path = write(&scratch, "a.ndjson", &all);
    scrub(&scratch, &["--dry-run"], &[&path])
        .ends_with(0)
        .prints(&["would remove 6 of 20 events in 1 file\nfound 1 of deleted records\nfound 1 replaced later\nfound 2 of deleted accounts\nfound 2 older than a repair of their repository\nfound 5 URIs and 1 account in all\n"]);
    let report = scrub(&scratch, &["--dry-run", "--json"], &[&path]).ends_with(0).report();
    assert_eq!((&report["dry_run"], &report["bytes_after"]), (&json!(true), &json!(null)));
    assert_eq!(report["files"][0]["outcome"], "would_be_scrubbed");
    assert_eq!((read(&path), names(&scratch)), (all, vec!["a.ndjson".to_owned()]));
}

#[test]
fn native_events_are_scrubbed_too() {
    let scratch = Scratch::new();
    let native = |line: &String| canonical(line, EventFormat::Native);
    let mut events = events();
    events.iter_mut().for_each(|(line, _)| *line = native(line));
    let (all, kept) = split(&events);
    let path = write(&scratch, "a.ndjson", &all);
    scrub(&scratch, &[], &[&path]).ends_with(0);
    assert_eq!(read(&path), kept);
}

#[test]
fn all_other_bytes_stay_as_they_are() {
    let scratch = Scratch::new();
    let path = scratch.path("a.ndjson");
    let gone = commit("a", 1, "create", "x");
    let spaced = r#" { "time_us" : 5, "did" : "did:plc:z", "later" : [ 1 ] } "#;
    let delete = commit("a", 2, "delete", "x");
    let text = |gone: &str| format!("\u{feff}{gone}\r\n\n{spaced}\r\n   \n{delete}");
    fs::write(&path, text(&gone)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    scrub(&scratch, &[], &[&path]).ends_with(0).prints(&["removed 1 of 3 events"]);
    let expected = text("").split_once('\n').unwrap().1.to_owned();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}

#[test]
fn parquet_files_are_scrubbed_too() {
    let scratch = Scratch::new();
    let events: Vec<(String, bool)> = events()
        .into_iter()
        .map(|(line, stays)| (canonical(&line, EventFormat::V1), stays))
        .collect();
    let (all, kept) = split(&events);
    let convert = |from: &str, to: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        isolate_environment(&mut command, &scratch.path(""));
        command.arg("convert").arg(scratch.path(from)).arg("-o").arg(scratch.path(to));
        assert!(command.output().unwrap().status.success());
    };
    write(&scratch, "a.ndjson", &all);
    convert("a.ndjson", "a.parquet");
    let path = scratch.path("a.parquet");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(scratch.path("a.parquet.scrub.parquet"), "half").unwrap();
    scrub(&scratch, &[], &[&path]).ends_with(0).prints(&["removed 6 of 20 events in 1 file"]);
    convert("a.parquet", "b.ndjson");
    let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let found: Vec<Value> = read(&scratch.path("b.ndjson")).iter().map(parse).collect();
    assert_eq!(found, kept.iter().map(parse).collect::<Vec<_>>());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    scrub(&scratch, &[], &[&path]).ends_with(0).prints(&["removed 0 of 14 events"]);
    assert_eq!(names(&scratch), ["a.ndjson", "a.parquet", "b.ndjson"]);
    // Nothing of it stays, and damage is reported.
    let post =
        write(&scratch, "c.ndjson", &[canonical(&commit("z", 1, "create", "x"), EventFormat::V1)]);
    convert("c.ndjson", "c.parquet");
    let delete = write(&scratch, "d.ndjson", &[commit("z", 2, "delete", "x")]);
    let of = ["--markers-from", delete.to_str().unwrap()];
    scrub(&scratch, &of, &[&scratch.path("c.parquet"), &post])
        .ends_with(0)
        .prints(&["removed 2 of 2"]);
    scrub(&scratch, &of, &[&scratch.path("c.parquet")]).ends_with(0).prints(&["removed 0 of 0"]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    scrub(&scratch, &of, &[&path]).ends_with(1).says(&["cut off"]);
}

#[test]
fn the_order_of_overlapping_files_does_not_matter() {
    let (a, b) = (split(&events()).0, split(&events()).1);
    let scratch = Scratch::new();
    let first = write(&scratch, "1.ndjson", &a);
    let second = write(&scratch, "2.ndjson", &a);
    scrub(&scratch, &[], &[&second, &first]).ends_with(0);
    assert_eq!((read(&first), read(&second)), (b.clone(), b));
}
