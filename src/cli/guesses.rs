//! First guesses of users of other tools: rewrites those that mean a command of skytail, and
//! answers those that can't work with what does.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::filter::Collections;

/// Flags of other tools, each with the flag of `skytail tail` that does the same.
const FLAGS: [(&str, &str); 23] = [
    ("--account", "use --did for an account: -d alice.bsky.social"),
    ("--actor", "use --did for an account: -d alice.bsky.social"),
    ("--author", "use --did for an account: -d alice.bsky.social"),
    ("--user", "use --did for an account: -d alice.bsky.social"),
    ("--csv", "use --format csv, with --fields for its columns"),
    ("--tsv", "use --format tsv, with --fields for its columns"),
    ("--pretty", "use --format pretty"),
    ("--text", "use --format text"),
    ("--ndjson", "use --format ndjson, which is the default"),
    ("--jsonl", "use --format ndjson, which is the default"),
    ("--file", "use --output FILE (-o), which resumes where it stopped"),
    ("--output-format", "use --format ndjson, pretty, text, csv or tsv"),
    ("--filter", "use -c, -d, -k or --operation; or --jq 'select(…)'"),
    ("--type", "use -c for a collection, or -k for a kind of event"),
    ("--from-beginning", "use --cursor oldest"),
    ("--offset", "use --cursor, or --since TIME"),
    ("--resume", "use --cursor auto, which resumes where it stopped"),
    ("--server", "use --host HOST"),
    ("--url", "use --host HOST"),
    ("--endpoint", "use --host HOST"),
    ("--silent", "use --quiet (-q)"),
    ("-s", "use --quiet (-q)"),
    ("--start", "use --since TIME"),
];

/// What people call the commonest records, each with its collection.
const RECORDS: [(&str, &str); 6] = [
    ("post", "app.bsky.feed.post"),
    ("like", "app.bsky.feed.like"),
    ("repost", "app.bsky.feed.repost"),
    ("follow", "app.bsky.graph.follow"),
    ("block", "app.bsky.graph.block"),
    ("profile", "app.bsky.actor.profile"),
];

/// Words of an age that a user did not quote.
const AGE_WORDS: [&str; 11] =
    ["ago", "seconds", "minute", "minutes", "min", "hour", "hours", "day", "days", "week", "weeks"];

/// Replaces `help`, `help COMMAND`, `COMMAND help` and `version` by the flags for them. `args` begins with the name
/// of the program.
#[must_use]
pub fn rewrite(args: Vec<OsString>) -> Vec<OsString> {
    let word = |index: usize| args.get(index).and_then(|arg| arg.to_str());
    let (index, flag) = match (word(1), word(2), args.len()) {
        (Some("help"), ..) => (1, "--help"),
        (Some("version"), None, 2) => (1, "--version"),
        (Some("tail" | "top" | "cursors"), Some("help"), 3) => (2, "--help"),
        _ => return args,
    };
    let mut rewritten = args;
    rewritten.remove(index);
    rewritten.push(flag.into());
    rewritten
}

/// The command that the user called, as far as tips depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    /// No command of skytail.
    Root,
    Tail,
    Top,
}

/// Returns clap's error with the tip that fits a known guess, and without a tip that would
/// mislead. `root` is the command line that rejected the arguments.
#[must_use]
pub fn improve(mut error: clap::Error, args: &[OsString], root: &Command) -> clap::Error {
    let context = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return error,
    };
    let Some(ContextValue::String(invalid)) = error.get(context) else { return error };
    let invalid = invalid.clone();
    if is_misleading(&error, &invalid) {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
    }
    let words: Vec<&str> = args.iter().skip(1).filter_map(|arg| arg.to_str()).collect();
    let called = match words.iter().find(|word| root.find_subcommand(word).is_some()) {
        None => Called::Root,
        Some(&"tail") => Called::Tail,
        Some(&"top") => Called::Top,
        Some(_) => return error,
    };
    let count = words.iter().find(|word| is_count(word) && word.starts_with(&invalid));
    if let Some(given) = count {
        error.insert(context, ContextValue::String((*given).to_owned()));
    }
    let tip = match called {
        Called::Root => tip(&invalid, &words, called).or_else(|| belongs_to_tail(&invalid, root)),
        Called::Tail | Called::Top => tip(&invalid, &words, called),
    };
    let Some(tip) = tip else { return error };
    // clap's own suggestion is also a part of its usage line.
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::Usage] {
        error.remove(kind);
    }
    let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
    error.insert(ContextKind::Suggested, tip);
    error
}

/// Returns the tip about a flag of `tail` before the name of the command.
fn belongs_to_tail(flag: &str, root: &Command) -> Option<String> {
    let name = flag.trim_start_matches('-').split('=').next()?;
    let is_it = |arg: &Arg| match flag.starts_with("--") {
        true => arg.get_long() == Some(name),
        false => arg.get_short() == name.chars().next(),
    };
    let tail = root.find_subcommand("tail")?;
    let is_flag = flag.starts_with('-') && tail.get_arguments().any(is_it);
    is_flag.then(|| format!("write the command first: skytail tail {flag}"))
}

/// Returns whether the flag that clap suggests has a name of another meaning.
fn is_misleading(error: &clap::Error, invalid: &str) -> bool {
    let Some(ContextValue::String(suggested)) = error.get(ContextKind::SuggestedArg) else {
        return false;
    };
    let name = |flag: &str| {
        let name = flag.trim_start_matches('-');
        name.split([' ', '=', '<']).next().unwrap_or_default().to_owned()
    };
    let (given, suggested) = (name(invalid), name(suggested));
    let is_part = given.len() > 2 && (suggested.contains(&given) || given.contains(&suggested));
    let typos = strsim::osa_distance(&given, &suggested);
    !is_part && typos > (given.len() / 4).max(1)
}

fn is_count(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns what to write instead of an argument that the command line does not accept.
fn tip(invalid: &str, words: &[&str], called: Called) -> Option<String> {
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        words
            .get(at + 1)
            .filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            .copied()
    };
    let count = match invalid {
        "--lines" | "--tail" => Some(after(invalid).unwrap_or("N").to_owned()),
        _ => words
            .iter()
            .find(|word| is_count(word) && word.starts_with(invalid))
            .map(|word| word.trim_start_matches('-').to_owned()),
    };
    if let Some(n) = count.filter(|_| called != Called::Top) {
        return Some(format!("-n {n} stops after {n}; --last {n} starts {n} back"));
    }
    let flag = invalid.split('=').next().unwrap_or(invalid);
    if called == Called::Top && matches!(flag, "--for" | "--timeout" | "--duration") {
        return Some("--once --window 30s counts for 30 seconds, and ends".to_owned());
    }
    if let Some((_, tip)) = FLAGS.iter().find(|(name, _)| *name == flag) {
        return Some((*tip).to_owned());
    }
    if invalid.starts_with('-') {
        return None;
    }
    positional(invalid, called)
}

/// Returns the flag for a value that the user wrote without one.
fn positional(value: &str, called: Called) -> Option<String> {
    let command = if called == Called::Root { "skytail tail " } else { "" };
    let singular = value.strip_suffix('s').unwrap_or(value);
    if let Some((_, collection)) = RECORDS.iter().find(|(name, _)| *name == singular) {
        return Some(format!("write {command}-c {collection}"));
    }
    if AGE_WORDS.contains(&value) && called != Called::Root {
        return Some("quote a value with spaces: --since \"10 minutes ago\"".to_owned());
    }
    if value.starts_with("did:") || value.starts_with('@') {
        return Some(format!("an account needs -d: {command}-d {value}"));
    }
    if value.contains("://") {
        return Some(format!("a server needs --host: {command}--host {value}"));
    }
    if value.contains('.') && Collections::default().add(value).is_ok() {
        let collection = format!("a collection needs -c: {command}-c {value}");
        let is_known =
            ["app.", "chat.", "com.atproto."].iter().any(|start| value.starts_with(start));
        let only_collection = is_known || value.ends_with(".*");
        return Some(match only_collection {
            true => collection,
            false => format!("{collection}; an account needs -d: {command}-d {value}"),
        });
    }
    if value.contains('.') {
        return Some(format!("an account needs -d: {command}-d {value}"));
    }
    (called != Called::Root).then(|| "filter with -c NSID, -d DID or -k KIND".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(args: &[&str]) -> Vec<String> {
        let args = args.iter().map(OsString::from).collect();
        rewrite(args).into_iter().map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn help_and_version_are_also_words() {
        assert_eq!(rewritten(&["skytail", "help"]), ["skytail", "--help"]);
        assert_eq!(rewritten(&["skytail", "help", "tail"]), ["skytail", "tail", "--help"]);
        assert_eq!(rewritten(&["skytail", "version"]), ["skytail", "--version"]);
        assert_eq!(rewritten(&["skytail", "tail", "help"]), ["skytail", "tail", "--help"]);
        for other in [&["skytail"][..], &["skytail", "stats", "help"], &["skytail", "version", "x"]]
        {
            assert_eq!(rewritten(other), other);
        }
    }

    #[test]
    fn a_value_without_a_flag_is_answered_with_its_flag() {
        for (value, flag) in [
            ("app.bsky.feed.post", "-c app.bsky.feed.post"),
            ("app.bsky.feed.*", "-c app.bsky.feed.*"),
            ("posts", "-c app.bsky.feed.post"),
            ("did:plc:abc", "-d did:plc:abc"),
            ("@alice.example", "-d @alice.example"),
            ("alice.bsky.social", "-d alice.bsky.social"),
            ("wss://h.example", "--host wss://h.example"),
        ] {
            let tip = positional(value, Called::Tail).unwrap();
            assert!(tip.contains(flag), "{value}: {tip}");
            let tip = positional(value, Called::Root).unwrap();
            assert!(tip.contains(&format!("skytail tail {flag}")), "{value}: {tip}");
        }
        assert_eq!(positional("nonsense", Called::Root), None);
    }
}
