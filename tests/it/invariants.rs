//! Compares `docs/internals/invariants.md` with the tests and the mutations that it lists, in both
//! directions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the page lists for one invariant.
#[derive(Default)]
struct Guards {
    tests: BTreeSet<String>,
    mutations: BTreeSet<String>,
}

/// Returns the folder of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Parses the page: the guards of each `INV-n`.
fn listed() -> BTreeMap<String, Guards> {
    let page = std::fs::read_to_string(root().join("docs/internals/invariants.md")).unwrap();
    let mut all = BTreeMap::<String, Guards>::new();
    let mut current = None;
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let name = title.split(':').next().unwrap().to_owned();
            assert!(!all.contains_key(&name), "{name} is defined twice");
            all.insert(name.clone(), Guards::default());
            current = Some(name);
            continue;
        }
        let item = |kind: &str| {
            let rest = line.strip_prefix(kind)?;
            Some(rest.trim().trim_matches('`').to_owned())
        };
        let guards = current.as_ref().and_then(|name| all.get_mut(name));
        if let Some(test) = item("- test:") {
            guards.expect("below an invariant").tests.insert(test);
        } else if let Some(mutation) = item("- mutation:") {
            guards.expect("below an invariant").mutations.insert(mutation);
        }
    }
    all
}

/// Adds the Rust files below a folder.
pub fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the tests that carry the comment, as (invariant, `file::test`).
fn commented() -> BTreeSet<(String, String)> {
    let tests = root().join("tests");
    let mut files = Vec::new();
    rust_files(&tests, &mut files);
    let mut found = BTreeSet::new();
    for path in files.iter().filter(|path| !path.ends_with("invariants.rs")) {
        let file = path.strip_prefix(&tests).unwrap().to_str().unwrap().to_owned();
        let source = std::fs::read_to_string(path).unwrap();
        let mut pending: Option<&str> = None;
        for line in source.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("// Guards ") {
                pending = Some(name.trim_end_matches('.'));
            } else if let Some(rest) = line.strip_prefix("fn ")
                && let Some(name) = pending.take()
            {
                let test = rest.split('(').next().unwrap();
                found.insert((name.to_owned(), format!("{file}::{test}")));
            }
        }
    }
    found
}

#[test]
fn each_invariant_lists_the_tests_that_carry_its_number() {
    let listed = listed();
    assert!(listed.len() >= 9, "the page has {} invariants", listed.len());
    for (name, guards) in &listed {
        assert!(!guards.tests.is_empty(), "{name} has no test");
    }
    let on_page: BTreeSet<_> = listed
        .iter()
        .flat_map(|(name, guards)| guards.tests.iter().map(|test| (name.clone(), test.clone())))
        .collect();
    let in_tests = commented();
    let missing: Vec<_> = on_page.difference(&in_tests).collect();
    let unlisted: Vec<_> = in_tests.difference(&on_page).collect();
    assert!(missing.is_empty(), "listed, but no test carries the comment: {missing:?}");
    assert!(unlisted.is_empty(), "tests carry the comment, but the page has no line: {unlisted:?}");
}

#[test]
fn each_mutation_is_listed_once() {
    let table = std::fs::read_to_string(root().join("tests/mutations/table.rs")).unwrap();
    let names = table.lines().filter_map(|line| line.trim().strip_prefix("name: \""));
    let in_table: BTreeSet<_> =
        names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    let on_page: Vec<_> = listed().into_values().flat_map(|guards| guards.mutations).collect();
    let distinct: BTreeSet<_> = on_page.iter().cloned().collect();
    assert_eq!(on_page.len(), distinct.len(), "a mutation is listed under two invariants");
    assert_eq!(distinct, in_table);
}
