//! A state file that several processes use at once, and a reader that closes the pipe.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;
use skytail::checkpoint::lease::Lease;

use super::{Home, failure};

#[test]
fn the_cursor_of_a_running_tail_can_be_read_but_not_changed() {
    let home = Home::new();
    home.stopped("posts");
    home.set("likes", "12");
    let lease = Lease::acquire(&home.state(), "posts").unwrap();
    let pid = std::process::id().to_string();
    insta::allow_duplicates! {
        for args in [&["set", "posts", "13"][..], &["rm", "likes", "posts"]] {
            let result = failure(home.run(args)).replace(&pid, "PID");
            assert_snapshot!(result, @r#"skytail: error: consumer "posts" is in use by skytail with pid PID: stop it first, or it would overwrite the change"#);
        }
    }
    assert_eq!(home.run(&["list"]).stdout.lines().count(), 3);
    assert!(home.run(&["show", "posts"]).stdout.contains("example.com (v2)"));
    home.set("likes", "13");
    drop(lease);
    home.set("posts", "13");
}

#[test]
fn a_closed_stdout_does_not_fail_a_command() {
    let home = Home::new();
    home.set("posts", "12");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home.command(&["list"]).stdout(writer).output().unwrap();
    let result = home.capture(&output);
    assert_eq!((result.code, &*result.stderr), (Some(0), ""), "{result:?}");
}

/// The process that [`a_killed_process_releases_its_lease`] kills; alone it tests nothing.
#[test]
fn hold_a_lease_until_killed() {
    let Some(state) = std::env::var_os("HOLD_A_LEASE_IN") else { return };
    let _lease = Lease::acquire(Path::new(&state), "posts").unwrap();
    // On a line of its own, after whatever the test harness has printed.
    writeln!(std::io::stdout(), "\nheld").unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn a_killed_process_releases_its_lease() {
    let home = Home::new();
    home.set("posts", "12");
    let mut holder: Child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cursors::sharing::hold_a_lease_until_killed", "--nocapture"])
        .env("HOLD_A_LEASE_IN", home.state())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    let refusal = failure(home.run(&["set", "posts", "13"]));
    assert!(refusal.contains(&format!("with pid {}:", holder.id())), "{refusal}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    home.set("posts", "13");
}

#[test]
fn many_processes_can_create_the_file_at_once() {
    let home = Home::new();
    let names: Vec<String> = (0..12).map(|i| format!("consumer{i}")).collect();
    let makers: Vec<Child> = names
        .iter()
        .map(|name| home.command(&["set", name, "12"]).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for maker in makers {
        let output = maker.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(home.run(&["list", "--json"]).stdout.lines().count(), names.len());
}
