//! A change of the filter and where the lines go: databases, Parquet files, and markers.

use super::{Watched, has_pong, post, record, replace, stay, stay_synced, wait_for};
use crate::database::fixture::query;
use crate::support::Scratch;
use crate::support::run::Tail;
use crate::support::scripted::ScriptedServer;
use crate::support::scripted::Step::{Accept, Hang};

const POST: &str = "app.bsky.feed.post";
const LIKE: &str = "app.bsky.feed.like";

/// Returns a post with a record, which a database stores.
fn stored(account: &str, n: u64) -> String {
    let record = r#","cid":"bafyreia","record":{"$type":"app.bsky.feed.post","text":"a"}}}"#;
    post(account, n, true).replace("}}", record)
}

// Guards INV-11.
#[test]
fn a_database_has_the_rows_and_the_position_of_a_change_also_after_a_kill() {
    let before = [stored("a", 100), stored("a", 101), stored("b", 102)];
    let after = [stored("b", 102), stored("b", 103), stored("a", 104)];
    let silent = vec![Accept, Hang];
    let server = ScriptedServer::start([stay_synced(&before), silent, stay(&after)]);
    let scratch = Scratch::new();
    let (list, database) = (scratch.path("dids.txt"), scratch.path("out.db"));
    replace(&list, "did:plc:a\n");
    let (at, to) = (format!("@{}", list.display()), format!("sqlite:{}", database.display()));
    let tail = || {
        let flags = ["-d", &at, "--to", &to, "--cursor", "auto", "--checkpoint-every", "1h"];
        Tail::of(&server).state(scratch.path("state.db")).flags(&flags)
    };
    let mut run = Watched::start(tail());
    wait_for(&server, |requests| requests.first().is_some_and(has_pong));
    replace(&list, "did:plc:a\ndid:plc:b\n");
    run.look();
    run.says("it applies after seq 102");
    wait_for(&server, |requests| requests.len() == 2 && !requests[1].head.is_empty());
    run.run.child.kill().unwrap();
    run.run.child.wait().unwrap();
    let rkeys = || query(&database, "SELECT rkey FROM records ORDER BY rkey");
    assert_eq!(rkeys(), ["100", "101"]);
    assert_eq!(query(&database, "SELECT newest_seq FROM skytail_position"), ["102"]);
    let stamp = "SELECT value FROM skytail_meta WHERE key = 'filter_since'";
    assert!(query(&database, stamp)[0].contains(" 102 "), "{:?}", query(&database, stamp));
    Watched::start(tail().flags(&["-n", "2"])).ends();
    assert_eq!(rkeys(), ["100", "101", "103", "104"]);
    assert_eq!(server.requests()[2].query("cursor"), ["102"]);
    assert_eq!(server.requests()[2].query("wantedDids"), ["did:plc:a", "did:plc:b"]);
}

/// Runs with a list of collections that gains the likes after two events, to `-n 3`. The like before
/// the change is not wanted.
fn run_with_added_likes(scratch: &Scratch, output: &str) -> [String; 4] {
    let [first, early, late, last] = [(POST, 100), (LIKE, 101), (LIKE, 102), (POST, 103)]
        .map(|(collection, n)| record("a", collection, n, true));
    let before = [first.clone(), early.clone()];
    let after = [early.clone(), late.clone(), last.clone()];
    let server = ScriptedServer::start([stay_synced(&before), stay(&after)]);
    let list = scratch.path("collections.txt");
    replace(&list, POST);
    let at = format!("@{}", list.display());
    let output = scratch.path(output);
    let flags = ["-c", &at, "-o", output.to_str().unwrap(), "-n", "3"];
    let run = Watched::start(Tail::of(&server).flags(&flags));
    wait_for(&server, |requests| requests.first().is_some_and(has_pong));
    replace(&list, &format!("{POST}\n{LIKE}\n"));
    run.look();
    let line = run.says("filter changed");
    assert!(line.contains("1 collection added, 2 in all; it applies after seq 101 "), "{line}");
    run.ends();
    [first, early, late, last]
}

/// Returns the events of a Parquet file.
fn parquet(scratch: &Scratch, name: &str) -> Vec<serde_json::Value> {
    let (found, _) = crate::parquet::run(scratch, &["convert", name, "-o", "-"], 0);
    crate::parquet::values(&found)
}

#[test]
fn a_parquet_file_has_the_events_of_both_filters() {
    let scratch = Scratch::new();
    let [first, _, late, last] = run_with_added_likes(&scratch, "out.parquet");
    let expected = crate::parquet::values(&[first, late, last].join("\n"));
    assert_eq!(parquet(&scratch, "out.parquet"), expected);
}

#[test]
fn an_added_collection_gets_a_parquet_file_of_its_own() {
    let scratch = Scratch::new();
    let [first, _, late, last] = run_with_added_likes(&scratch, "out-{collection}.parquet");
    let expected = crate::parquet::values(&[first, late, last].join("\n"));
    assert_eq!(parquet(&scratch, "out-app.bsky.feed.like.parquet"), expected[1..2]);
    let posts = parquet(&scratch, "out-app.bsky.feed.post.parquet");
    assert_eq!(posts, [expected[0].clone(), expected[2].clone()]);
}

#[test]
fn the_markers_of_an_added_collection_begin_at_the_change() {
    let [create, update, delete] = ["create", "update", "delete"].map(|operation| {
        move |collection: &str, n| record("a", collection, n, true).replace("create", operation)
    });
    let before = [create(POST, 100), delete(LIKE, 101)];
    let after = [
        delete(LIKE, 101),
        delete(LIKE, 102),
        update(LIKE, 103),
        delete(POST, 104),
        create(LIKE, 105),
    ];
    let server = ScriptedServer::start([stay_synced(&before), stay(&after)]);
    let scratch = Scratch::new();
    let list = scratch.path("collections.txt");
    replace(&list, POST);
    let at = format!("@{}", list.display());
    let flags = ["-c", &at, "--operation", "create", "--markers", "-n", "2"];
    let run = Watched::start(Tail::of(&server).flags(&flags));
    run.prints(&before[..1]);
    wait_for(&server, |requests| has_pong(&requests[0]));
    replace(&list, &format!("{POST}\n{LIKE}\n"));
    run.look();
    run.says("it applies after seq 101");
    run.prints(&[&after[1], &after[3], &after[4]]);
    run.ends();
}
