//! Names the server that is in use, and its number among the configured ones.

use std::sync::Arc;

use crate::metrics::Metrics;

/// The configured servers of a run, and the counter with the number of the current one.
#[derive(Debug)]
pub struct CurrentServer {
    labels: Vec<Arc<str>>,
    metrics: Arc<Metrics>,
}

impl CurrentServer {
    /// Creates the label for these servers, in the run's order.
    #[must_use]
    pub fn new(labels: Vec<Arc<str>>, metrics: Arc<Metrics>) -> Self {
        Self { labels, metrics }
    }

    /// Returns the name of the server that is in use or being dialled; before the first connection,
    /// the number of servers.
    #[must_use]
    pub fn name(&self) -> String {
        let first = self.labels.first().filter(|_| self.labels.len() == 1);
        match self.in_use().or(first) {
            Some(label) => label.to_string(),
            None => format!("{} servers", self.labels.len()),
        }
    }

    /// Returns the server's number among several, as ` (2/6)`; empty for a single server.
    #[must_use]
    pub fn ordinal(&self) -> String {
        match self.in_use() {
            Some(_) if self.labels.len() > 1 => {
                format!(" ({}/{})", self.metrics.server.get(), self.labels.len())
            }
            _ => String::new(),
        }
    }

    fn in_use(&self) -> Option<&Arc<str>> {
        let number = usize::try_from(self.metrics.server.get()).ok()?;
        self.labels.get(number.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_in_use_is_named_and_numbered_among_several() {
        let shown = |labels: &[&str], number| {
            let metrics = Arc::new(Metrics::default());
            metrics.server.set(number);
            let server =
                CurrentServer::new(labels.iter().map(|label| (*label).into()).collect(), metrics);
            server.name() + &server.ordinal()
        };
        assert_eq!(shown(&["a"], 0), "a");
        assert_eq!(shown(&["a"], 1), "a");
        assert_eq!(shown(&["a", "b"], 0), "2 servers");
        assert_eq!(shown(&["a", "b"], 2), "b (2/2)");
    }
}
