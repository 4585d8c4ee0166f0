//! The screens in the documents have the labels that `skytail top` shows. Their numbers and names
//! differ from run to run.

use std::collections::BTreeSet;
use std::process::Command;

use super::{blocks, read};
use crate::support::pty::Pty;
use crate::support::{Scratch, isolate_environment};

/// Returns the labels of a screen: its words of three letters or more, without the first line,
/// which shows the state of the stream.
fn labels(screen: &str) -> BTreeSet<String> {
    let text: Vec<&str> = screen.lines().skip(1).collect();
    let text = text.join(" ");
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '▼' | ';' | ',' | '(' | ')'));
    let is_label = |word: &&str| word.len() >= 3 && word.chars().all(|c| c.is_ascii_alphabetic());
    words.filter(is_label).map(str::to_owned).collect()
}

/// Starts `skytail top --demo`, types the keys once it shows tables, and reads until it shows all
/// labels. Returns those that it does not show.
fn missing(keys: &str, labels: &BTreeSet<String>) -> Vec<String> {
    let home = Scratch::new();
    let mut pty = Pty::open();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &home.path("."));
    command.args(["top", "--demo"]).env("TERM", "xterm").env("LANG", "C.UTF-8");
    command.stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
    let mut child = command.spawn().unwrap();
    drop(command);
    pty.started();
    pty.redraw_until(|shown| shown.contains("COLLECTION"));
    pty.type_keys(keys);
    let lacks = |shown: &str| -> Vec<String> {
        labels.iter().filter(|label| !shown.contains(label.as_str())).cloned().collect()
    };
    let shown = pty.redraw_until(|shown| lacks(shown).is_empty());
    let _ = child.kill();
    let _ = child.wait();
    lacks(&shown)
}

#[test]
fn the_screens_have_the_labels_of_the_program() {
    let mut count = 0;
    for block in blocks(&read("docs/guide/top.md")) {
        let comment = block.comment.unwrap_or_default();
        let Some(rest) = comment.strip_prefix("screen of skytail top --demo") else { continue };
        count += 1;
        let labels = labels(&block.text);
        assert!(labels.len() >= 15, "{labels:?}");
        let missing = missing(rest.trim().trim_start_matches("after "), &labels);
        assert!(missing.is_empty(), "docs/guide/top.md line {}: {missing:?}", block.line);
    }
    assert_eq!(count, 2);
}
