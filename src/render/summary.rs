//! Summarizes an event in a few words: the text of a post, the subject of a like or a follow, the
//! handle of an identity event. For records of unknown types, the first member that usually holds
//! text.

use jaq_json::Val;

use super::fields::member;
use super::json::{self, Style};
use super::parse::parse;

/// The columns of an event in text format.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EventSummary {
    /// The event's time as `HH:MM:SS` in UTC.
    pub time: String,
    /// `create`, `update` or `delete`, or the kind of an event that is not a commit.
    pub action: String,
    /// The collection of a commit; empty for other events.
    pub collection: String,
    /// The account's DID.
    pub did: String,
    /// The record, or the account's change, in a few words.
    pub text: String,
}

/// Members of a record that hold text for people, in order of preference.
const TEXT_MEMBERS: [&str; 6] = ["text", "displayName", "name", "title", "description", "handle"];

impl EventSummary {
    /// Summarizes a line; returns `None` if it is not an event, or nested too deeply.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Option<Self> {
        Self::of(&parse(line).ok()?)
    }

    /// Summarizes an event in v1 or native format; returns `None` for any other value.
    #[must_use]
    pub fn of(event: &Val) -> Option<Self> {
        let did = text(event, "did")?;
        let kind = match (text(event, "kind"), text(event, "$type")) {
            (Some(kind), _) => kind,
            (None, Some(name)) => name.rsplit('#').next().unwrap_or_default().to_owned(),
            (None, None) => return None,
        };
        // The v1 format nests the members that the native format has at the top.
        let inside = member(event, &kind).unwrap_or(event);
        let mut summary = Self { time: time(event), did, ..Self::default() };
        match text(inside, "collection") {
            Some(collection) => {
                summary.text = commit(inside, &collection);
                summary.action = text(inside, "operation").unwrap_or(kind);
                summary.collection = collection;
            }
            None => {
                summary.text = account_change(inside, &kind);
                summary.action = kind;
            }
        }
        Some(summary)
    }
}

fn text(value: &Val, key: &str) -> Option<String> {
    match member(value, key)? {
        Val::TStr(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

fn time(event: &Val) -> String {
    let stamp = match (member(event, "time_us"), text(event, "time")) {
        (Some(Val::Num(number)), _) => {
            let us = number.as_isize().and_then(|us| i64::try_from(us).ok());
            us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
        }
        (_, Some(time)) => time.parse::<jiff::Timestamp>().ok(),
        _ => None,
    };
    // 1970-01-01T00:00:00Z
    let written = stamp.map(|stamp| format!("{stamp:.0}")).unwrap_or_default();
    written.split(['T', 'Z']).nth(1).unwrap_or("--:--:--").to_owned()
}

fn commit(commit: &Val, collection: &str) -> String {
    let Some(record) = member(commit, "record") else {
        return text(commit, "rkey").unwrap_or_default();
    };
    if let Some(subject) = member(record, "subject") {
        let subject = match subject {
            Val::TStr(did) => Some(String::from_utf8_lossy(did).into_owned()),
            reference => text(reference, "uri"),
        };
        if let Some(subject) = subject {
            return subject.strip_prefix("at://").unwrap_or(&subject).to_owned();
        }
    }
    if let Some(words) =
        TEXT_MEMBERS.iter().find_map(|key| text(record, key).filter(|t| !t.is_empty()))
    {
        let is_reply = collection == "app.bsky.feed.post" && member(record, "reply").is_some();
        return if is_reply { format!("↳ {words}") } else { words };
    }
    match member(record, "embed").and_then(|embed| text(embed, "$type")) {
        Some(embed) => format!("[{}]", embed.rsplit('.').next().unwrap_or_default()),
        None => abbreviate(record),
    }
}

fn account_change(event: &Val, kind: &str) -> String {
    match kind {
        "identity" => text(event, "handle").unwrap_or_else(|| "(no handle)".to_owned()),
        "account" => match (member(event, "active"), text(event, "status")) {
            (Some(Val::Bool(true)), _) => "active".to_owned(),
            (_, Some(status)) => status,
            _ => "not active".to_owned(),
        },
        "sync" => text(event, "rev").unwrap_or_default(),
        _ => abbreviate(event),
    }
}

/// Returns the members as `name=JSON`, without those that other columns have.
fn abbreviate(record: &Val) -> String {
    let mut out = Vec::new();
    if let Val::Obj(members) = record {
        for (key, value) in members.iter() {
            let known = ["$type", "createdAt", "did", "time_us"];
            let Val::TStr(name) = key else { continue };
            if known.iter().any(|known| known.as_bytes() == &***name) {
                continue;
            }
            if !out.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(name);
            out.push(b'=');
            // An error only means that the text is cut, which a line of text does anyway.
            let _ = json::write(&mut out, value, Style::default(), 0);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
