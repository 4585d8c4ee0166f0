//! `skytail dictionary`: downloads the zstd dictionary of Jetstream v1, and shows the installed
//! one. `compression::dictionary` validates and stores it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use tokio::time::Instant;
use url::Url;

use super::exit::{Exit, UsageError, eprint};
use crate::compression::dictionary::{self as store, Dictionary, MAX_SIZE_BYTES};
use crate::display::secrets;
use crate::source::download::{self, Route};
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::{ExtraRoots, TlsContext};

/// The file in the upstream repository from which the legacy server is built.
const UPSTREAM: &str = "https://raw.githubusercontent.com/bluesky-social/jetstream-legacy/main/pkg/models/zstd_dictionary";
/// The remedy for a failed download.
const OFFLINE_REMEDY: &str = "without a network, copy the file pkg/models/zstd_dictionary of the Jetstream repository here by other means and run `skytail dictionary install FILE`";
/// Timeout of the whole download of 110 KiB.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The flags of `skytail dictionary`.
#[derive(Debug, clap::Args)]
pub struct DictionaryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Download the dictionary, check it and store it in the cache directory
    Install {
        /// A file, or an https:// URL [default: the upstream repository]
        #[arg(value_name = "FILE|URL")]
        source: Option<String>,
        /// Also trust the certificates in FILE (PEM)
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        ca_file: Option<PathBuf>,
    },
    /// Show where the dictionary is and whether it is valid
    Show {
        /// Show this file instead of the installed one
        #[arg(long, value_name = "FILE")]
        zstd_dictionary: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// Any failure; the message is for the user.
pub fn run(args: DictionaryArgs) -> anyhow::Result<Exit> {
    match args.command {
        Command::Install { source, ca_file } => install(source.as_deref(), ca_file.as_deref()),
        Command::Show { zstd_dictionary } => show(zstd_dictionary.as_deref()),
    }
}

fn install(source: Option<&str>, ca_file: Option<&Path>) -> anyhow::Result<Exit> {
    let path = store::installed_path()?;
    let extra = match ca_file {
        None => ExtraRoots::default(),
        Some(file) => {
            ExtraRoots::read(file).map_err(|error| UsageError(format!("--ca-file: {error}")))?
        }
    };
    let dictionary = match source {
        None => fetch(UPSTREAM, extra)?,
        Some(url) if url.contains("://") => fetch(url, extra)?,
        Some(file) => official(store::load(Path::new(file))?, file)?,
    };
    store::install(&dictionary, &path)?;
    let (id, path) = (dictionary.id, path.display());
    eprint(&format!("Installed the zstd dictionary {id} as {path}"));
    Ok(Exit::Done)
}

/// Accepts only the dictionary of v1 servers. Others need no installation: they work from their
/// file.
fn official(dictionary: Dictionary, from: &str) -> anyhow::Result<Dictionary> {
    Dictionary::check_official(dictionary.bytes).map_err(|fault| {
        anyhow!("{from}: {fault}; nothing was installed (use it with --zstd-dictionary FILE)")
    })
}

fn fetch(url: &str, extra: ExtraRoots) -> anyhow::Result<Dictionary> {
    if !url.starts_with("https://") {
        bail!(
            "{:?}: only https:// URLs can be fetched: write one, or the path of a file",
            redact(url)
        );
    }
    let shown = redact(url);
    eprint(&format!("Fetching {shown}"));
    let bytes = download(url, extra)
        .map_err(|error| anyhow!("can't fetch {shown}: {error:#}; {OFFLINE_REMEDY}"))?;
    let fetched = bytes.len();
    Dictionary::check_official(bytes)
        .map_err(|fault| anyhow!("the {fetched} bytes from {shown} are not installed: {fault}"))
}

/// Removes the parts of a URL that may be secret: user, password and query.
fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest =
        rest.split_once(['?', '#']).map_or(rest.to_owned(), |(plain, _)| format!("{plain}?…"));
    match rest.rsplit_once('@') {
        Some((_, plain)) => format!("{scheme}://…@{plain}"),
        None => format!("{scheme}://{rest}"),
    }
}

fn download(url: &str, extra: ExtraRoots) -> anyhow::Result<Vec<u8>> {
    let url = Url::parse(url)?;
    // A token in the query is as secret as a password.
    url.query().into_iter().for_each(secrets::register);
    let max_body_bytes = usize::try_from(MAX_SIZE_BYTES)?;
    let (proxies, tls) = (Proxies::from_env(), TlsContext::platform_with(extra));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        let deadline = Instant::now() + DOWNLOAD_TIMEOUT;
        let route = Route { proxies: &proxies, tls: &tls, deadline, max_body_bytes };
        download::fetch(&url, route).await
    });
    // A lookup of the system's resolver can't be interrupted. It may still run; don't wait for it.
    runtime.shutdown_timeout(Duration::ZERO);
    let body = answer?.body;
    if body.bytes.len() >= max_body_bytes && !body.is_whole {
        bail!("the file is larger than {MAX_SIZE_BYTES} bytes");
    }
    if !body.is_whole {
        bail!("the response was cut off after {} bytes", body.bytes.len());
    }
    Ok(body.bytes)
}

fn show(flag: Option<&Path>) -> anyhow::Result<Exit> {
    let (path, found) = match flag {
        Some(path) => (path.to_owned(), store::load(path).map(Some)),
        None => {
            let path = store::installed_path()?;
            let found = store::load_installed(&path);
            (path, found)
        }
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "path    {}", path.display())?;
    match found {
        Ok(Some(dictionary)) => {
            writeln!(out, "id      {}", dictionary.id)?;
            writeln!(out, "size    {} bytes", dictionary.bytes.len())?;
            writeln!(out, "sha256  {}", dictionary.sha256())?;
            let official = dictionary.id == store::OFFICIAL_ID;
            writeln!(
                out,
                "status  {}",
                if official {
                    "valid: the dictionary of Jetstream v1"
                } else {
                    "valid: a dictionary, but not that of Jetstream v1"
                }
            )?;
            Ok(Exit::Done)
        }
        Ok(None) => {
            writeln!(out, "status  not installed: run `skytail dictionary install`")?;
            Ok(Exit::Failed)
        }
        Err(error) => {
            writeln!(out, "status  not usable")?;
            Err(error.into())
        }
    }
}
