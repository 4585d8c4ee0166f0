//! The queries of `docs/guide/sqlite.md` run, and each finds something.

use rusqlite::Connection;

use super::fixture::Fixture;
use crate::support::FIRST_US;

/// Events in which every question of the guide has an answer.
fn events() -> Vec<String> {
    let did = "did:plc:z72i7hdynmk6r22z27h6tvur";
    let root = "at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3l6oveex3ii2l";
    let mut lines = Vec::new();
    let mut add = |kind: &str, body: String| {
        let (time, seq) = (FIRST_US + lines.len() as u64, lines.len() + 1);
        lines.push(format!(
            r#"{{"did":"{did}","time_us":{time},"cursor":{seq},"kind":"{kind}","{kind}":{body}}}"#
        ));
    };
    let create = |collection: &str, rkey: u32, record: &str| {
        format!(
            r#"{{"rev":"3mptbypluu{rkey:03}","operation":"create","collection":"{collection}","rkey":"{rkey}","record":{record},"cid":"c"}}"#
        )
    };
    add("identity", format!(r#"{{"did":"{did}","handle":"alice.example.com","seq":1}}"#));
    add("commit", create("app.bsky.actor.profile", 1, r#"{"displayName":"Alice"}"#));
    let reply =
        format!(r#"{{"text":"a sky","langs":["en"],"reply":{{"root":{{"uri":"{root}"}}}}}}"#);
    add("commit", create("app.bsky.feed.post", 2, &reply));
    add("commit", create("app.bsky.feed.like", 3, &format!(r#"{{"subject":{{"uri":"{root}"}}}}"#)));
    add("commit", create("app.bsky.graph.follow", 4, r#"{"subject":"did:plc:b"}"#));
    add("commit", create("app.bsky.graph.block", 5, r#"{"subject":"did:plc:b"}"#));
    add(
        "commit",
        r#"{"rev":"3mptbypluu006","operation":"delete","collection":"app.bsky.graph.block","rkey":"5"}"#
            .to_owned(),
    );
    let (time, seq) = (FIRST_US + 100, lines.len() + 1);
    lines.push(format!(
        r#"{{"did":"did:plc:gone","time_us":{time},"cursor":{seq},"kind":"account","account":{{"active":false,"did":"did:plc:gone","seq":2,"status":"suspended"}}}}"#
    ));
    lines
}

#[test]
fn each_query_of_the_guide_has_an_answer() {
    let fixture = Fixture::of(events(), &[]);
    let to = format!("sqlite:{}?fts=commit.record.text", fixture.database().display());
    fixture.run_ok(&["--to", &to]);
    let database = Connection::open(fixture.database()).unwrap();
    database
        .execute("INSERT INTO skytail_gaps (seen_at_us, from_us, reason) VALUES (1, 2, 'x')", [])
        .unwrap();
    let guide = crate::documents::read("docs/guide/sqlite.md");
    let queries: Vec<&str> = guide
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0.trim())
        .collect();
    assert_eq!(queries.len(), 10);
    for query in queries {
        let mut statement = database.prepare(query).unwrap();
        let rows = statement.query_map([], |_| Ok(())).unwrap();
        assert!(rows.map(Result::unwrap).count() > 0, "{query}");
    }
}
