//! The table of lanes.

use super::judge::Order;
use super::lane::{Filter, Lane, Output};
use super::proxy::Weather;
use super::recording::Nature;

/// A network that cuts a connection a few times a second, at a speed that lets a recording
/// last.
const ROUGH: Weather = Weather {
    cut_every_bytes: Some(500_000),
    stall_every_bytes: Some(4_000_000),
    bytes_per_second: Some(1_500_000),
};

/// A network for a stream that is slow by itself.
const ROUGH_AND_LIVE: Weather = Weather { cut_every_bytes: Some(1_500_000), ..ROUGH };

/// A network for a stream of which little is left.
const fn sparse(bytes_per_second: u64) -> Weather {
    let cut_every_bytes = Some(bytes_per_second / 2);
    Weather { cut_every_bytes, stall_every_bytes: None, bytes_per_second: Some(bytes_per_second) }
}

const V2_NATURE: Nature = Nature {
    is_v2: true,
    has_wild_times: true,
    wild_one_in: 300,
    has_unknown_kinds: true,
    step_us: 60_000,
};

const LEGACY_NATURE: Nature = Nature { is_v2: false, ..V2_NATURE };

const V2: Lane = Lane {
    name: "v2",
    nature: V2_NATURE,
    servers: 1,
    output: Output::Stdout,
    filter: Filter::None,
    has_clean_stops: true,
    kills_servers: true,
    is_compressed: false,
    is_live: false,
    chaos: "",
    stamps: "",
    weather: ROUGH,
    order: Order::Exact,
    // Not a multiple of the v2 server's segments.
    events: 25_000,
    flags: &[],
};

const LEGACY: Lane = Lane { name: "legacy", nature: LEGACY_NATURE, ..V2 };

/// The lane of this name.
#[allow(dead_code, reason = "the mutations' part of this file")]
pub fn lane(name: &str) -> Lane {
    lanes().into_iter().find(|lane| lane.name == name).expect(name)
}

/// Every lane.
pub fn lanes() -> Vec<Lane> {
    vec![
        V2,
        LEGACY,
        Lane {
            name: "legacy wild times",
            nature: Nature { wild_one_in: 6, ..LEGACY_NATURE },
            ..LEGACY
        },
        Lane { name: "v2 slow reader", output: Output::SlowStdout, ..V2 },
        Lane { name: "legacy slow reader", output: Output::SlowStdout, ..LEGACY },
        Lane { name: "v2 zstd", is_compressed: true, ..V2 },
        Lane { name: "v2 sparse did", filter: Filter::Did, weather: sparse(20_000), ..V2 },
        Lane {
            name: "legacy sparse collection",
            filter: Filter::Collection,
            weather: sparse(60_000),
            // The judge tells what a position stands for by its time, where filters exclude
            // its event.
            nature: Nature { has_wild_times: false, ..LEGACY_NATURE },
            ..LEGACY
        },
        Lane {
            name: "legacy live",
            is_live: true,
            kills_servers: false,
            nature: Nature { has_wild_times: false, step_us: 7_000, ..LEGACY_NATURE },
            weather: ROUGH_AND_LIVE,
            events: 5_000,
            ..LEGACY
        },
        Lane {
            name: "v2 live",
            is_live: true,
            kills_servers: false,
            nature: Nature { has_wild_times: false, step_us: 7_000, ..V2_NATURE },
            weather: ROUGH_AND_LIVE,
            events: 5_000,
            ..V2
        },
    ]
}
