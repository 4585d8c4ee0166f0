//! Kinds of servers: v2 with syncs and an archive, v1 without syncs, and a change of server.

use super::fixture::{FIRST_SEQ, Fixture, query};
use crate::support::fold::{self, Fold};
use crate::support::{FIRST_US, ServeProcess};

fn events(count: u64) -> Vec<String> {
    fold::events(count, FIRST_US, 5_000, FIRST_SEQ, true)
}

#[test]
fn archive_and_stream_of_a_v2_server_bring_the_fold_with_syncs() {
    let sizes = ["--archive-segment-events", "2000", "--archive-block-events", "100"];
    let fixture =
        Fixture::of(events(9_000), &[&sizes[..], &["--retention-events", "1500"]].concat());
    let run = fixture.follow(&["--checkpoint-every", "10ms"]);
    fixture.wait_for(1);
    run.signal("KILL");
    run.wait();
    fixture.assert_is_fold(&fixture.database());
    let run = fixture.run_ok(&[]);
    assert!(!run.stderr.contains("v1 has no sync events"), "{}", run.stderr);
    fixture.assert_is_complete();
    let indices =
        "SELECT count(*) FROM pragma_index_list('records') WHERE name = 'records_by_time'";
    assert_eq!(query(&fixture.database(), indices), ["1"]);
}

#[test]
fn v1_is_warned_of_once_and_refused_by_strict() {
    let fixture = Fixture::of(events(1_000), &["--server-kind", "legacy"]);
    let run = fixture.run_ok(&[]);
    let warnings = run.stderr.matches("v1 has no sync events").count();
    assert_eq!(warnings, 1, "{}", run.stderr);
    let lines = fixture.recorded.iter().filter(|line| !line.contains(r#""kind":"sync""#));
    fold::assert_equal(&fixture.database(), &Fold::of(lines.map(String::as_str)));

    let to = format!("sqlite:{}?strict", fixture.scratch.path("strict.db").display());
    let run = fixture.run(&["--to", &to, "--max-retries", "0"]);
    assert_ne!(run.code(), 0, "{}", run.stderr);
    assert_eq!(fixture.committed(&fixture.scratch.path("strict.db")), 0);
}

#[test]
fn a_change_of_server_after_a_sync_records_the_account_as_incomplete() {
    let recorded = events(3_000);
    let fixture = Fixture::of(recorded.clone(), &[]);
    fixture.run_ok(&["--limit", "1500"]);
    let scratch = crate::support::Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
    let other = server.address.to_string();
    let flags = fixture.flags(&[]);
    let at_other = |flag: &String| if *flag == fixture.host { other.clone() } else { flag.clone() };
    let flags: Vec<String> = flags.iter().map(at_other).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let run = crate::support::tail::tail(&fixture.scratch.path(""), &flags);
    assert_eq!(run.code(), 0, "{}", run.stderr);
    fixture.assert_is_complete();
    let synced: std::collections::BTreeSet<String> = recorded[..1_500]
        .iter()
        .filter(|line| line.contains(r#""kind":"sync""#))
        .map(|line| line[8..8 + 32].to_owned())
        .collect();
    let found = "SELECT did FROM skytail_gaps WHERE reason LIKE 'the server changed%' ORDER BY did";
    let found: Vec<String> = query(&fixture.database(), found);
    assert!(synced.len() > 5 && synced.iter().all(|did| found.contains(did)), "{found:?}");
    assert!(found.len() <= synced.len() + 1, "{found:?}");
}

#[test]
fn markers_come_although_only_a_collection_was_asked_for() {
    let fixture = Fixture::of(events(3_000), &[]);
    fixture.run_ok(&["--collection", "a.b.post", "--kind", "commit"]);
    let is_wanted = |line: &&String| !line.contains("a.b.like");
    let lines = fixture.recorded.iter().filter(is_wanted).map(String::as_str);
    fold::assert_equal(&fixture.database(), &Fold::of(lines));
}

#[test]
fn archive_and_stream_store_the_same_text_of_a_record() {
    let text = "a <b> & \u{2028} \u{1F600} \u{e9} \\ / \"q\" \t";
    let quoted = serde_json::to_string(text).unwrap();
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let recorded: Vec<String> = fold::events(600, FIRST_US, 5_000, FIRST_SEQ, false)
        .iter()
        .enumerate()
        .map(|(i, line)| match i % 2 {
            0 => line.replace(r#""record":{"#, &format!(r#""record":{{"alt":{quoted},"#)),
            _ => line.replace(r#""record":{"#, &format!(r#""record":{{"alt":"{escaped}","#)),
        })
        .collect();
    let sizes = ["--archive-segment-events", "200", "--archive-block-events", "50"];
    let fixture = Fixture::of(recorded, &sizes);
    let sql = "SELECT did || rkey || record FROM records ORDER BY did, collection, rkey";
    let stored = |name: &str, archive: &str| {
        let path = fixture.scratch.path(name);
        let to = format!("sqlite:{}", path.display());
        let run = fixture.run_ok(&["--to", &to, "--archive", archive, "-v"]);
        assert_eq!(
            run.stderr.contains("reading the archive"),
            archive == "prefer",
            "{}",
            run.stderr
        );
        query(&path, sql)
    };
    let (archive, stream) = (stored("archive.db", "prefer"), stored("stream.db", "off"));
    assert!(stream.len() > 20 && stream.iter().all(|row| row.contains(&quoted)), "{stream:?}");
    assert_eq!(archive, stream);
}
