//! Passes the lines of an earlier run of this process on to the writer (`--last`).

use std::sync::Arc;

use super::super::channel::{Closed, Item};
use super::super::history::History;
use super::Reader;

impl Reader {
    /// Passes all lines on, and stops the run after them if it is to end there.
    pub(super) async fn forward_history(&self, history: History) {
        tokio::select! {
            biased;
            () = self.stop.requested() => {}
            // A writer that has ended has asked for the stop itself.
            _ = self.send_history(history) => {}
        }
    }

    async fn send_history(&self, mut history: History) -> Result<(), Closed> {
        while !history.lines.is_empty() {
            let mut batch = self.sender.empty_batch();
            history.fill(&mut batch, self.batch_events);
            self.sender.has_room(&batch).await?;
            self.sender.send(Item::history(batch, Arc::clone(&history.connection)))?;
        }
        if let Some(reason) = history.then {
            self.sender.drained().await?;
            self.stop.request(reason);
        }
        Ok(())
    }
}
