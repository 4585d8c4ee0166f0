//! The result of a run of the harness: counts, and for each failure how to repeat it.

use std::fmt;
use std::path::PathBuf;

use super::oracle::Verdict;

#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Recordings run through.
    pub rounds: u64,
    /// Runs of the program.
    pub runs: u64,
    /// Runs ended by SIGKILL.
    pub kills: u64,
    /// Runs ended by SIGTERM.
    pub clean_stops: u64,
    /// Servers ended by SIGKILL.
    pub server_kills: u64,
    /// Connections that ended while the program was running.
    pub disconnects: u64,
    /// Different events printed.
    pub events: u64,
    /// Lines printed again after a SIGKILL, within the bound.
    pub repeated: u64,
    /// The most of them after one kill.
    pub most_repeated: usize,
}

impl Totals {
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

/// A broken guarantee, and how to repeat it.
#[derive(Clone, Debug)]
pub struct Failure {
    pub profile: String,
    /// The seed of the round.
    pub seed: u64,
    /// The command line of the program.
    pub command: String,
    /// The directory with its files.
    pub directory: PathBuf,
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
