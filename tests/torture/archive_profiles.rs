//! The profiles that read an archive.

use super::profile::{Filter, Output, Profile};
use super::profiles::{FAST, V2_STREAM, ends};
use super::recording::Scenario;

/// The whole history, all but its last segment from the archive.
pub const ARCHIVE: Profile = Profile {
    name: "archive",
    is_archived: true,
    serve_flags: &["--retention-events", "1000"],
    chaos: concat!(
        ends!(),
        ",stall=8000:300ms,mute=12000,duplicate=300,garbage=700,refuse=8:0s,truncate=9,\
         norange=15,rewrite=15,throttle=15:0s,missing=90,page=3,corrupt=300"
    ),
    ..V2_STREAM
};

/// The history in runs of which each ends at its budget, or is killed before. A budget is less than
/// a tenth of the history.
const BUDGET: Profile = Profile {
    name: "archive budget",
    budget: Some("48KiB"),
    chaos: concat!(
        ends!(),
        ",mute=12000,refuse=8:0s,truncate=9,norange=15,rewrite=15,throttle=15:0s,page=3"
    ),
    ..ARCHIVE
};

/// A history that three runs divide, some of which end at their budgets.
const STRIPES: Profile = Profile {
    name: "archive stripes",
    stripes: 3,
    output: Output::Files(&["-o", "{}/part-STRIPE.ndjson"]),
    scenario: Scenario { has_wild_times: false, ..V2_STREAM.scenario },
    flags: &["--protocol", "v2", "--from", "oldest"],
    ..BUDGET
};

/// The history from an instant before its first event, with every second segment empty: the list of
/// segments decides where to start.
const ARCHIVE_BY_TIME: Profile = Profile {
    name: "archive by time",
    scenario: Scenario { has_wild_times: false, ..V2_STREAM.scenario },
    begins_at: "1783175880000000",
    chaos: concat!(ends!(), ",mute=12000,refuse=8:0s,throttle=15:0s,page=3,empty=1"),
    ..ARCHIVE
};

/// A server that holds everything live, and whose archive is compacted: `--archive auto` prints also
/// superseded events.
const COMPACTED: Profile =
    Profile { name: "archive compacted", serve_flags: &["--archive-compact"], ..ARCHIVE };

/// The same with `--archive prefer`, and with a slow stream: what the compacted archive keeps comes
/// exactly once, and everything after the cutover.
pub const PREFERRED: Profile = Profile {
    name: "archive preferred",
    prefers_archive: true,
    flags: &["--protocol", "v2", "--archive", "prefer"],
    serve_flags: &["--archive-compact", "--v2-send-rate", "500"],
    ..COMPACTED
};

pub const PROFILES: &[Profile] = &[
    ARCHIVE,
    COMPACTED,
    PREFERRED,
    ARCHIVE_BY_TIME,
    BUDGET,
    Profile {
        name: "archive budget file",
        output: Output::Files(&["-o", "{}/log.ndjson.zst"]),
        ..BUDGET
    },
    STRIPES,
    Profile { name: "archive stripes sparse did", filter: Filter::Did, budget: None, ..STRIPES },
    Profile { name: "archive file", output: Output::Files(&["-o", "{}/log.ndjson"]), ..ARCHIVE },
    Profile { name: "archive sparse did", filter: Filter::Did, ..ARCHIVE },
    Profile { name: "archive slow reader", output: Output::SlowStdout, faults: FAST, ..ARCHIVE },
];
