//! Reads the files that a round has written.

use std::path::{Path, PathBuf};

use super::profile::Round;

impl Round<'_> {
    /// Returns all output files, one after another.
    pub fn files(&self) -> Vec<u8> {
        let directory = std::fs::read_dir(self.directory.join("out")).expect("list a directory");
        let mut paths: Vec<PathBuf> =
            directory.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort_by_key(|path| file_order(path));
        let mut bytes = Vec::new();
        for path in paths {
            let file = std::fs::File::open(&path).expect("open an output");
            let extension = path.extension().unwrap_or_default();
            if extension == "zst" {
                inflate(file, &mut bytes);
            } else if extension == "parquet" {
                bytes.extend(super::parquet::lines(self.settings.client, &path));
            } else {
                std::io::Read::read_to_end(&mut { file }, &mut bytes).expect("read an output");
            }
        }
        bytes
    }
}

/// Returns the sort key of an output file: the time in its name, and the number that was added if
/// the name was taken.
fn file_order(path: &Path) -> (String, u64) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = name.split('.').map(str::to_owned);
    let stem = parts.next().unwrap_or_default();
    (stem, parts.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

fn inflate(file: std::fs::File, bytes: &mut Vec<u8>) {
    let mut decoder = zstd::stream::read::Decoder::new(file).expect("a decoder");
    std::io::Read::read_to_end(&mut decoder, bytes).expect("sound zstd to the end");
}
