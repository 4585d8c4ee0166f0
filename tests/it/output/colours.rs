//! `--color always`: JSON lines and the outputs of `--jq` in the colours of jq, and no other byte
//! changed. Files never have colours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{ScriptedServer, texts};
use crate::support::{events, requires};

/// Events with every kind of value, and spaces that nothing else would keep.
fn lines() -> Vec<String> {
    let mut lines = events(4, true);
    let record = r#""text":"a \"b\": {\\","n":[ 1.10, -2e3,true ,false,null,[],{}]"#;
    lines[2] = lines[2].replacen("\"text\":\"event 2\"", record, 1);
    assert!(lines[2].contains(record), "{}", lines[2]);
    lines
}

/// Returns the whole standard output of a run that reads the lines.
fn output(flags: &[&str], jq_colours: Option<&str>) -> String {
    let server = ScriptedServer::start([vec![Accept, Send(texts(lines())), Hang]]);
    let mut tail = Tail::of(&server).flags(&["-n", "4"]).flags(flags);
    if let Some(colours) = jq_colours {
        tail = tail.env("JQ_COLORS", colours);
    }
    let run = tail.run_raw();
    assert_eq!(run.code, Some(0), "{run:?}");
    run.lines.join("\n") + "\n"
}

/// Each visible character with the colour code that it is shown in.
fn cells(text: &str) -> Vec<(char, String)> {
    let (mut cells, mut code) = (Vec::new(), String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            assert_eq!(chars.next(), Some('['));
            let sequence: String = chars.by_ref().take_while(|c| *c != 'm').collect();
            code = if sequence == "0" { String::new() } else { sequence };
        } else {
            cells.push((c, code.clone()));
        }
    }
    cells
}

fn plain(text: &str) -> String {
    cells(text).into_iter().map(|(c, _)| c).collect()
}

#[test]
fn lines_are_coloured_and_otherwise_unchanged() {
    let coloured = output(&["--color", "always"], None);
    assert_eq!(plain(&coloured), lines().join("\n") + "\n");
    for part in ["\u{1b}[34;1m\"did\"\u{1b}[0m", "\u{1b}[0;32m\"did:plc:even\"", "\u{1b}[0;90mnull"]
    {
        assert!(coloured.contains(part), "{part:?} is missing in {coloured:?}");
    }
    assert!(cells(&coloured).iter().all(|(c, code)| *c != '\n' || code.is_empty()));
    for flags in [&["--color", "auto"][..], &["--color", "never"], &[]] {
        assert_eq!(output(flags, None), lines().join("\n") + "\n", "{flags:?}");
    }
}

#[test]
fn jq_colors_changes_the_colours() {
    let coloured = output(&["--color", "always"], Some("1;31:::::::4;36"));
    assert!(coloured.contains("\u{1b}[1;31mnull") && coloured.contains("\u{1b}[4;36m\"did\""));
    let server = ScriptedServer::start([vec![Accept, Send(texts(lines())), Hang]]);
    let flags = ["-n", "1", "--color", "always", "--log-format", "json"];
    let run = Tail::of(&server).flags(&flags).env("JQ_COLORS", "1;31m\u{1b}[2J").run_raw();
    assert!(run.stderr.contains("JQ_COLORS is ignored"), "{}", run.stderr);
    assert!(run.lines[0].contains("\u{1b}[34;1m\"did\"") && !run.lines[0].contains("[2J"));
}

#[test]
fn outputs_of_jq_have_the_colours_that_jq_gives_them() {
    // All versions of jq know seven colours.
    let colours = "0;31:0;32:0;33:0;34:0;35:0;36:0;37";
    for program in [".", ".commit.record.n", "[.did, .time_us, null]", ".did", "{a: {b: [[1]]}}"] {
        for form in ["ndjson", "pretty"] {
            let flags = ["--jq", program, "--color", "always", "--format", form];
            let ours = output(&flags, Some(colours));
            let jq_flags: &[&str] = if form == "ndjson" { &["-C", "-c"] } else { &["-C"] };
            let mut jq = Command::new("jq");
            jq.args(jq_flags).arg(program).env("JQ_COLORS", colours);
            jq.stdin(Stdio::piped()).stdout(Stdio::piped());
            let Some(mut jq) = requires("jq", jq.spawn().ok()) else { return };
            let input = output(&[], None);
            jq.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let theirs = String::from_utf8(jq.wait_with_output().unwrap().stdout).unwrap();
            let visible = |text: &str| -> Vec<(char, String)> {
                cells(text).into_iter().filter(|(c, _)| !c.is_whitespace()).collect()
            };
            // jq 1.6 writes 1.1 for 1.10 and -2000 for -2e3.
            let ours = visible(&ours.replace("1.10", "1.1").replace("-2e3", "-2000"));
            assert_eq!(ours, visible(&theirs.replace("1.10", "1.1")), "{program} {form}");
        }
    }
}

#[test]
fn files_have_no_colours() {
    for format in ["ndjson", "pretty", "text"] {
        let server = ScriptedServer::start([vec![Accept, Send(texts(lines())), Hang]]);
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("out");
        let flags = ["-n", "4", "--color", "always", "--jq", ".", "--format", format];
        let run = Tail::of(&server).flags(&flags).flags(&["-o", file.to_str().unwrap()]).run();
        run.ends_with(0);
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(!written.is_empty() && !written.contains('\u{1b}'), "{written:?}");
    }
}
