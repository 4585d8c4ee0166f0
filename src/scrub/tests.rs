//! Compares a scrub of files with a fold in memory, for any recording and any split into files.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::decide::Rules;
use super::order::{DISORDER_US, rev_number};
use super::replace::Ownership;
use super::report::{Outcome, Report};
use super::run::{Progress, Scrub, ScrubSettings};
use crate::checkpoint::lease::Lease;
use crate::checkpoint::store::Store;
use crate::compression::sniff;
use crate::sink::file::open::end_of;
use crate::sink::output_record::{OutputRecord, OutputState};

const NOW_US: u64 = 1_800_000_000_000_000;
const BEGIN_US: u64 = 1_783_175_888_000_000;
const LETTERS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// What a generated event says.
#[derive(Clone, Debug)]
enum Body {
    Commit { operation: &'static str, rkey: u8, rev: Option<u64> },
    Identity,
    Account { active: bool, status: Option<&'static str> },
    Sync { rev: Option<u64> },
    NoEvent,
}

#[derive(Clone, Debug)]
struct Event {
    did: u8,
    time_us: u64,
    body: Body,
}

/// Returns the rev with this number: a TID.
fn rev_text(number: u64) -> String {
    let letter = |shift: u32| char::from(LETTERS[(number >> shift & 31) as usize]);
    (0..13).rev().map(|place| letter(place * 5)).collect()
}

impl Event {
    fn line(&self) -> String {
        let head = format!(r#"{{"did":"did:plc:{}","time_us":{}"#, self.did, self.time_us);
        let rev = |rev: &Option<u64>| match rev {
            Some(rev) => format!(r#""rev":"{}","#, rev_text(*rev)),
            None => String::new(),
        };
        match &self.body {
            Body::Commit { operation, rkey, rev: number } => format!(
                r#"{head},"kind":"commit","commit":{{{}"operation":"{operation}","collection":"a.b.c","rkey":"{rkey}"}}}}"#,
                rev(number)
            ),
            Body::Identity => {
                format!(r#"{head},"kind":"identity","identity":{{"handle":"x.y"}}}}"#)
            }
            Body::Account { active, status } => {
                let status =
                    status.map(|status| format!(r#","status":"{status}""#)).unwrap_or_default();
                format!(r#"{head},"kind":"account","account":{{"active":{active}{status}}}}}"#)
            }
            Body::Sync { rev: number } => {
                format!(r#"{head},"kind":"sync","sync":{{{}"seq":0}}}}"#, rev(number))
            }
            Body::NoEvent => "no event".to_owned(),
        }
    }

    /// Returns the number by which the commits of an account are ordered.
    fn rev(&self) -> u64 {
        match &self.body {
            Body::Commit { rev: Some(rev), .. } => rev_number(rev_text(*rev).as_bytes()).unwrap(),
            _ if self.time_us > NOW_US => 0,
            _ => self.time_us << 10,
        }
    }

    fn is_put(&self) -> bool {
        matches!(self.body, Body::Commit { operation: "create" | "update", .. })
    }
}

/// The rule of the guide for one file: the line or the time says that an event is earlier.
fn is_before(a: (usize, &Event), b: (usize, &Event)) -> bool {
    let (earlier, times) = (a.0 < b.0, (a.1.time_us, b.1.time_us));
    if times.0 > NOW_US || times.1 > NOW_US {
        return earlier;
    }
    times.0 <= times.1 || earlier
}

/// Returns whether the line with number `at` stays.
fn stays(events: &[Event], at: usize, rules: Rules) -> bool {
    let event = &events[at];
    let of_account = |(_, other): &(usize, &Event)| other.did == event.did;
    let others: Vec<(usize, &Event)> = events.iter().enumerate().filter(of_account).collect();
    let exists = |is: &dyn Fn(usize, &Event) -> bool| others.iter().any(|(n, e)| is(*n, e));
    let commit = match event.body {
        Body::Commit { operation: "create" | "update", rkey, .. } => Some(rkey),
        // What a later version does to a record belongs to its account, as a handle does.
        Body::Identity | Body::Commit { operation: "later", .. } => None,
        _ => return true,
    };
    let is_deletion =
        |body: &Body| matches!(body, Body::Account { active: false, status: Some("deleted") });
    if exists(&|n, other| is_deletion(&other.body) && is_before((at, event), (n, other))) {
        return false;
    }
    let plausible = |time_us: u64| if time_us > NOW_US { 0 } else { time_us };
    let statuses = others.iter().filter(|(_, e)| matches!(e.body, Body::Account { .. }));
    let latest = statuses.max_by_key(|(n, e)| (plausible(e.time_us), *n));
    let is_inactive =
        latest.is_some_and(|(_, e)| matches!(e.body, Body::Account { active: false, .. }));
    if rules.inactive && is_inactive {
        return false;
    }
    let Some(rkey) = commit else { return true };
    let is_same = |other: &Event| matches!(other.body, Body::Commit { rkey: r, .. } if r == rkey);
    let is_delete = |other: &Event| matches!(other.body, Body::Commit { operation: "delete", .. });
    if exists(&|n, other| {
        is_same(other) && is_delete(other) && (other.rev(), n) > (event.rev(), at)
    }) {
        return false;
    }
    let replaces = |other: &Event| other.is_put() && is_same(other) && other.rev() > event.rev();
    let is_repaired = exists(&|n, other| match &other.body {
        Body::Sync { rev: Some(rev) } => *rev > event.rev(),
        Body::Sync { rev: None } => is_before((at, event), (n, other)),
        _ => false,
    });
    let is_history =
        rules.keep_history && exists(&|n, other| replaces(other) && stays(events, n, rules));
    if is_repaired && !rules.ignore_syncs && !is_history {
        return false;
    }
    rules.keep_history || !exists(&|_, other| replaces(other))
}

fn body() -> impl Strategy<Value = Body> {
    let rev = || prop_oneof![8 => (0..9_u64).prop_map(Some), 1 => Just(None)];
    let rev = move || rev().prop_map(|rev| rev.map(|n| (BEGIN_US + n * 1_000_000) << 10));
    let operation = prop_oneof![4 => Just("create"), 2 => Just("update"), 2 => Just("delete"), 1 => Just("later")];
    let status = prop_oneof![Just(None), Just(Some("deleted")), Just(Some("suspended"))];
    prop_oneof![
        12 => (operation, 0..3_u8, rev())
            .prop_map(|(operation, rkey, rev)| Body::Commit { operation, rkey, rev }),
        2 => Just(Body::Identity),
        2 => (any::<bool>(), status).prop_map(|(active, status)| Body::Account { active, status }),
        1 => rev().prop_map(|rev| Body::Sync { rev }),
        1 => Just(Body::NoEvent),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let time = prop_oneof![
        10 => (0..9_u64).prop_map(|n| BEGIN_US + n * 1_000_000),
        1 => Just(BEGIN_US + DISORDER_US),
        1 => Just(NOW_US + 1),
    ];
    (0..3_u8, time, body()).prop_map(|(did, time_us, body)| Event { did, time_us, body })
}

fn rules() -> impl Strategy<Value = Rules> {
    any::<(bool, bool, bool)>().prop_map(|(keep_history, inactive, ignore_syncs)| Rules {
        keep_history,
        inactive,
        ignore_syncs,
    })
}

/// Writes `lines` to files that end before the lines of `cuts`, every second one compressed.
fn write(directory: &Path, lines: &[String], cuts: &[usize]) -> Vec<std::path::PathBuf> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (lines.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(lines.len());
    let (mut from, mut files) = (0, Vec::new());
    for (number, end) in ends.into_iter().enumerate() {
        let text: String = lines[from..end].iter().map(|line| format!("{line}\n")).collect();
        let path = directory.join(format!("{number}.ndjson"));
        match number % 2 {
            0 => fs::write(&path, text).unwrap(),
            _ => fs::write(&path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap(),
        }
        files.push(path);
        from = end;
    }
    files
}

fn read(files: &[std::path::PathBuf]) -> Vec<String> {
    let mut lines = Vec::new();
    for path in files {
        let bytes = fs::read(path).unwrap();
        let mut text = String::new();
        sniff::decompressed(&bytes[..]).unwrap().read_to_string(&mut text).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

fn begin(files: &[std::path::PathBuf], rules: Rules, is_dry_run: bool) -> Scrub {
    let settings = ScrubSettings {
        files: files.to_vec(),
        state: None,
        rules,
        is_dry_run,
        temporary: None,
        // Some recordings take several runs of the sorter.
        sort_bytes: 1_000,
        now_us: NOW_US,
    };
    let mut scrub = Scrub::new(settings, Arc::new(Progress::default())).unwrap();
    scrub.read().unwrap();
    scrub
}

fn scrub(files: &[std::path::PathBuf], rules: Rules, is_dry_run: bool) -> Report {
    begin(files, rules, is_dry_run).finish().unwrap()
}

#[test]
fn a_file_that_changes_after_it_was_read_is_left() {
    let commit = |operation, rev| Event {
        did: 1,
        time_us: BEGIN_US,
        body: Body::Commit { operation, rkey: 1, rev: Some(rev) },
    };
    let lines = [commit("create", 1).line(), commit("delete", 2).line()];
    let change: [fn(&Path, &str); 4] = [
        |path, text| fs::write(path, format!("{text}{text}")).unwrap(),
        |path, text| fs::write(path, &text[..text.len() - 1]).unwrap(),
        |path, text| {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        },
        |path, _| fs::remove_file(path).unwrap(),
    ];
    for change in change {
        let home = tempfile::tempdir().unwrap();
        let files = write(home.path(), &lines, &[]);
        let begun = begin(&files, Rules::default(), false);
        change(&files[0], &(lines.join("\n") + "\n"));
        let before = fs::read(&files[0]).ok();
        let report = begun.finish().unwrap();
        let Outcome::Left(reason) = &report.files[0].outcome else { panic!("{report:?}") };
        assert!(reason.contains("changed while") || reason.contains("can't be read"), "{reason}");
        assert_eq!(fs::read(&files[0]).ok(), before);
        assert!(fs::read_dir(home.path()).unwrap().count() <= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_scrub_equals_a_fold_in_memory_for_any_split_into_files(
        events in prop::collection::vec(event(), 0..40),
        cuts in prop::collection::vec(any::<usize>(), 0..4),
        rules in rules(),
    ) {
        let home = tempfile::tempdir().unwrap();
        let lines: Vec<String> = events.iter().map(Event::line).collect();
        let files = write(home.path(), &lines, &cuts);
        let kept = (0..events.len()).filter(|at| stays(&events, *at, rules));
        let expected: Vec<String> = kept.map(|at| lines[at].clone()).collect();
        let dry = scrub(&files, rules, true);
        prop_assert_eq!(dry.removed(), (lines.len() - expected.len()) as u64);
        prop_assert_eq!(read(&files), &lines[..]);
        let report = scrub(&files, rules, false);
        prop_assert_eq!(report.removed(), dry.removed());
        prop_assert_eq!(read(&files), expected);
        // A second run finds nothing.
        let again = scrub(&files, rules, false);
        prop_assert!(again.files.iter().all(|file| file.outcome == Outcome::Clean), "{:?}", again);
    }
}

#[test]
fn of_a_running_tail_finished_files_are_free_unless_it_converts_them() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state.db");
    let mut store = Store::open(&state).unwrap();
    let _run = Lease::acquire(&state, "c").unwrap();
    for (name, output, is_free) in [
        ("a.ndjson", OutputState::Done, true),
        ("b.ndjson", OutputState::Clean, true),
        ("c.ndjson", OutputState::Open, false),
        ("d.parquet.open.ndjson.zst", OutputState::Done, false),
    ] {
        let path = home.path().join(name);
        fs::write(&path, "").unwrap();
        let end = end_of(&fs::File::open(&path).unwrap()).unwrap();
        let record = OutputRecord {
            path: path.clone(),
            pattern: "/a".to_owned(),
            rotation: None,
            state: output,
            length_bytes: end.length_bytes,
            tail_hash: end.tail_hash,
            period_start: None,
            number: 0,
        };
        store.persist_output("c", &record).unwrap();
        assert_eq!(Ownership::take(&mut store, &path).is_ok(), is_free, "{name}");
    }
}
