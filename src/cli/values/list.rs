//! Lists of values, some of which may be in files: `-d did:plc:…`, `-d @dids.txt`. The caller
//! validates a value; an error names the file and the line of an invalid one.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Most bytes read of one file. 10,000 DIDs of average length take 330 kB.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// The location of one value of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the value of the flag.
    Value,
    /// In a file, on a line counted from 1.
    Line(PathBuf, usize),
}

impl fmt::Display for Location {
    /// Returns the prefix of a message: empty for a value of the flag, `FILE, line N: ` for a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => Ok(()),
            Self::Line(path, line) => write!(f, "{}, line {line}: ", path.display()),
        }
    }
}

/// Why a list is not valid.
#[derive(Debug, thiserror::Error)]
pub enum ListError<E> {
    /// The file named with `@` could not be read.
    #[error("can't read {}: {error}; write @ and the path of a text file with one value a line", path.display())]
    File { path: PathBuf, error: std::io::Error },
    /// The file is larger than any such list.
    #[error("{} is larger than 32 MiB: this is not a list of values, one a line", .0.display())]
    TooLarge(PathBuf),
    /// The file holds only blank lines and comments. An empty list would mean "everything", which
    /// the user can hardly intend.
    #[error("{} holds no value: write one a line, or leave the flag out to get everything", .0.display())]
    Empty(PathBuf),
    /// One value is not valid.
    #[error("{location}{error}")]
    Value { location: Location, error: E },
    /// More values than a server accepts.
    #[error(
        "{count} values after removing duplicates, and Jetstream accepts at most {max}: list fewer, or leave the flag out and filter what skytail prints"
    )]
    TooMany { count: usize, max: usize },
}

/// Returns the checked values in their order, each once, with `@FILE` replaced by the lines of the
/// file. Blank lines and lines that start with `#` are skipped. At most `max` different values.
///
/// # Errors
/// The first error.
pub fn read_list<E>(
    values: &[String],
    max: usize,
    check: impl Fn(&str) -> Result<(), E>,
) -> Result<Vec<String>, ListError<E>> {
    read_list_with(values, max, check, read_file)
}

/// As [`read_list`], with the text of each file from `read`.
///
/// # Errors
/// As [`read_list`].
pub fn read_list_with<E>(
    values: &[String],
    max: usize,
    check: impl Fn(&str) -> Result<(), E>,
    read: impl Fn(&PathBuf) -> Result<String, ListError<E>>,
) -> Result<Vec<String>, ListError<E>> {
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    let mut add = |value: &str, location: Location| {
        check(value).map_err(|error| ListError::Value { location, error })?;
        if seen.insert(value.to_owned()) {
            list.push(value.to_owned());
        }
        Ok(())
    };
    for value in values {
        let Some(path) = value.strip_prefix('@') else {
            add(value, Location::Value)?;
            continue;
        };
        let path = PathBuf::from(path);
        let text = read(&path)?;
        let mut has_value = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            add(line, Location::Line(path.clone(), index + 1))?;
            has_value = true;
        }
        if !has_value {
            return Err(ListError::Empty(path));
        }
    }
    if list.len() > max {
        return Err(ListError::TooMany { count: list.len(), max });
    }
    Ok(list)
}

/// Reads a list file. Removes a byte order mark, which Windows editors write.
///
/// # Errors
/// If the file can't be read, or is larger than any list.
pub fn read_file<E>(path: &PathBuf) -> Result<String, ListError<E>> {
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

    fn read(values: &[&str], max: usize) -> Result<Vec<String>, ListError<String>> {
        let values: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
        read_list(&values, max, no_spaces)
    }

    #[test]
    fn values_and_files_are_merged_and_each_value_kept_once() {
        let (_file, at) = file("\u{feff}b\r\n\n  # a comment\n c \nb\n");
        assert_eq!(read(&["a", &at, "c", "d"], 4).unwrap(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let (file, at) = file("# head\n\ngood\nnot good\n");
        let error = read(&[&at], 9).unwrap_err().to_string();
        let wanted = format!("{}, line 4: \"not good\" has a space", file.path().display());
        assert_eq!(error, wanted);
    }

    #[test]
    fn an_error_names_the_missing_file() {
        let error = read(&["@/nowhere/dids.txt"], 9).unwrap_err().to_string();
        assert!(error.starts_with("can't read /nowhere/dids.txt: "), "{error}");
    }

    #[test]
    fn an_empty_file_is_an_error() {
        let (_file, at) = file("# only a comment\n");
        assert!(matches!(read(&[&at], 9), Err(ListError::Empty(_))));
    }

    #[test]
    fn the_limit_counts_different_values() {
        assert!(read(&["a", "b", "a", "b"], 2).is_ok());
        assert!(matches!(read(&["a", "b", "c"], 2), Err(ListError::TooMany { count: 3, max: 2 })));
    }
}
