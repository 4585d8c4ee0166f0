//! One event in v1 format as the columns of a table, and back.
//!
//! A member goes to its column if it has the type of the column. All other members go, as they are
//! written, to the column `extra`, an object with the same nesting as the event. So an event that is
//! taken apart and composed again is equal as a JSON value, whatever it has.

mod compose;
mod lookup;

use std::borrow::Cow;

use super::error::Malformed;
use super::header::members;
use super::scanner::{Scanner, unescape};

pub use compose::compose;
pub use lookup::{find, scalar_text};

/// The text columns, in the order in which tables have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The account.
    Did,
    /// The kind of the event.
    Kind,
    /// What a commit does.
    Operation,
    /// A commit's collection.
    Collection,
    /// A commit's record key.
    Rkey,
    /// The revision of a commit or a sync.
    Rev,
    /// The CID of a commit's record.
    Cid,
    /// A commit's record, as JSON text.
    Record,
    /// Why an account is not active.
    Status,
    /// The handle of an identity event.
    Handle,
    /// All members without a column, as the JSON text of an object.
    Extra,
}

/// How many text columns there are.
pub const TEXTS: usize = Text::Extra as usize + 1;

/// The columns of one event. A value that is missing, or of another type, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventColumns<'a> {
    /// `cursor`, if it is a positive number.
    pub seq: Option<i64>,
    /// `time_us`.
    pub time_us: Option<i64>,
    /// `account.active`.
    pub active: Option<bool>,
    texts: [Option<Cow<'a, str>>; TEXTS],
}

impl<'a> EventColumns<'a> {
    /// Returns a text column.
    #[must_use]
    pub fn text(&self, column: Text) -> Option<&str> {
        self.texts.get(column as usize).and_then(Option::as_deref)
    }

    /// Returns all text columns in their order.
    pub fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.texts.iter().map(Option::as_deref)
    }

    /// Sets a text column.
    pub fn set_text(&mut self, column: Text, value: Option<Cow<'a, str>>) {
        if let Some(slot) = self.texts.get_mut(column as usize) {
            *slot = value;
        }
    }
}

/// Takes one event apart.
///
/// # Errors
/// [`Malformed`] unless the line is one balanced object, as for [`super::header::parse`], with `did`
/// and `time_us`. Fails for the native format of v2, which has neither a `time_us` nor a `kind`.
pub fn parse(line: &[u8]) -> Result<EventColumns<'_>, Malformed> {
    let mut scanner = Scanner::new(line)?;
    let mut draft = Draft::default();
    members(&mut scanner, "a JSON object expected", |scanner, key| draft.take(scanner, key))?;
    scanner.end()?;
    draft.finish()
}

/// The members of one object: those with a column, as raw values, and the rest of the text.
struct Members<'a, const N: usize> {
    known: [Option<&'a str>; N],
    unknown: String,
}

impl<'a, const N: usize> Members<'a, N> {
    fn new() -> Self {
        Self { known: [None; N], unknown: String::new() }
    }

    /// Reads the members of an object. Of equal names the last one counts.
    fn read(scanner: &mut Scanner<'a>, names: [&str; N]) -> Result<Self, Malformed> {
        let mut found = Self::new();
        members(scanner, "an object expected", |scanner, key| {
            let raw = raw_value(scanner)?;
            match names.iter().position(|name| *name == key).and_then(|i| found.known.get_mut(i)) {
                Some(slot) => *slot = Some(raw),
                None => push_member(&mut found.unknown, key, raw),
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Takes the member at `index` as a string; one of another type stays.
    fn text(&mut self, index: usize) -> Option<Cow<'a, str>> {
        let slot = self.known.get_mut(index)?;
        let text = string_value((*slot)?)?;
        *slot = None;
        Some(text)
    }

    /// Takes the member at `index` as raw JSON.
    fn raw(&mut self, index: usize) -> Option<Cow<'a, str>> {
        self.known.get_mut(index)?.take().map(Cow::Borrowed)
    }

    /// Returns what was not taken, as the inside of an object.
    fn rest(self, names: [&str; N]) -> String {
        let mut rest = String::new();
        for (name, raw) in names.iter().zip(self.known) {
            if let Some(raw) = raw {
                push_member(&mut rest, name, raw);
            }
        }
        if !rest.is_empty() && !self.unknown.is_empty() {
            rest.push(',');
        }
        rest.push_str(&self.unknown);
        rest
    }
}

const COMMIT: [&str; 6] = ["rev", "operation", "collection", "rkey", "record", "cid"];
const IDENTITY: [&str; 1] = ["handle"];
const ACCOUNT: [&str; 2] = ["active", "status"];
const SYNC: [&str; 1] = ["rev"];

/// A payload: its members if it is an object, else its raw value.
enum Payload<'a, const N: usize> {
    Missing,
    Object(Members<'a, N>),
    Other(&'a str),
}

impl<'a, const N: usize> Payload<'a, N> {
    fn read(scanner: &mut Scanner<'a>, names: [&str; N]) -> Result<Self, Malformed> {
        match scanner.peek() {
            Some(b'{') => Members::read(scanner, names).map(Self::Object),
            _ => raw_value(scanner).map(Self::Other),
        }
    }

    fn members(&mut self) -> Option<&mut Members<'a, N>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Appends to `extra` what was not taken. An empty object is kept if none of its members has a
    /// column, because nothing else shows that it was there.
    fn finish(self, extra: &mut String, name: &str, names: [&str; N], has_columns: bool) {
        match self {
            Self::Missing => {}
            Self::Other(raw) => push_member(extra, name, raw),
            Self::Object(members) => {
                let rest = members.rest(names);
                if !rest.is_empty() || !has_columns {
                    push_member(extra, name, &format!("{{{rest}}}"));
                }
            }
        }
    }
}

struct Draft<'a> {
    /// `did`, `time_us`, `cursor` and `kind`.
    header: Members<'a, 4>,
    commit: Payload<'a, 6>,
    identity: Payload<'a, 1>,
    account: Payload<'a, 2>,
    sync: Payload<'a, 1>,
}

const HEADER: [&str; 4] = ["did", "time_us", "cursor", "kind"];

impl Default for Draft<'_> {
    fn default() -> Self {
        Self {
            header: Members::new(),
            commit: Payload::Missing,
            identity: Payload::Missing,
            account: Payload::Missing,
            sync: Payload::Missing,
        }
    }
}

impl<'a> Draft<'a> {
    fn take(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Result<(), Malformed> {
        match key {
            "commit" => self.commit = Payload::read(scanner, COMMIT)?,
            "identity" => self.identity = Payload::read(scanner, IDENTITY)?,
            "account" => self.account = Payload::read(scanner, ACCOUNT)?,
            "sync" => self.sync = Payload::read(scanner, SYNC)?,
            _ => {
                let raw = raw_value(scanner)?;
                let place = HEADER.iter().position(|name| *name == key);
                match place.and_then(|i| self.header.known.get_mut(i)) {
                    Some(slot) => *slot = Some(raw),
                    None => push_member(&mut self.header.unknown, key, raw),
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<EventColumns<'a>, Malformed> {
        let mut columns = EventColumns::default();
        let [_, time_us, cursor, _] = self.header.known;
        columns.time_us = time_us.and_then(|raw| raw.parse().ok()).filter(|time| *time >= 0);
        columns.seq = cursor.and_then(|raw| raw.parse().ok()).filter(|seq| *seq > 0);
        for (index, is_taken) in [(1, columns.time_us.is_some()), (2, columns.seq.is_some())] {
            if let Some(slot) = self.header.known.get_mut(index).filter(|_| is_taken) {
                *slot = None;
            }
        }
        columns.set_text(Text::Did, self.header.text(0));
        columns.set_text(Text::Kind, self.header.text(3));
        let missing = |what| Malformed { what, at: 0 };
        columns.text(Text::Did).ok_or_else(|| missing("no member did"))?;
        // A time after the year 292,000 stays in `extra`.
        let is_time = |raw: &str| raw.parse::<u64>().is_ok();
        if !time_us.is_some_and(is_time) {
            return Err(missing("no member time_us, or it is no whole number"));
        }
        self.payloads(&mut columns);
        Ok(columns)
    }

    fn payloads(mut self, columns: &mut EventColumns<'a>) {
        let is_sync = columns.text(Text::Kind) == Some("sync");
        let mut of_commit = 0;
        if let Some(members) = self.commit.members() {
            for (index, column) in
                [(1, Text::Operation), (2, Text::Collection), (3, Text::Rkey), (5, Text::Cid)]
            {
                columns.set_text(column, members.text(index));
                of_commit += u32::from(columns.text(column).is_some());
            }
            columns.set_text(Text::Record, members.raw(4));
            of_commit += u32::from(columns.text(Text::Record).is_some());
            if !is_sync {
                columns.set_text(Text::Rev, members.text(0));
                of_commit += u32::from(columns.text(Text::Rev).is_some());
            }
        }
        if let Some(members) = self.sync.members().filter(|_| is_sync) {
            columns.set_text(Text::Rev, members.text(0));
        }
        if let Some(members) = self.identity.members() {
            columns.set_text(Text::Handle, members.text(0));
        }
        if let Some(members) = self.account.members() {
            columns.active = members.known.first().copied().flatten().and_then(|raw| match raw {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            });
            if let Some(slot) = members.known.first_mut().filter(|_| columns.active.is_some()) {
                *slot = None;
            }
            columns.set_text(Text::Status, members.text(1));
        }
        let mut extra = self.header.rest(HEADER);
        let has = |column| columns.text(column).is_some();
        let has_account = columns.active.is_some() || has(Text::Status);
        let has_sync = is_sync && has(Text::Rev);
        self.commit.finish(&mut extra, "commit", COMMIT, of_commit > 0);
        self.identity.finish(&mut extra, "identity", IDENTITY, has(Text::Handle));
        self.account.finish(&mut extra, "account", ACCOUNT, has_account);
        self.sync.finish(&mut extra, "sync", SYNC, has_sync);
        if !extra.is_empty() {
            columns.set_text(Text::Extra, Some(Cow::Owned(format!("{{{extra}}}"))));
        }
    }
}

/// Skips one value, and returns its text.
fn raw_value<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, Malformed> {
    let from = scanner.offset();
    scanner.skip_value()?;
    Ok(scanner.text_since(from))
}

/// Returns what a raw value stands for, if it is a string with valid escapes.
fn string_value(raw: &str) -> Option<Cow<'_, str>> {
    let body = raw.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', body.as_bytes()) {
        None => Some(Cow::Borrowed(body)),
        Some(_) => unescape(body).map(Cow::Owned),
    }
}

/// Appends one member to the inside of an object.
fn push_member(inside: &mut String, key: &str, raw: &str) {
    if !inside.is_empty() {
        inside.push(',');
    }
    compose::push_string(inside, key);
    inside.push(':');
    inside.push_str(raw);
}

#[cfg(test)]
mod tests;
