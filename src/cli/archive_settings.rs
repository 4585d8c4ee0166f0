//! What `--archive`, `--archive-parallelism` and `--api-key-file` mean together, and where the
//! key comes from. It never stands on a command line, where every user of the machine could
//! read it, and no message repeats it.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;

use super::exit::UsageError;
use super::origin::Origins;
use super::tail::ArchiveArgs;
use crate::settings::{Archive, ArchiveMode};
use crate::source::archive::key::{ApiKey, may_be_shown};
use crate::source::endpoint::Endpoint;

/// The variable that holds the key itself.
pub const KEY_VARIABLE: &str = "SKYTAIL_API_KEY";
/// Most bytes of a file that are looked at.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// The archive's settings. `variable` looks up an environment variable; `endpoints` are the
/// servers that would see the key.
///
/// # Errors
/// [`UsageError`], naming where the value came from and the remedy.
pub fn archive_settings(
    args: &ArchiveArgs,
    endpoints: &[Endpoint],
    origins: &Origins,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Archive, UsageError> {
    let is_wanted = args.archive == ArchiveMode::Auto;
    let (key, origin) = match &args.api_key_file {
        Some(path) => {
            let origin = origins.of("api-key-file").to_string();
            (Some(read_key(path).map_err(|e| UsageError(format!("{origin}: {e}")))?), origin)
        }
        None => (key_in_variable(variable)?, KEY_VARIABLE.to_owned()),
    };
    let in_the_open = endpoints.iter().find(|endpoint| !may_be_shown(endpoint));
    if let (Some(_), Some(endpoint), true) = (&key, in_the_open, is_wanted) {
        let host = &endpoint.label;
        return Err(UsageError(format!(
            "{origin}: {host} is reached without TLS, and a key is not sent where others can read it: use wss://, or leave the key out"
        )));
    }
    Ok(Archive { is_wanted, parallelism: usize::from(args.archive_parallelism), key })
}

fn read_key(path: &Path) -> Result<ApiKey, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("can't read {shown}: {error}"))?;
    ApiKey::new(&text).map_err(|error| format!("{shown}: {error}"))
}

/// An empty variable counts as none, as with all others.
fn key_in_variable(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<ApiKey>, UsageError> {
    let Some(value) = variable(KEY_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
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
        let args =
            ArchiveArgs { archive, archive_parallelism: 4, api_key_file: file.map(Path::to_owned) };
        let endpoints: Vec<Endpoint> = hosts.iter().map(|host| parse(host).unwrap()).collect();
        let of = |name: &str| (name == KEY_VARIABLE).then(|| variable.into());
        archive_settings(&args, &endpoints, &Origins::default(), of).map_err(|error| error.0)
    }

    #[test]
    fn a_key_comes_from_a_file_or_a_variable_and_the_file_wins() {
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
    fn a_key_that_is_none_is_refused_and_not_repeated() {
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
    fn a_key_is_not_sent_in_the_open() {
        let open = ["a.example", "ws://b.example"];
        let error = settings(ArchiveMode::Auto, None, &open, "key").unwrap_err();
        assert!(error.contains("b.example") && error.contains("wss://"), "{error}");
        assert!(settings(ArchiveMode::Off, None, &open, "key").is_ok());
        assert!(settings(ArchiveMode::Auto, None, &["ws://127.0.0.1:1"], "key").is_ok());
        assert!(settings(ArchiveMode::Auto, None, &open, "").is_ok());
    }
}
