//! Tests of the precedence of the four layers.

use std::collections::HashMap;

use super::*;
use crate::cli::tail::args::TailArgs;

/// Parses with these variables and this configuration file (none if it is empty).
fn parse_tail(
    args: &str,
    variables: &[(&str, &str)],
    file: &str,
) -> Result<(TailArgs, ValueSources), String> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    if !file.is_empty() {
        std::fs::write(&path, file).unwrap();
    }
    let env = ConfigEnv {
        variable: &|name| variables.get(name).map(OsString::from),
        default_file: Some(path),
    };
    let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
    let parsed = parse(&args, &env).map_err(|error| error.to_string());
    parsed.map(|(cli, sources)| match cli.command {
        crate::cli::Command::Tail(args) => (*args, sources),
        _ => unreachable!("these tests call tail only"),
    })
}

fn parse_error(args: &str, variables: &[(&str, &str)], file: &str) -> String {
    parse_tail(args, variables, file).unwrap_err()
}

#[test]
fn flags_override_variables_override_the_profile_overrides_the_file() {
    let file = "limit = 1\nprofile.p.limit = 2";
    let limit = |args: &str, variables: &[(&str, &str)]| {
        let (args, sources) = parse_tail(args, variables, file).unwrap();
        (args.output.limit, sources.of("limit").rank())
    };
    assert_eq!(limit("skytail tail", &[]), (Some(1), 3));
    assert_eq!(limit("skytail tail --profile p", &[]), (Some(2), 2));
    assert_eq!(limit("skytail --profile p tail", &[]), (Some(2), 2));
    let variables = [("SKYTAIL_LIMIT", "3"), ("SKYTAIL_PROFILE", "p")];
    assert_eq!(limit("skytail tail", &variables[1..]), (Some(2), 2));
    assert_eq!(limit("skytail tail", &variables), (Some(3), 1));
    assert_eq!(limit("skytail tail -n 4", &variables), (Some(4), 0));
}

/// Returns the paths of all commands: `skytail`, `skytail tail`, `skytail cursors`, …
fn command_paths() -> Vec<Vec<String>> {
    fn walk(command: &Command, path: &[String], all: &mut Vec<Vec<String>>) {
        all.push(path.to_vec());
        for sub in command.get_subcommands() {
            walk(sub, &[path, &[sub.get_name().to_owned()]].concat(), all);
        }
    }
    let mut all = Vec::new();
    walk(&Cli::command(), &["skytail".to_owned()], &mut all);
    all
}

fn find(mut command: Command, path: &[String]) -> Command {
    for name in &path[1..] {
        command = command.find_subcommand(name).unwrap().clone();
    }
    command
}

#[test]
fn every_flag_of_every_command_has_a_variable() {
    let mut tested = 0;
    for path in command_paths() {
        let given = Cli::command().ignore_errors(true).get_matches_from(&path);
        for long in find(Cli::command(), &path)
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .filter_map(Arg::get_long)
        {
            let wanted = variable_name(long);
            let variable = |name: &str| (name == wanted).then(|| OsString::from("x"));
            let env = ConfigEnv { variable: &variable, default_file: None };
            let layers = Layers { env: &env, file: None, profile: None };
            let mut sources = ValueSources::default();
            let applied = layers.apply(Cli::command(), &given, true, &mut sources).unwrap();
            let applied = find(applied, &path);
            let arg = applied.get_arguments().find(|arg| arg.get_long() == Some(long)).unwrap();
            assert_eq!(arg.get_default_values(), ["x"], "{path:?} --{long}");
            assert_eq!(sources.of(long), ValueSource::Environment(wanted.clone()));
            tested += 1;
        }
    }
    assert!(tested > 40, "{tested}");
}

#[test]
fn switches_accept_common_spellings_of_yes_and_no() {
    let strict = |value| {
        let parsed = parse_tail("skytail tail", &[("SKYTAIL_STRICT", value)], "");
        parsed.map(|(args, _)| args.output.strict)
    };
    for yes in ["1", "true", "yes", "on", "TRUE"] {
        assert_eq!(strict(yes), Ok(true), "{yes}");
    }
    for no in ["0", "false", "no", "off", ""] {
        assert_eq!(strict(no), Ok(false), "{no}");
    }
    assert!(strict("maybe").unwrap_err().starts_with("SKYTAIL_STRICT: "));
}

#[test]
fn a_profile_can_turn_off_a_switch_of_the_file() {
    let file = "strict = true\nverbose = 2\nprofile.p.strict = false";
    let (args, _) = parse_tail("skytail tail", &[], file).unwrap();
    assert!(args.output.strict);
    let (args, _) = parse_tail("skytail tail --profile p", &[], file).unwrap();
    assert!(!args.output.strict);
}

#[test]
fn a_higher_layer_replaces_lists_of_a_lower_one() {
    let file = "collection = ['a.b.c', 'd.e.f']\nkind = 'commit'";
    let collections = |args: &str, variables: &[(&str, &str)]| {
        let (args, _) = parse_tail(args, variables, file).unwrap();
        args.filters.collection
    };
    assert_eq!(collections("skytail tail", &[]), ["a.b.c", "d.e.f"]);
    let variables = [("SKYTAIL_COLLECTION", "g.h.i,j.k.l")];
    assert_eq!(collections("skytail tail", &variables), ["g.h.i", "j.k.l"]);
    assert_eq!(collections("skytail tail -c m.n.o", &variables), ["m.n.o"]);
}

#[test]
fn the_higher_layer_wins_when_two_flags_conflict() {
    let source = |args: &str, variables: &[(&str, &str)], file: &str| {
        let (args, _) = parse_tail(args, variables, file).unwrap();
        (args.source.demo, args.source.host)
    };
    let none: Vec<String> = Vec::new();
    let host = [("SKYTAIL_HOST", "b")];
    assert_eq!(source("skytail tail", &[], "demo = true"), (true, none.clone()));
    assert_eq!(source("skytail tail --host a", &[], "demo = true"), (false, vec!["a".into()]));
    assert_eq!(source("skytail tail", &host, "demo = true"), (false, vec!["b".into()]));
    assert_eq!(source("skytail tail", &host, "demo = false"), (false, vec!["b".into()]));
    assert_eq!(source("skytail tail --demo", &host, ""), (true, none));
    let error = parse_error("skytail tail", &[], "demo = true\nhost = 'a'");
    assert!(error.contains("exclude each other"), "{error}");
    assert!(parse_tail("skytail tail --demo --host a", &[], "").is_err());
}

#[test]
fn a_global_flag_before_or_after_the_command_wins_over_the_file() {
    let file = "log-format = 'json'\ncolor = 'never'\nverbose = 2";
    let global = |args: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let env = ConfigEnv { variable: &|_| None, default_file: Some(path) };
        let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
        let (cli, _) = parse(&args, &env).unwrap();
        let color = crate::cli::values::keywords::keyword(&cli.global.color);
        (color, cli.global.verbose, cli.global.quiet)
    };
    assert_eq!(global("skytail tail"), ("never".into(), 2, false));
    assert_eq!(global("skytail tail --color always -v"), ("always".into(), 1, false));
    assert_eq!(global("skytail --color always -v tail"), ("always".into(), 1, false));
    assert_eq!(global("skytail tail -q"), ("never".into(), 0, true));
    assert_eq!(global("skytail -q man"), ("never".into(), 0, true));
}

#[test]
fn a_bad_value_is_reported_with_its_source() {
    let error = parse_error("skytail tail", &[("SKYTAIL_BUFFER_BYTES", "8x")], "");
    assert!(error.starts_with("SKYTAIL_BUFFER_BYTES: invalid value '8x'"), "{error}");
    let error = parse_error("skytail tail", &[], "when-full = 'burst'");
    assert!(error.contains("config.toml: when-full: invalid value 'burst'"), "{error}");
    assert!(error.contains("drop-newest"), "{error}");
    let error = parse_error("skytail tail --profile p", &[], "profile.p.limit = -1");
    assert!(error.contains("config.toml: [profile.p] limit: "), "{error}");
    let error = parse_error("skytail tail", &[], "limit = [1, 2]");
    assert!(error.ends_with("limit: this takes one value, not a list"), "{error}");
    let error = parse_error("skytail tail", &[], "limit = []");
    assert!(error.contains("limit: the list is empty"), "{error}");
    let error = parse_error("skytail tail -n x", &[], "");
    assert!(error.starts_with("error: invalid value 'x' for '--limit <N>'"), "{error}");
}

#[test]
fn a_bad_value_that_is_overridden_does_not_matter() {
    let variables = [("SKYTAIL_LIMIT", "none")];
    let (args, _) = parse_tail("skytail tail -n 5", &variables, "limit = 'x'").unwrap();
    assert_eq!(args.output.limit, Some(5));
}

#[test]
fn a_file_or_profile_that_the_user_names_must_exist() {
    assert!(parse_tail("skytail tail", &[], "").is_ok());
    let error = parse_error("skytail tail --config /nowhere/c.toml", &[], "");
    assert!(error.contains("/nowhere/c.toml"), "{error}");
    let error = parse_error("skytail tail", &[("SKYTAIL_CONFIG", "/nowhere/d.toml")], "");
    assert!(error.contains("/nowhere/d.toml"), "{error}");
    let error = parse_error("skytail tail --profile p", &[], "");
    assert!(error.starts_with("there is no profile \"p\""), "{error}");
    let error = parse_error("skytail tail --profile q", &[], "[profile.p]");
    assert!(error.ends_with("its profiles are p"), "{error}");
}

#[test]
fn the_file_holds_the_flags_of_tail_and_of_every_command() {
    let keys = known_keys();
    let holds = |key: &str| keys.iter().any(|known| known == key);
    for key in ["host", "collection", "when-full", "quiet", "log-format"] {
        assert!(holds(key), "{key}");
    }
    for key in ["config", "profile", "help", "version", "shell"] {
        assert!(!holds(key), "{key}");
    }
    assert!(SHARED_KEYS.into_iter().all(holds));
}

#[test]
fn top_applies_a_profile_but_starts_now() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let file = "[profile.p]\ncollection = 'a.b.c'\ncursor = 'auto'\noutput = 'x.ndjson'";
    std::fs::write(&path, file).unwrap();
    let top = |variable: &dyn Fn(&str) -> Option<OsString>| {
        let env = ConfigEnv { variable, default_file: Some(path.clone()) };
        let args: Vec<OsString> = ["skytail", "top", "--profile", "p"].map(Into::into).to_vec();
        let (cli, _) = parse(&args, &env).unwrap();
        match cli.command {
            crate::cli::Command::Top(args) => (args.filters.collection, args.start.cursor),
            _ => unreachable!("this test calls top only"),
        }
    };
    assert_eq!(top(&|_| None), (vec!["a.b.c".to_owned()], "live".to_owned()));
    let variable = |name: &str| (name == "SKYTAIL_CURSOR").then(|| OsString::from("-15m"));
    assert_eq!(top(&variable).1, "-15m");
}
