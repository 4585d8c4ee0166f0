//! What a run logs while no server could be reached yet: one message that says what to check, and
//! then little, because without a network each attempt fails in the same way.

use std::time::Duration;

use crate::display::log_throttle::is_doubling;
use crate::display::units::counted;
use crate::source::client::ConnectError;
use crate::source::net::DialError;

use super::retry::RetryState;
use super::{Disconnect, Reader};

/// Failures in a row from which on a run that still waits for a network says so again.
const REPEAT_FROM: u32 = 16;

impl Reader {
    /// Returns the error of an attempt that reached no server, if none was reached before.
    pub(super) fn unreached<'d>(
        &self,
        disconnect: &'d Disconnect,
        retry: &RetryState,
    ) -> Option<&'d DialError> {
        let error = match disconnect {
            Disconnect::Connect(ConnectError::Dial(error)) => Some(error),
            Disconnect::Archive(error) => error.dial_error(),
            _ => None,
        };
        let was_reached = retry.any_success || retry.live_since.is_some();
        error.filter(|error| error.is_unreachable() && !was_reached)
    }

    /// Returns what a log line about the server begins with.
    pub(super) fn role(&self) -> &'static str {
        if self.is_witness { "the witness: " } else { "" }
    }

    pub(super) fn label(&self, endpoint: usize) -> &str {
        self.endpoints.get(endpoint).map_or("", |endpoint| &endpoint.label)
    }

    /// Logs a failed attempt. `attempts_left` is `None` if the run never gives up.
    pub(super) fn log_unreachable(
        &self,
        error: &DialError,
        retry: &mut RetryState,
        attempts_left: Option<u32>,
        (next, wait): (&str, Duration),
    ) {
        let (role, wait) = (self.role(), wait.as_secs_f64());
        let is_first = !std::mem::replace(&mut retry.has_logged_unreachable, true);
        if is_first {
            let servers = self.endpoints.len();
            match self.is_witness {
                true => tracing::warn!("{}", witness_message(error)),
                false => tracing::warn!("{}", first_message(error, servers, attempts_left)),
            }
        } else if retry.failures >= REPEAT_FROM && is_doubling(retry.failures.into()) {
            let failed = counted(retry.failures.into(), "attempt");
            tracing::warn!(
                "{role}{error}; no server was reached in {failed}; connecting to {next} in {wait:.1} s"
            );
        } else {
            tracing::info!("{role}{error}; connecting to {next} in {wait:.1} s");
        }
    }
}

fn witness_message(error: &DialError) -> String {
    format!(
        "the witness can't be reached: {error}; the run continues, and nothing is compared until it answers (-v logs each attempt)"
    )
}

fn first_message(error: &DialError, servers: usize, attempts_left: Option<u32>) -> String {
    let further = match attempts_left {
        Some(left) => format!("{} (-v logs each)", counted(left.into(), "more attempt")),
        None => "until one answers (-v logs each attempt)".to_owned(),
    };
    match servers {
        0 | 1 => format!("{error}; trying again, {further}"),
        servers => format!(
            "no server can be reached yet: {}; check the network, DNS and, behind a proxy, HTTPS_PROXY; trying {servers} servers in turn, {further}",
            error.without_advice()
        ),
    }
}
