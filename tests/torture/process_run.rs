//! One run of the program: started, read from, and stopped by a signal at a random moment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::child::Running;
use super::filters::FilterFile;
use super::flags;
use super::harness::Harness;
use super::oracle::{Oracle, Saved, Verdict, Violation};
use super::profile::{Output, Profile, RunSettings, failed};
use crate::support::{PATIENCE, isolate_environment};

/// How long the final run may print no new line before it counts as stuck: more than twice the six
/// seconds that a join takes.
const STUCK: Duration = Duration::from_secs(15);

/// The same for a server that scans slowly: as long as it scans a whole recording.
const STUCK_IN_A_SCAN: Duration = Duration::from_secs(30);

/// How a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// By SIGKILL.
    Kill,
    /// By SIGKILL, after its output was left unread for a while.
    KillUnread,
    /// By SIGTERM.
    Term,
    /// By SIGTERM, with its output unread until the process has ended.
    TermUnread,
    /// By closing its output while some of it is unread.
    CloseReader,
}

impl StopKind {
    pub fn is_kill(self) -> bool {
        matches!(self, Self::Kill | Self::KillUnread)
    }
}

/// When and how a run is stopped.
#[derive(Clone, Copy, Debug)]
pub struct StopPlan {
    pub end: StopKind,
    /// The age at which it is stopped.
    pub after: Duration,
    /// The output size, in bytes, at which it is stopped if that comes first.
    pub after_bytes: Option<usize>,
    /// Not before a position is saved.
    pub needs_saved: bool,
    /// When the output is complete instead.
    pub is_complete: bool,
}

impl StopPlan {
    /// Returns the plan of the final run.
    pub fn complete() -> Self {
        let after = Duration::MAX;
        Self {
            end: StopKind::Term,
            after,
            after_bytes: None,
            needs_saved: false,
            is_complete: true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunRole {
    /// One of many runs that are stopped early.
    Interrupted,
    /// The run that reads to the end.
    Final,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOutcome {
    /// By the harness's SIGKILL.
    pub was_killed: bool,
    /// Cleanly, after the harness's SIGTERM.
    pub was_clean: bool,
}

/// All runs of a round, one at a time.
pub struct ProcessRun {
    client: PathBuf,
    variable: Option<(String, String)>,
    directory: PathBuf,
    output: Output,
    kills_servers: bool,
    scans_slowly: bool,
    flags: Vec<String>,
    budget: Option<&'static str>,
    /// The stripe and their number.
    stripe: Option<(u32, u32)>,
    pub filter_file: Option<FilterFile>,
    count: u32,
}

impl ProcessRun {
    /// Chooses the flags for a round.
    pub fn new(
        profile: &Profile,
        settings: &RunSettings<'_>,
        directory: &Path,
        harness: &Harness,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let (flags, filter_file) = flags::choose(profile, directory, harness, rng);
        if profile.is_archived {
            begin_at(settings.client, directory, profile.begins_at);
        }
        Self {
            client: settings.client.to_owned(),
            variable: settings.variable.map(|(name, value)| (name.to_owned(), value.to_owned())),
            directory: directory.to_owned(),
            output: profile.output,
            kills_servers: profile.kills_servers,
            scans_slowly: profile.scans_slowly(),
            flags,
            budget: profile.budget,
            stripe: None,
            filter_file,
            count: 0,
        }
    }

    /// Ends the history before this time.
    pub fn end_at(&mut self, until_us: u64) {
        self.flags.extend(["--until".to_owned(), until_us.to_string()]);
    }

    /// Chooses the stripe of the next run.
    pub fn choose_stripe(&mut self, stripe: u32, of: u32) {
        self.stripe = Some((stripe, of));
    }

    /// Returns the command, for a developer to run.
    pub fn command_line(&self) -> String {
        format!("{} tail {}", self.client.display(), self.flags.join(" "))
    }

    /// Returns the position in the state file, or `None` before the first one.
    pub fn saved(&self) -> Result<Option<Saved>, Verdict> {
        let mut command = Command::new(&self.client);
        isolate_environment(&mut command, &self.directory);
        let state = self.directory.join("state.db");
        command.args(["cursors", "show", "c", "--json", "--state"]).arg(state);
        let shown = command.output().expect("run skytail cursors show");
        if shown.status.success() {
            let shown: serde_json::Value =
                serde_json::from_slice(&shown.stdout).expect("a cursor in JSON");
            // The start of the run, not an event that was saved as printed.
            if shown["by_hand"] == true {
                return Ok(None);
            }
            return Ok(Some(serde_json::from_value(shown).expect("a position in JSON")));
        }
        let message = String::from_utf8_lossy(&shown.stderr).into_owned();
        match message.contains("no cursor is saved") {
            true => Ok(None),
            false => Err(failed(format!("skytail cursors show: {message}"))),
        }
    }

    /// Starts the program, passes its output to the oracle, and stops it.
    pub fn run_once(
        &mut self,
        stop_plan: StopPlan,
        role: RunRole,
        harness: &mut Harness,
        oracle: &mut Oracle<'_>,
        rng: &mut fastrand::Rng,
    ) -> Result<RunOutcome, Verdict> {
        self.count += 1;
        self.note(&format!("run {} {role:?}: {stop_plan:?}", self.count));
        if let Some(mut file) = self.filter_file.take() {
            file.begin_run(self.saved()?, rng);
            self.filter_file = Some(file);
        }
        let mut running = {
            let copy = self.directory.join(format!("stdout-of-run-{:05}", self.count));
            let ends_itself =
                self.stripe.is_some() || (self.budget.is_some() && role == RunRole::Interrupted);
            Running::start(self.command(role), &copy, self.count as usize, ends_itself)
        };
        let read = self.read(&mut running, stop_plan, harness, oracle, rng);
        let run_outcome = read.and_then(|()| running.end(stop_plan.end, oracle));
        if let Some(file) = &mut self.filter_file {
            file.end_run();
        }
        self.note(&format!("run {}: {run_outcome:?}", self.count));
        run_outcome.map_err(|verdict| self.explain(verdict))
    }

    /// Reads until the plan says to stop.
    fn read(
        &mut self,
        running: &mut Running,
        stop_plan: StopPlan,
        harness: &mut Harness,
        oracle: &mut Oracle<'_>,
        rng: &mut fastrand::Rng,
    ) -> Result<(), Verdict> {
        let began = Instant::now();
        let mut server_dies_after =
            (self.kills_servers && !stop_plan.is_complete && rng.u32(0..6) == 0)
                .then(|| Duration::from_millis(rng.u64(0..1_500)));
        let (mut bytes, mut last_came) = (0, Instant::now());
        loop {
            let age = began.elapsed();
            let may_end = !stop_plan.needs_saved || self.saved()?.is_some();
            let is_due =
                age >= stop_plan.after || stop_plan.after_bytes.is_some_and(|most| bytes >= most);
            let is_complete = stop_plan.is_complete && oracle.is_complete();
            if is_complete || (is_due && may_end) {
                return Ok(());
            }
            if stop_plan.is_complete && last_came.elapsed() > self.patience() {
                return Ok(());
            }
            if let Some(file) = self.filter_file.as_mut().filter(|_| !stop_plan.is_complete) {
                file.tick(&running.child, rng);
            }
            if server_dies_after.take_if(|after| age >= *after).is_some() {
                harness.kill_a_server(rng);
            }
            let left = stop_plan
                .after
                .saturating_sub(age)
                .clamp(Duration::from_millis(1), Duration::from_millis(20));
            match running.chunks.recv_timeout(left) {
                Ok(chunk) => {
                    bytes += chunk.len();
                    last_came = Instant::now();
                    running.take(&chunk, oracle)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // If the output is a file, stdout is closed from the start.
                Err(RecvTimeoutError::Disconnected) => {
                    if running.child.try_wait().expect("wait").is_some() {
                        return Ok(());
                    }
                    std::thread::sleep(left);
                }
            }
            if self.output == Output::SlowStdout && !stop_plan.is_complete && rng.u32(0..12) == 0 {
                std::thread::sleep(Duration::from_millis(rng.u64(0..150)));
            }
        }
    }

    fn patience(&self) -> Duration {
        match self.output {
            Output::Files(_) | Output::Database(_) => 2 * PATIENCE,
            _ if self.scans_slowly => STUCK_IN_A_SCAN,
            _ => STUCK,
        }
    }

    fn command(&self, role: RunRole) -> Command {
        let mut command = Command::new(&self.client);
        isolate_environment(&mut command, &self.directory);
        command.arg("tail").envs(self.variable.clone());
        match self.stripe {
            None => command.args(&self.flags),
            Some((stripe, of)) => command
                .args(["--archive-stripe", &format!("{stripe}/{of}")])
                .args(self.flags.iter().map(|f| f.replace("STRIPE", &stripe.to_string()))),
        };
        let log = open_to_append(&self.directory.join("stderr.log"));
        command.stdout(Stdio::piped()).stderr(log).env("SKYTAIL_LOG", "skytail=debug");
        match role {
            // The program must detect silent servers within a short run.
            RunRole::Interrupted => command
                .args(["--ping-after", "300ms", "--pong-timeout", "500ms"])
                .args(["--stall-timeout", "1500ms", "--drain-timeout", "300ms"])
                .args(self.budget.iter().flat_map(|size| ["--archive-max-bytes", size])),
            RunRole::Final if self.output.is_file() && self.stripe.is_none() => {
                command.arg("--exit-when-live")
            }
            RunRole::Final => &mut command,
        };
        command
    }

    fn note(&self, line: &str) {
        for name in ["runs.log", "stderr.log"] {
            let mut log = open_to_append(&self.directory.join(name));
            writeln!(log, "== {line}").expect("write a log");
        }
    }

    /// Adds the last log lines to a verdict about the program itself.
    fn explain(&self, mut verdict: Verdict) -> Verdict {
        if verdict.violation == Violation::Failed {
            let log =
                std::fs::read_to_string(self.directory.join("stderr.log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(12).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            verdict.message =
                format!("{}\nits last log lines:\n{}", verdict.message, last.join("\n"));
        }
        verdict
    }
}

/// Sets the cursor for the first run, which would otherwise start live.
fn begin_at(client: &Path, directory: &Path, cursor: &str) {
    let mut command = Command::new(client);
    isolate_environment(&mut command, directory);
    let state = directory.join("state.db");
    let set = command.args(["cursors", "set", "c", cursor, "--state"]).arg(state).output();
    let set = set.expect("run skytail cursors set");
    assert!(set.status.success(), "{set:?}");
}

fn open_to_append(path: &Path) -> std::fs::File {
    std::fs::File::options().create(true).append(true).open(path).expect("open a log")
}
