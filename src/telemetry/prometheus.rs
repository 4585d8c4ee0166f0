//! Formats the counters in Prometheus' text format 0.0.4, each metric with unit, help and type.
//! Does no I/O.

use std::fmt::Write as _;
use std::sync::Arc;

use super::health::{Health, HealthStatus};
use super::process::Process;
use crate::metrics::Metrics;

/// The media type of [`page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Properties of a run that the page shows beside its counters.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The health check, which also holds the start time of the run.
    pub health: Health,
    /// Capacity of the queue, in events.
    pub buffer_events: u64,
    /// Capacity of the queue, in bytes.
    pub buffer_bytes: u64,
}

/// The Prometheus types that skytail uses.
#[derive(Clone, Copy)]
enum Type {
    Counter,
    Gauge,
}

/// Builds the text of a page.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Appends one metric with its help and its samples. A sample is a pair of labels (with
    /// braces, or empty) and value.
    fn metric(&mut self, name: &str, kind: Type, help: &str, samples: &[(&str, f64)]) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
        };
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, Type::Counter, help, &[("", value as f64)]);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.metric(name, Type::Gauge, help, &[("", value)]);
    }
}

/// Returns the page as of `now_us`, in Unix microseconds.
#[must_use]
pub fn page(metrics: &Metrics, run: &Run, now_us: u64) -> String {
    let mut page = Page::default();
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    let help = "The version of skytail; the value is always 1.";
    page.metric("skytail_build_info", Type::Gauge, help, &[(version, 1.0)]);
    events(&mut page, metrics);
    stream(&mut page, metrics, run, now_us);
    queue(&mut page, metrics, run);
    witness(&mut page, metrics);
    additions(&mut page, metrics);
    process(&mut page, run);
    page.0
}

fn events(page: &mut Page, metrics: &Metrics) {
    let outcomes = [
        ("{outcome=\"written\"}", &metrics.written),
        ("{outcome=\"filtered\"}", &metrics.filtered),
        ("{outcome=\"duplicate\"}", &metrics.duplicate),
        ("{outcome=\"early\"}", &metrics.early),
        ("{outcome=\"dropped\"}", &metrics.dropped),
        ("{outcome=\"failed\"}", &metrics.failed),
        ("{outcome=\"malformed\"}", &metrics.malformed),
        ("{outcome=\"unknown\"}", &metrics.unknown),
    ]
    .map(|(labels, counter)| (labels, counter.get() as f64));
    let help = "Processed events by outcome: written to the output, filtered out by the flags, \
                duplicate of a written event, early (before the requested start), dropped by \
                --when-full, failed (an error of --jq), malformed, or of an unknown type.";
    page.metric("skytail_events_total", Type::Counter, help, &outcomes);
    let counters = [
        ("skytail_received_events_total", "Events that servers sent.", &metrics.received),
        (
            "skytail_received_bytes_total",
            "Bytes of the events that servers sent, decompressed.",
            &metrics.received_bytes,
        ),
        ("skytail_network_bytes_total", "Bytes read from the network.", &metrics.wire_bytes),
        (
            "skytail_archive_bytes_total",
            "Bytes downloaded from archives, part of the bytes from the network.",
            &metrics.archive_bytes,
        ),
        (
            "skytail_written_bytes_total",
            "Bytes that the output accepted, before it compresses them.",
            &metrics.written_bytes,
        ),
        (
            "skytail_disordered_events_total",
            "Events whose sequence number was not higher than the previous one.",
            &metrics.disordered,
        ),
        (
            "skytail_gaps_total",
            "Gaps in the stream: places where events were not available.",
            &metrics.gaps,
        ),
        ("skytail_reconnects_total", "Connections after the first.", &metrics.reconnects),
        (
            "skytail_filter_changes_total",
            "Changes of the filter because a file of -c, -d or --exclude changed.",
            &metrics.filter_changes,
        ),
    ];
    for (name, help, counter) in counters {
        page.counter(name, help, counter.get());
    }
}

fn stream(page: &mut Page, metrics: &Metrics, run: &Run, now_us: u64) {
    let is_healthy = matches!(run.health.check(metrics, now_us), HealthStatus::Alive(_));
    let healthy = f64::from(u8::from(is_healthy));
    page.gauge("skytail_healthy", "1 while /healthz answers 200, 0 while it answers 503.", healthy);
    let connected = metrics.connected.get() as f64;
    page.gauge("skytail_connected", "1 while a connection to a server is up.", connected);
    let help = "Jetstream protocol version of the last connection; 0 before the first.";
    page.gauge("skytail_protocol_version", help, metrics.protocol.get() as f64);
    let help = "Delay before the next connection attempt; 0 while connected.";
    page.gauge("skytail_backoff_seconds", help, metrics.backoff_ms.get() as f64 / 1e3);
    let (event_us, at_us) = (metrics.last_event_us.get(), metrics.last_event_at_us.get());
    let help = "Timestamp of the newest processed event, as stamped by its server; 0 before the \
                first.";
    page.gauge("skytail_last_event_timestamp_seconds", help, event_us as f64 / 1e6);
    let help = "Local time at which the newest event was processed; 0 before the first.";
    page.gauge("skytail_last_event_written_timestamp_seconds", help, at_us as f64 / 1e6);
    let changed_us = metrics.filter_changed_at_us.get();
    let help = "Local time of the last change of the filter during the run; 0 if there was none.";
    page.gauge("skytail_filter_change_timestamp_seconds", help, changed_us as f64 / 1e6);
    let help = "Lag of the newest event behind the local clock when it was processed.";
    page.gauge("skytail_lag_seconds", help, at_us.saturating_sub(event_us) as f64 / 1e6);
}

fn queue(page: &mut Page, metrics: &Metrics, run: &Run) {
    let gauges = [
        ("skytail_queue_events", "Events waiting for the output.", metrics.queue_events.get()),
        ("skytail_queue_bytes", "Bytes waiting for the output.", metrics.queue_bytes.get()),
        (
            "skytail_queue_limit_events",
            "Capacity of the queue in events (--buffer).",
            run.buffer_events,
        ),
        (
            "skytail_queue_limit_bytes",
            "Capacity of the queue in bytes (--buffer-bytes).",
            run.buffer_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, value as f64);
    }
}

/// What the comparison with a second server shows; nothing without `--witness`.
fn witness(page: &mut Page, metrics: &Metrics) {
    let witness = &metrics.witness;
    if witness.is_on.get() == 0 {
        return;
    }
    let counts = witness.missing.list();
    let label = |(server, collection, _): &(Arc<str>, String, u64)| {
        format!("{{server=\"{}\",collection=\"{collection}\"}}", escaped(server))
    };
    let labels: Vec<String> = counts.iter().map(label).collect();
    let values = counts.iter().map(|(_, _, count)| *count as f64);
    let samples: Vec<(&str, f64)> = labels.iter().map(String::as_str).zip(values).collect();
    let help = "Events that this server did not send and the other one did, by collection (the \
                rest as other). The other server is the witness, or the one in use.";
    page.metric("skytail_missing_events_total", Type::Counter, help, &samples);
    page.counter(
        "skytail_witness_printed_events_total",
        "Events that only the witness sent and that were printed.",
        witness.printed.get(),
    );
    let help = "How often the server in use was left for the witness (--witness-leave).";
    page.counter("skytail_witness_leaves_total", help, witness.left.get());
    let gauges = [
        ("skytail_witness_connected", "1 while connected to the witness.", &witness.connected),
        (
            "skytail_witness_pending_events",
            "Events that only the witness has sent so far.",
            &witness.pending_events,
        ),
        ("skytail_witness_pending_bytes", "Bytes of those events.", &witness.pending_bytes),
        (
            "skytail_witness_held_events",
            "Events whose output waits for the comparison (--witness-hold).",
            &witness.held_events,
        ),
        ("skytail_witness_held_bytes", "Bytes of the events that wait.", &witness.held_bytes),
    ];
    for (name, help, gauge) in gauges {
        page.gauge(name, help, gauge.get() as f64);
    }
    let help = "Timestamp of the witness's newest event; 0 before the first.";
    let seconds = witness.last_event_us.get() as f64 / 1e6;
    page.gauge("skytail_witness_last_event_timestamp_seconds", help, seconds);
    let help = "Bytes read from the network for the present witness.";
    page.gauge("skytail_witness_network_bytes", help, witness.wire_bytes.get() as f64);
}

/// Returns the value of a label with what the format requires to be escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn additions(page: &mut Page, metrics: &Metrics) {
    let side = &metrics.side;
    let help = "Accounts and collections of the lists that wait for their history \
                (--backfill-new).";
    page.gauge("skytail_additions_pending", help, side.pending.get() as f64);
    let help = "Sequence number up to which the history of additions is passed to the output; 0 \
                while none is read.";
    page.gauge("skytail_additions_at_seq", help, side.at_seq.get() as f64);
    let help = "Sequence number at which that history ends; 0 while none is read.";
    page.gauge("skytail_additions_to_seq", help, side.to_seq.get() as f64);
    let help = "Events of histories of additions that were passed to the output.";
    page.counter("skytail_additions_events_total", help, side.events.get());
    let results = [
        ("{result=\"complete\"}", side.completed.get() as f64),
        ("{result=\"gap\"}", side.given_up.get() as f64),
    ];
    let help = "Accounts and collections that became live: with their complete history, or with a \
                gap.";
    page.metric("skytail_additions_total", Type::Counter, help, &results);
}

fn process(page: &mut Page, run: &Run) {
    let process = Process::sample();
    let start = run.health.started_us as f64 / 1e6;
    page.gauge("process_start_time_seconds", "Start time of the process, in Unix seconds.", start);
    if let Some(seconds) = process.cpu_seconds {
        let help = "CPU time of the process, user and system.";
        page.metric("process_cpu_seconds_total", Type::Counter, help, &[("", seconds)]);
    }
    let gauges = [
        ("process_resident_memory_bytes", "Resident memory.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Size of the address space.", process.virtual_bytes),
        ("process_open_fds", "Open file descriptors.", process.open_fds),
        ("process_max_fds", "Maximum number of open file descriptors.", process.max_fds),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.gauge(name, help, value as f64);
        }
    }
}
