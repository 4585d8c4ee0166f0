//! What a run of the harness tells: numbers where all is well, and all that is needed to find
//! the cause where it is not.

use std::fmt;
use std::path::PathBuf;

use super::oracle::Verdict;

/// What was done, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Recordings run through.
    pub rounds: u64,
    /// Lives of the program.
    pub runs: u64,
    /// Of them, ended by SIGKILL.
    pub kills: u64,
    /// Of them, ended by SIGTERM.
    pub clean_stops: u64,
    /// Servers ended by SIGKILL.
    pub server_kills: u64,
    /// Connections that ended under a living program.
    pub disconnects: u64,
    /// Different events printed.
    pub events: u64,
    /// Lines printed again behind a SIGKILL, within the bound.
    pub repeated: u64,
    /// Most of them behind one.
    pub most_repeated: usize,
}

impl Totals {
    /// The numbers of another profile are added.
    pub fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.runs += other.runs;
        self.kills += other.kills;
        self.clean_stops += other.clean_stops;
        self.server_kills += other.server_kills;
        self.disconnects += other.disconnects;
        self.events += other.events;
        self.repeated += other.repeated;
        self.most_repeated = self.most_repeated.max(other.most_repeated);
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6} kills, {:5} clean stops, {:5} server kills, {:7} disconnects, {:9} events, \
             {:7} repeated after a kill (at most {}), {} rounds",
            self.kills,
            self.clean_stops,
            self.server_kills,
            self.disconnects,
            self.events,
            self.repeated,
            self.most_repeated,
            self.rounds,
        )
    }
}

/// A broken promise, with the way back to it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In which profile.
    pub profile: String,
    /// The seed of the round.
    pub seed: u64,
    /// How the program was run.
    pub command: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// What is broken.
    pub verdict: Verdict,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VERDICT {:?} in profile {:?}", self.verdict.violation, self.profile)?;
        writeln!(f, "{}", self.verdict.message)?;
        writeln!(f, "command: {}", self.command)?;
        writeln!(f, "files: {}", self.directory.display())?;
        write!(
            f,
            "again: SKYTAIL_TORTURE_LANE='{}' SKYTAIL_TORTURE_SEED={} cargo test --test torture",
            self.profile, self.seed
        )
    }
}
