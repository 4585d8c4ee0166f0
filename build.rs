//! Passes the commit, the target and the features of the build to the program. Without git or a
//! repository it passes no commit.
//!
//! It sets variables that begin with `BUILD_`, and not with `SKYTAIL_`: cargo sets them also for
//! the programs that it runs, and variables with `SKYTAIL_` are the program's flags.
//!
//! Only release builds look for it, so that a commit does not rebuild every test. A build from
//! the crate's tarball takes it from cargo's own note in there.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SKYTAIL_BUILD_COMMIT");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let commit = match variable("SKYTAIL_BUILD_COMMIT") {
        given if !given.is_empty() => Some(given),
        _ if variable("PROFILE") != "release" => None,
        _ => noted().or_else(asked),
    };
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.unwrap_or_default());
    println!("cargo::rustc-env=BUILD_TARGET={}", variable("TARGET"));
    println!("cargo::rustc-env=BUILD_PROFILE={}", variable("PROFILE"));
    let features = std::env::vars().filter_map(|(name, _)| {
        let feature = name.strip_prefix("CARGO_FEATURE_")?;
        Some(feature.to_ascii_lowercase().replace('_', "-"))
    });
    let mut features: Vec<String> = features.collect();
    features.sort_unstable();
    println!("cargo::rustc-env=BUILD_FEATURES={}", features.join(" "));
}

/// Returns the commit that `cargo package` noted, shortened; it notes no date.
fn noted() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let sha = rest.split('"').nth(1)?;
    let is_sha = sha.len() >= 9 && sha.bytes().all(|b| b.is_ascii_hexdigit());
    let dirty = if text.contains("\"dirty\": true") { "-dirty" } else { "" };
    is_sha.then(|| format!("{}{dirty}", &sha[..9]))
}

/// Returns commit and day of this directory from git. A repository that only surrounds it (say
/// an unpacked tarball in a user's home) is another project's.
fn asked() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    // A commit, a checkout and a changed file change what is to be said.
    for path in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=src");
    let commit = git(&["log", "-1", "--abbrev=9", "--format=%h %cs"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    match commit.split_once(' ') {
        Some((id, day)) if !changes.is_empty() => Some(format!("{id}-dirty {day}")),
        _ => Some(commit),
    }
}

/// Returns what git prints, or `None` if git is missing or fails.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
