//! zstd dictionaries: where the dictionary of Jetstream v1 is stored, and the check that each
//! dictionary must pass when it is loaded. Neither skytail nor any server contains the v1
//! dictionary: `skytail dictionary install` downloads it. This module uses no network.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};
use zstd::zstd_safe::{DDict, get_dict_id_from_dict};

/// ID of the official dictionary (protocol/jetstream-v1.md §5, as are the next two).
pub const OFFICIAL_ID: u32 = 1_612_007_021;
/// Its size.
pub const OFFICIAL_SIZE_BYTES: usize = 112_640;
/// Its SHA-256.
pub const OFFICIAL_SHA256: &str =
    "b8d77b46933aceecbdd5275a01241efc985c970c78162b8150cf67a26522f70c";
/// A dictionary that skytail knows by size and hash.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Its ID.
    pub id: u32,
    /// Its size in bytes.
    pub size_bytes: usize,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: &'static str,
    /// The server kind that uses it.
    pub name: &'static str,
}

/// The known dictionaries: v1's, and that of v2 servers since 2026-08-11
/// (protocol/jetstream-v2.md §6). A server may have a newer one.
const KNOWN: [Known; 2] = [
    Known {
        id: OFFICIAL_ID,
        size_bytes: OFFICIAL_SIZE_BYTES,
        sha256: OFFICIAL_SHA256,
        name: "Jetstream v1",
    },
    Known {
        id: 20_260_811,
        size_bytes: 65_536,
        sha256: "f631a689a829b84b042ba45bcd7a7c2f792467192c5832fcfc1fc48afbec96aa",
        name: "Jetstream v2",
    },
];

/// Most bytes that are read from any source: dictionaries are around 100 KiB.
pub const MAX_SIZE_BYTES: u64 = 1 << 20;

/// How a structured zstd dictionary starts (RFC 8878 §5).
pub const MAGIC: [u8; 4] = 0xEC30_A437_u32.to_le_bytes();

/// A checked dictionary.
#[derive(Clone, PartialEq, Eq)]
pub struct Dictionary {
    /// Its ID, which is never 0.
    pub id: u32,
    /// All of it, for [`Inflater::new`](super::inflate::Inflater::new).
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// Why a dictionary can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// The file can't be read.
    #[error("the zstd dictionary {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The given file is not a usable dictionary.
    #[error("the zstd dictionary {}: {fault}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: Fault,
    },
    /// The installed file is not the official dictionary.
    #[error("the installed zstd dictionary {}: {fault}; run `skytail dictionary install` again", path.display())]
    Installed {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: Fault,
    },
    /// The dictionary can't be written.
    #[error("can't install the zstd dictionary as {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Neither `XDG_CACHE_HOME` nor a home directory is known.
    #[error(
        "no home directory is known to keep the dictionary in: set XDG_CACHE_HOME, or give --zstd-dictionary FILE"
    )]
    NoHome,
}

/// Why bytes are not a usable dictionary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They have no dictionary magic.
    #[error("it is not a zstd dictionary")]
    NotADictionary,
    /// They are more than [`MAX_SIZE_BYTES`].
    #[error("it is larger than 1 MiB, so it is not a dictionary")]
    TooLarge,
    /// zstd rejects the entropy tables.
    #[error("it starts as a zstd dictionary, but its tables are damaged")]
    Damaged,
    /// A dictionary, but not the one of Jetstream v1.
    #[error("it is another dictionary (ID {0}); Jetstream v1 uses {OFFICIAL_ID}")]
    OtherId(u32),
    /// The ID is known, but the bytes differ.
    #[error(
        "it claims to be the dictionary of {}, but has {size} bytes and the SHA-256 {sha256} instead of {} bytes and {}",
        known.name,
        known.size_bytes,
        known.sha256
    )]
    Altered {
        /// What it claims to be.
        known: &'static Known,
        /// Its size in bytes.
        size: usize,
        /// Its SHA-256.
        sha256: String,
    },
}

impl Dictionary {
    /// Accepts any structured zstd dictionary; a known ID only with the known bytes.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn check(bytes: Vec<u8>) -> Result<Self, Fault> {
        if bytes.len() as u64 > MAX_SIZE_BYTES {
            return Err(Fault::TooLarge);
        }
        let id = match get_dict_id_from_dict(&bytes) {
            Some(id) if bytes.starts_with(&MAGIC) => id.get(),
            _ => return Err(Fault::NotADictionary),
        };
        if let Some(known) = KNOWN.iter().find(|known| known.id == id) {
            let sha256 = sha256(&bytes);
            if bytes.len() != known.size_bytes || sha256 != known.sha256 {
                let size = bytes.len();
                return Err(Fault::Altered { known, size, sha256 });
            }
        }
        if DDict::try_create(&bytes).is_none() {
            return Err(Fault::Damaged);
        }
        Ok(Self { id, bytes })
    }

    /// Accepts only the official dictionary of Jetstream v1.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn check_official(bytes: Vec<u8>) -> Result<Self, Fault> {
        let dictionary = Self::check(bytes)?;
        match dictionary.id {
            OFFICIAL_ID => Ok(dictionary),
            other => Err(Fault::OtherId(other)),
        }
    }

    /// Its SHA-256 in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }
}

/// Returns the dictionary to use: the file of `--zstd-dictionary`, or else the installed one.
/// `None` when no file is given and none is installed.
///
/// # Errors
/// [`DictionaryError`] when there is one that can't be used.
pub fn find(flag: Option<&Path>) -> Result<Option<Dictionary>, DictionaryError> {
    match (flag, installed_path()) {
        (Some(path), _) => load(path).map(Some),
        (None, Ok(path)) => load_installed(&path),
        // Without a home directory nothing is installed.
        (None, Err(_)) => Ok(None),
    }
}

/// Returns where `skytail dictionary install` stores the official dictionary:
/// `skytail/dictionaries/ID.zdict` in the user's cache directory.
///
/// # Errors
/// [`DictionaryError::NoHome`].
pub fn installed_path() -> Result<PathBuf, DictionaryError> {
    Ok(directory()?.join(file_name(OFFICIAL_ID)))
}

/// Returns the directory of all dictionaries: `skytail/dictionaries` in the user's cache directory.
///
/// # Errors
/// [`DictionaryError::NoHome`].
pub fn directory() -> Result<PathBuf, DictionaryError> {
    let base = etcetera::choose_base_strategy().map_err(|_| DictionaryError::NoHome)?;
    Ok(base.cache_dir().join("skytail").join("dictionaries"))
}

/// Returns the name of a dictionary's file there.
pub(super) fn file_name(id: u32) -> String {
    format!("{id}.zdict")
}

/// Loads any dictionary from a file that the user named.
///
/// # Errors
/// [`DictionaryError::Read`] or [`DictionaryError::Bad`].
pub fn load(path: &Path) -> Result<Dictionary, DictionaryError> {
    let path_buf = || path.to_owned();
    let bytes =
        read_capped(path).map_err(|source| DictionaryError::Read { path: path_buf(), source })?;
    Dictionary::check(bytes).map_err(|fault| DictionaryError::Bad { path: path_buf(), fault })
}

/// Loads the installed dictionary, which must be the official one; `None` if it is not installed.
///
/// # Errors
/// [`DictionaryError::Read`] or [`DictionaryError::Installed`].
pub fn load_installed(path: &Path) -> Result<Option<Dictionary>, DictionaryError> {
    let path_buf = || path.to_owned();
    match read_capped(path) {
        Ok(bytes) => Dictionary::check_official(bytes)
            .map(Some)
            .map_err(|fault| DictionaryError::Installed { path: path_buf(), fault }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DictionaryError::Read { path: path_buf(), source }),
    }
}

/// Installs a checked dictionary. Readers see the old file or the whole new
/// one.
///
/// # Errors
/// [`DictionaryError::Write`].
pub fn install(dictionary: &Dictionary, path: &Path) -> Result<(), DictionaryError> {
    let failed = |path: &Path, source| DictionaryError::Write { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|e| failed(directory, e))?;
    }
    // Two installations at once must not write into one file.
    let temporary = path.with_extension(format!("tmp-{:016x}", fastrand::u64(..)));
    let outcome =
        write_new(&temporary, &dictionary.bytes).and_then(|()| fs::rename(&temporary, path));
    outcome.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        failed(path, e)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Creates a new file or fails, so it never follows a link.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads at most one byte more than the limit, which is enough to see that it is exceeded.
fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::inflate::Inflater;

    /// Returns a file of the recorded vectors, or `None` with a note if they are missing.
    fn vector(name: &str) -> Option<Vec<u8>> {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocol/vectors").join(name);
        match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(e) => {
                eprintln!("skipped: {}: {e}", path.display());
                None
            }
        }
    }

    fn trained() -> Vec<u8> {
        let samples: Vec<String> =
            (0..500).map(|n| format!("{{\"time_us\":{n},\"kind\":\"commit\"}}")).collect();
        zstd::dict::from_samples(&samples, 4096).unwrap()
    }

    #[test]
    fn the_official_dictionary_opens_production_frames() {
        let (Some(bytes), Some(frames), Some(lines)) = (
            vector("legacy_subscribe.zdict"),
            vector("production_v1.zst.bin"),
            vector("production_v1.jsonl"),
        ) else {
            return;
        };
        let dictionary = Dictionary::check_official(bytes).unwrap();
        assert_eq!(dictionary.sha256(), OFFICIAL_SHA256);
        let mut inflater = Inflater::new(&dictionary.bytes).unwrap();
        let mut rest = &frames[..];
        let mut opened = 0;
        for line in lines.split(|&b| b == b'\n').take(20) {
            let (length, behind) = rest.split_first_chunk::<4>().unwrap();
            let (frame, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
            let mut event = Vec::new();
            inflater.append(frame, &mut event, 1 << 20).unwrap();
            assert_eq!(event, line);
            rest = behind;
            opened += 1;
        }
        assert_eq!((opened, rest.len()), (20, 0));
    }

    #[test]
    fn the_official_id_with_other_bytes_is_refused() {
        let mut forged = trained();
        forged[4..8].copy_from_slice(&OFFICIAL_ID.to_le_bytes());
        let fault = Dictionary::check(forged).unwrap_err();
        assert!(matches!(fault, Fault::Altered { .. }), "{fault}");
        let Some(mut real) = vector("legacy_subscribe.zdict") else {
            return;
        };
        real.pop();
        assert!(matches!(Dictionary::check(real), Err(Fault::Altered { size: 112_639, .. })));
    }

    #[test]
    fn a_trained_dictionary_is_accepted_from_a_file_but_not_as_the_installed_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.zdict");
        fs::write(&path, trained()).unwrap();
        let found = find(Some(&path)).unwrap().unwrap();
        assert!(found.id != 0 && found.id != OFFICIAL_ID);
        let text = load_installed(&path).unwrap_err().to_string();
        assert!(text.contains("another dictionary") && text.contains("install"), "{text}");
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        assert_eq!(Dictionary::check(Vec::new()), Err(Fault::NotADictionary));
        assert_eq!(
            Dictionary::check(b"plain text, not magic".to_vec()),
            Err(Fault::NotADictionary)
        );
        let mut damaged = trained();
        damaged[8..40].fill(0xff);
        assert_eq!(Dictionary::check(damaged), Err(Fault::Damaged));
        let mut huge = trained();
        huge.resize(2 << 20, 0);
        assert_eq!(Dictionary::check(huge), Err(Fault::TooLarge));
    }

    #[test]
    fn a_missing_file_is_an_error_where_it_was_named_and_none_where_it_was_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing");
        assert!(matches!(find(Some(&path)), Err(DictionaryError::Read { .. })));
        assert_eq!(load_installed(&path).unwrap(), None);
    }

    #[test]
    fn an_installation_replaces_the_file_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/x.zdict");
        let dictionary = Dictionary::check(trained()).unwrap();
        install(&dictionary, &path).unwrap();
        fs::write(&path, "damaged").unwrap();
        install(&dictionary, &path).unwrap();
        assert_eq!(load(&path).unwrap(), dictionary);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
