//! What an event is about, in a few words: the text of a post, the subject of a like or a
//! follow, the handle of an identity. Of records that nobody here knows, whatever looks most
//! like words.

use jaq_json::Val;

use super::fields::member;
use super::json::{self, Style};

/// An event as the columns of a line see it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// `HH:MM:SS` in UTC.
    pub time: String,
    /// `create`, `update`, `delete`, or the kind of an event that is no commit.
    pub action: String,
    /// The collection.
    pub collection: String,
    /// The account.
    pub did: String,
    /// What it is about.
    pub gist: String,
}

/// The members of a record that are words, the best first.
const WORDS: [&str; 6] = ["text", "displayName", "name", "title", "description", "handle"];

impl Outline {
    /// Of an event in the shape of v1 or v2; `None` for any other value.
    pub fn of(event: &Val) -> Option<Self> {
        let did = text(event, "did")?;
        let kind = match (text(event, "kind"), text(event, "$type")) {
            (Some(kind), _) => kind,
            (None, Some(name)) => name.rsplit('#').next().unwrap_or_default().to_owned(),
            (None, None) => return None,
        };
        // v1 nests what v2 has at the top.
        let inside = member(event, &kind).unwrap_or(event);
        let mut outline = Self { time: time(event), did, ..Self::default() };
        match text(inside, "collection") {
            Some(collection) => {
                outline.gist = commit(inside, &collection);
                outline.action = text(inside, "operation").unwrap_or(kind);
                outline.collection = collection;
            }
            None => {
                outline.gist = no_commit(inside, &kind);
                outline.action = kind;
            }
        }
        Some(outline)
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
    if let Some(words) = WORDS.iter().find_map(|key| text(record, key).filter(|t| !t.is_empty())) {
        let replies = collection == "app.bsky.feed.post" && member(record, "reply").is_some();
        return if replies { format!("↳ {words}") } else { words };
    }
    match member(record, "embed").and_then(|embed| text(embed, "$type")) {
        Some(embed) => format!("[{}]", embed.rsplit('.').next().unwrap_or_default()),
        None => in_short(record),
    }
}

fn no_commit(event: &Val, kind: &str) -> String {
    match kind {
        "identity" => text(event, "handle").unwrap_or_else(|| "(no handle)".to_owned()),
        "account" => match (member(event, "active"), text(event, "status")) {
            (Some(Val::Bool(true)), _) => "active".to_owned(),
            (_, Some(status)) => status,
            _ => "not active".to_owned(),
        },
        "sync" => text(event, "rev").unwrap_or_default(),
        _ => in_short(event),
    }
}

/// A record as JSON, without what is known already.
fn in_short(record: &Val) -> String {
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
            // What is too much for one line is cut there anyway.
            let _ = json::write(&mut out, value, Style::default(), 0);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
