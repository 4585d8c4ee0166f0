//! The settings of `--archive`, `--archive-parallelism` and `--api-key-file`, and the API key. No
//! flag takes the key itself, because every user of the machine can read a command line, and no
//! message repeats it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::archive_args::ArchiveArgs;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::settings::{Archive, ArchiveMode};
use crate::source::archive::api_key::{ApiKey, may_send_key};
use crate::source::endpoint::Endpoint;

/// The environment variable that holds the key itself.
const KEY_VARIABLE: &str = "SKYTAIL_API_KEY";
/// Most bytes read of `--api-key-file`.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// Returns the archive's settings. `unset` is the mode without `--archive`; `variable` looks up an
/// environment variable; `endpoints` are the servers that the key would be sent to.
///
/// # Errors
/// [`UsageError`] with the source of the value and the remedy.
pub fn archive_settings(
    args: &ArchiveArgs,
    unset: ArchiveMode,
    endpoints: &[Endpoint],
    sources: &ValueSources,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Archive, UsageError> {
    let mode = args.archive.unwrap_or(unset);
    let is_wanted = mode != ArchiveMode::Off;
    let (key, source) = match &args.api_key_file {
        Some(path) => {
            let key = read_key(path).map_err(|error| sources.usage_error("api-key-file", error))?;
            (Some(key), sources.of("api-key-file").to_string())
        }
        None => (key_in_variable(variable)?, KEY_VARIABLE.to_owned()),
    };
    let unprotected = endpoints.iter().find(|endpoint| !may_send_key(endpoint));
    if let (Some(_), Some(endpoint), true) = (&key, unprotected, is_wanted) {
        let host = &endpoint.label;
        return Err(UsageError(format!(
            "{source}: {host} is reached without TLS, and skytail does not send a key that others could read on the way: use wss://, or leave the key out"
        )));
    }
    let parallelism = usize::from(args.archive_parallelism);
    Ok(Archive { mode, parallelism, key, max_bytes: None, stripe: None })
}

fn read_key(path: &Path) -> Result<ApiKey, String> {
    let shown = path.display();
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("can't read {shown}: {error}"))?;
    ApiKey::new(&text).map_err(|error| format!("{shown}: {error}"))
}

/// Reads the key from the environment. An empty variable counts as unset, as do all others.
fn key_in_variable(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<ApiKey>, UsageError> {
    let Some(value) = variable(KEY_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    // The spaces make a value that is not UTF-8 an invalid key.
    let text = value.to_str().unwrap_or(" not text ");
    ApiKey::new(text).map(Some).map_err(|error| UsageError(format!("{KEY_VARIABLE}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::endpoint::parse;

    fn settings(
        archive: ArchiveMode,
        file: Option<&Path>,
        hosts: &[&str],
        variable: &str,
    ) -> Result<Archive, String> {
        let args = ArchiveArgs {
            archive: Some(archive),
            archive_parallelism: 4,
            api_key_file: file.map(Path::to_owned),
        };
        let endpoints: Vec<Endpoint> = hosts.iter().map(|host| parse(host).unwrap()).collect();
        let lookup = |name: &str| (name == KEY_VARIABLE).then(|| variable.into());
        archive_settings(&args, ArchiveMode::Auto, &endpoints, &ValueSources::default(), lookup)
            .map_err(|error| error.0)
    }

    #[test]
    fn a_key_file_overrides_the_variable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "of-file\n").unwrap();
        let auto = ArchiveMode::Auto;
        let key = |file, variable| settings(auto, file, &["a.example"], variable).unwrap().key;
        assert_eq!(key(Some(&path), "of-variable"), ApiKey::new("of-file").ok());
        assert_eq!(key(None, "of-variable"), ApiKey::new("of-variable").ok());
        assert_eq!(key(None, ""), None);
    }

    #[test]
    fn a_malformed_key_is_refused_and_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "two s3cret words").unwrap();
        let auto = ArchiveMode::Auto;
        for error in [
            settings(auto, Some(&path), &["a.example"], "").unwrap_err(),
            settings(auto, None, &["a.example"], "two s3cret words").unwrap_err(),
        ] {
            assert!(error.contains("one word") && !error.contains("s3cret"), "{error}");
        }
        let absent = directory.path().join("absent");
        let error = settings(auto, Some(&absent), &["a.example"], "").unwrap_err();
        assert!(
            error.contains("--api-key-file: can't read") && error.contains("absent"),
            "{error}"
        );
    }

    #[test]
    fn a_key_is_not_sent_without_tls() {
        let hosts = ["a.example", "ws://b.example"];
        let error = settings(ArchiveMode::Auto, None, &hosts, "key").unwrap_err();
        assert!(error.contains("b.example") && error.contains("wss://"), "{error}");
        assert!(settings(ArchiveMode::Off, None, &hosts, "key").is_ok());
        assert!(settings(ArchiveMode::Auto, None, &["ws://127.0.0.1:1"], "key").is_ok());
        assert!(settings(ArchiveMode::Auto, None, &hosts, "").is_ok());
    }
}
