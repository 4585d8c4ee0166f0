//! Checks the structure of the sources: the direction of imports, and the length of files and
//! functions. It reads the sources as text, so it needs the formatting of rustfmt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::invariants::{root, rust_files};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;

/// Returns the files below these folders, with their paths below the root and their texts.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders {
        rust_files(&root().join(folder), &mut files);
    }
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        (name, std::fs::read_to_string(path).unwrap())
    };
    let is_built = |name: &str| name.split('/').any(|part| part == "target");
    files.iter().map(read).filter(|(name, _)| !is_built(name)).collect()
}

/// Returns the row of each module in the picture that follows `heading`, from 0 at the top.
/// `prefix` is what each line of the picture begins with.
fn rows(page: &str, heading: &str, prefix: &str) -> BTreeMap<String, usize> {
    let rest = page.split_once(heading).unwrap_or_else(|| panic!("no {heading:?}")).1;
    let picture = rest.split("```").nth(1).expect("a picture").trim_start_matches("text");
    let mut rows = BTreeMap::new();
    let lines = picture.lines().filter_map(|line| line.trim().strip_prefix(prefix.trim()));
    for (row, line) in lines.filter(|line| !line.trim().is_empty()).enumerate() {
        for module in line.split_whitespace() {
            assert!(rows.insert(module.to_owned(), row).is_none(), "{module} is there twice");
        }
    }
    rows
}

fn documented_rows() -> BTreeMap<String, usize> {
    let path = root().join("docs/internals/architecture.md");
    rows(&std::fs::read_to_string(path).unwrap(), "## Import order\n", "")
}

/// Returns the top-level modules that the code of a file names after `crate::`.
fn imported(source: &str) -> BTreeSet<String> {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, text) in code.match_indices("crate::") {
        let rest = &code[at + text.len()..];
        let is_other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        match rest.strip_prefix('{') {
            None => {
                found.extend(rest.split(is_other).next().map(str::to_owned));
            }
            Some(list) => found.extend(first_names(list)),
        }
    }
    found.remove("");
    found
}

/// Returns the first name of each item of a list of imports, whose opening brace is not in `list`.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut begins, mut names) = (0, true, vec![String::new()]);
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(String::new());
                begins = true;
            }
            c if c.is_whitespace() => {}
            c if begins && (c.is_ascii_alphanumeric() || c == '_') => {
                names.last_mut().unwrap().push(c);
            }
            _ => begins = false,
        }
    }
    names
}

#[test]
fn imports_are_recognised() {
    let source = "use crate::a::B;\nuse crate::{b, c::{D, e::F}, g::H};\n// crate::no\nfn f(x: crate::i::J) {}\n\
                  pub(crate) use self::x;";
    let expected = ["a", "b", "c", "g", "i"].map(str::to_owned);
    assert_eq!(imported(source), BTreeSet::from(expected));
}

#[test]
fn imports_point_down() {
    let rows = documented_rows();
    let mut wrong = Vec::new();
    for (name, source) in sources(&["src"]) {
        let module = name["src/".len()..].split('/').next().unwrap().trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some(row) = rows.get(module) else {
            wrong.push(format!("{name}: {module} is not in the picture of the import order"));
            continue;
        };
        let imported = imported(&source);
        for other in imported.iter().filter(|other| *other != module) {
            match rows.get(other) {
                Some(other_row) if other_row > row => {}
                Some(_) => {
                    wrong.push(format!("{name} imports {other}, which is not below {module}"))
                }
                None => wrong.push(format!("{name} imports {other}, which is not in the picture")),
            }
        }
    }
    assert!(wrong.is_empty(), "see docs/internals/architecture.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_crate_has_the_documented_import_order() {
    let page = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let documented = documented_rows();
    assert_eq!(rows(&page, "rows below its own:\n", "//!"), documented);
    let declared = page.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let declared: BTreeSet<&str> = declared.map(|name| name.trim_end_matches(';')).collect();
    assert_eq!(declared, documented.keys().map(String::as_str).collect());
}

/// Returns the name and the number of lines of each function: from its signature to the brace with
/// the same indentation.
fn functions(source: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let is_signature = before.split_whitespace().all(|word| {
            let qualifiers = ["pub", "const", "async", "unsafe", "extern", "\"C\""];
            qualifiers.contains(&word) || word.starts_with("pub(") || word == "super)"
        });
        if !is_signature {
            continue;
        }
        let name = after.split(['(', '<']).next().unwrap();
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let body = lines[at..].iter();
        let length = body.take_while(|line| **line != end && !ends_at_once(line, code)).count() + 1;
        found.push((name, length));
    }
    found
}

/// Returns whether a function ends in this line: it has no body, or its body is in this line.
fn ends_at_once(line: &str, signature: &str) -> bool {
    line.trim_start() == signature && (line.ends_with('}') || line.ends_with(';'))
}

#[test]
fn functions_are_recognised() {
    let source = "fn a() {\n    x();\n}\n\nimpl B {\n    pub(crate) async fn c(\n        d: u8,\n    ) {\n        e();\n    }\n\
                  \n    fn f() {}\n}\n";
    assert_eq!(functions(source), [("a", 3), ("c", 5), ("f", 1)]);
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for (name, source) in sources(&["src", "tests", "benches", "fuzz", "loom"]) {
        let lines = source.lines().count();
        if lines > MAX_FILE_LINES {
            wrong.push(format!(
                "{name} has {lines} lines, and at most {MAX_FILE_LINES} are allowed"
            ));
        }
        for (function, lines) in functions(&source) {
            if lines > MAX_FUNCTION_LINES {
                wrong.push(format!(
                    "{name}: {function} has {lines} lines, and at most {MAX_FUNCTION_LINES} are allowed"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
