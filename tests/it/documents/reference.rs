//! The generated reference is up to date, and the prose names flags and commands that exist.

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;

use super::commands::parse_error;
use super::{documents, prose, read};

#[test]
fn the_reference_of_the_command_line_is_up_to_date() {
    let output = Command::new(env!("CARGO_BIN_EXE_skytail")).args(["man", "--markdown"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let generated = String::from_utf8(output.stdout).unwrap();
    let stored = read("docs/reference/cli.md");
    let line = generated.lines().zip(stored.lines()).position(|(new, old)| new != old);
    assert!(
        generated == stored,
        "docs/reference/cli.md differs from line {line:?} on: run \
         `cargo run -- man --markdown > docs/reference/cli.md`"
    );
}

/// Returns the inline code of a document.
fn code_spans(document: &str) -> Vec<String> {
    let text = prose(&read(document)).replace('\n', " ");
    let pattern = Regex::new("`([^`]+)`").unwrap();
    pattern.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// Flags in the prose that belong to other programs.
const OTHER_FLAGS: &[&str] = &["--test", "--features", "--release"];

#[test]
fn the_prose_names_flags_that_exist() {
    let reference = read("docs/reference/cli.md");
    let pattern = Regex::new("--[a-z][a-z-]*").unwrap();
    let known: BTreeSet<&str> = pattern.find_iter(&reference).map(|found| found.as_str()).collect();
    let mut unknown = Vec::new();
    for document in documents().iter().filter(|document| !document.contains("/internals/")) {
        for span in code_spans(document).iter().filter(|span| span.starts_with("--")) {
            let flags = pattern.find_iter(span).map(|found| found.as_str());
            let wrong = flags.filter(|flag| !known.contains(flag) && !OTHER_FLAGS.contains(flag));
            unknown.extend(wrong.map(|flag| format!("{document}: {flag}")));
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// The prose may name a flag without its value, and a command without its arguments.
const LEFT_OUT: [&str; 2] = ["a value is required", "required arguments were not provided"];

#[test]
fn the_prose_names_commands_that_exist() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for document in documents() {
        for span in code_spans(&document).iter().filter(|span| span.starts_with("skytail ")) {
            count += 1;
            let command = span.replace(" NAME N", " NAME 1").replace(" …", "");
            let error = parse_error(&command);
            let error = error.filter(|error| !LEFT_OUT.iter().any(|part| error.contains(part)));
            wrong.extend(error.map(|error| format!("{document}: {span}: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 20, "{count} commands");
}

/// Returns what the pattern's group matches in a text.
fn matches(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let source = matches(r"(?m)^    [A-Z]\w+ = (\d+),$", &read("src/cli/exit.rs"));
    assert!(source.len() >= 6, "{source:?}");
    let page = read("docs/reference/exit-codes.md");
    assert_eq!(matches(r"(?m)^\| (\d+) \|", &page), source);
    let readme = read("README.md");
    let (_, part) = readme.split_once("\n## Exit codes\n").unwrap();
    let part = part.split("\n## ").next().unwrap();
    assert_eq!(matches(r"(?:^|[ \n])(\d+) [a-z]", part), source);
}

#[test]
fn the_reasons_of_the_summary_are_those_of_the_program() {
    let source = read("src/pipeline/shutdown.rs");
    let (_, source) = source.split_once("=> \"limit\"").expect("the list of reasons");
    let list = source.split("\n    }").next().unwrap();
    let reasons = matches(r#"=> "([a-z_]+)""#, list);
    let page = read("docs/operations/log-messages.md");
    let (_, part) = page.split_once("`reason` (").unwrap();
    let mut documented = matches("`([a-z_]+)`", part.split(')').next().unwrap());
    assert!(documented.remove("limit"));
    assert_eq!(documented, reasons);
}
