//! A cache of the dictionaries of v2 servers, by ID, in the directory of the v1 dictionary.
//! Each is checked when it is loaded. A lost one costs a download and nothing else, so no function
//! here returns an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::dictionary::{self, Dictionary, OFFICIAL_ID};

/// Most files that are examined.
const MAX_FILES: usize = 64;

/// The cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// `None` if the user has no home directory.
    directory: Option<PathBuf>,
}

impl Cache {
    /// Returns the cache of the user.
    #[must_use]
    pub fn of_user() -> Self {
        Self { directory: dictionary::directory().ok() }
    }

    /// Returns a cache in a directory.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory: Some(directory) }
    }

    /// Returns the dictionary of this ID if it is cached and valid.
    #[must_use]
    pub fn load(&self, id: u32) -> Option<Dictionary> {
        let path = self.directory.as_ref()?.join(dictionary::file_name(id));
        load_checked(&path, id)
    }

    /// Returns the v2 dictionary that was stored last, most likely a server's current one.
    #[must_use]
    pub fn newest(&self) -> Option<Dictionary> {
        let entries = fs::read_dir(self.directory.as_ref()?).ok()?;
        let candidate = |path: PathBuf| -> Option<(SystemTime, u32, PathBuf)> {
            let id: u32 = path.file_name()?.to_str()?.strip_suffix(".zdict")?.parse().ok()?;
            let kept_at = fs::metadata(&path).ok()?.modified().ok()?;
            (id != OFFICIAL_ID).then_some((kept_at, id, path))
        };
        let entries = entries.take(MAX_FILES).filter_map(Result::ok);
        let mut found: Vec<_> = entries.filter_map(|entry| candidate(entry.path())).collect();
        found.sort();
        found.into_iter().rev().find_map(|(_, id, path)| load_checked(&path, id))
    }

    /// Keeps a dictionary.
    pub fn keep(&self, dictionary: &Dictionary) {
        let Some(directory) = &self.directory else { return };
        let path = directory.join(dictionary::file_name(dictionary.id));
        if let Err(error) = dictionary::install(dictionary, &path) {
            tracing::debug!("{error}; it will be fetched again");
        }
    }
}

fn load_checked(path: &Path, id: u32) -> Option<Dictionary> {
    match dictionary::load(path) {
        Ok(dictionary) => Some(dictionary).filter(|dictionary| dictionary.id == id),
        Err(error) => {
            tracing::debug!("{error}; it will be fetched again");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(id: u32) -> Dictionary {
        let samples: Vec<String> = (0..500).map(|n| format!("{{\"time_us\":{n}}}")).collect();
        let mut bytes = zstd::dict::from_samples(&samples, 4096).unwrap();
        bytes[4..8].copy_from_slice(&id.to_le_bytes());
        Dictionary::check(bytes).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_by_id_and_as_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("a/b"));
        assert_eq!((cache.load(7), cache.newest()), (None, None));
        cache.keep(&trained(7));
        assert_eq!(cache.load(7), Some(trained(7)));
        assert_eq!(cache.newest(), Some(trained(7)));
        assert_eq!(cache.load(8), None);
    }

    #[test]
    fn what_was_damaged_or_misnamed_counts_as_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().to_owned());
        cache.keep(&trained(7));
        let path = |name: &str| directory.path().join(name);
        fs::copy(path("7.zdict"), path("8.zdict")).unwrap();
        fs::write(path("9.zdict"), "damaged").unwrap();
        assert_eq!((cache.load(8), cache.load(9)), (None, None));
        assert_eq!(cache.newest(), Some(trained(7)));
    }
}
