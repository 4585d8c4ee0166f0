//! Filters that change while the program runs: edits the file of `-d @FILE`, `-c @FILE` or
//! `--exclude @FILE` at random moments, and compares the output file with what the filters in force
//! wanted. The program logs the position of each change after it has stored it; events up to it pass
//! the old filter, and later ones the new one.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::oracle::{Saved, Verdict, Violation};
use super::recording::{COLLECTIONS, RARE_COLLECTION, Recording};
use super::verdict::shorten;

/// The list that a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterList {
    Dids,
    /// Accounts, of which those that come bring their histories (`--backfill-new`).
    DidsWithHistory,
    Collections,
    Excluded,
}

impl FilterList {
    fn flag(self) -> &'static str {
        match self {
            Self::Dids | Self::DidsWithHistory => "--did",
            Self::Collections => "--collection",
            Self::Excluded => "--exclude",
        }
    }

    /// Returns the values that occur in recordings.
    fn values(self) -> Vec<String> {
        match self {
            Self::Dids | Self::DidsWithHistory => {
                (0..120).map(|account| format!("did:plc:acc{account}")).collect()
            }
            _ => COLLECTIONS.into_iter().chain([RARE_COLLECTION]).map(str::to_owned).collect(),
        }
    }

    /// Returns a value that no recording has.
    fn filler(self, number: usize) -> String {
        match self {
            Self::Dids | Self::DidsWithHistory => format!("did:plc:filler{number}"),
            _ => format!("com.example.filler{number}"),
        }
    }

    /// Returns how many values a server takes, as far as a round comes to that.
    fn most_values(self) -> usize {
        match self {
            Self::Collections => 100,
            _ => usize::MAX,
        }
    }

    fn wants(self, values: &BTreeSet<String>, line: &str) -> bool {
        let event: serde_json::Value = serde_json::from_str(line).expect("a recorded line");
        let is_in = |value: &serde_json::Value| values.contains(value.as_str().unwrap_or(""));
        match self {
            Self::Dids | Self::DidsWithHistory => is_in(&event["did"]),
            Self::Collections => is_in(&event["commit"]["collection"]),
            Self::Excluded => !is_in(&event["commit"]["collection"]),
        }
    }
}

/// The filters that may be in force after a position.
#[derive(Debug)]
struct Change {
    after: u64,
    versions: Vec<usize>,
}

/// The file, all its versions, and the changes that the program has logged.
pub struct FilterFile {
    list: FilterList,
    path: PathBuf,
    log: PathBuf,
    /// Each has a number of values of its own, by which the log names it.
    versions: Vec<BTreeSet<String>>,
    of_size: HashMap<usize, usize>,
    /// The version that the file held when the run began.
    at_start: usize,
    changes: Vec<Change>,
    /// The versions with which runs began that found no saved position. The run before such a one may
    /// have saved where it began: at the first event that its own version wanted.
    before_saved: Vec<usize>,
    /// The bytes of the log that belong to earlier runs.
    log_bytes: usize,
    is_connecting: bool,
    next_edit: Instant,
    /// The values that the file has had.
    used: BTreeSet<String>,
}

impl FilterFile {
    pub fn new(list: FilterList, directory: &Path, rng: &mut fastrand::Rng) -> Self {
        let mut file = Self {
            list,
            path: directory.join("filter.txt"),
            log: directory.join("stderr.log"),
            versions: Vec::new(),
            of_size: HashMap::new(),
            at_start: 0,
            changes: Vec::new(),
            before_saved: Vec::new(),
            log_bytes: 0,
            is_connecting: false,
            next_edit: Instant::now(),
            used: BTreeSet::new(),
        };
        file.add_version(rng);
        file
    }

    pub fn flags(&self) -> [String; 2] {
        [self.list.flag().to_owned(), format!("@{}", self.path.display())]
    }

    /// Makes a version that differs from the newest in a few values.
    fn add_version(&mut self, rng: &mut fastrand::Rng) {
        let values = self.list.values();
        let is_real = |value: &String| values.contains(value);
        let newest = self.versions.last();
        let mut version: BTreeSet<String> = match newest {
            Some(newest) => newest.iter().filter(|value| is_real(value)).cloned().collect(),
            None => values.iter().filter(|_| rng.u32(0..4) == 0).cloned().collect(),
        };
        for _ in 0..rng.usize(1..4) {
            let value = &values[rng.usize(0..values.len())];
            // An account that comes back brings its history again.
            let may_come = self.list != FilterList::DidsWithHistory || !self.used.contains(value);
            if !version.remove(value) && may_come {
                version.insert(value.clone());
            }
        }
        let mut filler = 0;
        while version.is_empty() || self.of_size.contains_key(&version.len()) {
            version.insert(self.list.filler(filler));
            filler += 1;
        }
        if version.len() > self.list.most_values() {
            return;
        }
        self.used.extend(version.iter().filter(|value| is_real(value)).cloned());
        self.of_size.insert(version.len(), self.versions.len());
        self.versions.push(version);
    }

    /// Starts a run, for which the file is valid.
    pub fn begin_run(&mut self, saved: Option<Saved>, rng: &mut fastrand::Rng) {
        if rng.u32(0..3) == 0 {
            self.add_version(rng);
        }
        self.replace_file(&self.newest_text());
        self.at_start = self.versions.len() - 1;
        self.log_bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len() as usize);
        self.is_connecting = false;
        self.next_edit = Instant::now();
        if saved.is_none() {
            self.before_saved.push(self.at_start);
            self.changes = vec![Change { after: 0, versions: vec![self.at_start] }];
        }
    }

    fn newest_text(&self) -> String {
        let values: Vec<&str> =
            self.versions.iter().next_back().expect("one").iter().map(String::as_str).collect();
        format!("# version {}\n{}\n", self.versions.len(), values.join("\n"))
    }

    fn replace_file(&self, text: &str) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, text).expect("write a filter");
        std::fs::rename(&new, &self.path).expect("replace a filter");
    }

    /// Edits the file if it is time to: a new version, or one that is not valid.
    pub fn tick(&mut self, process: &std::process::Child, rng: &mut fastrand::Rng) {
        if Instant::now() < self.next_edit {
            return;
        }
        if !self.is_connecting {
            // Before that, nothing shows which version the run began with.
            self.is_connecting = self.log_of_run().contains("connecting (server=");
            self.next_edit = Instant::now() + Duration::from_millis(50);
            return;
        }
        match rng.u32(0..10) {
            0 => std::fs::write(&self.path, "").expect("empty a filter"),
            1 => drop(std::fs::remove_file(&self.path)),
            2 => self.replace_file("did:plc:acc1\nneither an account nor a collection\n"),
            // In place, and so half-written for a moment.
            3..=5 => {
                self.add_version(rng);
                std::fs::write(&self.path, self.newest_text()).expect("write a filter");
            }
            _ => {
                self.add_version(rng);
                self.replace_file(&self.newest_text());
            }
        }
        if rng.u32(0..4) == 0 {
            let _ = kill_process(Pid::from_child(process), Signal::USR2);
        }
        self.next_edit = Instant::now() + Duration::from_millis(rng.u64(20..1_500));
    }

    fn log_of_run(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(self.log_bytes..).unwrap_or_default()).into_owned()
    }

    /// Reads from the log of a run which changes are in force.
    pub fn end_run(&mut self) {
        let log = self.log_of_run();
        let found: Vec<(u64, usize)> = log
            .lines()
            .filter_map(|line| {
                let (size, after) = logged_change(line)?;
                Some((after, *self.of_size.get(&size)?))
            })
            .collect();
        let before = self.changes.last().map_or(0, |change| change.after);
        let in_force = self.changes.last().is_some_and(|c| c.versions.contains(&self.at_start));
        let is_logged = log.contains("filter changed while no run was active");
        if self.log_is_of_start(&log) && !in_force && !is_logged {
            // Killed after it stored a change and before it logged it.
            let mut versions = self.changes.pop().map_or(Vec::new(), |change| change.versions);
            versions.push(self.at_start);
            self.changes.push(Change { after: before, versions });
        }
        for (after, version) in found {
            if after == 0 {
                // No event had come yet, so that this one decided about the first.
                self.before_saved.push(version);
            }
            self.changes.retain(|change| change.after < after || after == 0);
            self.changes.push(Change { after, versions: vec![version] });
        }
    }

    fn log_is_of_start(&self, log: &str) -> bool {
        log.contains("connecting (server=")
    }

    /// Compares the output with what the filters in force wanted. Returns the number of its events.
    pub fn check(&self, output: &[u8], recording: &Recording) -> Result<u64, Verdict> {
        if self.list == FilterList::DidsWithHistory {
            return self.check_histories(output, recording);
        }
        let text = String::from_utf8_lossy(output);
        let mut came = vec![false; recording.lines.len()];
        let (mut newest, mut count) = (None, 0);
        for line in text.lines() {
            let event = recording.read(line).and_then(|read| read.event);
            let Some(event) = event else {
                return Err(self.report(Violation::Foreign, "is not in the recording", line));
            };
            if newest.is_some_and(|newest| newest >= event) {
                let is_again = came[event as usize];
                let violation = if is_again { Violation::Repeated } else { Violation::Disorder };
                return Err(self.report(violation, "came again or too late", line));
            }
            (newest, came[event as usize]) = (Some(event), true);
            count += 1;
        }
        let first = came.iter().position(|came| *came).unwrap_or_default();
        for (place, (line, came)) in recording.lines.iter().zip(came).enumerate() {
            let seq = recording.read(line).and_then(|read| read.seq).expect("a seq");
            let change = self.changes.partition_point(|change| change.after < seq).max(1) - 1;
            let versions = match place < first {
                true => &self.before_saved,
                false => &self.changes[change].versions,
            };
            let wants = |version: &usize| self.list.wants(&self.versions[*version], line);
            if came && !versions.iter().any(wants) {
                return Err(self.report(Violation::Foreign, "is excluded by the filter", line));
            }
            if !came && versions.iter().all(wants) {
                return Err(self.report(Violation::Lost, "has not come", line));
            }
        }
        Ok(count)
    }

    /// Checks that each account of the newest version has its events from the first on, in order,
    /// and that each other account that the file had has none twice.
    fn check_histories(&self, output: &[u8], recording: &Recording) -> Result<u64, Verdict> {
        let text = String::from_utf8_lossy(output);
        let mut came = vec![false; recording.lines.len()];
        let mut newest: HashMap<u32, u32> = HashMap::new();
        for line in text.lines() {
            let event = recording.read(line).and_then(|read| read.event);
            let Some(event) = event.filter(|_| self.list.wants(&self.used, line)) else {
                return Err(self.report(Violation::Foreign, "was never wanted", line));
            };
            if came[event as usize] {
                return Err(self.report(Violation::Repeated, "came again", line));
            }
            came[event as usize] = true;
            let newest = newest.entry(recording.accounts[event as usize]).or_insert(event);
            if *newest > event {
                let what = "came after a later event of its account";
                return Err(self.report(Violation::Disorder, what, line));
            }
            *newest = event;
        }
        let last = self.versions.last().expect("one");
        let lacks = |(line, came): &(&String, bool)| !came && self.list.wants(last, line);
        match recording.lines.iter().zip(came).find(lacks) {
            Some((line, _)) => Err(self.report(Violation::Lost, "has not come", line)),
            None => Ok(text.lines().count() as u64),
        }
    }

    fn report(&self, violation: Violation, what: &str, line: &str) -> Verdict {
        let changes: Vec<String> = self
            .changes
            .iter()
            .map(|change| {
                let sizes: Vec<String> =
                    change.versions.iter().map(|v| self.versions[*v].len().to_string()).collect();
                format!("{} values after seq {}", sizes.join(" or "), change.after)
            })
            .collect();
        let message = format!("this event {what}: {}\n{}", shorten(line), changes.join("\n"));
        Verdict { violation, message, missing: None }
    }
}

/// Returns the size of the list and the seq in a log line about a change.
fn logged_change(line: &str) -> Option<(usize, u64)> {
    let (what, after) = line.split_once("filter changed")?.1.split_once("; it applies ")?;
    let size = match what.strip_prefix(" while no run was active: ") {
        Some(sizes) => sizes.split(' ').next()?,
        None => what.strip_suffix(" in all")?.rsplit(' ').next()?,
    };
    let after = match after.strip_prefix("after seq ") {
        Some(seq) => seq.split(' ').next()?.parse().ok()?,
        None => 0,
    };
    Some((size.parse().ok()?, after))
}
