//! The profiles with filters that change while the program runs.

use super::filters::FilterList;
use super::profile::{Filter, Output, Profile};
use super::profiles::{V2, V2_STREAM, ends};
use super::proxy::NetworkFaults;
use super::recording::Scenario;

/// A network so slow that a filter changes several times within a recording.
const SLOW: NetworkFaults = NetworkFaults {
    cut_every_bytes: Some(300_000),
    stall_every_bytes: Some(2_000_000),
    bytes_per_second: Some(120_000),
};

const ACCOUNTS: Profile = Profile {
    name: "filter file accounts v1",
    filter: Filter::File(FilterList::Dids),
    output: Output::Files(&["-o", "{}/log.ndjson"]),
    scenario: Scenario { has_unknown_kinds: false, has_wild_times: false, ..V2.scenario },
    faults: SLOW,
    ..V2
};

const ACCOUNTS_STREAM: Profile = Profile {
    name: "filter file accounts v2",
    chaos: V2_STREAM.chaos,
    flags: V2_STREAM.flags,
    ..ACCOUNTS
};

/// Accounts that come bring their histories from the archive.
const HISTORIES: Profile = Profile {
    name: "filter file histories",
    filter: Filter::File(FilterList::DidsWithHistory),
    is_archived: true,
    serve_flags: &["--retention-events", "1000"],
    chaos: concat!(
        ends!(),
        ",stall=8000:300ms,mute=12000,duplicate=300,garbage=700,refuse=8:0s,truncate=9,\
         norange=15,rewrite=15,throttle=15:0s,page=3"
    ),
    flags: &["--protocol", "v2", "--backfill-new"],
    ..ACCOUNTS_STREAM
};

pub const PROFILES: &[Profile] = &[
    ACCOUNTS,
    ACCOUNTS_STREAM,
    Profile {
        name: "filter file collections v1",
        filter: Filter::File(FilterList::Collections),
        ..ACCOUNTS
    },
    Profile {
        name: "filter file collections v2",
        filter: Filter::File(FilterList::Collections),
        ..ACCOUNTS_STREAM
    },
    Profile {
        name: "filter file exclusions v2",
        filter: Filter::File(FilterList::Excluded),
        ..ACCOUNTS_STREAM
    },
    HISTORIES,
    // The server still has all of it live.
    Profile {
        name: "filter file histories of a long stream",
        serve_flags: &["--v2-send-rate", "600"],
        ..HISTORIES
    },
];
