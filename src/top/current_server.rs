//! Where events come from, in words: the server in use, and which of several it is.

use std::sync::Arc;

use crate::metrics::Metrics;

/// The servers of a run.
#[derive(Debug)]
pub struct CurrentServer {
    labels: Vec<Arc<str>>,
    metrics: Arc<Metrics>,
}

impl CurrentServer {
    /// Of a run with these servers, in its order, and these counters.
    #[must_use]
    pub fn new(labels: Vec<Arc<str>>, metrics: Arc<Metrics>) -> Self {
        Self { labels, metrics }
    }

    /// The server that is spoken to or dialled; how many there are before the first.
    #[must_use]
    pub fn name(&self) -> String {
        let first = self.labels.first().filter(|_| self.labels.len() == 1);
        match self.in_use().or(first) {
            Some(label) => label.to_string(),
            None => format!("{} servers", self.labels.len()),
        }
    }

    /// Which of several it is, as ` (2/6)`; empty where there is one.
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
