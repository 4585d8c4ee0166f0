//! Lock files of consumers: links at their paths are not followed, and removing a consumer removes
//! its lock file.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::state::run;
use crate::support::Scratch;

const TAIL: [&str; 6] = ["tail", "--demo", "-n", "1", "--consumer", "c"];

/// Returns the lock files in a directory.
fn locks(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "lock")).collect()
}

/// A directory that every user may write to, the name of the lock file there, and a file that must
/// not change.
fn public() -> (Scratch, PathBuf, PathBuf, PathBuf) {
    let scratch = Scratch::new();
    let directory = scratch.path("public");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    let state = directory.join("state.db");
    run(&state, &TAIL).ends_with(0);
    let lock = locks(&directory).pop().unwrap();
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    let precious = scratch.path("precious");
    fs::write(&precious, "precious").unwrap();
    (scratch, state, lock, precious)
}

#[test]
fn a_link_at_the_path_of_a_lock_file_is_refused_and_its_target_unchanged() {
    let (scratch, state, lock, precious) = public();
    let missing = scratch.path("missing");
    let plant: [(&str, &dyn Fn()); 4] = [
        ("is a symbolic link", &|| symlink(&precious, &lock).unwrap()),
        ("is a symbolic link", &|| symlink(&missing, &lock).unwrap()),
        ("is not a lock file of skytail", &|| fs::hard_link(&precious, &lock).unwrap()),
        ("is not a lock file of skytail", &|| fs::write(&lock, "a diary").unwrap()),
    ];
    for (words, plant) in plant {
        plant();
        // Another user's file, or the test's own if it may not give it away.
        let _ = lchown(&lock, Some(65_534), Some(65_534));
        for args in [&TAIL[..], &["cursors", "set", "c", "12"]] {
            run(&state, args).ends_with(1).says(&[words, "was left as it is"]);
            assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
            assert!(!missing.exists());
        }
        fs::remove_file(&lock).unwrap();
    }
    run(&state, &TAIL).ends_with(0);
}

#[test]
fn a_state_file_of_another_user_in_a_public_directory_is_not_written() {
    let (scratch, state, ..) = public();
    let target = scratch.path("target.db");
    symlink(&target, &state).unwrap();
    let given = lchown(&state, Some(65_534), Some(65_534)).ok();
    if crate::support::requires("root, to give a file to another user", given).is_none() {
        return;
    }
    fs::write(&target, "").unwrap();
    let words = ["another user may have put there"];
    run(&state, &["cursors", "set", "c", "12"]).ends_with(1).says(&words);
    assert_eq!(fs::read(&target).unwrap(), b"");
    fs::remove_file(&state).unwrap();
    run(&state, &["cursors", "set", "c", "12"]).ends_with(0);
    chown(&state, Some(65_534), Some(65_534)).unwrap();
    let words = ["it belongs to another user (uid 65534)"];
    run(&state, &["cursors", "set", "c", "13"]).ends_with(1).says(&words);
    run(&state, &TAIL).ends_with(1).says(&words);
}

#[test]
fn the_lock_files_of_names_that_no_longer_exist_are_removed() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    for name in ["a", "b", "c"] {
        run(&state, &["cursors", "set", name, "12"]).ends_with(0);
    }
    // As 0.1.0 left it.
    let left = scratch.path("state.db.old-0123456789abcdef.lock");
    fs::write(&left, "123\n").unwrap();
    let held = skytail::checkpoint::lease::Lease::acquire(&state, "held").unwrap();
    run(&state, &["cursors", "rm", "a"]).ends_with(0);
    assert_eq!(locks(&scratch.path(".")).len(), 3);
    assert!(!left.exists());
    fs::write(&left, "123\n").unwrap();
    drop(held);
    run(&state, &TAIL).ends_with(0);
    let names: Vec<String> = locks(&scratch.path("."))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().chars().take(10).collect())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
