//! Opens the database of a run, and finds out where it continues.

use anyhow::{Context as _, anyhow};

use super::session::{explicit_start, start_at_seq};
use crate::checkpoint::lease::{Lease, LeaseError};
use crate::checkpoint::store::{SavedCursor, Store};
use crate::cli::exit::UsageError;
use crate::metrics::now_us;
use crate::position::{StartPosition, TimeUs};
use crate::settings::TailSettings;
use crate::sink::sqlite::error::DatabaseError;
use crate::sink::sqlite::{self, Database, DatabaseSettings, Saved};

/// The name of the lock beside the database.
const LOCK: &str = "writer";

/// The right to write a database, for as long as the value lives. The lock file is removed with it.
#[derive(Debug)]
pub struct DatabaseLease(Option<Lease>);

impl Drop for DatabaseLease {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            lease.remove();
        }
    }
}

/// Opens the database, and locks out other runs that would write it.
///
/// # Errors
/// A [`UsageError`] if the file may not be written as it is, or another run writes it.
pub fn open(settings: &DatabaseSettings) -> anyhow::Result<(Database, DatabaseLease)> {
    let path = sqlite::absolute(&settings.path).map_err(shown)?;
    let lease = Lease::acquire(&path, LOCK).map_err(|error| match error {
        LeaseError::Held { pid, .. } => {
            let by = pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default();
            anyhow!(
                "another skytail{by} writes the database {}: stop it, or name another file with --to sqlite:FILE",
                path.display()
            )
        }
        LeaseError::Foreign { path, problem, .. } => anyhow!(
            "can't lock the database: {} {problem}, and may be a trap of another user; it was left as it is: remove it, or name a file in a directory of your own",
            path.display()
        ),
        LeaseError::Failed { path, cause, .. } => {
            anyhow!(
                "can't lock the database with {}: {cause}; make its directory writable for this user, or name another file with --to sqlite:FILE",
                path.display()
            )
        }
    })?;
    let lease = DatabaseLease(Some(lease));
    let database = Database::open(settings).map_err(shown)?;
    Ok((database, lease))
}

fn shown(error: DatabaseError) -> anyhow::Error {
    match error.is_usage() {
        true => UsageError(format!("--to: {error}")).into(),
        false => anyhow!("--to: {error}"),
    }
}

/// Returns where `--cursor auto` starts. The database is the authority; only a cursor that the user
/// set with `skytail cursors set` replaces its position. `manual` reads such a cursor.
///
/// # Errors
/// If the database or the state file can't be read.
pub fn saved_start(
    database: &Database,
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
    manual: impl FnOnce() -> anyhow::Result<StartPosition>,
) -> anyhow::Result<StartPosition> {
    let in_state_file = store.load(consumer)?;
    if let Some(SavedCursor::Manual(_)) = in_state_file {
        return manual();
    }
    match database.saved().map_err(shown)? {
        Some(Saved::Position(mut resume)) => {
            let saved = resume.position.max_time;
            if resume.position.recover(TimeUs(now_us())) {
                tracing::warn!(
                    "the time saved in {}, {saved}, lies ahead of this machine's clock, and only one event supports it: continuing at {}",
                    database.path().display(),
                    resume.position.max_time,
                );
            }
            Ok(StartPosition::Resume(Box::new(resume)))
        }
        Some(Saved::Start(StartPosition::Seq(seq), server)) => {
            start_at_seq(seq, server.as_deref(), consumer, settings)
                .context("the run before this one was killed before it saved a position")
        }
        Some(Saved::Start(start, _)) => Ok(start),
        None => {
            let start = explicit_start(settings.from).unwrap_or(StartPosition::Live);
            if in_state_file.is_some() {
                tracing::warn!(
                    "{} is new, so it starts where a new consumer does: the position that the state file has for {consumer:?} belongs to a database that was there before",
                    database.path().display(),
                );
            } else if start == StartPosition::Live {
                tracing::info!("{} is new: starting at the live tip", database.path().display());
            }
            Ok(start)
        }
    }
}
