//! Counts and logs what either server does not have.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::display::log_throttle::CountThrottle;
use crate::metrics::Metrics;

/// The events that one server does not have.
#[derive(Debug, Default)]
struct Lacks {
    /// Events by collection, until they are reported.
    new: BTreeMap<Box<str>, u64>,
    total: u64,
    throttle: CountThrottle,
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(super) struct Counts {
    servers: BTreeMap<Arc<str>, Lacks>,
}

impl Counts {
    /// Counts one event of this collection that `server` does not have.
    pub(super) fn add(&mut self, server: &Arc<str>, collection: &str, metrics: &Metrics) {
        metrics.witness.missing.add(server, collection);
        let lacks = self.servers.entry(Arc::clone(server)).or_default();
        lacks.total += 1;
        match lacks.new.get_mut(collection) {
            Some(count) => *count += 1,
            None => {
                lacks.new.insert(collection.into(), 1);
            }
        }
    }

    /// Logs what was counted since the last call, with the other server and what becomes of it. A
    /// line is logged at each doubling of a server's count.
    pub(super) fn report(&mut self, server: &Arc<str>, other: &Arc<str>, fate: &str) {
        let Some(lacks) = self.servers.get_mut(server) else { return };
        if lacks.new.is_empty() || !lacks.throttle.is_due(lacks.total) {
            return;
        }
        let total = lacks.total;
        tracing::warn!(
            total,
            %server,
            witness = %other,
            "{server} did not send events that {other} sent ({}): {fate}",
            most_common(&lacks.new),
        );
        lacks.new.clear();
    }
}

/// Returns the collection with the most events, and the number of the others.
fn most_common(new: &BTreeMap<Box<str>, u64>) -> String {
    let Some((name, count)) = new.iter().max_by_key(|(_, count)| **count) else {
        return String::new();
    };
    let others: u64 = new.values().sum::<u64>() - count;
    match others {
        0 => format!("{count} of {name}"),
        others => format!("{count} of {name}, {others} of other collections"),
    }
}
