//! First guesses of users who know other tools: they work, or one message leads to what works.
//! These tests connect to nothing but the server of `--demo`.

use std::io::Read as _;

use tempfile::TempDir;

use crate::cli::{skytail, stdout, usage_error};

/// Returns the events and messages of `skytail tail --demo` with these flags, which must succeed.
fn demo(args: &str) -> (String, String) {
    let home = TempDir::new().unwrap();
    let mut command = skytail(home.path());
    let output = command.args(["tail", "--demo"]).args(args.split_whitespace()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (out, err)
}

fn refused(args: &[&str]) -> String {
    let home = TempDir::new().unwrap();
    usage_error(skytail(home.path()).args(args))
}

#[test]
fn help_and_version_are_also_commands() {
    assert_eq!(stdout(&["help"]), stdout(&["--help"]));
    assert_eq!(stdout(&["help", "tail"]), stdout(&["tail", "--help"]));
    assert_eq!(stdout(&["help", "cursors", "set"]), stdout(&["cursors", "set", "--help"]));
    assert_eq!(stdout(&["tail", "help"]), stdout(&["tail", "--help"]));
    assert_eq!(stdout(&["version"]), stdout(&["--version"]));
    assert!(refused(&["help", "tial"]).contains("'tail'"));
}

/// The first event of the demo has this number.
const OLDEST: &str = r#""cursor":9000001,"#;

#[test]
fn names_of_other_tools_for_a_start_work() {
    for start in ["--cursor oldest", "--cursor earliest", "--cursor beginning", "--since 10m"] {
        let (out, _) = demo(&format!("-n 1 {start}"));
        assert!(out.contains(OLDEST), "{start}: {out}");
    }
    for start in ["--cursor latest", "--cursor end", "--cursor stored", "--follow", "-f"] {
        let (out, _) = demo(&format!("-n 1 {start}"));
        assert!(out.lines().count() == 1 && !out.contains(OLDEST), "{start}: {out}");
    }
    let home = TempDir::new().unwrap();
    let mut quoted = skytail(home.path());
    quoted.args(["tail", "--demo", "-n1", "--since", "10 minutes ago"]);
    let output = quoted.output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(OLDEST));
}

#[test]
fn an_age_without_a_sign_is_in_the_past_and_a_future_end_has_a_plus() {
    for past in ["10m", "-10m", "yesterday"] {
        let (out, _) = demo(&format!("--cursor oldest --until {past}"));
        assert_eq!(out, "", "{past}");
    }
    let (out, _) = demo("--cursor oldest --until +10m -n 3");
    assert_eq!(out.lines().count(), 3);
}

#[test]
fn synonyms_of_flags_and_values_work() {
    let plain = |out: &str| out.lines().all(|line| line.starts_with('{') && line.ends_with('}'));
    for args in ["-n 2", "--count 2", "--max 2", "--json -n2", "--format json -n2"] {
        let (out, _) = demo(args);
        assert!(out.lines().count() == 2 && plain(&out), "{args}: {out}");
    }
    let (out, _) = demo("--op create --limit 2");
    assert_eq!(out.matches(r#""operation":"create""#).count(), 2, "{out}");
    for args in ["--for 200ms", "--duration 200ms", "--timeout 200ms -n 10k", "-e --for 5sec"] {
        demo(args);
    }
    let (out, _) = demo("--handle did:plc:aaaaaaaaaaaaaaaaaaaaaaaa --for 100ms");
    assert_eq!(out, "");
}

/// A synonym is no setting, so it has neither a variable nor a key.
#[test]
fn json_on_the_command_line_overrides_the_format_of_the_environment() {
    let home = TempDir::new().unwrap();
    let run = |args: &[&str]| {
        let mut command = skytail(home.path());
        command.env("SKYTAIL_FORMAT", "text").env("SKYTAIL_JSON", "1");
        let output = command.args(["tail", "--demo", "-n", "1"]).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["--json"]).starts_with('{'));
    assert!(!run(&[]).starts_with('{'));
}

#[test]
fn a_guess_that_can_not_work_is_answered_with_what_works() {
    for (args, parts) in [
        ("tail --lines 100", &["-n 100 stops after 100; --last 100 starts 100 back"][..]),
        ("tail --tail 7", &["-n 7 stops after 7; --last 7 starts 7 back"]),
        ("tail -100", &["'-100'", "-n 100 stops after 100; --last 100 starts 100 back"]),
        ("-100", &["-n 100 stops after 100"]),
        ("tail app.bsky.feed.post", &["-c app.bsky.feed.post"]),
        ("tail posts", &["-c app.bsky.feed.post"]),
        ("app.bsky.feed.post", &["skytail tail -c app.bsky.feed.post"]),
        ("tail did:plc:abc", &["-d did:plc:abc"]),
        ("tail alice.bsky.social", &["-d alice.bsky.social"]),
        ("tail wss://h.example", &["--host wss://h.example"]),
        ("tail --since 10 minutes ago", &["--since \"10 minutes ago\""]),
        ("--demo", &["skytail tail --demo"]),
        ("-n 5", &["skytail tail -n"]),
        ("tail -e -f", &["--exit-when-live", "--follow"]),
        ("tail --json --format csv", &["--json", "--format"]),
        ("tail --since live", &["--since: \"live\"", "--cursor"]),
        ("tail --since 10m --cursor auto", &["--since", "--cursor"]),
        ("tail --since +10m", &["--since: \"+10m\" lies in the future"]),
        ("tail --output-format json", &["use --format"]),
        ("tail --user alice", &["--did"]),
        ("top --once --for 30s", &["--once --window 30s"]),
        ("top --cursor stored", &["--cursor: ", "top saves none"]),
    ] {
        let message = refused(&args.split_whitespace().collect::<Vec<_>>());
        for part in parts {
            assert!(message.contains(part), "{args}: {part:?} is missing in:\n{message}");
        }
    }
}

#[test]
fn a_similar_flag_of_another_meaning_is_not_suggested() {
    for args in ["tail --stream", "tail --foo", "tail --silence", "tail --raw"] {
        let message = refused(&args.split_whitespace().collect::<Vec<_>>());
        let wrong = ["--strict", "--state", "--follow", "--since"];
        assert!(!wrong.iter().any(|flag| message.contains(flag)), "{args}:\n{message}");
    }
    assert!(refused(&["tail", "--raw"]).contains("--raw-output"));
    assert!(refused(&["tail", "--sinec", "5m"]).contains("'--since'"));
}

/// Returns the exit code, the standard output and the messages of a run of `--demo`.
fn run(home: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = skytail(home.path());
    let output = command.current_dir(home.path()).args(["tail", "--demo"]).args(args).output();
    let output = output.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

#[test]
fn a_reset_name_starts_again() {
    let home = TempDir::new().unwrap();
    let tail = ["-n", "3", "--consumer", "posts", "-o", "x.ndjson"];
    let reset = || {
        let mut command = skytail(home.path());
        assert_eq!(command.args(["cursors", "reset", "posts"]).status().unwrap().code(), Some(0));
    };
    let first = |file: &str| {
        let text = std::fs::read_to_string(home.path().join(file)).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(run(&home, &tail).0, Some(0));
    reset();
    // The file holds events, so only a start at new ones continues it.
    let (code, _, message) = run(&home, &[&tail[..], &["--from", "oldest"]].concat());
    assert!(code == Some(2) && message.contains("x.ndjson holds events already"), "{message}");
    std::fs::remove_file(home.path().join("x.ndjson")).unwrap();
    reset();
    let other = ["-n", "3", "--consumer", "posts", "-o", "y.ndjson", "--from", "oldest"];
    assert_eq!(run(&home, &other).0, Some(0));
    assert!(first("y.ndjson").contains(OLDEST));
}

#[test]
fn a_contradiction_is_an_error_before_any_connection() {
    for (args, parts) in [
        ("--since 5m --until 10m", &["--until: ", "is not after", "--since"][..]),
        ("--cursor -5m --until -5m", &["--until: ", "is not after", "--cursor"]),
        ("--jq-errors fail", &["--jq-errors: ", "add --jq"]),
    ] {
        let args: Vec<&str> = ["tail"].into_iter().chain(args.split_whitespace()).collect();
        let message = refused(&args);
        assert!(parts.iter().all(|part| message.contains(part)), "{args:?}: {message}");
    }
    // In the environment it may be there for other runs.
    let home = TempDir::new().unwrap();
    let mut command = skytail(home.path());
    let run = command.env("SKYTAIL_JQ_ERRORS", "fail").args(["tail", "--demo", "-n", "1"]);
    assert_eq!(run.output().unwrap().status.code(), Some(0));
}

/// Nightly jobs run up to a time, and may be repeated.
#[test]
fn a_saved_position_at_or_after_until_ends_the_run_at_once() {
    let home = TempDir::new().unwrap();
    assert_eq!(run(&home, &["-n", "3", "--consumer", "nightly"]).0, Some(0));
    let (code, out, message) = run(&home, &["--consumer", "nightly", "--until", "10m"]);
    assert_eq!((code, &*out), (Some(0), ""), "{message}");
    assert!(
        message.starts_with("skytail: nothing to read: \"nightly\" was read up to "),
        "{message}"
    );
    let quiet = run(&home, &["--consumer", "nightly", "--until", "10m", "-q"]);
    assert_eq!(quiet, (Some(0), String::new(), String::new()));
    let flags = ["--consumer", "nightly", "--until", "10m", "--log-format", "json"];
    let (code, _, message) = run(&home, &flags);
    let reason = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(reason(message.lines().last().unwrap())["reason"], "until");
    // Nothing was saved in between, and a later end is read.
    let (code, out, _) = run(&home, &["--consumer", "nightly", "--until", "+1h", "-n", "2"]);
    assert_eq!((code, out.lines().count()), (Some(0), 2));
}

#[test]
fn a_misspelled_variable_gets_one_warning_and_others_none() {
    let home = TempDir::new().unwrap();
    let stderr = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = skytail(home.path());
        command.envs(variables.iter().copied()).args(args);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let typo = [("SKYTAIL_COLECTION", "x"), ("SKYTAIL_SERVICE_HOST", "10.0.0.1")];
    let tail = ["tail", "--demo", "-n", "1", "--no-checkpoint"];
    let warning =
        "skytail: warning: SKYTAIL_COLECTION is not a setting: did you mean SKYTAIL_COLLECTION?\n";
    let message = stderr(&typo, &tail);
    assert_eq!(message.matches("SKYTAIL_").count(), 2, "{message}");
    assert!(message.starts_with(warning), "{message}");
    assert_eq!(stderr(&typo, &["tail", "--demo", "-n", "1", "-q", "--no-checkpoint"]), "");
    let pod = [("SKYTAIL_PORT", "tcp://10.0.0.1:80"), ("SKYTAIL_PORT_80_TCP_ADDR", "10.0.0.1")];
    assert!(!stderr(&pod, &tail).contains("SKYTAIL_"));
}

#[test]
fn the_name_of_a_file_chooses_its_format() {
    let home = TempDir::new().unwrap();
    let file = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();
    for (flags, name, start) in [
        ("--fields did,kind", "x.csv", "did,kind\n"),
        ("--fields did,kind", "x.TSV", "did\tkind\n"),
        ("", "x.jsonl", "{\"did\""),
        ("", "x.log", "{\"did\""),
        ("--format pretty", "x.json", "{\n"),
        ("--format text", "x.txt", ""),
        // The user's own program makes the lines.
        ("--jq [.did]|@csv -r", "y.csv", "\"did:"),
    ] {
        let flags: Vec<&str> = flags.split_whitespace().chain(["-n", "1", "-o", name]).collect();
        let (code, _, message) = run(&home, &flags);
        assert_eq!(code, Some(0), "{name}: {message}");
        assert!(file(name).starts_with(start), "{name}: {}", file(name));
    }
    let fields = ["-n", "1", "--fields", "did", "-o", "x.csv.zst"];
    assert_eq!(run(&home, &fields).0, Some(0));
    let packed = std::fs::read(home.path().join("x.csv.zst")).unwrap();
    let mut text = Vec::new();
    let decoder = zstd::Decoder::new(&packed[..]).unwrap();
    decoder.take(1 << 20).read_to_end(&mut text).unwrap();
    assert!(text.starts_with(b"did\ndid:"));
}

#[test]
fn a_name_that_says_something_else_is_refused() {
    let home = TempDir::new().unwrap();
    for (flags, parts) in [
        ("-o x.csv", &["\"x.csv\" is a name for csv", "add --fields did,"][..]),
        ("-o x.parquet --jq .did", &["Parquet files hold events as they are", "--jq changes them"]),
        ("-o x.parquet --format text", &["--format changes them"]),
        ("-o x.parquet --append", &["nothing can be appended to a Parquet file"]),
        ("-o x.parquet --shape native", &["the columns of Parquet files are those of the v1"]),
        ("-o x.parquet --fields a:b", &["\"b\" is no type of a column"]),
        ("-o x-{collection}.ndjson", &["{collection} in the name of a Parquet file"]),
        ("-o x.parquet.zst", &["Parquet", "\"x.ndjson.zst\""]),
        ("-o x.db", &["a database", "\"x.ndjson\""]),
        ("-o x.sqlite", &["a database"]),
        ("-o x.csv --format text", &["--format is text", "\"x.txt\""]),
        ("-o x.ndjson --format csv --fields did", &["--format is csv", "\"x.csv\""]),
        ("-o x.json --format text", &["name for json"]),
        ("-o x-%F.csv --rotate daily", &["\"x-%F.csv\" is a name for csv"]),
        ("-o json", &["use --format json", "./json"]),
        ("-o text", &["use --format text", "./text"]),
        ("-o pretty", &["use --format pretty"]),
        ("-o csv", &["use --format csv"]),
        ("-o beginning", &["--cursor oldest", "./beginning"]),
    ] {
        let (code, out, message) = run(&home, &flags.split_whitespace().collect::<Vec<_>>());
        assert_eq!((code, &*out), (Some(2), ""), "{flags}: {message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{flags}: {message}");
    }
    assert_eq!(run(&home, &["-o", "./json", "-n", "1"]).0, Some(0));
    let names: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with("x")), "{names:?}");
}

/// 0.1.0 wrote JSON lines under any name.
#[test]
fn a_file_of_json_lines_with_another_ending_that_the_state_file_knows_continues() {
    let home = TempDir::new().unwrap();
    let of = |name: &str| ["-n", "2", "--consumer", "old", "-o", name].map(str::to_owned);
    let start = |name: &str| {
        let args = of(name);
        run(&home, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(start("old.ndjson").0, Some(0));
    let state = home.path().join(".local/state/skytail/state.db");
    let state = if state.exists() { state } else { home.path().join("skytail/state.db") };
    for (before, after) in [("old.ndjson", "old.csv"), ("old.csv", "old.db")] {
        std::fs::rename(home.path().join(before), home.path().join(after)).unwrap();
        let sql = format!(
            "UPDATE outputs SET path = replace(path, '{before}', '{after}'), \
             pattern = replace(pattern, '{before}', '{after}')"
        );
        rusqlite::Connection::open(&state).unwrap().execute_batch(&sql).unwrap();
        let (code, _, message) = start(after);
        assert_eq!(code, Some(0), "{message}");
    }
    let text = std::fs::read_to_string(home.path().join("old.db")).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with('{')).count(), 6, "{text}");
    // Another consumer does not know it, and a table can't follow JSON lines.
    assert_eq!(run(&home, &["-n", "1", "-o", "old.db"]).0, Some(2));
    let table =
        ["-n", "1", "--consumer", "old", "-o", "old.db", "--format", "csv", "--fields", "did"];
    assert_eq!(run(&home, &table).0, Some(2));
}
