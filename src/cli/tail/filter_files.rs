//! The files of `-c`, `-d` and `--exclude`, which are read again while a run is active.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::args::TailArgs;
use super::consumer_name;
use super::filter_settings::{MAX_COLLECTIONS, MAX_DIDS, leaves_nothing};
use crate::cli::values::account::{Account, parse_account, strip_handle_prefix};
use crate::cli::values::list::{ListError, read_file, read_list_with};
use crate::filter::{Collections, Filter};
use crate::settings::{ListNames, TailSettings};
use crate::source::handle::{self, Handle, ResolveOptions};
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;
use crate::source::protocol::Protocol;
use crate::source::v2;

/// The time to resolve all handles that a file names for the first time.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(60);

/// The values of the flags whose files are read again.
#[derive(Clone, Debug)]
pub struct FilterFiles {
    did: Vec<String>,
    collection: Vec<String>,
    exclude: Vec<String>,
    dns_server: Option<SocketAddr>,
}

/// The text of each file, or why it can't be read.
pub type Texts = HashMap<PathBuf, Result<String, String>>;

/// Why the files give no filter to change to.
#[derive(Debug)]
pub enum FilesError {
    /// A file is at fault, and must change.
    Invalid(String),
    /// A name can't be resolved, which may work later.
    Unresolved(String),
}

impl FilterFiles {
    /// Returns the files that the flags name; `None` if they name none. A pipe, such as
    /// `<(command)` of a shell, can be read once only, so that its flag is not among them.
    #[must_use]
    pub fn of(args: &TailArgs) -> Option<Self> {
        let dns_server = args.source.dns_server;
        let did = args.filters.did.iter();
        let did: Vec<String> =
            did.map(|value| strip_handle_prefix(value, dns_server.is_some()).to_owned()).collect();
        let files = Self {
            did: watchable(&did),
            collection: watchable(&args.filters.collection),
            exclude: watchable(&args.filters.local.exclude),
            dns_server,
        };
        (!files.paths().is_empty()).then_some(files)
    }

    /// Returns the paths of all files, each once.
    fn paths(&self) -> HashSet<&Path> {
        let values = self.did.iter().chain(&self.collection).chain(&self.exclude);
        values.filter_map(|value| value.strip_prefix('@')).map(Path::new).collect()
    }

    /// Reads all files.
    #[must_use]
    pub fn read(&self) -> Texts {
        let text = |path: &Path| {
            let path = path.to_owned();
            if path.exists() && !path.is_file() {
                return Err(format!("{} is not a regular file any more", path.display()));
            }
            read_file(&path).map_err(|error: ListError<String>| error.to_string())
        };
        self.paths().into_iter().map(|path| (path.to_owned(), text(path))).collect()
    }

    /// Returns the filter of the files, with everything else of `base`. `known` holds the DIDs of
    /// handles that were resolved before.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn filter(
        &self,
        texts: &Texts,
        base: &Filter,
        known: &mut HashMap<String, String>,
        settings: &TailSettings,
    ) -> Result<Filter, FilesError> {
        let mut filter = base.clone();
        if !self.collection.is_empty() {
            filter.collections = collections(&self.collection, MAX_COLLECTIONS, texts)?;
        }
        if !self.exclude.is_empty() {
            filter.excluded = collections(&self.exclude, usize::MAX, texts)?;
        }
        if !self.did.is_empty() {
            filter.dids = self.dids(texts, known, settings)?;
        }
        if leaves_nothing(&filter) {
            let problem = "--exclude leaves out everything that -c asks for";
            return Err(FilesError::Invalid(problem.to_owned()));
        }
        let is_v2 = |endpoint| settings.protocol.pinned(endpoint) == Some(Protocol::V2);
        match v2::request::obstacle(&filter) {
            Some(obstacle) if settings.endpoints.iter().any(is_v2) => {
                Err(FilesError::Invalid(obstacle.to_string()))
            }
            _ => Ok(filter),
        }
    }

    fn dids(
        &self,
        texts: &Texts,
        known: &mut HashMap<String, String>,
        settings: &TailSettings,
    ) -> Result<HashSet<String>, FilesError> {
        let for_tests = self.dns_server.is_some();
        let check =
            |text: &str| parse_account(text, for_tests).map(drop).map_err(|e| e.to_string());
        let list = list(&self.did, MAX_DIDS, check, texts)?;
        let accounts = list.iter().filter_map(|text| parse_account(text, for_tests).ok());
        let (mut dids, mut handles) = (HashSet::new(), Vec::new());
        for account in accounts {
            match account {
                Account::Did(did) => {
                    dids.insert(did);
                }
                Account::Handle(handle) => handles.push(handle),
            }
        }
        let new: Vec<Handle> =
            handles.iter().filter(|h| !known.contains_key(&h.to_string())).cloned().collect();
        let resolved = self.resolve(&new, settings).map_err(FilesError::Unresolved)?;
        known.extend(new.iter().map(ToString::to_string).zip(resolved));
        dids.extend(handles.iter().filter_map(|handle| known.get(&handle.to_string()).cloned()));
        Ok(dids)
    }

    fn resolve(&self, handles: &[Handle], settings: &TailSettings) -> Result<Vec<String>, String> {
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let options = ResolveOptions {
            dns_server: self.dns_server,
            proxies: Proxies::from_env(),
            tls: TlsContext::platform_with(settings.ca_file.clone()),
            timeout: settings.connection.connect_timeout,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("can't start a runtime: {error}"))?;
        let resolving = handle::resolve(handles, &options);
        let resolved =
            runtime.block_on(async { tokio::time::timeout(RESOLVE_TIMEOUT, resolving).await });
        // A lookup of the system's resolver can't be interrupted.
        runtime.shutdown_timeout(Duration::ZERO);
        match resolved {
            Ok(Ok(dids)) => Ok(dids),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                Err(format!("the handles were not resolved within {} s", RESOLVE_TIMEOUT.as_secs()))
            }
        }
    }
}

/// Returns the names of the lists that are read again, by the absolute paths of their files.
#[must_use]
pub fn list_names(args: &TailArgs) -> ListNames {
    // All machines of a striped history read with the same content.
    let files = FilterFiles::of(args).filter(|_| args.archive_bounds.archive_stripe.is_none());
    let Some(files) = files else { return ListNames::default() };
    let names = |values: &[String], prefix: &str| {
        let mut names: Vec<String> = values.iter().map(|value| name_of(value, prefix)).collect();
        names.sort();
        names.dedup();
        (!names.is_empty()).then_some(names)
    };
    ListNames {
        did: names(&files.did, "did:"),
        collection: names(&files.collection, ""),
        exclude: names(&files.exclude, ""),
    }
}

/// Returns the part of a name for one value of a flag.
fn name_of(value: &str, prefix: &str) -> String {
    let Some(path) = value.strip_prefix('@').map(Path::new) else { return value.to_owned() };
    // A link stays a link: the next version of a list may be another file.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let label = path.file_name().unwrap_or_default().to_string_lossy();
    let hash = consumer_name::hash(&format!("list\0{}", absolute.to_string_lossy()));
    format!("{prefix}@{}-{hash}", consumer_name::plain(&label))
}

/// Returns the values if all of their files can be read more than once; else none.
fn watchable(values: &[String]) -> Vec<String> {
    let paths = || values.iter().filter_map(|value| value.strip_prefix('@')).map(Path::new);
    let can_watch = paths().next().is_some() && paths().all(Path::is_file);
    if can_watch { values.to_vec() } else { Vec::new() }
}

/// Returns a number that differs for other texts.
#[must_use]
pub fn digest(texts: &Texts) -> u64 {
    let mut parts: Vec<_> = texts.iter().collect();
    parts.sort();
    let mut hashes = Vec::new();
    for (path, text) in parts {
        let (kind, text) = match text {
            Ok(text) => (0, text),
            Err(error) => (1, error),
        };
        hashes.extend(xxh3_64(path.as_os_str().as_encoded_bytes()).to_le_bytes());
        hashes.push(kind);
        hashes.extend(xxh3_64(text.as_bytes()).to_le_bytes());
    }
    xxh3_64(&hashes)
}

fn list(
    values: &[String],
    max: usize,
    check: impl Fn(&str) -> Result<(), String>,
    texts: &Texts,
) -> Result<Vec<String>, FilesError> {
    // A file that can't be read is named by its own error.
    let paths = values.iter().filter_map(|value| value.strip_prefix('@')).map(Path::new);
    if let Some(error) = paths.filter_map(|path| texts.get(path)?.as_ref().err()).next() {
        return Err(FilesError::Invalid(error.clone()));
    }
    let text = |path: &PathBuf| {
        let text = texts.get(path).and_then(|text| text.as_ref().ok());
        Ok(text.cloned().unwrap_or_default())
    };
    read_list_with(values, max, check, text).map_err(|error| FilesError::Invalid(error.to_string()))
}

fn collections(values: &[String], max: usize, texts: &Texts) -> Result<Collections, FilesError> {
    let check = |text: &str| Collections::default().add(text).map_err(|error| error.to_string());
    let mut collections = Collections::default();
    for pattern in list(values, max, check, texts)? {
        let added = collections.add(&pattern);
        added.map_err(|error| FilesError::Invalid(error.to_string()))?;
    }
    Ok(collections)
}
