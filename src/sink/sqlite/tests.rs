//! Compares the tables with a fold in memory that shares no code with them.

mod model;
mod orders;
mod refusals;

use std::path::Path;

use rusqlite::Connection;

use super::target::Options;
use super::{Database, DatabaseSettings};
use crate::event::batch::{Batch, CompactBatch};
use crate::event::format::EventFormat;
use crate::sink::WriteRequest;

pub(super) fn settings(path: &Path) -> DatabaseSettings {
    DatabaseSettings {
        path: path.to_owned(),
        options: Options::default(),
        fields: Vec::new(),
        stream: "all".to_owned(),
        accepts_stream: false,
        rules: None,
    }
}

/// Writes lines to a database, and commits them.
pub(super) fn write(database: &mut Database, lines: &[String]) {
    let mut batch = Batch::with_capacity(1_000);
    lines.iter().for_each(|line| batch.push(line.as_bytes()));
    let lines = CompactBatch::from(batch);
    database.write(&WriteRequest {
        lines: &lines,
        shape: EventFormat::V1,
        written_bytes: 0,
        period_starts: &[],
        originals: None,
    });
    database.commit(None).unwrap();
}

/// Returns the rows of a query, with `|` between their columns.
pub(super) fn rows(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let text = |i| match row.get_ref(i).unwrap() {
            rusqlite::types::ValueRef::Null => "-".to_owned(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        Ok((0..columns).map(text).collect::<Vec<_>>().join("|"))
    };
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// An event of an account, as a line.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Put { did: String, key: String, rev: String, update: bool, text: String },
    Delete { did: String, key: String, rev: String },
    Account { did: String, active: bool, status: Option<String>, at: u64 },
    Identity { did: String, handle: String, at: u64 },
    Sync { did: String, rev: String },
}

impl Event {
    /// Returns the line of the event, received at `time` microseconds.
    pub(super) fn line(&self, time: u64, seq: u64) -> String {
        let of = |did: &str, kind: &str, body: String| {
            format!(
                r#"{{"did":"{did}","time_us":{time},"cursor":{seq},"kind":"{kind}","{kind}":{body}}}"#
            )
        };
        let iso =
            |us: u64| jiff::Timestamp::from_microsecond(us.cast_signed()).unwrap().to_string();
        match self {
            Self::Put { did, key, rev, update, text } => {
                let operation = if *update { "update" } else { "create" };
                of(
                    did,
                    "commit",
                    format!(
                        r#"{{"rev":"{rev}","operation":"{operation}","collection":"a.b.c","rkey":"{key}","record":{{"text":"{text}"}},"cid":"cid-{text}"}}"#
                    ),
                )
            }
            Self::Delete { did, key, rev } => of(
                did,
                "commit",
                format!(
                    r#"{{"rev":"{rev}","operation":"delete","collection":"a.b.c","rkey":"{key}"}}"#
                ),
            ),
            Self::Account { did, active, status, at } => {
                let status = status.as_ref().map(|s| format!(r#","status":"{s}""#));
                let status = status.unwrap_or_default();
                of(
                    did,
                    "account",
                    format!(
                        r#"{{"active":{active},"did":"{did}","seq":{seq}{status},"time":"{}"}}"#,
                        iso(*at)
                    ),
                )
            }
            Self::Identity { did, handle, at } => of(
                did,
                "identity",
                format!(
                    r#"{{"did":"{did}","handle":"{handle}","seq":{seq},"time":"{}"}}"#,
                    iso(*at)
                ),
            ),
            Self::Sync { did, rev } => of(
                did,
                "sync",
                format!(
                    r#"{{"blocks":{{"$bytes":""}},"did":"{did}","rev":"{rev}","seq":{seq},"time":""}}"#
                ),
            ),
        }
    }
}
