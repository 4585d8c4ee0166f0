//! The lists of `--backfill-new` at the position of a database, in two rows of `skytail_meta`: the
//! entries, one a line, those that wait for their history with the number of their addition; and how
//! far the history that is being read is in the tables.

use std::sync::Arc;

use rusqlite::Connection;

use super::error::DatabaseError;
use super::{Database, schema};
use crate::filter::additions::{Additions, AdditionsCheckpoint, List, Reached};
use crate::position::Seq;

/// The key of the row with the entries.
const LISTS: &str = "lists";

/// The key of the row with the progress: the number of the addition, the sequence number and the
/// server.
const REACHED: &str = "lists_reached";

impl Database {
    /// Sets the lists of `--backfill-new`, and how far their history is, as of the next commit.
    pub fn set_lists(&mut self, lists: Option<AdditionsCheckpoint>) {
        self.lists = lists;
    }

    /// Returns the lists at the saved position, if the last run had `--backfill-new`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn lists(&self) -> Result<Option<Additions>, DatabaseError> {
        load(&self.connection).map_err(|error| self.error(&error))
    }
}

/// Replaces what is saved; deletes it without lists. `saved` is the state that the row has.
pub fn save(
    connection: &Connection,
    lists: Option<&AdditionsCheckpoint>,
    saved: Option<&Arc<Additions>>,
) -> rusqlite::Result<()> {
    let Some(AdditionsCheckpoint { state, reached }) = lists else {
        let sql = "DELETE FROM skytail_meta WHERE key IN (?1, ?2)";
        return connection.prepare_cached(sql)?.execute((LISTS, REACHED)).map(drop);
    };
    if saved.is_none_or(|saved| !Arc::ptr_eq(saved, state)) {
        schema::put_meta(connection, LISTS, encode(state))?;
    }
    let reached = reached
        .as_ref()
        .map(|(number, Reached { server, seq })| format!("{number} {seq} {server}"));
    schema::put_meta(connection, REACHED, reached)
}

/// Reads the lists, if a run with `--backfill-new` saved them and they are valid.
pub fn load(connection: &Connection) -> rusqlite::Result<Option<Additions>> {
    let Some(entries) = schema::meta(connection, LISTS)? else { return Ok(None) };
    let reached = schema::meta(connection, REACHED)?;
    Ok(decode(&entries, reached.as_deref()))
}

fn encode(state: &Additions) -> String {
    let mut text = String::new();
    for (list, value, number) in state.entries() {
        text.extend([list.as_str(), " ", value]);
        if let Some(number) = number {
            text.extend([" ", &number.to_string()]);
        }
        text.push('\n');
    }
    text
}

fn decode(entries: &str, reached: Option<&str>) -> Option<Additions> {
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let (list, value) = (List::of_word(words.next()?)?, words.next()?.to_owned());
        let number = words.next().map(|number| number.parse().ok());
        list.check(&value).ok()?;
        match number {
            None => Some((list, value, None)),
            Some(number) => Some((list, value, Some(number?))),
        }
    };
    let entries: Option<Vec<_>> = entries.lines().map(entry).collect();
    let reached = reached.and_then(|text| {
        let mut words = text.splitn(3, ' ');
        let (number, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let server = words.next()?.to_owned();
        (seq < Seq::LIMIT).then_some((number, Reached { server, seq }))
    });
    Additions::from_entries(entries?, reached).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::additions::Lists;

    fn lists(dids: &[&str]) -> Lists {
        let dids = dids.iter().map(|did| format!("did:plc:{did}")).collect();
        Lists { collections: ["a.b.c".to_owned()].into(), dids }
    }

    #[test]
    fn lists_are_read_as_they_were_written() {
        let mut state = Additions::all_live(lists(&["a"]));
        assert_eq!(
            decode(&encode(&state), None),
            Some(Additions::restored(lists(&["a"]), [].into()))
        );
        state.update(lists(&["a", "b", "c"]), None);
        let begun = state.next().map(|addition| addition.number);
        state.update(lists(&["a", "b", "c", "d"]), begun);
        let text = encode(&state);
        assert_eq!(text.lines().count(), 5, "{text}");
        let number = begun.unwrap();
        let read = decode(&text, Some(&format!("{number} 77 a.example:80"))).unwrap();
        let reached = Some(Reached { server: "a.example:80".to_owned(), seq: 77 });
        assert_eq!(read.next().unwrap().reached, reached);
        assert_eq!(encode(&read), text);
    }

    #[test]
    fn damaged_lists_are_none() {
        for damaged in
            ["x", "did", "did x", "did did:plc:a x", "collection a.b.c 1\ndid did:plc:a 1"]
        {
            assert_eq!(decode(damaged, None), None, "{damaged:?}");
        }
        let state = decode("did did:plc:a 1", Some("1 x y")).unwrap();
        assert_eq!(state.next().unwrap().reached, None);
    }
}
