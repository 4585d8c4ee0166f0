//! Fields of `--fields` as generated columns of the table `records`.

/// What a field within the record begins with.
pub const RECORD_PREFIX: &str = "commit.record.";

/// The columns that every database has, by the names of `--fields`.
const COLUMNS: [&str; 7] =
    ["did", "time_us", "cursor", "commit.rev", "commit.collection", "commit.rkey", "commit.cid"];

/// The columns whose names a generated column can't have.
const TAKEN: [&str; 9] =
    ["id", "did", "collection", "rkey", "cid", "rev", "seq", "time_us", "record"];

/// A generated column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name: the path within the record, with `_` in place of dots.
    pub name: String,
    /// The path within the record, as SQLite's JSON functions take it.
    path: String,
    /// Whether it gets an index.
    pub is_indexed: bool,
}

/// Returns the generated column for a field.
///
/// # Errors
/// The problem with the field, as the end of a sentence that begins with the field.
pub fn column(field: &str, is_indexed: bool) -> Result<Column, &'static str> {
    if COLUMNS.contains(&field) {
        return Err("is a column of every database already: leave it out");
    }
    let Some(path) = field.strip_prefix(RECORD_PREFIX).filter(|path| !path.is_empty()) else {
        return Err(
            "is no field of a record: a database has columns for commit.record.…, such as commit.record.text",
        );
    };
    if path.split('.').any(str::is_empty) || path.contains(['"', '\0', '[', ']']) {
        return Err("is not a path to a member of the record");
    }
    let name: String =
        path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = match TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
        true => format!("record_{name}"),
        false => name,
    };
    let steps: Vec<String> = path.split('.').map(step).collect();
    Ok(Column { name, path: format!("${}", steps.concat()), is_indexed })
}

/// Returns one step of a path: a number is the index of an array.
fn step(part: &str) -> String {
    match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("[{part}]"),
        false => format!(".\"{part}\""),
    }
}

impl Column {
    /// Returns its definition.
    pub fn definition(&self) -> String {
        let path = self.path.replace('\'', "''");
        format!("\"{}\" ANY GENERATED ALWAYS AS (record ->> '{path}') VIRTUAL", self.name)
    }

    /// Returns the statement that makes its index; `None` if it has none.
    pub fn index(&self) -> Option<String> {
        let name = &self.name;
        self.is_indexed.then(|| {
            format!("CREATE INDEX IF NOT EXISTS \"records_by_{name}\" ON records (\"{name}\");")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_record_is_a_column_named_by_its_path() {
        let of = |field| column(field, true).unwrap();
        let reply = of("commit.record.reply.parent.uri");
        assert_eq!(reply.name, "reply_parent_uri");
        assert_eq!(
            reply.definition(),
            r#""reply_parent_uri" ANY GENERATED ALWAYS AS (record ->> '$."reply"."parent"."uri"') VIRTUAL"#
        );
        assert_eq!(of("commit.record.langs.0").path, r#"$."langs"[0]"#);
        assert_eq!(of("commit.record.$type").name, "_type");
        assert_eq!(of("commit.record.rev").name, "record_rev");
        assert!(column("commit.collection", true).unwrap_err().contains("already"));
        assert!(column("identity.handle", true).is_err());
        assert!(column("commit.record.a..b", true).is_err());
        assert!(column("commit.record.a\"b", true).is_err());
    }
}
