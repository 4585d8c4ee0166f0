//! Tables of `skytail cursors` on a terminal fit its width; programs get all columns.

use super::Home;
use crate::support::pty::Pty;

/// Returns what a command prints on a terminal with this many columns.
fn shown(home: &Home, args: &[&str], columns: u16) -> String {
    let mut pty = Pty::sized(columns, 24);
    let mut command = home.command(args);
    let mut child = command.stdout(pty.stdio()).spawn().unwrap();
    drop(command);
    pty.started();
    let shown = pty.read_to_end().replace("\r\n", "\n");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{shown}");
    shown
}

#[test]
fn lists_fit_the_terminal_and_keep_names_and_ages() {
    let home = Home::new();
    for name in ["posts-of-a-hundred-accounts", "likes"] {
        home.stopped(name);
    }
    home.sql("UPDATE consumers SET server = 'jetstream1.us-east.example-network.test'");
    let piped = home.run(&["list"]).stdout;
    assert!(piped.lines().next().unwrap().contains("CURSOR  EVENT TIME"), "{piped}");
    for columns in [200, 80, 60, 40] {
        let shown = shown(&home, &["list"], columns);
        for line in shown.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
        assert!(shown.contains("posts-of-a-hundred-accounts"), "{shown}");
        assert!(shown.contains("AGE") && shown.contains(" ago"), "{shown}");
        assert_eq!(shown.contains("EVENT TIME"), columns == 200, "{shown}");
    }
    home.set("likes", "12");
    let earlier = shown(&home, &["restore", "likes"], 80);
    assert!(earlier.contains("EVENT TIME") && earlier.contains("REPLACED"), "{earlier}");
    assert!(earlier.lines().all(|line| line.chars().count() <= 80), "{earlier}");
}

#[test]
fn hostile_names_do_not_control_the_terminal() {
    let home = Home::new();
    home.stopped("posts");
    home.sql("UPDATE consumers SET server = 'a' || char(27) || '[2J' || char(155) || 'b'");
    let shown = shown(&home, &["list"], 60);
    assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
}
