//! The filter in force at the position of a database, in one row of `skytail_meta`: the fingerprint,
//! and if another filter was in force before, the kind of the server, the time and the number of the
//! last event under that one, and the server.

use std::sync::Arc;

use rusqlite::Connection;

use super::error::DatabaseError;
use super::{Database, schema};
use crate::position::{EventPosition, FilterSince, FilterStamp, Seq, ServerKind, TimeUs};

/// The key of the row.
const KEY: &str = "filter_since";

impl Database {
    /// Sets the filter in force at the position of the next commit.
    pub fn set_filter(&mut self, filter: FilterStamp) {
        self.filter = Some(filter);
    }

    /// Returns the filter in force at the saved position, if it is known.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn filter_stamp(&self) -> Result<Option<FilterStamp>, DatabaseError> {
        load(&self.connection).map_err(|error| self.error(&error))
    }
}

/// Replaces the stamp.
pub fn save(connection: &Connection, stamp: &FilterStamp) -> rusqlite::Result<()> {
    schema::put_meta(connection, KEY, encode(stamp))
}

/// Reads the stamp, if there is a valid one.
pub fn load(connection: &Connection) -> rusqlite::Result<Option<FilterStamp>> {
    Ok(schema::meta(connection, KEY)?.as_deref().and_then(decode))
}

fn encode(stamp: &FilterStamp) -> String {
    let fingerprint = stamp.fingerprint;
    let Some(FilterSince { server, kind, at }) = &stamp.since else {
        return fingerprint.to_string();
    };
    let (kind, time, seq) = (kind.as_str(), at.time.0, at.seq.map_or(0, |seq| seq.0));
    format!("{fingerprint} {kind} {time} {seq} {server}")
}

fn decode(text: &str) -> Option<FilterStamp> {
    let mut words = text.splitn(5, ' ');
    let fingerprint = words.next()?.parse().ok()?;
    let Some(kind) = words.next() else { return Some(FilterStamp { fingerprint, since: None }) };
    let kind = match kind {
        "legacy" => ServerKind::Legacy,
        "v2" => ServerKind::V2,
        _ => return None,
    };
    let time = TimeUs(words.next()?.parse().ok()?);
    let seq = Some(words.next()?.parse().ok()?).filter(|seq| *seq > 0).map(Seq);
    let server = Arc::from(words.next()?);
    let since = Some(FilterSince { server, kind, at: EventPosition { time, seq } });
    Some(FilterStamp { fingerprint, since })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let at = |seq: Option<u64>| EventPosition { time: TimeUs(7), seq: seq.map(Seq) };
        let since = |kind, seq| Some(FilterSince { server: "a.example".into(), kind, at: at(seq) });
        for since in [None, since(ServerKind::V2, Some(9)), since(ServerKind::Legacy, None)] {
            let stamp = FilterStamp { fingerprint: u64::MAX, since };
            assert_eq!(decode(&encode(&stamp)), Some(stamp));
        }
        for damaged in ["", "x", "1 v3 7 9 a", "1 v2", "1 v2 7", "1 v2 7 -1 a", "1 v2 7 9"] {
            assert_eq!(decode(damaged), None, "{damaged:?}");
        }
    }
}
