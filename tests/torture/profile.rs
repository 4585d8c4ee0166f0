//! A profile: one way of running the program, with all faults that it meets. Rounds of a profile
//! follow one another, each with its own recording, servers, state file and seed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::filters::FilterList;
use super::harness::Harness;
use super::oracle::{Oracle, Order, Verdict, Violation};
use super::process_run::{ProcessRun, RunOutcome, RunRole, StopKind, StopPlan};
use super::proxy::NetworkFaults;
use super::recording::{RARE_COLLECTION, RARE_DID, Recording, Scenario};
use super::report::{Failure, Totals};
use super::stripes;
use super::witness::{Losses, Witness};
use crate::support::fold::{self, Fold};

/// The output of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A pipe that the harness reads at once.
    Stdout,
    /// A pipe that the harness reads slowly, and sometimes not at all.
    SlowStdout,
    /// Files: these flags, with `{}` for the directory.
    Files(&'static [&'static str]),
    /// A database with these options.
    Database(&'static str),
}

impl Output {
    /// Returns whether stdout stays empty.
    pub fn is_file(self) -> bool {
        matches!(self, Self::Files(_) | Self::Database(_))
    }
}

/// The filter of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    None,
    /// One account among hundreds.
    Did,
    /// A rare collection.
    Collection,
    /// A file with this list, which changes.
    File(FilterList),
}

#[derive(Clone, Debug)]
pub struct Profile {
    /// The name in reports.
    pub name: &'static str,
    /// The properties of the recording.
    pub scenario: Scenario,
    /// The kinds of the servers. Each of several has stamps of its own.
    pub servers: &'static [&'static str],
    pub output: Output,
    pub filter: Filter,
    /// Whether runs also end by SIGTERM.
    pub has_clean_stops: bool,
    /// Whether servers are killed and restarted.
    pub kills_servers: bool,
    /// Whether zstd is used.
    pub is_compressed: bool,
    /// The server replays the recording by the clock, up to now: a replay meets a live stream.
    pub is_live: bool,
    /// Only the end of the recording is available live; the rest is in the archive.
    pub is_archived: bool,
    /// The program reads the archive also where the stream could serve it (`--archive prefer`), and
    /// superseded events may be missing.
    pub prefers_archive: bool,
    /// The first cursor of an archived profile.
    pub begins_at: &'static str,
    /// The faults of the servers (`serve --chaos`), except in the final run.
    pub chaos: &'static str,
    /// Changed stamps, the same in all runs.
    pub stamps: &'static str,
    /// The faults of the network.
    pub faults: NetworkFaults,
    /// The order in which events may come.
    pub order: Order,
    /// Events in a recording.
    pub events: usize,
    /// Additional flags of the program.
    pub flags: &'static [&'static str],
    /// Additional flags of the servers.
    pub serve_flags: &'static [&'static str],
    /// Further `--chaos` items of each server, which last in the final run, too.
    pub losses: &'static [&'static str],
    /// The `--archive-max-bytes` of each run but the final one: a run may end without a request.
    pub budget: Option<&'static str>,
    /// The number of stripes of the history; 0 if it is not divided.
    pub stripes: u32,
    /// Whether the last server is a witness, and what it is for.
    pub witness: Option<Witness>,
}

/// The settings that all rounds of a profile share.
pub struct RunSettings<'a> {
    /// The program under test.
    pub client: &'a Path,
    /// The seed of all random values.
    pub seed: u64,
    /// No round starts after this.
    pub until: Instant,
    /// An environment variable for the program under test.
    pub variable: Option<(&'a str, &'a str)>,
}

impl Profile {
    /// Runs rounds until the time is over or a guarantee is broken.
    pub fn run(&self, settings: &RunSettings<'_>) -> (Totals, Result<(), Failure>) {
        let mut totals = Totals::default();
        for round in 0.. {
            let seed = self.seed_of(settings.seed, round);
            let outcome = Round::new(self, settings, seed).run(&mut totals);
            totals.rounds += 1;
            if outcome.is_err() || Instant::now() >= settings.until {
                return (totals, outcome);
            }
        }
        unreachable!("rounds have no end of their own")
    }

    /// Returns whether a round takes longer than the short form.
    pub fn is_for_the_long_form(&self) -> bool {
        let is_divided = self.budget.is_some() || self.stripes > 0;
        let changes = matches!(self.filter, Filter::File(_));
        self.prefers_archive || is_divided || changes || self.witness.is_some()
    }

    /// Returns the seed of a round. The first round of a run with the seed of a round repeats that
    /// round.
    fn seed_of(&self, seed: u64, round: u64) -> u64 {
        if round == 0 { seed } else { fastrand::Rng::with_seed(seed ^ (round << 40)).u64(..) }
    }

    fn wants(&self, line: &str) -> bool {
        match self.filter {
            Filter::None | Filter::File(_) => true,
            Filter::Did => line.contains(&format!(r#""did":"{RARE_DID}""#)),
            Filter::Collection => line.contains(&format!(r#""collection":"{RARE_COLLECTION}""#)),
        }
    }

    /// Returns whether servers scan a replay more slowly than a live stream moves.
    pub fn scans_slowly(&self) -> bool {
        self.serve_flags.contains(&"--legacy-scan-rate")
    }

    /// Returns whether servers send the bytes of the recording unchanged.
    fn is_verbatim(&self) -> bool {
        // A table has the value of a string, however it was written.
        let is_table =
            matches!(self.output, Output::Files(flags) if flags[1].ends_with(".parquet"));
        self.servers.len() == 1
            && !is_table
            && self.stamps.is_empty()
            && !self.is_live
            // An archive sends the CIDs that the records have.
            && !self.is_archived
            && !self.chaos.contains("reuse")
    }
}

/// One recording, run through by processes that are stopped early, and one that is not.
pub struct Round<'a> {
    pub profile: &'a Profile,
    pub settings: &'a RunSettings<'a>,
    pub seed: u64,
    pub rng: fastrand::Rng,
    pub directory: PathBuf,
    recording: Recording,
    /// The `--until` of the stripes.
    until_us: Option<u64>,
}

impl<'a> Round<'a> {
    fn new(profile: &'a Profile, settings: &'a RunSettings<'a>, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (scenario, events) = (profile.scenario, profile.events);
        let recording = match profile.output {
            Output::Database(_) => {
                let syncs = profile.flags.contains(&"v2");
                Recording::for_database(scenario, events, syncs, &mut rng)
            }
            _ => Recording::new(scenario, events, &mut rng),
        };
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torture");
        // Rounds of one seed may run at the same time, on other programs.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let directory = root.join(format!("{}-{process}-{count}", profile.name.replace(' ', "-")));
        // Files of an earlier process with the same id.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("out")).expect("make a directory");
        let text = recording.lines.join("\n") + "\n";
        std::fs::write(directory.join("recording.ndjson"), text).expect("write the recording");
        let until_us =
            (profile.stripes > 0).then(|| stripes::choose_until(&recording.lines, &mut rng));
        Self { profile, settings, seed, rng, directory, recording, until_us }
    }

    fn run(mut self, totals: &mut Totals) -> Result<(), Failure> {
        let mut harness = Harness::start(self.profile, &self.directory, self.seed, &mut self.rng);
        let mut process =
            ProcessRun::new(self.profile, self.settings, &self.directory, &harness, &mut self.rng);
        let recording = std::mem::replace(&mut self.recording, Recording::empty());
        let (profile, until_us) = (self.profile, self.until_us);
        if let Some(until_us) = until_us {
            process.end_at(until_us);
        }
        let wants = |line: &str| {
            profile.wants(line) && until_us.is_none_or(|until_us| stripes::time_us(line) < until_us)
        };
        let mut oracle =
            Oracle::new(&recording, self.profile.order, self.profile.is_verbatim(), wants);
        if self.profile.prefers_archive {
            oracle = oracle.with_optional(recording.superseded());
        }
        if let Some(witness) = self.profile.witness {
            let losses = Losses::new(profile, witness, harness.seed(), &recording.lines);
            oracle = oracle.with_losses(&losses);
        }
        let outcome = match profile.stripes {
            0 => self.run_processes(&mut harness, &mut process, &mut oracle, totals),
            _ => self.run_stripes(&mut harness, &mut process, &mut oracle, totals),
        };
        let outcome = outcome.and_then(|()| self.compare_tables(&recording));
        let outcome = outcome.and_then(|()| {
            let Some(file) = &process.filter_file else { return Ok(()) };
            totals.events += file.check(&self.files(), &recording)?;
            Ok(())
        });
        totals.events += oracle.events();
        totals.repeated += oracle.repeated;
        totals.most_repeated = totals.most_repeated.max(oracle.most_repeated);
        totals.disconnects += harness.disconnects();
        totals.server_kills += harness.kills;
        match outcome {
            Err(verdict) if !self.is_reported_gap(&verdict) => Err(Failure {
                profile: self.profile.name.to_owned(),
                seed: self.seed,
                command: process.command_line(),
                directory: self.directory,
                verdict,
            }),
            _ => {
                let _ = std::fs::remove_dir_all(&self.directory);
                Ok(())
            }
        }
    }

    /// Returns whether the missing event lies in a reported gap: a block of an archive that is
    /// damaged each time is lost. The round ends there.
    fn is_reported_gap(&self, verdict: &Verdict) -> bool {
        let log = std::fs::read_to_string(self.directory.join("stderr.log")).unwrap_or_default();
        let gaps = log.lines().filter_map(|line| {
            let ends = line.split_once("gap from seq ")?.1.split_once(": the archive: ")?.0;
            let (from, to) = ends.split_once(" to seq ")?;
            let to = to.split(' ').next()?;
            Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?))
        });
        let is_in = |missing| gaps.clone().any(|(from, to)| from < missing && missing < to);
        let may_lack = self.profile.is_archived && !self.profile.prefers_archive;
        may_lack && verdict.missing.is_some_and(|missing| is_in(missing.get()))
    }

    fn run_processes(
        &mut self,
        harness: &mut Harness,
        process: &mut ProcessRun,
        oracle: &mut Oracle<'_>,
        totals: &mut Totals,
    ) -> Result<(), Verdict> {
        let mut run_outcome = RunOutcome { was_clean: true, ..RunOutcome::default() };
        let is_piped = !self.profile.output.is_file();
        let mut is_first = true;
        while Instant::now() < self.settings.until && !self.is_near_the_end(process, oracle)? {
            if is_piped {
                oracle.begin_run(process.saved()?, run_outcome.was_clean)?;
            }
            let stop_plan = self.stop_plan(std::mem::take(&mut is_first));
            run_outcome = process.run_once(
                stop_plan,
                RunRole::Interrupted,
                harness,
                oracle,
                &mut self.rng,
            )?;
            totals.runs += 1;
            totals.kills += u64::from(run_outcome.was_killed);
            totals.clean_stops += u64::from(run_outcome.was_clean);
        }
        // The final run reads to the end without faults.
        harness.stop_faults();
        if is_piped {
            oracle.begin_run(process.saved()?, run_outcome.was_clean)?;
        }
        process.run_once(StopPlan::complete(), RunRole::Final, harness, oracle, &mut self.rng)?;
        if matches!(self.profile.output, Output::Database(_)) || process.filter_file.is_some() {
            // The caller compares the tables, or the file with the filters.
            return Ok(());
        }
        if !is_piped {
            oracle.begin_files();
            oracle.feed(&self.files())?;
        }
        oracle.conclude()
    }

    /// Chooses when and how a run is stopped.
    pub fn stop_plan(&mut self, is_first: bool) -> StopPlan {
        let is_piped = !self.profile.output.is_file();
        let end = match self.rng.u32(0..10) {
            0..=1 if self.profile.has_clean_stops => StopKind::Term,
            2..=3 if self.profile.output == Output::SlowStdout => StopKind::TermUnread,
            4..=6 if self.profile.output == Output::SlowStdout => StopKind::KillUnread,
            // A run that reached its budget has left its last lines in the pipe.
            7 if self.profile.has_clean_stops && is_piped && self.profile.budget.is_none() => {
                StopKind::CloseReader
            }
            _ => StopKind::Kill,
        };
        // A slow scan must have far to go, so the first run ends soon.
        let is_long = self.profile.is_live && !(is_first && self.profile.scans_slowly());
        // The decision for the archive takes more than a second, and so does a budget.
        let is_slow = self.profile.prefers_archive || self.profile.budget.is_some();
        let changes = matches!(self.profile.filter, Filter::File(_));
        let most_ms = match is_slow || changes {
            true => 5_000,
            false if is_long => 9_000,
            false => 1_600,
        };
        let after_ms = match self.rng.u32(0..8) {
            // During its start.
            0 => self.rng.u64(0..80),
            _ => self.rng.u64(0..most_ms),
        };
        let after_bytes = match self.rng.u32(0..3) {
            0 if !self.profile.is_live => Some(self.rng.usize(0..400_000)),
            _ => None,
        };
        // A run that starts live and is killed before it saved anything starts live again.
        let needs_saved = self.profile.is_live && is_first;
        let after = Duration::from_millis(after_ms);
        StopPlan { end, after, after_bytes, needs_saved, is_complete: false }
    }

    fn is_near_the_end(&self, process: &ProcessRun, oracle: &Oracle<'_>) -> Result<bool, Verdict> {
        if self.profile.output.is_file() {
            let saved = process.saved()?;
            return Ok(saved.is_some_and(|saved| oracle.share_before(saved.time_us) > 0.95));
        }
        Ok(oracle.is_nearly_complete())
    }

    /// Compares the tables of a database with a fold of the recording, or of what the recorded gaps
    /// leave of it: a block of an archive that is damaged each time is lost.
    fn compare_tables(&self, recording: &Recording) -> Result<(), Verdict> {
        let Output::Database(_) = self.profile.output else { return Ok(()) };
        let path = self.directory.join("out/out.db");
        let gaps = if self.profile.is_archived { fold::archive_gaps(&path) } else { Vec::new() };
        let expected = Fold::of(recording.lines.iter().map(String::as_str)).dump();
        let found = fold::dump(&path);
        let same = found.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        if found == expected || (!gaps.is_empty() && found == fold_outside(&gaps, recording)) {
            return Ok(());
        }
        let message = format!(
            "the tables differ from the fold: {} rows in place of {}; after {same} equal ones {:?} in place of {:?}",
            found.len(),
            expected.len(),
            found.get(same),
            expected.get(same),
        );
        Err(Verdict { violation: Violation::Lost, message, missing: None })
    }
}

/// Returns a verdict about the program, not about its output.
pub fn failed(message: String) -> Verdict {
    Verdict { violation: Violation::Failed, message, missing: None }
}

/// Returns the tables without the events between the ends of these gaps.
fn fold_outside(gaps: &[(u64, u64)], recording: &Recording) -> Vec<String> {
    let is_lost = |line: &&str| {
        let (_, rest) = line.split_once(r#""cursor":"#).expect("an event of v2");
        let seq = rest.split([',', '}']).next().and_then(|seq| seq.parse::<u64>().ok());
        seq.is_some_and(|seq| gaps.iter().any(|(from, to)| *from < seq && seq < *to))
    };
    Fold::of(recording.lines.iter().map(String::as_str).filter(|line| !is_lost(line))).dump()
}
