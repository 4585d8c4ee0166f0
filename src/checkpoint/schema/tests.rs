use std::collections::BTreeSet;

use super::*;

/// Returns the columns of the schema as `TABLE.COLUMN TYPE`.
fn columns() -> BTreeSet<String> {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection).unwrap();
    let sql = "SELECT m.name || '.' || c.name || ' ' || c.type FROM sqlite_schema m
        JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Returns the columns that the page describes, in the same form. A section `### `TABLE`` has one
/// table row for each column.
fn documented(page: &str) -> BTreeSet<String> {
    let mut table = "";
    let mut found = BTreeSet::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("##") {
            table = heading.trim_start_matches('#').trim().trim_matches('`');
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", name, kind @ ("TEXT" | "INTEGER" | "BLOB"), _, _, ""] = cells.as_slice() {
            found.insert(format!("{table}.{} {kind}", name.trim_matches('`')));
        }
    }
    found
}

#[test]
fn the_reference_page_lists_exactly_the_columns_of_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/state-file.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (ours, documented) = (columns(), documented(&page));
    let missing: Vec<_> = ours.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&ours).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:?}, stale: {stale:?}");
    assert!(page.contains(&format!("schema version {VERSION},")), "the version on the page is old");
    assert!(page.contains(&APPLICATION_ID.to_string()), "the application id on the page is wrong");
}
