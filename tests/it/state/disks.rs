//! State files on disks that are full or read-only, and behind dangling links: each message names
//! the cause, and what can be read is read.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::state::{capture, command, run};
use crate::support::disk::Disk;
use crate::support::{Scratch, isolate_environment};

/// Fills a disk to the last byte.
fn fill(directory: &Path) {
    let mut file = fs::File::create(directory.join("fill")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[test]
fn a_closed_state_file_is_listed_on_a_read_only_mount() {
    let scratch = Scratch::new();
    let directory = scratch.path("disk");
    fs::create_dir(&directory).unwrap();
    let Some(disk) = Disk::new(directory.clone(), "4m") else { return };
    let state = directory.join("state.db");
    run(&state, &["cursors", "set", "posts", "12"]).ends_with(0);
    disk.remount("ro");
    let listed = run(&state, &["cursors", "list"]).ends_with(0);
    assert!(listed.stdout.contains("posts"), "{listed:?}");
    let shown = run(&state, &["cursors", "show", "posts"]).ends_with(0);
    assert!(shown.stdout.contains("seq 12"), "{shown:?}");
    run(&state, &["cursors", "set", "posts", "13"]).ends_with(1).says(&["is read-only"]);
    let new = directory.join("new.db");
    run(&new, &["cursors", "set", "posts", "13"]).ends_with(1).says(&["Read-only file system"]);

    // After a kill, SQLite's write-ahead log has rows that the file does not have.
    disk.remount("rw");
    let tail = ["tail", "--demo", "--consumer", "c", "--checkpoint-every", "10ms"];
    let mut child = command(&state, &tail).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let saved = || run(&state, &["cursors", "list"]).stdout.contains("demo");
    let patience = std::time::Instant::now() + crate::support::PATIENCE;
    while !saved() {
        assert!(std::time::Instant::now() < patience, "nothing was saved in time");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = fs::remove_file(directory.join("state.db-shm"));
    disk.remount("ro");
    run(&state, &["cursors", "list"]).ends_with(1).says(&["its log", "state.db-wal holds changes"]);
}

#[test]
fn a_full_disk_is_named_as_the_cause() {
    let scratch = Scratch::new();
    let directory = scratch.path("disk");
    fs::create_dir(&directory).unwrap();
    let Some(disk) = Disk::new(directory.clone(), "1m") else { return };
    let state = directory.join("state.db");
    run(&state, &["cursors", "set", "posts", "12"]).ends_with(0);
    fill(&directory);
    let words = ["its disk is full; free some space"];
    run(&state, &["cursors", "set", "posts", "13"]).ends_with(1).says(&words);
    run(&directory.join("new.db"), &["cursors", "set", "posts", "13"]).ends_with(1).says(&words);
    let tail = ["tail", "--demo", "-n", "1", "--consumer", "c"];
    run(&state, &tail).ends_with(1).says(&words);
    run(&directory.join("new.db"), &tail).ends_with(1).says(&words);
    // Listing needs no write.
    let listed = run(&state, &["cursors", "list"]).ends_with(0);
    assert!(listed.stdout.contains("posts"), "{listed:?}");
    // A file of events, with the state file elsewhere.
    let out = directory.join("out.ndjson");
    let tail = ["tail", "--demo", "-n", "1", "-o", out.to_str().unwrap()];
    let other = scratch.path("other.db");
    run(&other, &tail).ends_with(1).says(&["out.ndjson", "No space left", "free some space"]);

    disk.remount("size=2m,nr_inodes=20");
    for i in 0..40 {
        let _ = fs::File::create(directory.join(format!("inode{i}")));
    }
    run(&directory.join("none.db"), &["cursors", "set", "posts", "13"]).ends_with(1).says(&words);
    let out = directory.join("none.ndjson");
    let tail = ["tail", "--demo", "-n", "1", "-o", out.to_str().unwrap()];
    run(&other, &tail).ends_with(1).says(&["none.ndjson", "No space left", "free some space"]);
}

#[test]
fn a_file_size_limit_is_not_reported_as_a_full_disk() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let inner = command(&state, &["cursors", "set", "posts", "12"]);
    let mut limited = Command::new("sh");
    // 512 bytes or 1 KiB, depending on the shell.
    limited.args(["-c", "ulimit -f 1; trap '' XFSZ; exec \"$@\"", "sh"]);
    limited.arg(inner.get_program()).args(inner.get_args());
    isolate_environment(&mut limited, &scratch.path("."));
    capture(&mut limited).ends_with(1).says(&["limit on file sizes", "ulimit -f"]);
}

#[test]
fn a_dangling_link_is_reported_with_its_target() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    std::os::unix::fs::symlink("missing.db", &state).unwrap();
    let words = ["is a symbolic link to missing.db, which does not exist"];
    for args in [
        &["cursors", "list"][..],
        &["cursors", "show", "posts"],
        &["cursors", "set", "posts", "12"],
        &["tail", "--demo", "-n", "1", "--consumer", "c"],
    ] {
        run(&state, args).ends_with(1).says(&words);
    }
    assert!(!scratch.path("missing.db").exists());
    run(&scratch.path("missing.db"), &["cursors", "set", "posts", "12"]).ends_with(0);
    assert!(run(&state, &["cursors", "list"]).ends_with(0).stdout.contains("posts"));
}
