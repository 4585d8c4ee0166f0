//! The output of `-V` and `--version`: the version, the commit, the target and the libraries.

use std::fmt::Write as _;

/// Returns one line without the program's name: `0.1.0 (abc1234de 2026-11-26)`. A build from a
/// tarball without a commit, and a debug build, omit the commit.
pub fn short() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let about = match (env!("BUILD_COMMIT"), env!("BUILD_PROFILE")) {
        ("", "debug") => "debug build",
        (commit, _) => commit,
    };
    match about {
        "" => version.to_owned(),
        about => format!("{version} ({about})"),
    }
}

/// Returns [`short`] with a list of target, features, protocols and libraries.
pub fn long() -> String {
    let mut text = short();
    let features = match env!("BUILD_FEATURES") {
        "" => "none",
        features => features,
    };
    let facts = [
        ("target", env!("BUILD_TARGET").to_owned()),
        ("features", features.to_owned()),
        ("protocols", "Jetstream v1 and v2, with zstd; the archive of v2".to_owned()),
        (
            "libraries",
            format!(
                "SQLite {}, zstd {}, rustls with ring",
                rusqlite::version(),
                zstd::zstd_safe::version_string()
            ),
        ),
    ];
    for (name, value) in facts {
        // Writing to a String can't fail.
        let _ = write!(text, "\n{:<11}{value}", format!("{name}:"));
    }
    text
}
