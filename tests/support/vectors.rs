//! Files that hold events in the formats of docs/protocol.

use std::path::{Path, PathBuf};

use super::requires;

/// Returns the files of one test: those in `tests/it/vectors`, which this repository generates,
/// and those recorded from a public server, if the directory `../shared` is present.
pub fn sets<const N: usize>(generated: [&str; N], recorded: [&str; N]) -> Vec<[PathBuf; N]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = generated.map(|name| root.join("tests/it/vectors").join(name));
    std::iter::once(generated).chain(self::recorded(recorded)).collect()
}

/// Returns files that were recorded from a public server, or `None` if any is missing here.
pub fn recorded<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocol/vectors");
    let paths = names.map(|name| directory.join(name));
    let found = paths.iter().all(|path| path.is_file()).then_some(paths);
    requires("recorded vectors in ../shared/protocol/vectors", found)
}

/// Returns the sample of v1 events: that of this repository, and the recorded one.
pub fn samples() -> Vec<PathBuf> {
    sets(["sample_v1.jsonl"], ["production_v1.jsonl"]).into_iter().map(|[path]| path).collect()
}

/// Returns the lines of a file.
pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("read a vector");
    text.lines().map(str::to_owned).collect()
}

/// Returns a dictionary with this ID, trained on a sample.
pub fn dictionary(id: u32, sample: &Path) -> Vec<u8> {
    let mut dictionary = zstd::dict::from_samples(&lines(sample), 4096).expect("train");
    // The ID follows the magic number.
    dictionary[4..8].copy_from_slice(&id.to_le_bytes());
    dictionary
}
