//! Builds the mutations: a copy of the sources with all of them in it, under another name, so
//! that nothing of ours is overwritten and every dependency is used again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::table::Mutation;

/// The variable that says which mutation a program is.
pub const VARIABLE: &str = "SKYTAIL_MUTANT";

/// What every copy of the library gets.
const SWITCH: &str = r#"
/// Whether this process is that mutation.
pub fn is_mutant(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("SKYTAIL_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// The changed sources, by their path.
pub fn mutated(root: &Path, mutations: &[Mutation]) -> BTreeMap<&'static str, String> {
    let mut files = BTreeMap::new();
    for mutation in mutations {
        for edit in mutation.edits {
            let read = || std::fs::read_to_string(root.join(edit.file)).expect(edit.file);
            let text: &mut String = files.entry(edit.file).or_insert_with(read);
            let found = text.matches(edit.old).count();
            assert_eq!(
                found, 1,
                "mutation {:?}: {:?} stands {found} times in {}: bring the table up to date",
                mutation.name, edit.old, edit.file
            );
            *text = text.replacen(edit.old, edit.new, 1);
        }
    }
    files
}

/// Builds a program that is any of the mutations, and returns its path.
pub fn all(mutations: &[Mutation]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = Path::new(env!("CARGO_BIN_EXE_skytail"));
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let sources = copy.join("src");
    // Whatever has gone from our sources must go from the copy.
    let _ = std::fs::remove_dir_all(&sources);
    copy_directory(&root.join("src"), &sources);
    // Named in the manifest, and never built.
    copy_directory(&root.join("benches"), &copy.join("benches"));
    for (file, text) in mutated(root, mutations) {
        std::fs::write(copy.join(file), text).expect("write a mutated file");
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
    cargo.args(["build", "--offline", "--locked", "--bin", "skytail-mutant", "--manifest-path"]);
    cargo.arg(copy.join("Cargo.toml")).arg("--target-dir").arg(target);
    // Those that this was built with: with others every dependency would be built anew.
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
