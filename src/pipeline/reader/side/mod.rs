//! The history of what a list gained, read from the archive beside the live stream
//! (`--backfill-new`).
//!
//! For one addition after another, `history` reads the archive up to its sealed tip, into the
//! channel's place for side history, while the stream continues with its own filter. Then `switch`
//! connects the stream again with the addition, from the end of that history: what it repeats up
//! to the position is side history too, and the first event after the position is the first one
//! under the new filter. So an account's events come in order, none is lost between the archive
//! and the stream, and a kill at any time leaves a progress from which the next run continues.

mod history;
mod meeting;
mod switch;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::display::units::counted;
use crate::event::batch::Batch;
use crate::filter::additions::{Addition, List};
use crate::metrics::now_us;
use crate::pipeline::channel::Item;
use crate::pipeline::dedup::SideFeed;
use crate::position::gap::Gap;
use crate::position::{Seq, TimeUs};
use crate::source::ConnectionInfo;

use super::Reader;
use switch::Switch;

/// Time between two looks whether the history can be read.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How far the history of what the lists gained is.
#[derive(Debug, Default)]
pub struct SideState {
    switch: Switch,
    /// The number of the connection that was made for the latest switch.
    connection: Cell<u64>,
    /// The end of the history at the latest switch that failed, and how many failed there.
    failures: Cell<(u64, u32)>,
}

/// How an attempt at the history of an addition ended.
#[derive(Debug)]
enum HistoryEnd {
    /// Everything up to this seq of this server was passed on; 0 if the archive is empty.
    Complete(Arc<str>, u64),
    /// All entries were removed again.
    Cancelled,
    /// It can't be read: the reason.
    GivenUp(String),
}

impl Reader {
    /// Reads one addition after another, until the run ends.
    pub(super) async fn run_side(&self) {
        let Some(lists) = &self.side else { return std::future::pending().await };
        let mut changes = lists.subscribe();
        loop {
            changes.borrow_and_update();
            if self.send_lists().await.is_err() {
                return std::future::pending().await;
            }
            let Some(addition) = lists.begin() else {
                self.publish_side(0, 0);
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            };
            match self.read_history(&addition).await {
                HistoryEnd::Complete(server, seq) => self.switch(&addition, server, seq).await,
                HistoryEnd::Cancelled => {
                    tracing::info!(
                        "{} was removed again before its history was complete",
                        named(&addition)
                    );
                }
                HistoryEnd::GivenUp(why) => self.give_up(&addition, &why).await,
            }
        }
    }

    /// Passes the state of the lists on to the writer, which saves it.
    async fn send_lists(&self) -> Result<(), super::Disconnect> {
        let Some(lists) = &self.side else { return Ok(()) };
        let additions = lists.additions();
        let waiting: usize = additions.pending.iter().map(|addition| addition.values.len()).sum();
        self.metrics.side.pending.set(waiting as u64);
        let item = Item::lines(Batch::default(), self.side_connection("".into()));
        self.sender.send_side(Item { additions: Some(additions), ..item }).await?;
        Ok(())
    }

    fn publish_side(&self, at_seq: u64, to_seq: u64) {
        self.metrics.side.at_seq.set(at_seq);
        self.metrics.side.to_seq.set(to_seq);
    }

    /// Makes an addition live without the rest of its history, and reports that as a gap.
    async fn give_up(&self, addition: &Addition, why: &str) {
        let Some(lists) = &self.side else { return };
        let what = named(addition);
        tracing::warn!(
            "the history of {what} is not read: {why}; events from now on are, and the rest is reported as a gap"
        );
        let position = self.feedback.get();
        let newest = position.as_ref().map(|position| position.newest);
        let reached = self.feedback.side_reached(addition.number);
        let gap = Gap {
            seen_at: TimeUs(now_us()),
            from_time: None,
            to_time: newest.map(|newest| newest.time),
            from_seq: reached
                .map(|reached| reached.seq)
                .or(addition.reached.as_ref().map(|reached| Seq(reached.seq))),
            to_seq: newest.and_then(|newest| newest.seq),
            reason: format!("the history of {what} was not read: {why}"),
        };
        let server = position.map_or_else(|| "".into(), |position| position.origin.server);
        let item = Item::lines(Batch::default(), self.side_connection(server));
        // The gap is reported before the addition is saved as live: a run that ends at it
        // (`--on-gap fail`) tries again.
        let is_sent = self.sender.send_side(Item { gap: Some(gap), ..item }).await.is_ok();
        if is_sent && self.send_lists().await.is_ok() {
            self.metrics.side.given_up.add(addition.values.len() as u64);
            lists.finish(addition.number);
        }
    }

    /// Returns what lines of side history are attributed to.
    fn side_connection(&self, server: Arc<str>) -> Arc<ConnectionInfo> {
        Arc::new(self.client.archive_connection(0, server))
    }

    /// Returns what the lines of an addition belong to; `None` if it was removed.
    fn side_feed(&self, number: u32, server: &Arc<str>) -> Option<Arc<SideFeed>> {
        let (_, filter) = self.side.as_ref()?.current(number)?;
        let (server, format) = (Arc::clone(server), self.client.shape);
        Some(Arc::new(SideFeed { addition: number, server, filter, format }))
    }
}

/// Returns an addition in words: "1 account", or "2 collections".
fn named(addition: &Addition) -> String {
    let noun = match addition.list {
        List::Collections => "added collection",
        List::Dids => "added account",
    };
    counted(addition.values.len() as u64, noun)
}
