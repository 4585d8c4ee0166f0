//! Runs each command of the documents, in a home directory of its own and with a local server in
//! place of the public ones, and compares the samples with what it prints.
//!
//! A block of `sh` is one script. A block of `console` has commands after `$ ` and what each
//! prints: stdout, then stderr. An HTML comment before the fence changes that:
//!
//! - `needs: …`: the block is not run; its commands are parsed, and the block is listed at the end
//!   of `cargo test`.
//! - `runs until it is stopped`: the next blocks run beside it.
//! - `runs beside the last one`: so does this one, beside the block before.
//! - `in a terminal`: each line runs in a terminal, until the test presses `q`.
//! - `numbers vary`: numbers in the sample are not compared.
//! - `file: …`, before a block of any language: the file in the home directory that the block is.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::sample::difference;
use super::words::commands;
use super::{Block, blocks, documents, read, root};
use crate::support::pty::Pty;
use crate::support::{
    PATIENCE, Scratch, ServeProcess, forget_unmet, isolate_environment, list_unmet, requires,
};

const SKYTAIL: &str = env!("CARGO_BIN_EXE_skytail");

/// The ports that the documents name: that of `skytail serve`, one for metrics, and one of a second
/// server.
const PORTS: [&str; 3] = ["127.0.0.1:6008", "127.0.0.1:9464", "127.0.0.1:6009"];

/// The comment of a block that runs beside the block before.
const BESIDE: &str = "runs beside the last one";

/// Runs before each `skytail` of a document. Without `--demo` a run ends after some events, or at
/// the end of the recording, and saves elsewhere, because its server has a name of its own.
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in
  *" --demo "*) unset SKYTAIL_HOST SKYTAIL_LIMIT SKYTAIL_EXIT_WHEN_LIVE ;;
  *" tail "*) export XDG_STATE_HOME="$HOME/public" ;;
  *" serve "*" --listen "*) ;;
  *" serve "*) set -- "$@" --listen "$DOCUMENT_PORT" ;;
esac
exec "$SKYTAIL" "$@"
"#;

/// Replaces `ssh`: runs the command here, with the state of "another machine".
const SSH: &str = r#"#!/bin/sh
shift
XDG_STATE_HOME="$HOME/elsewhere" exec "$@"
"#;

macro_rules! pages {
    ($($name:ident: $path:literal),* $(,)?) => {
        const PAGES: &[&str] = &[$($path),*];
        $(#[test] fn $name() { run_page($path); })*
    };
}

pages! {
    readme: "README.md",
    brokers: "docs/guide/brokers.md",
    changing_filters: "docs/guide/changing-filters.md",
    cursors: "docs/guide/cursors-and-resume.md",
    deletes: "docs/guide/deletes.md",
    files: "docs/guide/files.md",
    filters: "docs/guide/filters.md",
    history: "docs/guide/history.md",
    install: "docs/guide/install.md",
    parquet: "docs/guide/parquet.md",
    quick_start: "docs/guide/quick-start.md",
    scaling: "docs/guide/scaling.md",
    serve_and_chaos: "docs/guide/serve-and-chaos.md",
    sqlite: "docs/guide/sqlite.md",
    stats: "docs/guide/stats.md",
    top: "docs/guide/top.md",
    transforms: "docs/guide/transforms.md",
    witness: "docs/guide/witness.md",
    failure_modes: "docs/operations/failure-modes.md",
    log_messages: "docs/operations/log-messages.md",
    metrics: "docs/operations/metrics-and-alerts.md",
    systemd: "docs/operations/systemd.md",
    config: "docs/reference/config.md",
    exit_codes: "docs/reference/exit-codes.md",
    output_format: "docs/reference/output-format.md",
}

/// Documents for developers: their commands build, measure or test this program.
const FOR_DEVELOPERS: &[&str] = &["CONTRIBUTING.md", "docs/internals/performance.md"];

#[test]
fn each_document_with_commands_is_run() {
    let has_commands = |document: &String| {
        let runs = |block: Block| ["sh", "bash", "console"].contains(&block.language.as_str());
        blocks(&read(document)).into_iter().any(runs)
    };
    let mut all = documents();
    all.retain(|document| has_commands(document) && !FOR_DEVELOPERS.contains(&document.as_str()));
    all.sort_unstable();
    let mut pages = PAGES.to_vec();
    pages.sort_unstable();
    assert_eq!(all, pages);
}

/// Returns why a command line of skytail is wrong, by parsing it without running it.
pub fn parse_error(line: &str) -> Option<String> {
    commands(line).iter().find_map(|words| parse_words(words))
}

/// Parses the part of a command that is one of skytail.
fn parse_words(words: &[String]) -> Option<String> {
    let is_cargo_run =
        words.first().is_some_and(|word| word == "cargo") && words.iter().any(|word| word == "run");
    let at = words.iter().position(|word| word == if is_cargo_run { "--" } else { "skytail" })?;
    if !is_cargo_run
        && words[..at].iter().any(|word| word != "sudo" && word != "ssh" && word != "elsewhere")
    {
        return None;
    }
    let args = words[at + 1..].iter().map(Into::into);
    let error = skytail::cli::check(std::iter::once("skytail".into()).chain(args).collect()).err();
    error.filter(|error| !error.contains("this build of skytail can't publish"))
}

#[test]
fn a_wrong_flag_or_value_does_not_parse() {
    assert_eq!(parse_error("skytail tail --demo -n 5 | jq ."), None);
    assert!(parse_error("skytail tail --demos").is_some());
    assert!(parse_error("cargo run --release -- tail -n five").is_some());
    assert!(parse_error("true && skytail cursor list").is_some());
    assert!(parse_error("skytail tail --last 5 --cursor live").is_some());
    assert!(parse_error("skytail tail --to nats://localhost/x -o file").is_some());
    assert!(parse_error("skytail tail --last 5 -o file").is_some());
}

/// Returns 5,000 events of the demo as a recording.
fn recording() -> &'static Path {
    static RECORDING: OnceLock<(Scratch, PathBuf)> = OnceLock::new();
    let (_, path) = RECORDING.get_or_init(|| {
        let scratch = Scratch::new();
        let path = scratch.path("demo.ndjson");
        let mut command = Command::new(SKYTAIL);
        isolate_environment(&mut command, &scratch.path("."));
        let status = command.args(["tail", "--demo", "-q", "-o"]).arg(&path).status().unwrap();
        assert!(status.success());
        (scratch, path)
    });
    path
}

/// What the commands of one page share: a home directory, with a segment of an archive.
struct Session {
    page: &'static str,
    home: Scratch,
    ports: [String; 3],
    server: ServeProcess,
    background: Vec<Child>,
}

impl Session {
    fn new(page: &'static str) -> Self {
        let home = Scratch::new();
        std::fs::create_dir(home.path("bin")).unwrap();
        for (name, script) in [("bin/skytail", WRAPPER), ("bin/ssh", SSH)] {
            std::fs::write(home.path(name), script).unwrap();
            let mode = PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(home.path(name), mode).unwrap();
        }
        let segment = home.path("seg_000000002a.jss");
        std::fs::copy(root().join("tests/it/vectors/corpus.jss"), segment).unwrap();
        let ports = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = ports.map(|listener| listener.local_addr().unwrap().to_string());
        let server = ServeProcess::start(recording(), &[]);
        Self { page, home, ports, server, background: Vec::new() }
    }

    fn shell(&self, script: &str) -> Command {
        let mut script = script.to_owned();
        for (documented, port) in PORTS.iter().zip(&self.ports) {
            script = script.replace(documented, port);
        }
        let mut command = Command::new("bash");
        let home = self.home.path(".");
        isolate_environment(&mut command, &home);
        let path = format!("{}/bin:{}", home.display(), std::env::var("PATH").unwrap());
        command.current_dir(&home).env("PATH", path).env("SKYTAIL", SKYTAIL);
        command.env("SKYTAIL_HOST", format!("ws://{}", self.server.address));
        command.env("SKYTAIL_LIMIT", "20").env("SKYTAIL_EXIT_WHEN_LIVE", "true");
        command.env("DOCUMENT_PORT", &self.ports[0]);
        command.args(["-o", "pipefail", "-c", &script]);
        command
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.home.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run_script(&self, block: &Block) {
        let output = self.shell(&format!("set -e\n{}", block.text)).output().unwrap();
        let place = format!("{} line {}", self.page, block.line);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {stderr}");
        let warning = stderr.lines().find(|line| line.contains("WARN") || line.contains("ERROR"));
        assert_eq!(warning, None, "{place}");
    }

    /// Starts a block that does not end, and waits for its first line on stderr, or for its port.
    fn start(&mut self, block: &Block) {
        if !block.says(BESIDE) {
            self.stop();
        }
        let mut command = self.shell(&format!("exec {}", block.text));
        command.env_remove("SKYTAIL_LIMIT").env_remove("SKYTAIL_EXIT_WHEN_LIVE");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        if block.text.contains("serve") {
            let mut line = String::new();
            BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
            assert!(line.contains("serving"), "{} line {}: {line}", self.page, block.line);
        } else {
            self.wait_until_healthy();
        }
        self.background.push(child);
    }

    /// Waits until the metrics port reports a live stream.
    fn wait_until_healthy(&self) {
        let deadline = Instant::now() + PATIENCE;
        let script = "curl -sf http://127.0.0.1:9464/healthz";
        while !self.shell(script).output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "{}: the port does not answer", self.page);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        for mut child in self.background.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn run_in_terminal(&self, block: &Block) {
        for line in block.text.lines() {
            let mut pty = Pty::open();
            let mut command = self.shell(line);
            command.env("TERM", "xterm").env("LANG", "C.UTF-8");
            command.stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
            let mut child = command.spawn().unwrap();
            drop(command);
            pty.started();
            let shown = pty.redraw_until(|shown| shown.contains("COLLECTION"));
            assert!(shown.contains("COLLECTION"), "{} line {}: {shown}", self.page, block.line);
            pty.type_keys("q");
            let shown = pty.read_to_end();
            assert!(child.wait().unwrap().success(), "{} line {}: {shown}", self.page, block.line);
        }
    }

    /// Runs the commands of a `console` block, and compares what they print.
    fn run_console(&self, block: &Block) {
        for step in block.text.strip_prefix("$ ").expect("a prompt").split("\n$ ") {
            let lines: Vec<&str> = step.lines().collect();
            let more = lines.iter().take_while(|line| line.ends_with('\\')).count();
            let (script, sample) = lines.split_at(more + 1);
            let script = script.join("\n");
            // Only programs that run one after the other print in a known order.
            let merged = if script.contains(';') { "exec 2>&1\n" } else { "" };
            let output = self.shell(&format!("{merged}{script}")).output().unwrap();
            let mut printed = String::from_utf8(output.stdout).unwrap();
            printed.push_str(&String::from_utf8(output.stderr).unwrap());
            for (documented, port) in PORTS.iter().zip(&self.ports) {
                printed = printed.replace(port.as_str(), documented);
            }
            let difference = difference(&sample.join("\n"), &printed, block.says("numbers vary"));
            let place = format!("{} line {}: {}", self.page, block.line, script);
            assert!(difference.is_none(), "{place}: {}", difference.unwrap());
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Parses the commands of a block that can't run here, and lists the block.
fn parse_block(page: &str, block: &Block, what: &str) {
    let lines = block.text.lines().filter_map(|line| match block.language.as_str() {
        "console" => line.strip_prefix("$ "),
        _ => Some(line),
    });
    let script: String = lines.flat_map(|line| [line, "\n"]).collect();
    for words in commands(&script) {
        let error = parse_words(&words);
        assert!(error.is_none(), "{page} line {}: {}", block.line, error.unwrap());
    }
    let first = script.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
    list_unmet(what, &format!("documents: {page}: {} (parsed only)", first.unwrap_or_default()));
}

fn run_page(page: &'static str) {
    forget_unmet(&format!("documents: {page}:"));
    let mut session = None;
    for block in blocks(&read(page)) {
        let file = block.comment.as_deref().and_then(|text| text.strip_prefix("file: "));
        if let Some(file) = file {
            session.get_or_insert_with(|| Session::new(page)).write(file, &block.text);
        }
        if !["sh", "console"].contains(&block.language.as_str()) {
            continue;
        }
        if let Some(what) = block.needs() {
            parse_block(page, &block, what);
            continue;
        }
        let known = ["numbers vary", "runs until it is stopped", BESIDE, "in a terminal"];
        let comment = block.comment.as_deref();
        assert!(comment.is_none_or(|text| known.contains(&text)), "{page}: {comment:?}");
        let jq = Command::new("jq").arg("--version").output().ok();
        if block.text.contains("jq") && requires("jq", jq).is_none() {
            return;
        }
        let session = session.get_or_insert_with(|| Session::new(page));
        match block.language.as_str() {
            _ if block.says("runs until it is stopped") || block.says(BESIDE) => {
                session.start(&block);
            }
            _ if block.says("in a terminal") => session.run_in_terminal(&block),
            "sh" => session.run_script(&block),
            _ => session.run_console(&block),
        }
    }
}
