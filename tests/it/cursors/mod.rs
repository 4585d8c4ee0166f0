//! `skytail cursors`, through the built binary.

mod sharing;
#[cfg(unix)]
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::requires;

/// A home directory with a state file.
struct Home {
    directory: TempDir,
}

/// The result of a command, without what changes from run to run.
#[derive(Debug)]
struct CommandResult {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn state(&self) -> PathBuf {
        self.path().join("state.db")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SKYTAIL_") {
                command.env_remove(name);
            }
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "APPDATA"] {
            command.env(name, self.path());
        }
        command.env("SKYTAIL_STATE", self.state()).env("NO_COLOR", "1").stdin(Stdio::null());
        command.arg("cursors").args(args);
        command
    }

    fn run(&self, args: &[&str]) -> CommandResult {
        self.capture(&self.command(args).output().unwrap())
    }

    fn capture(&self, output: &Output) -> CommandResult {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(self.path().to_str().unwrap(), "HOME")
        };
        CommandResult {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs `cursors set`, which must succeed and print nothing to stdout.
    fn set(&self, name: &str, value: &str) {
        let result = self.run(&["set", name, value]);
        assert_eq!((result.code, &*result.stdout), (Some(0), ""), "{result:?}");
    }

    /// Saves a position under a name, as a stopped tail does.
    fn stopped(&self, name: &str) {
        self.set(name, "1");
        self.sql(&format!(
            "UPDATE consumers SET set_seq = NULL, server = 'example.com', server_kind = 'v2',
             newest_time_us = 1783175888186668, newest_seq = 77,
             rewind_time_us = 1783175883186668, rewind_seq = 70,
             latest_time_us = 1783175888186670, identities = zeroblob(24),
             updated_at_us = 1783175888200000 WHERE name = '{name}'"
        ));
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.state()).unwrap().execute_batch(sql).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Returns the message of a command that must fail with 1 and print nothing to stdout.
fn failure(result: CommandResult) -> String {
    assert_eq!((result.code, &*result.stdout), (Some(1), ""), "{result:?}");
    result.stderr
}

#[test]
fn without_a_state_file_the_list_is_empty_and_no_file_is_created() {
    let home = Home::new();
    insta::allow_duplicates! {
        for args in [&["list"][..], &["list", "--json"]] {
            let result = home.run(args);
            assert_eq!((result.code, &*result.stdout), (Some(0), ""), "{result:?}");
            assert_snapshot!(result.stderr, @"no saved cursors in HOME/state.db");
        }
    }
    assert_eq!(home.run(&["list", "-q"]).stderr, "");
    assert_snapshot!(failure(home.run(&["show", "posts"])), @r#"skytail: error: no cursor is saved as "posts" in HOME/state.db: nothing is saved there"#);
    assert_snapshot!(failure(home.run(&["rm", "posts"])), @r#"skytail: error: no cursor is saved as "posts" in HOME/state.db: nothing is saved there"#);
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn the_default_state_file_is_in_the_state_directory_and_private() {
    let home = Home::new();
    let mut command = home.command(&["set", "posts", "-1h"]);
    let output = command.env_remove("SKYTAIL_STATE").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let state = if cfg!(target_os = "linux") {
        home.path().join("skytail/state.db")
    } else {
        println!("the place is only checked on Linux");
        return;
    };
    #[cfg(unix)]
    for (path, wanted) in [(state.parent().unwrap(), 0o700), (state.as_path(), 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, wanted, "{}", path.display());
    }
    assert!(state.is_file());
}

#[test]
fn a_set_cursor_is_listed_and_shown() {
    let home = Home::new();
    home.stopped("posts");
    let result = home.run(&["set", "likes", "12", "--server", "jetstream.example.com"]);
    assert_snapshot!(result.stderr, @"likes starts at seq 12 on jetstream.example.com with --cursor auto");
    let result = home.run(&["set", "posts", "2026-07-04"]);
    assert_snapshot!(result.stderr, @"posts starts at 2026-07-04T00:00:00.000000Z with --cursor auto");
    home.sql("UPDATE consumers SET updated_at_us = 1783175888200000");
    let result = home.run(&["list", "--json"]);
    assert_eq!((result.code, &*result.stderr), (Some(0), ""));
    assert_snapshot!(result.stdout, @r#"
    {"name":"likes","by_hand":true,"server":"jetstream.example.com","server_kind":null,"cursor":12,"time_us":null,"seq":12,"rewind_time_us":null,"rewind_seq":null,"latest_time_us":null,"identities":0,"saved_at_us":1783175888200000,"previous":null}
    {"name":"posts","by_hand":true,"server":null,"server_kind":null,"cursor":1783123200000000,"time_us":1783123200000000,"seq":null,"rewind_time_us":null,"rewind_seq":null,"latest_time_us":null,"identities":0,"saved_at_us":1783175888200000,"previous":{"server":"example.com","time_us":1783175888186668,"seq":77,"saved_at_us":1783175888200000}}
    "#);
    let result = home.run(&["show", "--json", "posts"]);
    assert_snapshot!(result.stdout, @r#"{"name":"posts","by_hand":true,"server":null,"server_kind":null,"cursor":1783123200000000,"time_us":1783123200000000,"seq":null,"rewind_time_us":null,"rewind_seq":null,"latest_time_us":null,"identities":0,"saved_at_us":1783175888200000,"previous":{"server":"example.com","time_us":1783175888186668,"seq":77,"saved_at_us":1783175888200000},"gaps":[],"outputs":[]}"#);
    let table = home.run(&["list"]).stdout;
    let columns: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(columns[1], ["likes", "jetstream.example.com", "12"], "{table}");
    assert_eq!(columns[2], ["posts", "any", "1783123200000000"], "{table}");
    let page = home.run(&["show", "posts"]).stdout;
    assert!(
        page.contains("previous:     seq 77 at 2026-07-04T14:38:08.186668Z on example.com"),
        "{page}"
    );
}

#[test]
fn the_position_of_a_stopped_tail_is_listed_and_shown() {
    let home = Home::new();
    home.stopped("posts");
    home.sql("INSERT INTO gaps VALUES ('posts', 5000000000000000, NULL, NULL, 4, 9, 'too old', 1)");
    let result = home.run(&["show", "posts", "--json"]);
    assert_snapshot!(result.stdout, @r#"{"name":"posts","by_hand":false,"server":"example.com","server_kind":"v2","cursor":77,"time_us":1783175888186668,"seq":77,"rewind_time_us":1783175883186668,"rewind_seq":70,"latest_time_us":1783175888186670,"identities":3,"saved_at_us":1783175888200000,"previous":null,"gaps":[{"seen_at_us":5000000000000000,"from_us":null,"to_us":null,"from_seq":4,"to_seq":9,"reason":"too old","count":1}],"outputs":[]}"#);
    let page = home.run(&["show", "posts"]).stdout;
    assert!(page.contains("identities:   3\n"), "{page}");
    assert!(
        page.contains(
            "gap:          from seq 4 to seq 9, seen 2128-06-11T08:53:20.000000Z: too old"
        ),
        "{page}"
    );
}

#[test]
fn a_second_set_replaces_the_first_and_relative_ages_count_from_now() {
    let home = Home::new();
    home.set("posts", "12");
    home.set("posts", "-15m");
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "posts", "--json"]).stdout).unwrap();
    assert_eq!(json["by_hand"], true);
    assert_eq!(json["seq"], serde_json::Value::Null);
    let age = json["saved_at_us"].as_u64().unwrap() - json["time_us"].as_u64().unwrap();
    assert_eq!(age, 900_000_000);
}

#[test]
fn rm_removes_a_cursor_and_an_unknown_name_removes_nothing() {
    let home = Home::new();
    for name in ["app.bsky.feed.post", "app.bsky.feed.like", "chat", "notes"] {
        home.set(name, "12");
    }
    let result = home.run(&["rm", "chat", "app.bsky.feed.posts"]);
    assert_snapshot!(failure(result), @r#"skytail: error: no cursor is saved as "app.bsky.feed.posts" in HOME/state.db: did you mean "app.bsky.feed.post", "app.bsky.feed.like"?"#);
    assert_snapshot!(failure(home.run(&["show", "feed"])), @r#"skytail: error: no cursor is saved as "feed" in HOME/state.db: did you mean "app.bsky.feed.like", "app.bsky.feed.post"?"#);
    assert_snapshot!(failure(home.run(&["show", "zzz"])), @r#"skytail: error: no cursor is saved as "zzz" in HOME/state.db: see `skytail cursors list`"#);
    let result = home.run(&["rm", "chat", "notes", "chat"]);
    assert_eq!((result.code, &*result.stdout), (Some(0), ""));
    assert_snapshot!(result.stderr, @r#"
    forgot "chat"
    forgot "notes"
    "#);
    assert_eq!(home.run(&["list", "--json"]).stdout.lines().count(), 2);
}

#[test]
fn cursors_alone_lists_and_its_flags_stand_before_or_after_the_command() {
    let home = Home::new();
    home.set("posts", "12");
    let list = home.run(&["list"]).stdout;
    assert!(list.contains("posts"), "{list}");
    for args in [&[][..], &["-q", "list"], &["--color", "never", "list"]] {
        assert_eq!(home.run(args).stdout.lines().count(), list.lines().count(), "{args:?}");
    }
    let json = home.run(&["list", "--json"]).stdout;
    for args in [&["--json"][..], &["--json", "list"]] {
        assert_eq!(home.run(args).stdout, json, "{args:?}");
    }
    let other = home.path().join("other.db");
    let other = other.to_str().unwrap();
    // The flag wins over SKYTAIL_STATE on either side.
    for args in [&["--state", other, "list"][..], &["list", "--state", other], &["--state", other]]
    {
        assert!(home.run(args).stderr.contains("no saved cursors in"), "{args:?}");
    }
}

#[test]
fn delete_is_rm() {
    let home = Home::new();
    home.set("posts", "12");
    assert_eq!(home.run(&["delete", "posts"]).stderr, "forgot \"posts\"\n");
    assert!(home.run(&["list"]).stderr.contains("no saved cursors in"));
}

#[test]
fn reset_forgets_the_position_and_keeps_the_name() {
    let home = Home::new();
    home.stopped("posts");
    let result = home.run(&["reset", "posts", "nothing"]);
    assert!(failure(result).contains("no cursor is saved as \"nothing\""));
    assert_snapshot!(home.run(&["reset", "posts"]).stderr, @r#"forgot the position of "posts": --cursor auto starts at --from, or live; `skytail cursors restore posts 1` undoes this"#);
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "posts", "--json"]).stdout).unwrap();
    assert_eq!(json["name"], "posts");
    assert_eq!((&json["by_hand"], &json["cursor"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(json["previous"]["time_us"], 1_783_175_888_186_668_u64);
    assert!(home.run(&["show", "posts"]).stdout.contains("position:     none: it was reset\n"));
    let row = home.run(&[]).stdout;
    assert!(row.lines().nth(1).unwrap().contains("reset, "), "{row}");
    // Twice is the same as once, and the position comes back.
    home.run(&["reset", "posts"]);
    assert_eq!(home.run(&["restore", "posts"]).stdout.lines().count(), 2);
    home.run(&["restore", "posts", "1"]);
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "posts", "--json"]).stdout).unwrap();
    assert_eq!(json["cursor"], 77);
}

#[test]
fn bad_values_and_names_are_usage_errors_and_create_no_file() {
    let home = Home::new();
    let mut messages = Vec::new();
    for args in [
        &["set", "posts", "yesterdy"][..],
        &["set", "posts", "auto"],
        &["set", "posts", "2999-01-01"],
        &["set", "posts", "0"],
        &["set", "two words", "12"],
        &["set", "posts", "12", "--server", "http://"],
        &["set", "posts", "12", "--state", ""],
        &["rm"],
        &["list", "--state"],
    ] {
        let outcome = home.run(args);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{outcome:?}");
        messages.push(outcome.stderr.lines().next().unwrap().to_owned());
    }
    // One of them contains the current time.
    let clock = messages[2].find("says ").unwrap();
    messages[2].replace_range(clock.., "says …");
    assert_snapshot!(messages.join("\n"), @r#"
    error: "yesterdy" is not a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
    error: "auto" says how to start, not where: pass it to `skytail tail --cursor`, or save a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
    error: "2999-01-01" lies in the future: this machine's clock says …
    error: 0 is no cursor: sequence numbers start at 1; `--cursor oldest` starts at the oldest event
    error: "two words" is not a consumer name: write 1 to 200 printable characters without spaces
    error: --server: "http://" is not a host (empty host): give HOST, HOST:PORT or a ws(s):// or http(s):// URL
    error: a value is required for '--state <FILE>' but none was supplied
    error: the following required arguments were not provided:
    error: a value is required for '--state <FILE>' but none was supplied
    "#);
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn a_file_that_is_not_a_state_file_is_refused_and_unchanged() {
    let home = Home::new();
    let text = "dear diary, ".repeat(100);
    fs::write(home.state(), &text).unwrap();
    insta::allow_duplicates! {
        for args in [&["list"][..], &["show", "posts"], &["set", "posts", "12"], &["rm", "posts"]] {
            assert_snapshot!(failure(home.run(args)), @"skytail: error: HOME/state.db is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is");
        }
    }
    assert_eq!(fs::read_to_string(home.state()).unwrap(), text);
    assert_eq!(home.files(), ["state.db"]);
}

#[test]
fn a_file_from_a_newer_skytail_is_refused_with_both_versions() {
    let home = Home::new();
    home.set("posts", "12");
    home.sql("PRAGMA user_version = 99");
    insta::allow_duplicates! {
        for args in [&["list"][..], &["show", "posts"], &["set", "posts", "13"], &["rm", "posts"]] {
            assert_snapshot!(failure(home.run(args)), @"skytail: error: the state file HOME/state.db has format 99, from a newer skytail; this one knows formats up to 9: update skytail, or name another file with --state FILE");
        }
    }
}

#[test]
fn a_damaged_row_is_named_and_replaceable_and_hides_no_other() {
    let home = Home::new();
    home.stopped("bad");
    home.stopped("good");
    home.sql("UPDATE consumers SET identities = x'010203' WHERE name = 'bad'");
    let result = home.run(&["list", "--json"]);
    assert_eq!(result.code, Some(1));
    assert_snapshot!(result.stderr, @r#"skytail: error: the saved cursor "bad" in HOME/state.db is damaged: column identities has 3 bytes, not a multiple of 8; replace it with `skytail cursors set`, or drop it with `skytail cursors rm`"#);
    assert_eq!(result.stdout.lines().count(), 1, "{result:?}");
    assert_eq!(failure(home.run(&["show", "bad"])), result.stderr);
    home.set("bad", "12");
    assert_eq!(home.run(&["list"]).code, Some(0));
}

#[test]
fn a_state_file_that_cannot_be_created_or_written_is_named() {
    let home = Home::new();
    fs::write(home.path().join("file"), "").unwrap();
    let below = home.path().join("file/state.db");
    let result = home.run(&["set", "posts", "12", "--state", below.to_str().unwrap()]);
    assert_snapshot!(failure(result), @"skytail: error: can't open the state file HOME/file/state.db: not a directory; name another with --state FILE");
    let result = home.run(&["set", "posts", "12", "--state", home.path().to_str().unwrap()]);
    assert_snapshot!(failure(result), @"skytail: error: can't open the state file HOME: is a directory; name another with --state FILE");
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_can_be_listed_but_not_changed() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.set("posts", "12");
    let allow = |directory: u32, file: u32| {
        fs::set_permissions(home.state(), fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(directory)).unwrap();
    };
    allow(0o500, 0o400);
    let probe = fs::write(home.path().join("probe"), "").err();
    if requires("another user than root", probe).is_none() {
        return;
    }
    let (list, set) = (home.run(&["list", "--json"]), home.run(&["set", "posts", "13"]));
    let lacking =
        home.run(&["set", "posts", "13", "--state", home.path().join("new.db").to_str().unwrap()]);
    allow(0o700, 0o600);
    assert_eq!((list.code, list.stdout.lines().count()), (Some(0), 1), "{list:?}");
    assert_snapshot!(failure(set), @"skytail: error: the state file HOME/state.db is read-only: make it and its directory writable, or name another with --state FILE");
    assert_snapshot!(failure(lacking), @"skytail: error: can't open the state file HOME/new.db: Permission denied (os error 13); name another with --state FILE");
}
