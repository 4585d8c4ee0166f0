//! `--markers-host`: the account and sync events of a v2 server clean an archive that has none.

use std::fs;

use super::{account, commit, identity, read, scrub, sync, write};
use crate::history::canonical;
use crate::support::{Scratch, ServeProcess};
use skytail::event::format::EventFormat;

/// Returns the events of a server: accounts that post, and some that are deleted or repaired at
/// the end.
fn recording(accounts: u64) -> Vec<String> {
    let name = |n: u64| format!("a{n}");
    let posts = (0..accounts).map(|n| commit(&name(n), n, "create", "x"));
    let others = (0..accounts).map(|n| match n % 4 {
        0 => account(&name(n), accounts + n, Some("deleted")),
        1 => sync(&name(n), accounts + n),
        2 => account(&name(n), accounts + n, Some("deactivated")),
        _ => identity(&name(n), accounts + n),
    });
    posts.chain(others).map(|line| canonical(&line, EventFormat::V1)).collect()
}

fn serve(scratch: &Scratch, lines: &[String], more: &[&str]) -> ServeProcess {
    let sizes = ["--archive-segment-events", "100", "--archive-block-events", "20"];
    let retention = ["--retention-events", "100"];
    ServeProcess::start(&scratch.recording(lines), &[&sizes[..], &retention, more].concat())
}

#[test]
fn the_markers_of_a_server_clean_an_archive_without_markers() {
    let (scratch, home) = (Scratch::new(), Scratch::new());
    let lines = recording(300);
    let server = serve(&scratch, &lines, &[]);
    let host = server.address.to_string();
    let path = write(&home, "posts.ndjson", &lines[..300]);
    let stay = |has: fn(usize) -> bool| -> Vec<String> {
        (0..300).filter(|n| has(*n)).map(|n| lines[n].clone()).collect()
    };
    let flags = ["--markers-host", &*host, "--ignore-sync"];
    scrub(&home, &flags, &[&path]).ends_with(0).prints(&["removed 75 of 300", "225 markers"]);
    assert_eq!(read(&path), stay(|n| n % 4 != 0));
    let flags = ["--markers-host", &*host, "--inactive"];
    scrub(&home, &flags, &[&path]).ends_with(0).prints(&["removed 150 of 225"]);
    assert_eq!(read(&path), stay(|n| n % 4 == 3));
}

#[test]
fn without_all_markers_nothing_is_changed() {
    let (scratch, home) = (Scratch::new(), Scratch::new());
    let lines = recording(300);
    let key = scratch.path("key");
    fs::write(&key, "s3cret-hunter2\n").unwrap();
    let server = serve(&scratch, &lines, &["--api-key-file", key.to_str().unwrap()]);
    let host = server.address.to_string();
    let mut kept = lines[..300].to_vec();
    kept.push(commit("a0", 1, "delete", "x"));
    let path = write(&home, "posts.ndjson", &kept);
    let flags = ["--markers-host", &*host];
    let ended = scrub(&home, &flags, &[&path])
        .ends_with(1)
        .says(&["--markers-host", "nothing was changed"]);
    assert!(!ended.stderr.contains("s3cret"));
    assert_eq!(read(&path), kept);
    let flags = ["--markers-host", &*host, "--api-key-file", key.to_str().unwrap()];
    scrub(&home, &flags, &[&path]).ends_with(0);
    assert!(read(&path).len() < 300);
}
