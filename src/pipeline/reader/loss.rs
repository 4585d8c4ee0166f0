//! Leaves a server that lacks events for the one that has them (`--witness-leave`).

use super::retry::RetryState;
use super::{Disconnect, Reader};

impl Reader {
    /// Returns the disconnect once the writer asks to leave the present server.
    pub(super) async fn lacks_events(&self, retry: &RetryState) -> Disconnect {
        let endpoint = self.endpoints.get(retry.current);
        let server = endpoint.map(|endpoint| &*endpoint.label).unwrap_or_default();
        Disconnect::LacksEvents(self.feedback.left(server).await)
    }

    /// Continues on the server that the disconnect names.
    pub(super) fn on_loss(&self, disconnect: &Disconnect, retry: &mut RetryState) {
        let Disconnect::LacksEvents(other) = disconnect else { return };
        let other = self.endpoints.iter().position(|endpoint| endpoint.label == *other);
        let Some(other) = other else { return };
        retry.update_endpoint(|endpoint| endpoint.lacks_events = true);
        retry.current = other;
        retry.update_endpoint(|endpoint| endpoint.lacks_events = false);
    }
}

impl RetryState {
    /// Returns whether the first server was left because it lacks events: `--prefer-first` does not
    /// return to it.
    pub(super) fn avoids_first(&self) -> bool {
        self.endpoints.first().is_some_and(|endpoint| endpoint.lacks_events)
    }
}
