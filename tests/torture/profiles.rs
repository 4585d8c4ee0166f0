//! The table of profiles.

use super::archive_profiles::{self, ARCHIVE, PREFERRED};
use super::filter_profiles;
use super::oracle::Order;
use super::profile::{Filter, Output, Profile};
use super::proxy::NetworkFaults;
use super::recording::Scenario;
use super::witness_profiles;

/// A network that cuts a connection a few times a second, slowly enough for a recording to last.
const ROUGH: NetworkFaults = NetworkFaults {
    cut_every_bytes: Some(400_000),
    stall_every_bytes: Some(4_000_000),
    bytes_per_second: Some(1_000_000),
};

/// A network that is faster than a slow reader.
pub const FAST: NetworkFaults = NetworkFaults { bytes_per_second: Some(4_000_000), ..ROUGH };

/// A network for a stream that is itself slow.
const ROUGH_AND_LIVE: NetworkFaults = NetworkFaults { cut_every_bytes: Some(1_500_000), ..ROUGH };

/// A network for a stream of which the filters leave little.
const fn sparse(bytes_per_second: u64) -> NetworkFaults {
    let cut_every_bytes = Some(bytes_per_second / 2);
    NetworkFaults {
        cut_every_bytes,
        stall_every_bytes: None,
        bytes_per_second: Some(bytes_per_second),
    }
}

pub const V2_SCENARIO: Scenario = Scenario {
    is_v2: true,
    has_wild_times: true,
    wild_one_in: 300,
    has_unknown_kinds: true,
    step_us: 60_000,
};

const LEGACY_SCENARIO: Scenario = Scenario { is_v2: false, ..V2_SCENARIO };

/// All ways in which a connection can end.
macro_rules! ends {
    () => {
        "close=4000,drop=4000,reset=4000,cut=4000,violate=8000"
    };
}
pub(super) use ends;

/// All faults of a server that lose no event.
const CHAOS: &str = concat!(
    ends!(),
    ",stall=8000:300ms,hang=12000,mute=12000,dribble=3000,duplicate=300,garbage=700,ping=500,\
     fragment=500,refuse=8:0s"
);

/// Clocks that are not reliable.
const STAMPS: &str = "same=40,step=400,imported=200";

/// Some times lie far ahead, always including that of the first event.
const ABSURD: &str = "absurd=150";

pub const V2: Profile = Profile {
    name: "v2",
    scenario: V2_SCENARIO,
    servers: &["v2"],
    output: Output::Stdout,
    filter: Filter::None,
    has_clean_stops: true,
    kills_servers: true,
    is_compressed: false,
    is_live: false,
    is_archived: false,
    prefers_archive: false,
    begins_at: "1",
    chaos: CHAOS,
    stamps: "",
    faults: ROUGH,
    order: Order::Exact,
    // Not a multiple of the v2 server's segments.
    events: 12_500,
    flags: &[],
    serve_flags: &[],
    losses: &[],
    budget: None,
    stripes: 0,
    witness: None,
};

const LEGACY: Profile =
    Profile { name: "legacy", scenario: LEGACY_SCENARIO, servers: &["legacy"], ..V2 };

pub const LIVE: Profile = Profile {
    is_live: true,
    // A live server that is killed forgets past events.
    kills_servers: false,
    // Nor can a server without faults replace it for the final run.
    chaos: "",
    faults: ROUGH_AND_LIVE,
    events: 3_500,
    ..V2
};

/// Two servers that stamp and interleave the same events differently.
pub const FAILOVER: Profile = Profile {
    name: "v2 failover",
    servers: &["v2", "v2"],
    // An event of a kind without an id of its own may come twice then.
    scenario: Scenario { has_wild_times: false, has_unknown_kinds: false, ..V2_SCENARIO },
    // The program returns to a server that worked unless the server refuses.
    chaos: concat!(ends!(), ",refuse=3:0s,mute=9000"),
    order: Order::ByAccount(100),
    // The clocks of two servers may differ by two seconds.
    flags: &["--rewind", "5s"],
    ..V2
};

/// The v2 stream. It can't express unknown kinds, and the program ignores what a server adds to
/// them.
pub const V2_STREAM: Profile = Profile {
    name: "stream v2",
    scenario: Scenario { has_unknown_kinds: false, ..V2_SCENARIO },
    chaos: concat!(
        ends!(),
        ",stall=8000:300ms,hang=12000,mute=12000,dribble=3000,duplicate=300,garbage=700,\
         ping=500,fragment=500,refuse=8:0s,slow=6000,fail=6000,unknown=700"
    ),
    flags: &["--protocol", "v2"],
    ..V2
};

/// A database, compared with a fold of the recording.
const DATABASE: Profile = Profile { name: "database v2", output: Output::Database(""), ..V2 };

/// The same with the v2 stream, and so with repaired repositories.
const DATABASE_STREAM: Profile =
    Profile { name: "database stream v2", output: Output::Database("?strict"), ..V2_STREAM };

/// Returns all profiles.
pub fn profiles() -> Vec<Profile> {
    [PROFILES, archive_profiles::PROFILES, filter_profiles::PROFILES, witness_profiles::PROFILES]
        .concat()
}

/// Returns the profile of this name.
#[allow(dead_code, reason = "the mutations' part of this file")]
pub fn profile(name: &str) -> Profile {
    profiles().into_iter().find(|profile| profile.name == name).expect(name)
}

const PROFILES: &[Profile] = &[
    V2,
    LEGACY,
    Profile {
        name: "legacy wild times",
        scenario: Scenario { wild_one_in: 6, ..LEGACY_SCENARIO },
        ..LEGACY
    },
    Profile { name: "v2 slow reader", output: Output::SlowStdout, faults: FAST, ..V2 },
    Profile { name: "legacy slow reader", output: Output::SlowStdout, faults: FAST, ..LEGACY },
    Profile { name: "v2 zstd", is_compressed: true, chaos: concat!(ends!(), ",zstd=2000"), ..V2 },
    Profile { name: "v2 sparse did", filter: Filter::Did, faults: sparse(20_000), ..V2 },
    Profile {
        name: "legacy sparse collection",
        filter: Filter::Collection,
        faults: sparse(60_000),
        // If the filters exclude the event of a position, the oracle finds its place by time.
        scenario: Scenario { has_wild_times: false, ..LEGACY_SCENARIO },
        ..LEGACY
    },
    Profile {
        name: "legacy live",
        scenario: Scenario { has_wild_times: false, step_us: 7_000, ..LEGACY_SCENARIO },
        servers: &["legacy"],
        ..LIVE
    },
    // A rare account's replay: the server scans more slowly than the stream moves, so that a run
    // resumes far back, and the scan between two events takes longer than an idle stream and a
    // pong.
    Profile {
        name: "legacy slow scan",
        scenario: Scenario { has_wild_times: false, step_us: 7_000, ..LEGACY_SCENARIO },
        servers: &["legacy"],
        filter: Filter::Did,
        serve_flags: &["--legacy-scan-rate", "70"],
        events: 1_500,
        ..LIVE
    },
    Profile {
        name: "v2 live",
        scenario: Scenario { has_wild_times: false, step_us: 7_000, ..V2_SCENARIO },
        ..LIVE
    },
    Profile { name: "v2 file", output: Output::Files(&["-o", "{}/log.ndjson"]), ..V2 },
    Profile { name: "legacy file", output: Output::Files(&["-o", "{}/log.ndjson"]), ..LEGACY },
    Profile { name: "v2 file zst", output: Output::Files(&["-o", "{}/log.ndjson.zst"]), ..V2 },
    Profile {
        name: "v2 file by size",
        output: Output::Files(&["-o", "{}/log-%FT%H%M%S.ndjson", "--rotate", "200KiB"]),
        // Names are times, and files are sorted by name.
        scenario: Scenario { has_wild_times: false, ..V2_SCENARIO },
        ..V2
    },
    Profile {
        name: "failover file by the hour",
        output: Output::Files(&["-o", "{}/log-%FT%H.ndjson.zst", "--rotate", "hourly"]),
        scenario: Scenario { step_us: 2_000_000, ..FAILOVER.scenario },
        flags: &["--rewind", "20s"],
        ..FAILOVER
    },
    Profile {
        name: "v2 parquet by the hour",
        output: Output::Files(&["-o", "{}/log-%FT%H.parquet", "--rotate", "hourly"]),
        scenario: Scenario { has_wild_times: false, step_us: 2_000_000, ..V2_SCENARIO },
        flags: &["--rewind", "20s"],
        ..V2
    },
    Profile {
        name: "stream v2 parquet by size",
        output: Output::Files(&["-o", "{}/log.parquet", "--rotate", "64KiB"]),
        ..V2_STREAM
    },
    FAILOVER,
    Profile { name: "legacy failover", servers: &["legacy", "legacy"], ..FAILOVER },
    Profile { name: "failover between kinds", servers: &["v2", "legacy"], ..FAILOVER },
    Profile {
        name: "v2 reuse",
        // An event of a kind without an id of its own is identified by its number, and may come
        // twice if the number changes: the half hour of 2026-11-25 met one.
        scenario: Scenario { has_unknown_kinds: false, ..V2_SCENARIO },
        chaos: concat!(ends!(), ",reuse=1500,swap=200"),
        order: Order::ByAccount(45),
        // The server counts crashes itself.
        kills_servers: false,
        // Twenty events must lie within the rewind margin.
        flags: &["--rewind", "5s"],
        ..V2
    },
    Profile { name: "v2 stamps", stamps: STAMPS, ..V2 },
    Profile { name: "legacy stamps", stamps: STAMPS, ..LEGACY },
    Profile { name: "v2 absurd times", stamps: ABSURD, ..V2 },
    Profile { name: "legacy absurd times", stamps: ABSURD, ..LEGACY },
    Profile { name: "failover absurd times", stamps: ABSURD, ..FAILOVER },
    Profile { name: "v2 late repeats", chaos: "late=60,drop=2500,reset=4000,refuse=8:0s", ..V2 },
    V2_STREAM,
    Profile {
        name: "stream v2 zstd",
        is_compressed: true,
        chaos: concat!(ends!(), ",zstd=2000,rotate=5"),
        ..V2_STREAM
    },
    Profile {
        name: "stream v2 file zst",
        output: Output::Files(&["-o", "{}/log.ndjson.zst"]),
        ..V2_STREAM
    },
    Profile {
        name: "stream v2 slow reader",
        output: Output::SlowStdout,
        faults: FAST,
        ..V2_STREAM
    },
    DATABASE,
    DATABASE_STREAM,
    Profile {
        name: "database archive",
        output: Output::Database(""),
        flags: &["--protocol", "v2", "--archive", "auto"],
        ..ARCHIVE
    },
    Profile {
        name: "database preferred archive",
        output: Output::Database("?strict"),
        flags: &["--protocol", "v2"],
        ..PREFERRED
    },
    Profile {
        name: "database failover between kinds",
        output: Output::Database(""),
        servers: &["v2", "legacy"],
        flags: &["--rewind", "5s", "--protocol", "auto"],
        ..FAILOVER
    },
    Profile {
        name: "database v2 failover",
        output: Output::Database("?strict"),
        flags: &["--rewind", "5s", "--protocol", "v2"],
        ..FAILOVER
    },
    Profile {
        name: "database reuse and stamps",
        output: Output::Database("?history"),
        stamps: STAMPS,
        chaos: concat!(ends!(), ",reuse=1500,swap=200,duplicate=300"),
        kills_servers: false,
        flags: &["--rewind", "5s"],
        ..V2
    },
    Profile {
        name: "failover between protocols",
        servers: &["v2", "legacy"],
        flags: &["--rewind", "5s", "--protocol", "auto"],
        ..FAILOVER
    },
    Profile {
        name: "v2 oversized",
        chaos: concat!(ends!(), ",oversized=20000"),
        faults: NetworkFaults { bytes_per_second: Some(12_000_000), ..ROUGH },
        ..V2
    },
];
