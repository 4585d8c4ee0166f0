//! Files that must not be written: the program refuses each before it connects to anything, names
//! the file, the reason and the remedy, and leaves the file unchanged.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use crate::output::fixture::Fixture;
use crate::output::foreign_bytes::foreign_lines;
use crate::support::tail::tail;
use crate::support::{OTHER_USER, Scratch, requires};

/// Nothing listens there: a run that connects would give up with 3.
const NOWHERE: [&str; 4] = ["--host", "127.0.0.1:1", "--max-retries", "0"];

#[track_caller]
fn refused(scratch: &Scratch, flags: &[&str], words: &[&str]) {
    ends_with(2, scratch, flags, words);
}

#[track_caller]
fn ends_with(code: i32, scratch: &Scratch, flags: &[&str], words: &[&str]) {
    let flags = [&NOWHERE[..], flags].concat();
    let ended = tail(&scratch.path(""), &flags);
    assert_eq!((ended.code(), ended.rest.len()), (code, 0), "{}", ended.stderr);
    for words in words {
        assert!(ended.stderr.contains(words), "{words:?} is not in {}", ended.stderr);
    }
}

pub(super) fn append_to(path: &str, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn an_output_that_is_not_a_regular_file_is_refused() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name).to_str().unwrap().to_owned();
    fs::create_dir(path("directory")).unwrap();
    fs::write(path("text"), "").unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    for (name, words) in [
        (path("directory"), &["directory is a directory: name a file in it"][..]),
        (path("directory/"), &["names no file"]),
        (path("missing/out"), &["the directory", "missing does not exist: make it first"]),
        (path("text/out"), &["text is not a directory"]),
        (path("pipe"), &["pipe is a pipe", "redirect stdout"]),
        ("/dev/full".to_owned(), &["/dev/full is a device"]),
        ("/dev/stdout".to_owned(), &["redirect stdout"]),
    ] {
        refused(&scratch, &["-o", &name], words);
    }
}

#[test]
fn conflicting_names_and_flags_are_refused() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name).to_str().unwrap().to_owned();
    let (plain, fields) = (path("a.ndjson"), path("%F/%H.ndjson"));
    refused(&scratch, &["-o", &plain, "--rotate", "hourly"], &["--output", "add %Y-%m-%dT%H"]);
    refused(&scratch, &["-o", &plain, "--rotate", "daily"], &["--output", "add %Y-%m-%d"]);
    refused(&scratch, &["-o", &fields, "--rotate", "daily"], &["in a directory's name"]);
    refused(&scratch, &["-o", &plain, "--rotate", "weekly"], &["hourly, daily, or a size"]);
    refused(&scratch, &["--rotate", "daily"], &["--rotate", "name one with --output FILE"]);
    for (name, words) in [
        ("a.ndjson.gz", ["\"a.ndjson.gz\" says gzip", "call it \"a.ndjson.zst\""]),
        ("a.XZ", ["\"a.XZ\" says xz", "or leave --output out and pipe stdout"]),
        ("%F.zstd", ["says zstd, and only names in .zst are", "call it \"%F.zst\""]),
    ] {
        refused(&scratch, &["-o", &path(name)], &words);
        refused(&scratch, &["-o", &path(name), "--rotate", "daily", "--append"], &words);
    }
    refused(&scratch, &["-o", "-", "--append"], &["--append", "name one with --output FILE"]);
}

#[test]
fn a_foreign_file_is_refused_unless_append_is_given() {
    let fixture = Fixture::new(100, 5_000);
    let file = fixture.file("out.ndjson");
    fs::write(&file, "theirs, and no line feed").unwrap();
    let words = [&*file, "holds 24 bytes", "--append"];
    refused(&fixture.scratch, &["-o", &file, "--consumer", "c"], &words);
    assert_eq!(fs::read(&file).unwrap(), b"theirs, and no line feed");
    fixture.run_ok(&["-o", &file, "--append", "-n", "10"]);
    fixture.run_ok(&["-o", &file, "-n", "10"]);
    let expected = format!("theirs, and no line feed\n{}\n", fixture.recorded[..20].join("\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn an_empty_file_counts_as_missing() {
    let fixture = Fixture::new(100, 5_000);
    let file = fixture.file("out.ndjson");
    fs::write(&file, "").unwrap();
    fixture.run_ok(&["-o", &file, "--append"]);
    fixture.assert_files_are_the_recording();
}

#[test]
fn a_file_that_another_program_changed_is_refused() {
    let fixture = Fixture::new(1000, 5_000);
    let file = fixture.file("out.ndjson");
    fixture.run_ok(&["-o", &file, "-n", "100"]);
    let sound = fs::read(&file).unwrap();
    let flags = ["-o", &*file, "--consumer", "c"];

    append_to(&file, b"theirs\n");
    refused(&fixture.scratch, &flags, &[&file, "another program wrote to it", "--append"]);
    fs::write(&file, &sound[..sound.len() - 10]).unwrap();
    refused(&fixture.scratch, &flags, &[&file, "at the saved position", "--append"]);
    let mut edited = sound.clone();
    *edited.iter_mut().rev().nth(60_000).unwrap() ^= 1;
    fs::write(&file, &edited).unwrap();
    refused(&fixture.scratch, &flags, &[&file, "was edited", "--append"]);
    fs::remove_file(&file).unwrap();
    refused(&fixture.scratch, &flags, &[&file, "is gone", "--append"]);
    assert!(!fs::exists(&file).unwrap());

    fs::write(&file, &sound).unwrap();
    fixture.run_ok(&["-o", &file]);
    fixture.assert_files_are_the_recording();
}

#[test]
fn append_continues_after_a_change_and_has_no_effect_without_one() {
    let fixture = Fixture::new(1000, 5_000);
    let file = fixture.file("out.ndjson");
    fixture.run_ok(&["-o", &file, "--append", "-n", "100"]);
    append_to(&file, b"theirs");
    fixture.run_ok(&["-o", &file, "--append", "-n", "100"]);
    let text = fs::read_to_string(&file).unwrap();
    let expected = format!(
        "{}\ntheirs\n{}\n",
        fixture.recorded[..100].join("\n"),
        fixture.recorded[100..200].join("\n"),
    );
    assert!(text == expected);
    // Like a restarted service: bytes after the checkpoint of a killed run are still truncated.
    fs::remove_file(&file).unwrap();
    let run = fixture.start(&["-o", &file, "--append", "--checkpoint-every", "1h"]);
    fixture.wait_for_bytes(1);
    run.signal("KILL");
    run.wait();
    let ended = fixture.run_ok(&["-o", &file, "--append"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text == fixture.recorded[200..].join("\n") + "\n", "{}", ended.stderr);
}

#[test]
fn bytes_after_the_checkpoint_are_truncated_with_a_warning() {
    let fixture = Fixture::new(1000, 5_000);
    let file = fixture.file("out.ndjson");
    let run = fixture.start(&["-o", &file, "--checkpoint-every", "1h"]);
    fixture.wait_for_bytes(1);
    run.signal("KILL");
    run.wait();
    let ended = fixture.run_ok(&["-o", &file]);
    assert!(ended.stderr.contains("the last run was killed: cut "), "{}", ended.stderr);
    fixture.assert_files_are_the_recording();
}

#[test]
fn a_plain_file_is_not_continued_with_zstd() {
    let fixture = Fixture::new(10, 5_000);
    let file = fixture.file("out.zst");
    fs::write(&file, "plain\n").unwrap();
    refused(&fixture.scratch, &["-o", &file, "--append"], &[&file, "is not a zstd file"]);
    assert_eq!(fs::read(&file).unwrap(), b"plain\n");
}

#[test]
fn two_runs_on_one_file_are_refused() {
    let fixture = Fixture::new(100, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["-o", &*file, "--demo", "--consumer", "first"];
    let first = crate::support::tail::TailProcess::start(&fixture.scratch.path(""), &flags);
    fixture.wait_for_bytes(1);
    let ended = fixture.run(&["-o", &file, "--append"]);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("is being written by another process"), "{}", ended.stderr);
    first.signal("INT");
    assert_eq!(first.wait().code(), 0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
}

#[test]
fn a_path_without_write_permission_is_refused() {
    let scratch = Scratch::new();
    let home = scratch.path("home");
    fs::create_dir(&home).unwrap();
    let owned = scratch.path("owned.ndjson");
    fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&owned).unwrap();
    let other_user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let may_become = Command::new("setpriv")
        .args(other_user)
        .args([env!("CARGO_BIN_EXE_skytail"), "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if requires(OTHER_USER, may_become.then_some(())).is_none() {
        return;
    }
    for path in [scratch.path("."), home.clone()] {
        let open = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&path, open(if path == home { 0o777 } else { 0o755 })).unwrap();
    }
    let inside = scratch.path("new.ndjson");
    let rotated = scratch.path("%F.ndjson");
    for (path, more) in [(&owned, &[][..]), (&inside, &[]), (&rotated, &["--rotate", "daily"])] {
        let mut command = Command::new("setpriv");
        crate::support::isolate_environment(&mut command, &home);
        command.args(other_user).args([env!("CARGO_BIN_EXE_skytail"), "tail", "-o"]).arg(path);
        let output = command.args(NOWHERE).args(more).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("Permission denied"), "{stderr}");
        assert!(stderr.contains("make it writable"), "{stderr}");
    }
}

#[test]
fn a_truncated_zstd_file_is_not_continued() {
    let scratch = Scratch::new();
    let path = scratch.path("cut.ndjson.zst");
    let packed = zstd::encode_all(&b"{\"some\":\"lines\"}\n"[..], 3).unwrap();
    fs::write(&path, &packed[..packed.len() - 3]).unwrap();
    let path = path.to_str().unwrap();
    refused(&scratch, &["-o", path, "--append"], &["in the middle of a zstd frame"]);
    assert_eq!(fs::metadata(path).unwrap().len(), packed.len() as u64 - 3);
}

#[test]
fn a_file_that_was_changed_and_restored_has_no_duplicates() {
    type Change = fn(&str);
    let moved: Change = |file| fs::rename(file, format!("{file}.moved")).unwrap();
    let replaced: Change = |file| {
        fs::rename(file, format!("{file}.moved")).unwrap();
        fs::write(file, "theirs\n").unwrap();
    };
    for change in [moved, replaced] {
        let fixture = Fixture::new(20_000, 5_000);
        let file = fixture.file("out.ndjson");
        let flags = ["-o", &*file, "--checkpoint-events", "500", "--buffer", "100"];
        let run = fixture.start(&flags);
        fixture.wait_for_bytes(100_000);
        change(&file);
        let ended = run.wait();
        assert_eq!(ended.code(), 1, "{}", ended.stderr);
        fs::rename(format!("{file}.moved"), &file).unwrap();
        fixture.run_ok(&[&flags[..], &["--append"]].concat());
        assert_eq!(foreign_lines(&fixture, &file), [""; 0]);
    }
}

#[test]
fn lines_written_after_a_cut_are_not_repeated() {
    let fixture = Fixture::new(20_000, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["-o", &*file, "--checkpoint-events", "500", "--buffer", "100"];
    let run = fixture.start(&flags);
    fixture.wait_for_bytes(100_000);
    // As logrotate does with copytruncate.
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    let ended = run.wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("was cut by another program"), "{}", ended.stderr);
    fixture.run_ok(&[&flags[..], &["--append"]].concat());
    let text = fs::read_to_string(&file).unwrap();
    let rest = fixture.recorded.len() - text.lines().count();
    assert!(text.lines().eq(fixture.recorded[rest..].iter()), "an event is lost or repeated");
}

#[test]
fn a_dangling_link_is_reported_with_its_target() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name).to_str().unwrap().to_owned();
    std::os::unix::fs::symlink("missing/out", path("link")).unwrap();
    std::os::unix::fs::symlink("missing", path("directory")).unwrap();
    let words = ["link is a symbolic link to missing/out, which does not exist"];
    refused(&scratch, &["-o", &path("link")], &words);
    let words = ["directory is a symbolic link to missing, which does not exist"];
    refused(&scratch, &["-o", &path("directory/out")], &words);
    refused(&scratch, &["-o", &path("directory/%F"), "--rotate", "daily"], &words);
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    ends_with(1, &scratch, &["-o", &path("loop")], &["Too many levels of symbolic links"]);
    // A link to a directory is followed.
    fs::create_dir(path("missing")).unwrap();
    let fixture = Fixture::new(10, 5_000);
    fixture.run_ok(&["-o", &path("link")]);
    assert_eq!(fs::read_to_string(path("missing/out")).unwrap().lines().count(), 10);
}

#[test]
fn a_link_of_another_user_in_a_public_directory_is_not_followed() {
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
    let fixture = Fixture::new(10, 5_000);
    let public = fixture.scratch.path("public");
    fs::create_dir(&public).unwrap();
    fs::set_permissions(&public, fs::Permissions::from_mode(0o1777)).unwrap();
    let (link, target) = (public.join("out.ndjson"), fixture.scratch.path("target"));
    symlink(&target, &link).unwrap();
    let link = link.to_str().unwrap();
    let given = lchown(link, Some(65_534), Some(65_534)).ok();
    if requires("root, to give a file to another user", given).is_none() {
        return;
    }
    refused(
        &fixture.scratch,
        &["-o", link],
        &["is a symbolic link that another user may have put"],
    );
    refused(&fixture.scratch, &["-o", link, "--append"], &["was not followed"]);
    assert!(!target.exists());
    fs::remove_file(link).unwrap();
    symlink(&target, link).unwrap();
    fixture.run_ok(&["-o", link]);
    assert_eq!(fs::read_to_string(&target).unwrap().lines().count(), 10);
}
