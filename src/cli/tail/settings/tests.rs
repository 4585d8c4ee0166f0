//! Tests of the settings that the flags of `skytail tail` give.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::event::header::Operation;
use crate::position::{Seq, TimeUs};
use crate::settings::CursorMode;
use crate::source::handle::Handle;

const NOW: u64 = 1_783_175_888_186_668;

#[derive(Debug, Parser)]
struct Tail {
    #[command(flatten)]
    args: TailArgs,
}

fn settings(args: &str) -> Result<TailSettings, String> {
    let words = std::iter::once("tail").chain(args.split_whitespace());
    let tail = Tail::try_parse_from(words).map_err(|error| error.to_string())?;
    tail_settings(&tail.args, &ValueSources::default(), NOW, false)
        .map_err(|error| error.to_string())
}

fn valid(args: &str) -> TailSettings {
    settings(args).unwrap()
}

fn usage_error(args: &str) -> String {
    settings(args).unwrap_err()
}

#[test]
fn the_defaults_are_those_of_the_help() {
    let settings = valid("");
    let labels: Vec<&str> = settings.endpoints.iter().map(|e| &*e.label).collect();
    assert_eq!(labels, DEFAULT_HOSTS);
    assert!(settings.endpoints.iter().all(|endpoint| endpoint.tls));
    assert!(settings.filter.accepts_all() && !settings.demo && !settings.strict);
    assert_eq!(settings.cursor, CursorMode::Live);
    assert_eq!(settings.consumer.name, "all");
    assert_eq!(settings.checkpoint.interval, Duration::from_secs(1));
    assert_eq!(settings.checkpoint.events, None);
    assert_eq!(settings.buffer.events, 100_000);
    assert_eq!(settings.buffer.bytes, 2 << 20);
    assert_eq!(settings.connection.connect_timeout, Duration::from_secs(10));
    assert_eq!(settings.connection.ping_after, Duration::from_secs(15));
    assert_eq!(settings.connection.pong_timeout, Duration::from_secs(10));
    assert_eq!(settings.connection.max_retries, MaxRetries::OnceConnected);
    assert_eq!(settings.connection.max_message_bytes, 16 << 20);
    assert_eq!(settings.connection.rewind_us, 5_000_000);
    assert_eq!(settings.drain_timeout, Duration::from_secs(5));
}

#[test]
fn handles_are_kept_apart_until_they_are_resolved() {
    let settings = valid("-d did:plc:abc,@Alice.example.com -d alice.example.com,bob.example.com");
    assert_eq!(settings.filter.dids, HashSet::from(["did:plc:abc".to_owned()]));
    let handles = settings.handles.unwrap();
    let names: Vec<&str> = handles.names.iter().map(Handle::as_str).collect();
    assert_eq!(names, ["alice.example.com", "bob.example.com"]);
    assert!(handles.dns_server.is_none());
    assert_eq!(valid("-d did:plc:abc").handles, None);
    // A stream of one account may be quiet, whether a DID or a handle names it.
    assert_eq!(valid("-d alice.example.com").connection.stall_timeout, None);
    let chosen = valid("-d alice.test --dns-server 127.0.0.1:5353 --consumer a").handles.unwrap();
    assert!(chosen.dns_server.is_some());
}

#[test]
fn checkpoints_of_compressed_files_are_rarer_by_default() {
    assert_eq!(valid("-o a.ndjson").checkpoint.interval, Duration::from_secs(1));
    assert_eq!(valid("-o a.ndjson.zst").checkpoint.interval, Duration::from_secs(10));
    let asked = valid("-o a.ndjson.zst --checkpoint-every 2s");
    assert_eq!(asked.checkpoint.interval, Duration::from_secs(2));
}

#[test]
fn a_dash_is_stdout_and_needs_no_rotation() {
    assert_eq!(valid("").output, None);
    assert_eq!(valid("-o -").output, None);
    assert!(valid("-o ./-").output.is_some());
    assert!(usage_error("--rotate daily").contains("name one with --output FILE"));
    assert!(usage_error("-o - --append").contains("name one with --output FILE"));
}

#[test]
fn collections_and_operations_imply_commits() {
    assert_eq!(valid("-c app.bsky.feed.post").filter.kinds, [Kind::Commit]);
    assert_eq!(valid("--operation delete").filter.kinds, [Kind::Commit]);
    assert_eq!(valid("-d did:plc:abc").filter.kinds, []);
    let more = valid("-c app.bsky.feed.post -k identity,commit -k commit");
    assert_eq!(more.filter.kinds, [Kind::Identity, Kind::Commit]);
    let error = usage_error("-k identity -c app.bsky.feed.post");
    let start = "--kind: without commit, --collection could match nothing";
    assert!(error.starts_with(start), "{error}");
    assert!(usage_error("-k account --operation create").contains("--operation"));
}

#[test]
fn rules_for_records_imply_commits_and_the_other_local_rules_do_not() {
    assert_eq!(valid("--lang de").filter.kinds, [Kind::Commit]);
    assert_eq!(valid("--grep x").filter.kinds, [Kind::Commit]);
    assert_eq!(valid("--exclude app.bsky.feed.like").filter.kinds, []);
    assert_eq!(valid("--sample 1/10 --sample-by did").filter.kinds, []);
    assert_eq!(valid("--lang de,pt-BR --lang de").filter.languages.ranges(), ["de", "pt-br"]);
    let more = valid("--lang de -k commit,identity").filter.kinds;
    assert_eq!(more, [Kind::Commit, Kind::Identity]);
    let error = usage_error("-k identity --grep x");
    assert!(error.starts_with("--kind: without commit, --grep could match nothing"), "{error}");
}

#[test]
fn an_exclusion_of_everything_is_refused() {
    let error = usage_error("-c app.bsky.feed.post,a.b.c --exclude app.bsky.*,a.b.c");
    assert!(error.starts_with("--exclude: it leaves out everything that --collection"), "{error}");
    valid("-c app.bsky.feed.* --exclude app.bsky.feed.post");
    // Identity events are left.
    valid("-c app.bsky.feed.post -k commit,identity --exclude app.bsky.*");
}

#[test]
fn lists_are_split_at_commas() {
    let settings = valid(
        "-c app.bsky.feed.post,app.bsky.graph.* --operation create,update \
         --host a.example,b.example --host a.example",
    );
    let patterns = settings.filter.collections.patterns();
    assert_eq!(patterns, ["app.bsky.feed.post", "app.bsky.graph.*"]);
    assert_eq!(settings.filter.operations, [Operation::Create, Operation::Update]);
    assert_eq!(settings.endpoints.len(), 2);
}

#[test]
fn the_limits_of_the_protocol_are_checked_before_connecting() {
    let collections = |n: usize| (0..n).map(|i| format!("-c a.b.c{i} ")).collect::<String>();
    assert_eq!(valid(&collections(100)).filter.collections.len(), 100);
    assert!(usage_error(&collections(101)).starts_with("--collection: 101 values"));
    let dids = |n: usize| {
        let dids: Vec<String> = (0..n).map(|i| format!("did:plc:x{i}")).collect();
        format!("-d {}", dids.join(","))
    };
    assert_eq!(valid(&dids(10_000)).filter.dids.len(), 10_000);
    assert!(usage_error(&dids(10_001)).starts_with("--did: 10001 values"));
}

#[test]
fn an_error_names_the_flag_and_the_value() {
    for (args, start) in [
        ("-c app.bsky.fo*", "--collection: \"app.bsky.fo*\" is not a collection"),
        ("-c a.b.c,", "--collection: \"\" is not a collection"),
        ("-d alice", "--did: \"alice\" is neither a DID nor a handle"),
        ("-d alice.test", "--did: \"alice.test\" is not a handle"),
        ("-d @/nowhere/dids", "--did: can't read /nowhere/dids: "),
        ("--exclude post", "--exclude: \"post\" is not a collection"),
        ("--lang german", "--lang: \"german\" is not a language: write its code"),
        ("--grep (a", "--grep: \"(a\" is no regular expression: unclosed group"),
        ("--sample-by did", "--sample-by: this says what --sample takes: add --sample 1/N"),
        ("--host ftp://x", "--host: "),
        ("--consumer \u{7f}", "--consumer: \"\\u{7f}\" is not a consumer name"),
        ("--cursor yesterdy", "--cursor: "),
        ("--until soon", "--until: \"soon\" is not a time"),
        ("--max-lag 10 --buffer 10", "--max-lag: 10 events can't wait in a buffer of 10"),
        ("--no-checkpoint --cursor auto", "--no-checkpoint: "),
    ] {
        let error = usage_error(args);
        assert!(error.starts_with(start), "{args}: {error}");
    }
}

#[test]
fn a_stream_that_may_be_quiet_has_no_stall_timeout() {
    let stall = |args: &str| valid(args).connection.stall_timeout;
    assert_eq!(stall(""), Some(Duration::from_secs(60)));
    assert_eq!(stall("-d did:plc:abc"), None);
    assert_eq!(stall("-d did:plc:abc --stall-timeout 5m"), Some(Duration::from_secs(300)));
    assert_eq!(stall("--stall-timeout never"), None);
}

#[test]
fn ages_count_from_now() {
    assert_eq!(valid("--until -1m").stop.until, Some(TimeUs(NOW - 60_000_000)));
    let cursor = valid("--cursor -15m").cursor;
    assert_eq!(cursor, CursorMode::Time(TimeUs(NOW - 900_000_000)));
}

#[test]
fn without_checkpoints_there_is_no_state_file() {
    assert_eq!(valid("--no-checkpoint").state, None);
    assert_eq!(valid("--state a.db").state, Some(PathBuf::from("a.db")));
    assert!(valid("").state.is_some());
}

#[test]
fn a_seq_needs_a_single_server() {
    assert_eq!(valid("--host a.example.com --cursor 98765").cursor, CursorMode::Seq(Seq(98765)));
    for hosts in ["", "--host a.example.com --host b.example.com"] {
        let error = settings(&format!("{hosts} --cursor 98765")).unwrap_err();
        assert!(error.contains("98765 is a sequence number of one server"), "{error}");
    }
}
