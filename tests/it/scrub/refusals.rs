//! Files that can't be scrubbed: each is left as it is and reported with what to do, and the others
//! are scrubbed.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::{commit, names, read, scrub, write};
use crate::support::disk::Disk;
use crate::support::{OTHER_USER, Scratch, isolate_environment, requires};

fn hit() -> Vec<String> {
    vec![commit("a", 1, "create", "x"), commit("a", 2, "delete", "x")]
}

#[test]
fn each_kind_of_bad_file_is_reported_and_the_others_are_scrubbed() {
    let scratch = Scratch::new();
    let target = write(&scratch, "target.ndjson", &hit());
    symlink(&target, scratch.path("link")).unwrap();
    let linked = write(&scratch, "linked.ndjson", &hit());
    fs::hard_link(&linked, scratch.path("other-name")).unwrap();
    fs::create_dir(scratch.path("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(scratch.path("pipe")).status().unwrap().success());
    fs::write(scratch.path("gzip"), b"\x1f\x8b\x08\0\0\0").unwrap();
    let packed = zstd::encode_all(&vec![b'x'; 300_000][..], 1).unwrap();
    fs::write(scratch.path("cut.zst"), &packed[..packed.len() - 1]).unwrap();
    let cases = [
        ("link", "it is a symbolic link: name the file itself"),
        ("linked.ndjson", "it has 2 names (hard links)"),
        ("directory", "it is a directory: name the files in it"),
        ("pipe", "it is a pipe"),
        ("gzip", "it looks like gzip"),
        ("missing", "there is no such file"),
        ("cut.zst", "it can't be read to its end"),
    ];
    for (name, words) in cases {
        let good = write(&scratch, "good.ndjson", &hit());
        scrub(&scratch, &[], &[&scratch.path(name), &good])
            .ends_with(1)
            .says(&[&format!("{name} was left as it was: {words}")])
            .prints(&["removed 1 of "]);
        assert_eq!(read(&good).len(), 1, "{name}");
    }
    assert_eq!((read(&target), read(&linked)), (hit(), hit()));
}

#[test]
fn a_line_that_is_no_event_stays_and_is_reported() {
    let scratch = Scratch::new();
    let whole = commit("b", 1, "create", "y");
    for (text, line) in [
        (format!("{}\nnot json\n{}\n", hit()[0], hit()[1]), 2),
        (format!("{}\n{}\n{}", hit()[0], hit()[1], &whole[..40]), 3),
        (format!("{}\n{}\n[]\n{{}}\n", hit()[0], hit()[1]), 3),
    ] {
        let path = scratch.path("a.ndjson");
        fs::write(&path, &text).unwrap();
        let words = format!("line {line} is not an event: it was left as it is");
        scrub(&scratch, &[], &[&path]).ends_with(1).says(&[&words]);
        let expected = text.split_once('\n').unwrap().1;
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let scratch = Scratch::new();
    let directory = scratch.path("disk");
    fs::create_dir(&directory).unwrap();
    let Some(_disk) = Disk::new(directory.clone(), "1m") else { return };
    let path = directory.join("a.ndjson");
    let mut lines = hit();
    lines.extend((0..2_000).map(|n| commit("b", 3 + n, "create", &n.to_string())));
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let mut fill = fs::File::create(directory.join("fill")).unwrap();
    while fill.write_all(&[0; 4096]).is_ok() {}
    let entries = || fs::read_dir(&directory).unwrap().count();
    // The copy.
    scrub(&scratch, &[], &[&path]).ends_with(1).says(&[
        "a.ndjson was left as it was: can't write",
        "a.ndjson.scrub",
        "free some space on that disk: the copy takes up to as much as the file",
    ]);
    assert_eq!((read(&path), entries()), (lines.clone(), 2));
    // The temporary file of the sorter.
    let small = ["--sort-memory", "64k"];
    scrub(&scratch, &small, &[&path]).ends_with(1).says(&["can't sort in", "--temp DIR"]);
    assert_eq!((read(&path), entries()), (lines, 2));
    let elsewhere = scratch.path("");
    let small = ["--dry-run", "--sort-memory", "64k", "--temp", elsewhere.to_str().unwrap()];
    scrub(&scratch, &small, &[&path]).ends_with(0).prints(&["would remove 1 of 2,002 events"]);
    assert_eq!(names(&scratch), ["disk"]);
}

#[test]
fn what_has_the_name_of_the_copy_is_not_overwritten() {
    let scratch = Scratch::new();
    let path = write(&scratch, "a.ndjson", &hit());
    let copy = scratch.path("a.ndjson.scrub");
    let precious = scratch.path("precious");
    fs::write(&precious, "precious").unwrap();
    let plant: [&dyn Fn(); 3] = [
        &|| symlink(&precious, &copy).unwrap(),
        &|| fs::hard_link(&precious, &copy).unwrap(),
        &|| fs::create_dir(&copy).unwrap(),
    ];
    for plant in plant {
        plant();
        scrub(&scratch, &[], &[&path]).ends_with(1).says(&["a.ndjson.scrub", "remove it first"]);
        assert_eq!(
            (read(&path), fs::read_to_string(&precious).unwrap()),
            (hit(), "precious".into())
        );
        fs::remove_file(&copy).or_else(|_| fs::remove_dir(&copy)).unwrap();
    }
    // What a killed scrub left is replaced.
    fs::write(&copy, "half").unwrap();
    scrub(&scratch, &[], &[&path]).ends_with(0);
    assert_eq!((read(&path).len(), copy.exists()), (1, false));
}

#[test]
fn a_file_that_another_program_has_locked_is_left() {
    let scratch = Scratch::new();
    let path = write(&scratch, "a.ndjson", &hit());
    let file = fs::File::open(&path).unwrap();
    file.lock().unwrap();
    scrub(&scratch, &[], &[&path]).ends_with(1).says(&["it is being written"]);
    assert_eq!(read(&path), hit());
    file.unlock().unwrap();
    scrub(&scratch, &[], &[&path]).ends_with(0);
}

#[test]
fn a_file_that_may_not_be_written_is_left() {
    let scratch = Scratch::new();
    let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let run = |flags: &[&str], path: &Path| {
        let mut command = Command::new("setpriv");
        isolate_environment(&mut command, &scratch.path("home"));
        command.args(user).args([env!("CARGO_BIN_EXE_skytail")]).args(flags).arg(path);
        command.output()
    };
    let may_become =
        run(&[], Path::new("--version")).is_ok_and(|output| output.status.success()).then_some(());
    if requires(OTHER_USER, may_become).is_none() {
        return;
    }
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&scratch.path(""), 0o755);
    let shared = scratch.path("shared");
    fs::create_dir(&shared).unwrap();
    open(&shared, 0o777);
    let inside = write(&scratch, "shared/a.ndjson", &hit());
    let closed = write(&scratch, "closed.ndjson", &hit());
    for (path, words) in [(&inside, "Operation not permitted"), (&closed, "Permission denied")] {
        open(path, 0o644);
        let output = run(&["scrub"], path).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("was left as it was") && stderr.contains(words), "{stderr}");
        assert_eq!(read(path), hit());
    }
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 1);
}
