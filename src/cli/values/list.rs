//! Lists of values, some of which may stand in files: `-d did:plc:…`, `-d @dids.txt`.
//!
//! Responsible for reading those files and for saying where a bad value came from. What makes
//! a value good is the caller's business.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Most bytes read of one file. 10 000 DIDs of the usual sort take 330 kB.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Where one entry of a list was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the flag itself (or in what stands for it).
    Value,
    /// In a file, at a line counted from 1.
    Line(PathBuf, usize),
}

impl fmt::Display for Place {
    /// Nothing for a value; `FILE, line N: ` for a line, to be put before a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => Ok(()),
            Self::Line(path, line) => write!(f, "{}, line {line}: ", path.display()),
        }
    }
}

/// Why a list was refused.
#[derive(Debug, thiserror::Error)]
pub enum ListError<E> {
    /// The file named with `@` could not be read.
    #[error("can't read {}: {error}; write @ and the path of a text file with one value a line", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is larger than any list of this sort can be.
    #[error("{} is larger than 32 MiB: this is no list of values, one a line", .0.display())]
    TooLarge(PathBuf),
    /// The file holds nothing but blank lines and comments: an empty list would mean
    /// "everything", which is hardly what was meant.
    #[error("{} holds no value: write one a line, or leave the flag out to get everything", .0.display())]
    Empty(PathBuf),
    /// One value is wrong.
    #[error("{place}{error}")]
    Value {
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        error: E,
    },
    /// More values than a server takes.
    #[error(
        "{count} values after removing duplicates, and Jetstream takes at most {most}: list fewer, or leave the flag out and filter what skytail prints"
    )]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

/// Reads the list: values with `@FILE` replaced by the lines of the file (blank lines and
/// lines that start with `#` left out), checked, in the order given, each once. At most `most`
/// distinct ones.
///
/// # Errors
/// The first thing that is wrong, as [`ListError`].
pub fn read_list<E>(
    values: &[String],
    most: usize,
    check: impl Fn(&str) -> Result<(), E>,
) -> Result<Vec<String>, ListError<E>> {
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    let mut add = |value: &str, place: Place| {
        check(value).map_err(|error| ListError::Value { place, error })?;
        if seen.insert(value.to_owned()) {
            list.push(value.to_owned());
        }
        Ok(())
    };
    for value in values {
        let Some(path) = value.strip_prefix('@') else {
            add(value, Place::Value)?;
            continue;
        };
        let path = PathBuf::from(path);
        let text = read_file(&path)?;
        let mut any = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            add(line, Place::Line(path.clone(), index + 1))?;
            any = true;
        }
        if !any {
            return Err(ListError::Empty(path));
        }
    }
    if list.len() > most {
        return Err(ListError::TooMany { count: list.len(), most });
    }
    Ok(list)
}

/// The text of a list file. A byte order mark, as Windows editors write it, is no part of it.
fn read_file<E>(path: &PathBuf) -> Result<String, ListError<E>> {
    let failed = |error| ListError::File { path: path.clone(), error };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ListError::TooLarge(path.clone()));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn no_spaces(value: &str) -> Result<(), String> {
        if value.contains(' ') { Err(format!("{value:?} has a space")) } else { Ok(()) }
    }

    fn file(text: &str) -> (tempfile::NamedTempFile, String) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let value = format!("@{}", file.path().display());
        (file, value)
    }

    fn read(values: &[&str], most: usize) -> Result<Vec<String>, ListError<String>> {
        let values: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
        read_list(&values, most, no_spaces)
    }

    #[test]
    fn mixes_values_and_files_and_keeps_each_once() {
        let (_file, at) = file("\u{feff}b\r\n\n  # a comment\n c \nb\n");
        assert_eq!(read(&["a", &at, "c", "d"], 4).unwrap(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_bad_line_is_named_with_its_file() {
        let (file, at) = file("# head\n\ngood\nnot good\n");
        let error = read(&[&at], 9).unwrap_err().to_string();
        let wanted = format!("{}, line 4: \"not good\" has a space", file.path().display());
        assert_eq!(error, wanted);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(&["@/nowhere/dids.txt"], 9).unwrap_err().to_string();
        assert!(error.starts_with("can't read /nowhere/dids.txt: "), "{error}");
    }

    #[test]
    fn an_empty_file_is_not_silently_everything() {
        let (_file, at) = file("# only a comment\n");
        assert!(matches!(read(&[&at], 9), Err(ListError::Empty(_))));
    }

    #[test]
    fn the_limit_counts_distinct_values() {
        assert!(read(&["a", "b", "a", "b"], 2).is_ok());
        assert!(matches!(read(&["a", "b", "c"], 2), Err(ListError::TooMany { count: 3, most: 2 })));
    }
}
