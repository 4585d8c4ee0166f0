//! `skytail top`: its counts, its errors if it can't draw, and that it restores the terminal.

use std::process::{Command, Output, Stdio};

#[cfg(unix)]
use crate::support::pty::{Pty, in_a_terminal};
use crate::support::{Scratch, ServeProcess, events, isolate_environment};
use serde_json::Value;

fn top(home: &Scratch, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &home.path("."));
    command.arg("top").args(args).stdin(Stdio::null());
    command
}

fn run(home: &Scratch, args: &[&str], code: i32) -> (String, String) {
    let output: Output = top(home, args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A server with this many events, each once to each client.
fn serve(count: u64) -> (Scratch, ServeProcess) {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(count, true));
    let server = ServeProcess::start(&recording, &[]);
    (scratch, server)
}

fn json_report(server: &ServeProcess, args: &[&str]) -> Value {
    let home = Scratch::new();
    let host = format!("ws://{}", server.address);
    let fixed = ["--once", "--json", "--window", "1s", "--cursor", "oldest", "--host", &host];
    let (out, err) = run(&home, &[&fixed[..], args].concat(), 0);
    assert_eq!(err, "");
    // Nothing is saved.
    assert_eq!(std::fs::read_dir(home.path(".")).unwrap().count(), 0);
    serde_json::from_str(&out).unwrap()
}

#[test]
fn one_window_is_printed_as_json() {
    let (_scratch, server) = serve(100);
    let report = json_report(&server, &[]);
    assert_eq!(report["events"], 100);
    assert_eq!(report["kinds"][0]["kind"], "commit");
    assert_eq!(report["kinds"][0]["events"], 90);
    assert_eq!(report["operations"]["create"], 90);
    assert_eq!(report["collections"][0]["collection"], "app.bsky.feed.post");
    assert_eq!(report["collections"][0]["events"], 50);
    assert_eq!(report["collections"][1]["operations"]["create"], 40);
    assert_eq!(report["accounts"]["too_low_by_at_most"], 0);
    assert!(report["window_s"].as_f64().unwrap() >= 1.0);
    assert_eq!(report["connected"], true);
    let busiest = report["accounts"]["busiest"].as_array().unwrap();
    assert!(!busiest.is_empty() && busiest.len() <= 15, "{busiest:?}");
}

#[test]
fn filters_and_protocols_are_the_same_as_in_tail() {
    let (_scratch, server) = serve(100);
    let likes = json_report(&server, &["-c", "app.bsky.feed.like", "--protocol", "v1"]);
    assert_eq!((&likes["events"], &likes["protocol"]), (&40.into(), &"v1".into()));
    let accounts = json_report(&server, &["--kind", "identity,account", "--top", "1"]);
    assert_eq!((&accounts["events"], &accounts["protocol"]), (&10.into(), &"v2".into()));
    assert_eq!(accounts["accounts"]["busiest"].as_array().unwrap().len(), 1);
}

#[test]
fn the_text_page_has_the_same_counts() {
    let (_scratch, server) = serve(100);
    let home = Scratch::new();
    let host = format!("ws://{}", server.address);
    let args = ["--once", "--window", "1s", "--cursor", "oldest", "--host", &host];
    let (out, err) = run(&home, &args, 0);
    assert_eq!(err, "");
    for part in [": 100 events in 1.", "app.bsky.feed.post  50", "COLLECTION", "ACCOUNT"] {
        assert!(out.contains(part), "{part:?} is missing in:\n{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn errors_of_top_have_the_remedy() {
    let home = Scratch::new();
    for (args, code, parts) in [
        (&["--demo"][..], 2, &["no terminal", "--once --json"][..]),
        (&["--demo", "--json"], 2, &["--once"]),
        (&["--demo", "--once", "--cursor", "auto"], 2, &["--cursor: \"auto\"", "saves none"]),
        (&["--demo", "--once", "--window", "0s"], 2, &["--window", "1s to 1h"]),
        (&["--demo", "--once", "--window", "2h"], 2, &["--window", "1s to 1h"]),
        (&["--once", "-c", "nonsense"], 2, &["--collection: \"nonsense\""]),
        (&["--once", "--host", "127.0.0.1:1", "--max-retries", "0"], 3, &["gave up"]),
    ] {
        let (out, err) = run(&home, args, code);
        assert_eq!(out, "", "{args:?}");
        for part in parts {
            assert!(err.contains(part), "{args:?}: {part:?} is missing in:\n{err}");
        }
    }
}

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

#[test]
#[cfg(unix)]
fn the_terminal_is_restored() {
    let skytail = env!("CARGO_BIN_EXE_skytail");
    // The signal comes as soon as it runs; the settings of the terminal are compared.
    let shell = format!(
        "stty cols 80 rows 24; before=$(stty -g); {skytail} top --demo & wait_for() {{ while ! stty -a | grep -q -- '-icanon'; do :; done; }}; \
         wait_for; kill -TERM $!; wait $!; echo \"code $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo same"
    );
    let Some(shown) = in_a_terminal(&shell) else { return };
    assert!(shown.contains("code 0"), "{shown}");
    assert!(shown.contains("same"), "{shown}");
    let (enter, leave) = (shown.find(ENTER), shown.rfind(LEAVE));
    assert!(enter.is_some() && enter < leave, "{shown:?}");
}

#[test]
#[cfg(unix)]
fn the_log_is_printed_after_the_screen_closes() {
    let skytail = env!("CARGO_BIN_EXE_skytail");
    let shell = format!(
        "stty cols 80 rows 24; {skytail} top --host 127.0.0.1:1 --max-retries 1; echo code $?"
    );
    let Some(shown) = in_a_terminal(&shell) else { return };
    let (_, after) = shown.rsplit_once(LEAVE).expect("no screen was shown");
    assert!(after.contains("gave up after") && after.contains("code 3"), "{after:?}");
    assert!(!after.contains(ENTER));
}

#[test]
#[cfg(unix)]
fn a_dumb_terminal_receives_pages_without_escapes() {
    let skytail = env!("CARGO_BIN_EXE_skytail");
    let shell = format!("TERM=dumb timeout -s INT 2 {skytail} top --demo --window 1s");
    let Some(shown) = in_a_terminal(&shell) else { return };
    assert!(shown.matches("COLLECTION").count() >= 1, "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
#[cfg(unix)]
fn hostile_names_do_not_control_the_screen() {
    // Control characters raw, as a server sends them, and as JSON escapes; both reach the tables.
    let hostile =
        |name: &str| format!("{name}\u{9b}31m\u{7f}\u{202e}\\u001b]0;pwned\\u0007\\u009b2J");
    let events = events(200, true).into_iter().map(|event| {
        event
            .replace("\"app.bsky.feed.like\"", &format!("\"{}\"", hostile("app.bsky.feed.like")))
            .replace("\"did:plc:odd\"", &format!("\"{}\"", hostile("did:plc:odd")))
            .replace("\"text\":", &format!("\"langs\":[\"{}\"],\"text\":", hostile("en")))
    });
    let script = Scratch::new();
    let recording = script.recording(&events.collect::<Vec<_>>());
    let server = ServeProcess::start(&recording, &["--server-kind", "legacy"]);
    let (home, mut pty) = (Scratch::new(), Pty::open());
    let host = format!("ws://{}", server.address);
    let mut command = top(&home, &["--host", &host, "--protocol", "v1", "--cursor", "oldest"]);
    command.env("TERM", "xterm").stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
    let mut child = command.spawn().unwrap();
    drop(command);
    pty.started();
    let shown = pty
        .redraw_until(|shown| shown.contains("app.bsky.feed.post") && shown.contains("200 in all"));
    assert!(shown.contains("200 in all"), "{shown:?}");
    crate::support::signal(child.id(), "TERM");
    let shown = pty.read_to_end();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{shown:?}");
    assert!(shown.contains("did:plc:odd"), "{shown:?}");
    for acting in ["\u{9b}", "\u{7f}", "\u{202e}", "\u{7}", "\u{1b}]"] {
        assert!(!shown.contains(acting), "{acting:?} in {shown:?}");
    }
}

/// Starts `top` on a terminal of this size, and reads until it shows all `count` events.
#[cfg(unix)]
fn on_screen(
    server: &ServeProcess,
    home: &Scratch,
    (columns, lines): (u16, u16),
    count: u64,
) -> (Pty, std::process::Child) {
    let mut pty = Pty::sized(columns, lines);
    let host = format!("ws://{}", server.address);
    let mut command = top(home, &["--host", &host, "--protocol", "v1", "--cursor", "oldest"]);
    command.env("TERM", "xterm").env("LANG", "C.UTF-8");
    command.stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
    let child = command.spawn().unwrap();
    drop(command);
    pty.started();
    let all = format!("{count} in all");
    let shown = pty.redraw_until(|shown| shown.contains(&all));
    assert!(shown.contains(&all), "{shown:?}");
    (pty, child)
}

/// Returns the words of what a terminal received. A blank may be drawn as a movement of the cursor.
#[cfg(unix)]
fn words(shown: &str) -> String {
    let mut text = String::new();
    let mut parts = shown.split("\u{1b}[");
    text += parts.next().unwrap_or_default();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(part.len());
        if part[end..].starts_with('H') {
            text.push(' ');
        }
        text += part.get(end + 1..).unwrap_or_default();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Types keys, lets the whole screen be drawn again, and reads until it shows all texts.
#[cfg(unix)]
#[track_caller]
fn press(pty: &mut Pty, keys: &str, texts: &[&str]) {
    let before = pty.read_until(|_| true).len();
    pty.type_keys(&format!("{keys}\u{c}"));
    let has_all = |shown: &str| {
        let words = words(shown.get(before..).unwrap_or_default());
        texts.iter().all(|text| words.contains(text))
    };
    let shown = pty.read_until(has_all);
    assert!(has_all(&shown), "{texts:?} after {keys:?} in {:?}", words(&shown));
}

#[test]
#[cfg(unix)]
fn keys_show_the_help_the_latest_events_and_the_reverse_order() {
    let identity = r#"{"did":"did:plc:even","time_us":TIME,"kind":"identity","identity":{"did":"did:plc:even","handle":"even.example","seq":7,"time":"2026-07-04T14:38:08.186Z"}}"#;
    let mut lines = events(200, false);
    let last = lines.last().unwrap();
    let time = last.split_once("\"time_us\":").unwrap().1.split(',').next().unwrap();
    let time = time.parse::<u64>().unwrap() + 1;
    lines.push(identity.replace("TIME", &time.to_string()));
    let scratch = Scratch::new();
    let recording = scratch.recording(&lines);
    let server = ServeProcess::start(&recording, &["--server-kind", "legacy"]);
    for size in [(80, 24), (60, 20), (200, 50)] {
        let home = Scratch::new();
        let (mut pty, mut child) = on_screen(&server, &home, size, 201);
        press(&mut pty, "", &["COLLECTION", "RATE▼", "even.example"]);
        press(&mut pty, "?", &["latest events of the collection or account", "closes the help"]);
        press(&mut pty, "?\r", &["TIME UTC", "event 198", "app.bsky.feed.post", "Esc back"]);
        press(&mut pty, "\u{7f}r", &["RATE▲", "? help"]);
        press(&mut pty, "\t\r", &["ACCOUNT did:plc:", "TIME UTC"]);
        press(&mut pty, "\u{7f}/EVEN.EX\r", &["/EVEN.EX", "even.example"]);
        press(&mut pty, "\r", &["did:plc:even @even.example"]);
        pty.type_keys("q");
        let shown = pty.read_to_end();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{shown:?}");
        assert!(shown.contains(LEAVE), "{shown:?}");
    }
}
