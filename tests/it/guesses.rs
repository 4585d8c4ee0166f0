//! First guesses of users who know other tools: they work, or one message leads to what works.
//! These tests connect to nothing but the server of `--demo`.

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
