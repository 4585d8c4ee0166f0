//! What a process used: wall time, processor time, and its maximum memory.
//!
//! The operating system adds up the usage of a process's children, so every measured program is the
//! only child of a watcher process, which reports it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// What a program used.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct ResourceUsage {
    pub wall_us: u64,
    pub cpu_us: u64,
    pub peak_rss_kib: u64,
    pub succeeded: bool,
}

/// The output of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Discarded.
    Null,
    /// Piped to `cat`, which discards it.
    Cat,
}

/// A command and its name.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: String,
    pub words: Vec<String>,
}

impl Program {
    pub fn new(name: &str, words: impl IntoIterator<Item = String>) -> Self {
        Self { name: name.to_owned(), words: words.into_iter().collect() }
    }

    /// One of the roles that this benchmark plays itself.
    pub fn role(name: &str, role: &str, words: &[&str]) -> Self {
        let own = std::env::current_exe().expect("a path of our own");
        let first = [own.display().to_string(), format!("role:{role}")];
        Self::new(name, first.into_iter().chain(words.iter().map(|word| (*word).to_owned())))
    }
}

/// Starts a program under its own watcher, which writes to `report_path`.
pub fn start(program: &Program, report_path: &Path, stdout: Stdio) -> Child {
    Command::new(std::env::current_exe().expect("a path of our own"))
        .arg("role:watch")
        .arg(report_path)
        .args(&program.words)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::inherit())
        .spawn()
        .expect("start a process")
}

/// Runs a program to its end.
pub fn run(program: &Program, output: Output) -> ResourceUsage {
    let scratch = tempfile::tempdir().expect("a directory");
    let report_path = scratch.path().join("took");
    let mut cat = None;
    let stdout = match output {
        Output::Null => Stdio::null(),
        Output::Cat => {
            let mut child = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .expect("start cat");
            let stdin = child.stdin.take().expect("piped");
            cat = Some(child);
            Stdio::from(stdin)
        }
    };
    start(program, &report_path, stdout).wait().expect("wait for the watch");
    if let Some(mut cat) = cat {
        cat.wait().expect("wait for cat");
    }
    took(&report_path, program)
}

/// Reads what a watcher wrote.
pub fn took(report_path: &Path, program: &Program) -> ResourceUsage {
    let text = std::fs::read_to_string(report_path).expect("the watch wrote a report");
    let took: ResourceUsage = serde_json::from_str(&text).expect("as it should");
    if !took.succeeded {
        // Not a panic: the server's thread still waits for a connection.
        eprintln!("{} failed: {:?}", program.name, program.words);
        std::process::exit(1);
    }
    took
}

/// The role of the watcher: runs a command and writes down what it used.
pub fn watch(words: &[String]) {
    let [report_path, command, arguments @ ..] = words else { panic!("watch FILE COMMAND…") };
    let began = Instant::now();
    let status = Command::new(command).args(arguments).status().expect("start the program");
    let wall_us = began.elapsed().as_micros() as u64;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts");
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1_000).as_micros() as u64
    };
    let took = ResourceUsage {
        wall_us,
        cpu_us: micros(usage.user_time()) + micros(usage.system_time()),
        // Linux counts in KiB.
        peak_rss_kib: usage.max_rss() as u64,
        succeeded: status.success(),
    };
    std::fs::write(report_path, serde_json::to_string(&took).expect("numbers")).expect("write");
}
