//! The progress line as it appears on a screen.

use super::*;
use crate::display::terminal::tests::in_memory;
use crate::metrics::Metrics;
use indicatif::InMemoryTerm;
use std::sync::Arc;

const NOW: u64 = 1_783_175_888_000_000;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;

/// One tick at `NOW + after`: `events` further events, the newest of them with time `event`.
#[derive(Clone, Copy)]
struct Tick {
    after: u64,
    events: u64,
    event: u64,
}

/// Returns the screen after these ticks, each with an event that has just arrived.
fn shown(columns: u16, set: impl Fn(&Metrics), ticks: &[Tick]) -> String {
    let (terminal, screen) = in_memory(columns);
    let metrics = Arc::new(Metrics::default());
    set(&metrics);
    let mut progress = Progress::new(&terminal, Status::new(Arc::clone(&metrics), 1000, 50, None));
    for tick in ticks {
        metrics.received.add(tick.events);
        metrics.last_event_us.set(tick.event);
        metrics.last_event_at_us.set(NOW + tick.after);
        progress.tick(NOW + tick.after);
    }
    drawn(&terminal, &screen)
}

/// Returns the screen after a forced drawing, because drawings are limited in rate.
fn drawn(terminal: &Terminal, screen: &InMemoryTerm) -> String {
    terminal.update_bar(ProgressBar::force_draw);
    screen.contents()
}

fn live() -> [Tick; 2] {
    [
        Tick { after: 0, events: 0, event: NOW - 200_000 },
        Tick { after: 2 * SECOND, events: 1046, event: NOW + 1_800_000 },
    ]
}

fn replay() -> [Tick; 2] {
    [
        Tick { after: 0, events: 0, event: NOW - HOUR },
        Tick { after: SECOND, events: 100_000, event: NOW - HOUR / 2 },
    ]
}

fn connected(metrics: &Metrics) {
    metrics.connected.set(1);
}

fn busy(metrics: &Metrics) {
    connected(metrics);
    metrics.queue_bytes.set(120);
    metrics.queue_events.set(1);
    metrics.reconnects.add(2);
    metrics.dropped.add(1);
}

#[test]
fn a_live_stream_shows_its_rate_and_lag() {
    insta::assert_snapshot!(shown(80, connected, &live()), @"live  523/s  0.2s behind");
    insta::assert_snapshot!(shown(80, busy, &live()), @"live  523/s  0.2s behind  buffer 12%  2 reconnects  1 drop");
    insta::assert_snapshot!(shown(40, busy, &live()), @"live  523/s  0.2s behind  1 drop");
}

#[test]
fn a_replay_shows_a_bar_and_the_time_left() {
    insta::assert_snapshot!(shown(80, connected, &replay()), @"=========>             50%  100.0k/s  30m01s behind  1.0s left");
    insta::assert_snapshot!(shown(80, busy, &replay()), @" 50%  100.0k/s  30m01s behind  1.0s left  buffer 12%  2 reconnects  1 drop");
    insta::assert_snapshot!(shown(40, connected, &replay()), @" 50%  100.0k/s  30m01s behind");
}

#[test]
fn a_quiet_live_stream_is_not_behind() {
    let (terminal, screen) = in_memory(80);
    let metrics = Arc::new(Metrics::default());
    connected(&metrics);
    metrics.last_event_us.set(NOW - 200_000);
    metrics.last_event_at_us.set(NOW);
    let mut progress =
        Progress::new(&terminal, Status::new(Arc::clone(&metrics), 1000, u64::MAX, None));
    progress.tick(NOW + HOUR);
    assert_eq!(drawn(&terminal, &screen), "live  0/s  0.2s behind");
    // An event in the queue counts as lag, because the output has not accepted it yet.
    metrics.queue_events.set(1);
    progress.tick(NOW + HOUR);
    assert!(drawn(&terminal, &screen).contains("1h00m behind"), "{}", screen.contents());
}

#[test]
fn the_buffer_is_as_full_as_its_fuller_bound() {
    let fill = |bytes, events| {
        let set = move |m: &Metrics| {
            connected(m);
            m.queue_bytes.set(bytes);
            m.queue_events.set(events);
        };
        shown(80, set, &live()).rsplit("  ").next().map(str::to_owned)
    };
    assert_eq!(fill(10, 45).as_deref(), Some("buffer 90%"));
    assert_eq!(fill(300, 1).as_deref(), Some("buffer 30%"));
    assert_eq!(fill(5000, 1).as_deref(), Some("buffer 100%"));
}

#[test]
fn rates_cover_the_last_seconds() {
    let old = Tick { after: 0, events: 0, event: NOW };
    let burst = Tick { after: SECOND, events: 1_000_000, event: NOW + SECOND };
    let calm = (2..9).map(|s| Tick { after: s * SECOND, events: 10, event: NOW + s * SECOND });
    let ticks: Vec<Tick> = [old, burst].into_iter().chain(calm).collect();
    assert_eq!(shown(80, connected, &ticks), "live  10/s  0.0s behind");
}

#[test]
fn no_line_is_wider_than_its_screen() {
    for columns in 6..100 {
        for ticks in [live(), replay()] {
            let line = shown(columns, busy, &ticks);
            assert_eq!(line.lines().count(), 1, "{columns}: {line:?}");
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line:?}");
        }
    }
}

#[test]
fn a_log_line_is_printed_above_the_bar() {
    let (terminal, screen) = in_memory(40);
    let metrics = Arc::new(Metrics::default());
    metrics.backoff_ms.set(1500);
    let mut progress = Progress::new(&terminal, Status::new(metrics, 1000, u64::MAX, None));
    progress.tick(NOW);
    terminal.write_lines(b"skytail: warning: closed by peer\n").unwrap();
    assert_eq!(screen.contents(), "skytail: warning: closed by peer\nreconnecting in 1.5s");
    drop(progress);
    assert_eq!(screen.contents(), "skytail: warning: closed by peer");
}

#[test]
fn the_end_clears_the_line_and_an_echoed_interrupt() {
    let (terminal, screen) = in_memory(80);
    let mut progress = Progress::new(&terminal, Status::new(Arc::default(), 1000, u64::MAX, None));
    (0..9).for_each(|i| progress.tick(NOW + i));
    assert_eq!(screen.contents(), "connecting");
    indicatif::TermLike::write_str(&screen, "^C").unwrap();
    drop(progress);
    assert_eq!(screen.contents(), "");
}

#[test]
fn a_broken_connection_is_shown() {
    let once = [Tick { after: 0, events: 0, event: 0 }];
    assert_eq!(shown(80, |_| {}, &once), "connecting");
    assert_eq!(shown(80, |m| m.backoff_ms.set(1500), &once), "reconnecting in 1.5s");
    assert_eq!(shown(80, connected, &once), "connected, no event yet");
}

#[test]
fn is_shown_only_on_a_visible_terminal() {
    let seen = TerminalInfo { stderr_is_terminal: true, ..TerminalInfo::default() };
    let always = TerminalInfo { requested: Some(true), ..seen };
    assert_eq!(progress_display(seen), ProgressDisplay::Drawn);
    assert_eq!(
        progress_display(TerminalInfo { stdout_shares_screen: true, ..seen }),
        ProgressDisplay::Hidden
    );
    assert_eq!(
        progress_display(TerminalInfo { stdout_shares_screen: true, ..always }),
        ProgressDisplay::Drawn
    );
    assert_eq!(progress_display(TerminalInfo { quiet: true, ..seen }), ProgressDisplay::Hidden);
    assert_eq!(
        progress_display(TerminalInfo { requested: Some(false), ..seen }),
        ProgressDisplay::Hidden
    );
    assert_eq!(progress_display(TerminalInfo { is_dumb: true, ..seen }), ProgressDisplay::Hidden);
    assert_eq!(progress_display(TerminalInfo { is_dumb: true, ..always }), ProgressDisplay::Logged);
    assert_eq!(
        progress_display(TerminalInfo { stderr_is_terminal: false, ..always }),
        ProgressDisplay::Logged
    );
    assert_eq!(progress_display(TerminalInfo::default()), ProgressDisplay::Hidden);
}

#[test]
fn a_backfill_shows_its_progress() {
    let (terminal, screen) = in_memory(100);
    let metrics = Arc::new(Metrics::default());
    connected(&metrics);
    let mut progress =
        Progress::new(&terminal, Status::new(Arc::clone(&metrics), 1000, 1000, None));
    metrics.backfill.begin(1_000, 5_000);
    metrics.backfill.segments.add(84);
    progress.tick(NOW);
    metrics.backfill.at_seq.set(2_000);
    metrics.backfill.segments_done.add(21);
    metrics.wire_bytes.add(5 << 30);
    metrics.received.add(4_000_000);
    progress.tick(NOW + 2 * SECOND);
    let line = drawn(&terminal, &screen);
    let words = "archive  25%  segment 21 of 84  5.0 GiB  2.0M/s  6.0s left";
    assert!(line.ends_with(words), "{line:?}");
    metrics.backfill.end();
    progress.tick(NOW + 3 * SECOND);
    assert!(!drawn(&terminal, &screen).contains("archive"));
}
