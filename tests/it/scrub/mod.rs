//! `skytail scrub`: deleted records and accounts leave the files, every other line stays as it is,
//! and whatever goes wrong, a file is the old one or the new one.

mod flags;
mod host;
mod owned;
mod records;
mod refusals;
mod signals;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use skytail::compression::sniff;

use crate::support::{FIRST_US, Scratch, isolate_environment};

/// The result of a scrub.
#[derive(Debug)]
pub struct Scrubbed {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Scrubbed {
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} is not in {}", self.stderr);
        }
        self
    }

    #[track_caller]
    pub fn prints(self, words: &[&str]) -> Self {
        for words in words {
            assert!(self.stdout.contains(words), "{words:?} is not in {}", self.stdout);
        }
        self
    }

    /// Returns the report of `--json`.
    #[track_caller]
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self:#?}"))
    }
}

/// Returns the command `skytail scrub` with a home directory of its own.
pub fn scrub_command(home: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, home);
    command.arg("scrub").args(flags).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `skytail scrub` with these flags and files.
pub fn scrub(home: &Scratch, flags: &[&str], files: &[&Path]) -> Scrubbed {
    let output = scrub_command(&home.path(""), flags).args(files).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Scrubbed {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Returns a commit of `did:plc:DID` at second `second` of a day; its rev is of the same second.
pub fn commit(did: &str, second: u64, operation: &str, rkey: &str) -> String {
    let record = match operation {
        "delete" => String::new(),
        _ => format!(r#","record":{{"text":"{rkey} at {second}"}},"cid":"bafyrei""#),
    };
    let body = format!(
        r#"{{"rev":"{}","operation":"{operation}","collection":"app.bsky.feed.post","rkey":"{rkey}"{record}}}"#,
        rev(second)
    );
    event(did, second, "commit", &body)
}

/// Returns the rev of a second.
pub fn rev(second: u64) -> String {
    const LETTERS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
    let number = (FIRST_US + second * 1_000_000) << 10;
    let letter = |shift: u32| char::from(LETTERS[(number >> shift & 31) as usize]);
    (0..13).rev().map(|place| letter(place * 5)).collect()
}

pub fn account(did: &str, second: u64, status: Option<&str>) -> String {
    let rest = status.map(|status| format!(r#","status":"{status}""#)).unwrap_or_default();
    let body =
        format!(r#"{{"active":{},"did":"did:plc:{did}","seq":{second}{rest}}}"#, status.is_none());
    event(did, second, "account", &body)
}

pub fn identity(did: &str, second: u64) -> String {
    let body = format!(r#"{{"did":"did:plc:{did}","handle":"{did}.example","seq":{second}}}"#);
    event(did, second, "identity", &body)
}

pub fn sync(did: &str, second: u64) -> String {
    let body = format!(r#"{{"did":"did:plc:{did}","rev":"{}","seq":{second}}}"#, rev(second));
    event(did, second, "sync", &body)
}

fn event(did: &str, second: u64, kind: &str, body: &str) -> String {
    let time_us = FIRST_US + second * 1_000_000;
    format!(
        r#"{{"did":"did:plc:{did}","time_us":{time_us},"cursor":{},"kind":"{kind}","{kind}":{body}}}"#,
        100 + second
    )
}

/// Writes lines to a file, compressed if its name ends so.
pub fn write(scratch: &Scratch, name: &str, lines: &[String]) -> PathBuf {
    let path = scratch.path(name);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let bytes = match name.ends_with(".zst") {
        true => zstd::encode_all(text.as_bytes(), 1).unwrap(),
        false => text.into_bytes(),
    };
    fs::write(&path, bytes).unwrap();
    path
}

/// Returns the lines of a file, decompressed if it is zstd.
pub fn read(path: &Path) -> Vec<String> {
    let file = fs::File::open(path).unwrap();
    let mut text = String::new();
    sniff::decompressed(file).unwrap().read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Returns the names of the files in a directory.
pub fn names(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
