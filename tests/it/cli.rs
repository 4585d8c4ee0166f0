//! The command line, through the built binary: help, exit codes, messages, and up-to-date generated
//! files. No test here connects to anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::{OTHER_USER, requires};

/// Returns the binary with a home directory of its own, without the settings of the user who runs
/// the tests.
pub(crate) fn skytail(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SKYTAIL_") {
            command.env_remove(name);
        }
    }
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "APPDATA"] {
        command.env(name, home);
    }
    command.env("COLUMNS", "80").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    let home = TempDir::new().unwrap();
    skytail(home.path()).args(args).output().unwrap()
}

pub(crate) fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the message of a run that must end with 2 and print nothing to stdout.
pub(crate) fn usage_error(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{command:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_help_fits_a_screen() {
    let help = stdout(&["-h"]);
    assert!(help.lines().count() <= 24, "{help}");
    let pages = [
        &["--help"][..],
        &["tail", "--help"],
        &["top", "--help"],
        &["tail", "-h"],
        &["cursors", "list", "--help"],
        &["cursors", "restore", "--help"],
    ];
    for page in pages.map(stdout).into_iter().chain([help]) {
        let long: Vec<&str> = page.lines().filter(|l| l.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}

#[test]
fn the_help_matches_its_snapshots() {
    insta::assert_snapshot!("skytail_help", stdout(&["--help"]));
    insta::assert_snapshot!("skytail_tail_help", stdout(&["tail", "--help"]));
    insta::assert_snapshot!("skytail_top_help", stdout(&["top", "--help"]));
}

#[test]
fn no_arguments_is_a_usage_error_that_prints_help() {
    let home = TempDir::new().unwrap();
    let message = usage_error(&mut skytail(home.path()));
    assert!(message.contains("Commands:"), "{message}");
}

#[test]
fn the_version_is_the_packages() {
    let short = stdout(&["-V"]);
    let name = concat!("skytail ", env!("CARGO_PKG_VERSION"));
    let rest = short.strip_prefix(name).and_then(|rest| rest.strip_suffix('\n')).unwrap();
    // A build without a commit, for example from a tarball, has nothing in brackets.
    assert!(rest.is_empty() || (rest.starts_with(" (") && rest.ends_with(')')), "{short}");
    let long = stdout(&["--version"]);
    assert!(long.starts_with(&short) && long.len() > short.len(), "{long}");
    for part in ["\ntarget: ", "\nfeatures: ", "\nprotocols: ", "SQLite 3.", "zstd 1."] {
        assert!(long.contains(part), "{part:?} is missing in:\n{long}");
    }
}

#[test]
fn a_usage_error_exits_with_2_and_names_flag_value_and_remedy() {
    let home = TempDir::new().unwrap();
    for (args, parts) in [
        ("nonsense", &["'nonsense'"][..]),
        ("tail --hots example.com", &["'--hots'", "'--host'"]),
        ("tail -c nonsense", &["--collection: \"nonsense\"", "app.bsky.feed.post"]),
        ("tail -d alice", &["--did: \"alice\"", "did:plc:", "alice.bsky.social"]),
        ("tail -d alice.local", &["--did: \"alice.local\"", "under .local"]),
        ("tail -d @missing.txt", &["--did: ", "missing.txt", "one value a line"]),
        ("tail --dns-server ns.example.com", &["'ns.example.com'", "--dns-server", "1.1.1.1"]),
        ("tail --metrics-listen localhost", &["'localhost'", "--metrics-listen", "127.0.0.1:9464"]),
        ("tail -d @/nowhere/dids", &["--did: ", "/nowhere/dids", "one value a line"]),
        ("tail -k post", &["'post'", "--kind", "identity"]),
        ("tail -k identity -c app.bsky.feed.post", &["--kind", "--collection", "commit"]),
        ("tail --host ftp://example.com", &["--host: ", "ftp", "wss"]),
        ("tail --cursor yesterdy", &["--cursor: ", "yesterdy", "auto"]),
        ("tail --until soon", &["--until: \"soon\"", "15m"]),
        ("tail --buffer-bytes 8x", &["'8x'", "--buffer-bytes", "8MiB"]),
        ("tail --buffer 0", &["'0'", "--buffer", "1 to 100000000"]),
        ("tail --timeout 5", &["'5'", "--timeout", "5m"]),
        ("tail -n -3", &["-3"]),
        (
            "tail --jq .a|slect(.b)",
            &[
                "--jq: ",
                "there is no filter slect: did you mean select?",
                "\n  .a|slect(.b)\n     ^\n",
            ],
        ),
        (
            "tail --jq .a[",
            &["--jq: expected a closing bracket, but the expression ends", "\n  .a[\n     ^\n"],
        ),
        ("tail --format csv", &["--format: ", "--fields did,"]),
        ("tail --format xml", &["'xml'", "--format", "ndjson"]),
        ("tail --fields did", &["--fields: ", "--format csv", "--jq"]),
        (
            "tail --format tsv --fields did,,x",
            &["--fields: \"\" is not a field", "commit.record.text"],
        ),
        ("tail -r", &["--raw-output: ", "--jq .commit.record.text"]),
        ("tail -r --jq . --format text", &["--raw-output: ", "ndjson and pretty"]),
        ("tail --jq . --jq-errors panic", &["'panic'", "--jq-errors", "fail"]),
        ("tail --demo --host localhost", &["--demo", "--host"]),
        ("tail -q -v", &["--quiet", "--verbose"]),
        ("tail --profile posts", &["\"posts\"", "config.toml", "--config"]),
        ("tail --config /nowhere/c.toml", &["/nowhere/c.toml"]),
        ("completions tcsh", &["'tcsh'", "fish"]),
        ("completions", &["SHELL"]),
        ("completions --all", &["--dir"]),
    ] {
        let message = usage_error(skytail(home.path()).args(args.split_whitespace()));
        for part in parts {
            assert!(message.contains(part), "{args}: {part:?} is missing in:\n{message}");
        }
        assert!(message.starts_with("error: "), "{args}: {message}");
    }
}

#[test]
fn a_mistake_in_the_environment_is_named_with_its_place() {
    let home = TempDir::new().unwrap();
    let tail = |home: &TempDir| {
        let mut command = skytail(home.path());
        command.arg("tail");
        command
    };
    let message = usage_error(tail(&home).env("SKYTAIL_DID", "did:plc:a,bob"));
    assert!(message.starts_with("error: SKYTAIL_DID: \"bob\" is neither a DID"), "{message}");
    let message = usage_error(tail(&home).env("SKYTAIL_WHEN_FULL", "burst"));
    assert!(message.starts_with("error: SKYTAIL_WHEN_FULL: invalid value 'burst'"), "{message}");
    let message = usage_error(tail(&home).env("SKYTAIL_PROFILE", "p"));
    assert!(message.contains("no profile \"p\""), "{message}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_config_file_is_found_and_checked() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("skytail").join("config.toml");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let complaint = |text: &str, args: &[&str]| {
        std::fs::write(&path, text).unwrap();
        usage_error(skytail(home.path()).arg("tail").args(args))
    };
    let place = format!("error: {}", path.display());
    let message = complaint("hosts = 'a'", &[]);
    assert!(message.starts_with(&format!("{place}: \"hosts\" is not a setting")), "{message}");
    assert!(message.contains("did you mean \"host\"?"), "{message}");
    let message = complaint("collection = 'x'", &[]);
    assert!(message.starts_with(&format!("{place}: collection: \"x\" is not a")), "{message}");
    let message = complaint("[profile.p]\ncursor = 'x'", &["--profile", "p"]);
    assert!(message.starts_with(&format!("{place}: [profile.p] cursor: ")), "{message}");
    let message = complaint("[profile.p]", &["--profile", "q"]);
    assert!(message.contains("its profiles are p"), "{message}");
}

/// With `sudo -u` the HOME, and with it the default file, may be another user's.
#[test]
#[cfg(target_os = "linux")]
fn an_unreadable_default_config_file_is_ignored_with_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = TempDir::new().unwrap();
    let path = home.path().join("skytail").join("config.toml");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let list = |command: &mut Command, flags: &[&str]| {
        let state = home.path().join("state.db");
        let output = command.args(["cursors", "list", "--state"]).arg(state).args(flags).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // Not even root can read a directory as a file.
    std::fs::create_dir(&path).unwrap();
    let (code, log) = list(&mut skytail(home.path()), &[]);
    let warning = format!("skytail: warning: can't read the settings in {}: ", path.display());
    assert!(code == Some(0) && log.starts_with(&warning), "{log}");
    assert!(log.contains("continuing without this file"), "{log}");
    assert_eq!(list(&mut skytail(home.path()), &["-q"]), (Some(0), String::new()));
    for flags in [&["--config", path.to_str().unwrap()][..], &["--profile", "p"]] {
        let (code, log) = list(&mut skytail(home.path()), flags);
        assert!(code == Some(2) && log.starts_with("error: can't read the settings"), "{log}");
    }
    std::fs::remove_dir(&path).unwrap();

    std::fs::write(&path, "limit = 1").unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(home.path(), 0o755);
    let plain = skytail(home.path());
    for (directory, file) in [(0o755, 0o600), (0o700, 0o644)] {
        mode(&path, file);
        mode(path.parent().unwrap(), directory);
        let mut other = Command::new("setpriv");
        other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        other.arg(plain.get_program());
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                other.env(name, value);
            }
        }
        let (code, log) = list(&mut other, &[]);
        let has_run = code == Some(0) || log.contains("skytail");
        if requires(OTHER_USER, has_run.then_some(())).is_none() {
            return;
        }
        assert!(code == Some(0) && log.starts_with(&warning), "{log}");
        assert!(log.contains("Permission denied"), "{log}");
    }
}

#[test]
fn help_and_scripts_are_quiet_when_the_pipe_is_closed() {
    for args in [&["--help"][..], &["tail", "--help"], &["completions", "bash"], &["man"]] {
        let home = TempDir::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = skytail(home.path());
        let child = command.args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

/// Returns the files in a directory, by name.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

fn assert_up_to_date(args: &[&str], committed: &str) {
    let fresh = TempDir::new().unwrap();
    let dir = fresh.path().to_str().unwrap();
    stdout(&[args, &["--dir", dir]].concat());
    let committed_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(committed);
    let (fresh, committed_files) = (files(fresh.path()), files(&committed_dir));
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    let remedy = format!("run: cargo run -- {} --dir {committed}", args.join(" "));
    assert_eq!(names(&fresh), names(&committed_files), "{remedy}");
    for (name, text) in fresh {
        assert!(committed_files[&name] == text, "{committed}/{name} has drifted; {remedy}");
    }
}

#[test]
fn the_completion_scripts_are_up_to_date() {
    assert_up_to_date(&["completions", "--all"], "completions");
}

#[test]
fn the_man_pages_are_up_to_date() {
    assert_up_to_date(&["man"], "completions/man");
}

#[test]
fn a_completion_script_is_the_same_on_stdout() {
    let scripts = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("completions"));
    // Not `assert_eq`, which would print both scripts whole.
    assert!(stdout(&["completions", "zsh"]) == scripts["_skytail"]);
    assert!(stdout(&["completions", "bash"]) == scripts["skytail.bash"]);
}

#[test]
fn bash_completes_commands_flags_values_and_collections() {
    let offers = |words: &[&str]| {
        let last = words.len() - 1;
        let driver = format!(
            "source completions/skytail.bash; compopt() {{ :; }}; COMP_WORDS=({}); COMP_CWORD={last}; \
             _skytail skytail '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|w| format!("'{w}' ")).collect::<String>(),
            words[last],
            words[last - 1],
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &driver]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = bash.output().ok()?;
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        Some(lines.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let Some(commands) = requires("bash", offers(&["skytail", "ta"])) else { return };
    assert_eq!(commands, ["tail"]);
    assert_eq!(offers(&["skytail", "to"]).unwrap(), ["top"]);
    assert_eq!(
        offers(&["skytail", "tail", "--when-full", "drop"]).unwrap(),
        ["drop-newest", "drop-oldest"]
    );
    assert!(offers(&["skytail", "tail", "--check"]).unwrap().len() == 2);
    for flag in ["-c", "--collection"] {
        let graph = offers(&["skytail", "tail", flag, "app.bsky.graph."]).unwrap();
        assert!(graph.contains(&"app.bsky.graph.follow".to_owned()), "{graph:?}");
        assert!(graph.contains(&"app.bsky.graph.*".to_owned()), "{graph:?}");
        assert_eq!(graph.len(), 7, "{graph:?}");
    }
}

#[test]
fn help_is_coloured_only_on_a_terminal() {
    let escape = '\u{1b}';
    assert!(!stdout(&["tail", "--help"]).contains(escape));
    assert!(!stdout(&["--help"]).contains(escape));
    assert!(stdout(&["--color=always", "--help"]).contains(escape));
    assert!(stdout(&["--color=always", "tail", "--help"]).contains(escape));
    assert!(stdout(&["tail", "--color", "always", "--help"]).contains(escape));
}
