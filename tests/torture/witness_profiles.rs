//! The profiles with a second server as witness (`--witness`). Both servers lose events, never the
//! same: what one omits, or the collection that one is blind to, is in the other.

use super::oracle::Order;
use super::profile::Profile;
use super::profiles::{FAILOVER, V2_STREAM, ends};
use super::proxy::NetworkFaults;
use super::witness::Witness;

/// The server in use lacks one event in 50 and a whole collection, the witness one in 40.
const LOSSES: &[&str] = &["omit=40,blind=app.bsky.graph.list", "omit=40"];

/// Two v2 servers at their v1 endpoints. An event that only the witness has comes when the window
/// has passed it.
const WITNESS: Profile = Profile {
    name: "witness v1",
    chaos: concat!(ends!(), ",stall=8000:300ms,mute=9000,refuse=8:0s"),
    losses: LOSSES,
    witness: Some(Witness::Late),
    // As late as the witness, which may be behind for as long as it is unreachable.
    order: Order::Any(u32::MAX),
    flags: &["--rewind", "60s"],
    ..FAILOVER
};

/// The v2 stream of both.
const WITNESS_STREAM: Profile = Profile {
    name: "witness v2",
    flags: &["--protocol", "v2", "--rewind", "60s"],
    scenario: V2_STREAM.scenario,
    ..WITNESS
};

pub const PROFILES: &[Profile] = &[
    WITNESS,
    WITNESS_STREAM,
    Profile { name: "witness legacy for v2", servers: &["v2", "legacy"], ..WITNESS },
    Profile { name: "witness v2 for legacy", servers: &["legacy", "v2"], ..WITNESS },
    Profile {
        name: "witness between protocols",
        servers: &["v2", "legacy"],
        flags: &["--protocol", "auto", "--rewind", "60s"],
        ..WITNESS
    },
    // Output waits for the window, which keeps the order by account unless the witness is far
    // behind.
    Profile {
        name: "witness hold",
        witness: Some(Witness::Hold),
        order: Order::ByAccount(u32::MAX),
        chaos: "duplicate=300,garbage=700,ping=500,fragment=500",
        kills_servers: false,
        faults: NetworkFaults::NONE,
        serve_flags: &["--v2-send-rate", "400"],
        events: 6_000,
        ..WITNESS_STREAM
    },
    // The first server lacks so much that each run leaves it when it has compared a window.
    Profile {
        name: "witness leave",
        losses: &["omit=10,blind=app.bsky.graph.list", "omit=40"],
        flags: &["--protocol", "v2", "--rewind", "60s", "--witness-leave", "5%"],
        ..WITNESS_STREAM
    },
    // Nothing of the witness is printed. After a failover, the other server brings what the first
    // one lacks.
    Profile { name: "witness report", witness: Some(Witness::Report), ..WITNESS_STREAM },
];
