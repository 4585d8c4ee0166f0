//! A pipeline into jq whose programs all print to one terminal.

use std::process::{Command, Stdio};

use crate::support::pty::Pty;
use crate::support::{Scratch, ServeProcess, events, isolate_environment, requires};

#[test]
fn a_pipeline_into_jq_on_one_terminal_is_clean() {
    let Some(()) = requires("jq", Command::new("jq").arg("--version").output().ok().map(drop))
    else {
        return;
    };
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(60, true));
    let server = ServeProcess::start(&recording, &["--rate", "40/s", "--restamp"]);
    let (home, mut pty) = (Scratch::new(), Pty::open());
    let skytail = env!("CARGO_BIN_EXE_skytail");
    let host = format!("ws://{}", server.address);
    let mut shell = Command::new("sh");
    isolate_environment(&mut shell, &home.path("."));
    let tail = format!("{skytail} tail --host {host} --cursor oldest -n 40");
    shell.arg("-c").arg(format!("{tail} | jq -M -c --unbuffered '[.did,.kind]'"));
    shell.env("TERM", "xterm").stdin(Stdio::null()).stdout(pty.stdio()).stderr(pty.stdio());
    let mut child = shell.spawn().unwrap();
    drop(shell);
    pty.started();
    let shown = pty.read_to_end();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{shown:?}");
    // Nothing but whole lines of jq and one of skytail: no escape sequence, no lone CR.
    let lines: Vec<&str> = shown.split_terminator("\r\n").collect();
    let (summaries, outputs): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.starts_with("skytail: "));
    assert_eq!((summaries.len(), outputs.len()), (1, 40), "{shown}");
    assert!(summaries[0].starts_with("skytail: 40 events, "), "{shown}");
    for line in outputs {
        let value: serde_json::Value = serde_json::from_str(line).expect(line);
        assert_eq!(value.as_array().unwrap().len(), 2);
    }
}
