//! The forms of the tables: generated columns, JSONB, full text, history, and `--jq`.

use super::fixture::{Fixture, query};
use crate::support::FIRST_US;
use crate::support::fold;

#[test]
fn fields_become_generated_columns_with_an_index() {
    let fixture = Fixture::new(2_000);
    let flags = ["--fields", "commit.record.n,commit.record.text"];
    fixture.run_ok(&flags);
    fixture.assert_is_complete();
    let database = fixture.database();
    let differing =
        query(&database, "SELECT count(*) FROM records WHERE n <> record ->> '$.n' OR n IS NULL");
    assert_eq!(differing, ["0"]);
    let plan = "SELECT group_concat(name) FROM pragma_index_list('records')";
    assert!(query(&database, plan)[0].contains("records_by_n"));
    let live = query(&database, "SELECT count(n) > 0 FROM live_records");
    assert_eq!(live, ["1"]);
    let other = fixture.run(&[]);
    assert!(
        other.code() == 2 && other.stderr.contains("--fields commit.record.n"),
        "{}",
        other.stderr
    );
}

#[test]
fn records_can_be_stored_as_jsonb() {
    let fixture = Fixture::new(2_000);
    let to = format!("sqlite:{}?json=jsonb", fixture.database().display());
    fixture.run_ok(&["--to", &to]);
    fixture.assert_is_complete();
    assert_eq!(query(&fixture.database(), "SELECT DISTINCT typeof(record) FROM records"), ["blob"]);
}

#[test]
fn a_full_text_index_holds_exactly_the_words_of_the_rows() {
    let recorded: Vec<String> =
        fold::events(4_000, FIRST_US, 5_000, super::fixture::FIRST_SEQ, false)
            .iter()
            .enumerate()
            .map(|(i, line)| line.replace(r#""text":""#, &format!(r#""text":"word{} "#, i % 7)))
            .collect();
    let fixture = Fixture::of(recorded, &[]);
    let to = format!("sqlite:{}?fts=commit.record.text", fixture.database().display());
    fixture.run_ok(&["--to", &to, "--limit", "2000"]);
    fixture.run_ok(&["--to", &to]);
    fixture.assert_is_complete();
    let database = fixture.database();
    let found = "SELECT count(*) FROM records_fts WHERE records_fts MATCH 'word3'";
    let there = "SELECT count(*) FROM records WHERE record ->> 'text' LIKE 'word3 %'";
    assert_eq!(query(&database, found), query(&database, there));
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute("INSERT INTO records_fts (records_fts, rank) VALUES ('integrity-check', 1)", [])
        .unwrap();
}

/// An account with three records, of which one is deleted, and another account that is deleted.
fn story() -> Vec<String> {
    let commit = |did: &str, i: u64, operation: &str, rkey: &str, record: &str| {
        let time = FIRST_US + i;
        format!(
            r#"{{"did":"did:plc:{did}","time_us":{time},"cursor":{i},"kind":"commit","commit":{{"rev":"3mptbypluu{i:03}","operation":"{operation}","collection":"a.b.c","rkey":"{rkey}"{record}}}}}"#
        )
    };
    let post = |text: &str| format!(r#","record":{{"text":"{text}","lang":"{text}"}},"cid":"c""#);
    let time = FIRST_US + 7;
    vec![
        commit("a", 1, "create", "1", &post("en")),
        commit("a", 2, "create", "2", &post("de")),
        commit("a", 3, "create", "3", &post("en")),
        commit("b", 4, "create", "1", &post("en")),
        commit("a", 5, "update", "3", &post("de")),
        commit("a", 6, "delete", "1", ""),
        format!(
            r#"{{"did":"did:plc:b","time_us":{time},"cursor":7,"kind":"account","account":{{"active":false,"did":"did:plc:b","seq":9,"status":"deleted","time":"2026-07-04T14:38:07Z"}}}}"#
        ),
        commit("a", 8, "create", "4", &post("en")),
    ]
}

#[test]
fn history_keeps_events_but_not_those_of_deleted_accounts() {
    let events = |option: &str| {
        let fixture = Fixture::of(story(), &[]);
        let to = format!("sqlite:{}?{option}", fixture.database().display());
        fixture.run_ok(&["--to", &to]);
        let sql = "SELECT group_concat(seq) FROM (SELECT seq FROM events ORDER BY id)";
        query(&fixture.database(), sql)[0].clone()
    };
    assert_eq!(events("history"), "1,2,3,5,6,7,8");
    assert_eq!(events("history=scrubbed"), "2,3,5,6,7,8");
}

#[test]
fn jq_chooses_the_record_and_an_update_that_no_longer_matches_removes_its_row() {
    let fixture = Fixture::of(story(), &[]);
    let program = r#".commit.record | select(.lang == "en") | {t: .text}"#;
    fixture.run_ok(&["--jq", program, "--limit", "3"]);
    let rows = "SELECT rkey || record FROM records ORDER BY did, rkey";
    assert_eq!(query(&fixture.database(), rows), [r#"1{"t":"en"}"#, r#"3{"t":"en"}"#]);
    fixture.run_ok(&["--jq", program]);
    assert_eq!(query(&fixture.database(), rows), [r#"4{"t":"en"}"#]);
    let dead = "SELECT group_concat(rkey) FROM (SELECT rkey FROM tombstones ORDER BY rkey)";
    assert_eq!(query(&fixture.database(), dead), ["1,3"]);
}

#[test]
fn a_jq_program_with_several_outputs_or_no_object_is_an_error() {
    for (program, said) in
        [(".commit.record, .commit.record", "several outputs"), (".commit.rkey", "no object")]
    {
        let fixture = Fixture::of(story(), &[]);
        let run = fixture.run_ok(&["--jq", program]);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert_eq!(query(&fixture.database(), "SELECT count(*) FROM records"), ["0"]);
        let to = format!("sqlite:{}", fixture.scratch.path("other.db").display());
        let run = fixture.run(&["--to", &to, "--jq", program, "--jq-errors", "fail"]);
        assert_eq!(run.code(), 1, "{}", run.stderr);
    }
}

#[test]
fn an_update_that_no_longer_matches_grep_removes_its_row() {
    let fixture = Fixture::of(story(), &[]);
    fixture.run_ok(&["--grep", "^en$"]);
    let rows = "SELECT did || '/' || rkey FROM records";
    assert_eq!(query(&fixture.database(), rows), ["did:plc:a/4"]);
}

#[test]
fn the_view_hides_records_of_accounts_that_are_not_active() {
    let mut recorded = story();
    recorded[6] = recorded[6].replace("deleted", "deactivated");
    let fixture = Fixture::of(recorded, &[]);
    fixture.run_ok(&[]);
    let database = fixture.database();
    assert_eq!(query(&database, "SELECT count(*) FROM records"), ["4"]);
    assert_eq!(
        query(&database, "SELECT uri FROM live_records ORDER BY uri"),
        ["2", "3", "4"].map(|rkey| format!("at://did:plc:a/a.b.c/{rkey}")),
    );
    let status = "SELECT active || status FROM accounts WHERE did = 'did:plc:b'";
    assert_eq!(query(&database, status), ["0deactivated"]);
}

#[test]
fn the_demo_fills_a_database() {
    let fixture = Fixture::new(1);
    let to = format!("sqlite:{}", fixture.database().display());
    let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
    crate::support::isolate_environment(&mut demo, &fixture.scratch.path(""));
    demo.args(["tail", "--demo", "-n", "2000", "-c", "app.bsky.feed.post", "--to", &to]);
    let run = demo.stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let sql = "select record ->> 'text' from live_records where collection = 'app.bsky.feed.post' order by time_us desc limit 10";
    let texts = query(&fixture.database(), sql);
    assert!(texts.len() == 10 && texts.iter().all(|text| text != "-"), "{texts:?}");
}
