//! Builds the mutations: a copy of the sources with all mutations in it, under another package
//! name, so that it replaces nothing and reuses all dependencies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::table::{Edit, Mutation};

/// The environment variable that selects the mutation of a process.
pub const VARIABLE: &str = "SKYTAIL_MUTANT";

/// Appended to the copy of lib.rs.
const SWITCH: &str = r#"
/// Returns whether this process is that mutation.
pub fn is_mutant(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("SKYTAIL_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// The beginning of an anchor comment.
const ANCHOR: &str = "// mutant: ";

/// Returns the changed sources by path. Fails when an anchor is missing, repeated or without a
/// mutation, or when an edit no longer fits its line.
pub fn mutated(sources: &Path, mutations: &[Mutation]) -> BTreeMap<PathBuf, String> {
    let mut pending: BTreeMap<&str, &Mutation> =
        mutations.iter().map(|mutation| (mutation.name, mutation)).collect();
    assert_eq!(pending.len(), mutations.len(), "two mutations have one name");
    let mut changed = BTreeMap::new();
    for path in rust_files(sources) {
        let text = std::fs::read_to_string(&path).expect("read a source file");
        if !text.contains(ANCHOR) {
            continue;
        }
        let mut lines: Vec<String> = Vec::new();
        let mut edit = None;
        for line in text.lines() {
            if let Some(name) = line.trim_start().strip_prefix(ANCHOR) {
                let mutation = pending.remove(name).unwrap_or_else(|| {
                    panic!("{}: no mutation, or a second anchor: {line}", path.display())
                });
                edit = Some(mutation);
            } else if let Some(mutation) = edit.take() {
                lines.push(apply(mutation, line));
            } else {
                lines.push(line.to_owned());
            }
        }
        changed.insert(path, lines.join("\n") + "\n");
    }
    let missing: Vec<_> = pending.into_keys().collect();
    assert!(missing.is_empty(), "no line of the sources is marked `{ANCHOR}NAME` for {missing:?}");
    changed
}

fn apply(mutation: &Mutation, line: &str) -> String {
    let condition = format!(r#"crate::is_mutant("{}")"#, mutation.name);
    let with_condition = |text: &str| {
        assert!(text.contains("MUTANT"), "{}: the edit has no MUTANT", mutation.name);
        text.replace("MUTANT", &condition)
    };
    match mutation.edit {
        Edit::Insert(text) => format!("{}\n{line}", with_condition(text)),
        Edit::Replace { old, new } => {
            let found = line.matches(old).count();
            assert_eq!(found, 1, "{}: {old:?} occurs {found} times in: {line}", mutation.name);
            line.replace(old, &with_condition(new))
        }
    }
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("list a directory") {
        let path = entry.expect("read a directory entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Builds the program that can be any of the mutations, and returns its path.
pub fn all(mutations: &[Mutation]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = Path::new(env!("CARGO_BIN_EXE_skytail"));
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let sources = copy.join("src");
    // A file that was removed from the sources must be removed from the copy.
    let _ = std::fs::remove_dir_all(&sources);
    copy_directory(&root.join("src"), &sources);
    // The manifest names these; they are never built.
    copy_directory(&root.join("benches"), &copy.join("benches"));
    std::fs::create_dir_all(copy.join("tests")).expect("make a directory");
    std::fs::copy(root.join("tests/unmet.rs"), copy.join("tests/unmet.rs")).expect("copy a file");
    for (path, text) in mutated(&sources, mutations) {
        std::fs::write(path, text).expect("write a mutated file");
    }
    let library = sources.join("lib.rs");
    let text = std::fs::read_to_string(&library).expect("read lib.rs") + SWITCH;
    std::fs::write(library, text).expect("write lib.rs");
    let name = |file: &str| {
        let text = std::fs::read_to_string(root.join(file)).expect(file);
        text.replacen("name = \"skytail\"", "name = \"skytail-mutant\"", usize::MAX)
    };
    let manifest = name("Cargo.toml") + "\n[lib]\nname = \"skytail\"\n";
    std::fs::write(copy.join("Cargo.toml"), manifest).expect("write Cargo.toml");
    std::fs::write(copy.join("Cargo.lock"), name("Cargo.lock")).expect("write Cargo.lock");
    compile(&copy, ours)
}

fn compile(copy: &Path, ours: &Path) -> PathBuf {
    let profile = ours.parent().expect("a profile's directory");
    let target = profile.parent().expect("the target directory");
    let mut cargo = Command::new(env!("CARGO"));
    // A test target makes cargo use the features of the development dependencies, too. With other
    // features than those of this test, cargo would build most dependencies again.
    cargo.args(["build", "--offline", "--locked", "--bin", "skytail-mutant", "--test", "unmet"]);
    cargo.arg("--manifest-path").arg(copy.join("Cargo.toml")).arg("--target-dir").arg(target);
    let features = [("kafka", cfg!(feature = "kafka")), ("nats", cfg!(feature = "nats"))];
    let features = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name);
    cargo.args(["--features", &features.collect::<Vec<_>>().join(",")]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("run cargo");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    profile.join(format!("skytail-mutant{}", std::env::consts::EXE_SUFFIX))
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make a directory");
    for entry in std::fs::read_dir(from).expect("list a directory") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy_directory(&path, &to),
            false => drop(std::fs::copy(&path, to).expect("copy a file")),
        }
    }
}
