//! Generates the commits of the synthetic recording: likes, posts, reposts, follows and others in
//! the proportions of the network, some commits with several operations.

use std::collections::HashSet;

use super::Writer;
use super::names::{Account, Names, rfc3339_ms};
use crate::archive::write::convert::record_to_cbor;

/// One operation of a commit.
struct Operation {
    verb: &'static str,
    collection: &'static str,
    rkey: String,
    /// The record as JSON with its keys in byte order; `None` for a delete.
    record: Option<String>,
}

/// Writes one commit: one line per operation.
pub(super) fn write(writer: &mut Writer, operations: usize, names: &mut Names) {
    let account = names.account();
    let rev = names.tid(writer.time_us);
    let mut paths = HashSet::new();
    for _ in 0..operations {
        // A commit changes each record at most once.
        let operation = loop {
            let operation = operation(writer.time_us, names);
            if paths.insert((operation.collection, operation.rkey.clone())) {
                break operation;
            }
        };
        let end = match &operation.record {
            Some(record) => format!(r#","record":{record},"cid":"{}""#, cid(record)),
            None => String::new(),
        };
        let body = format!(
            r#"{{"rev":"{rev}","operation":"{}","collection":"{}","rkey":"{}"{end}}}"#,
            operation.verb, operation.collection, operation.rkey
        );
        writer.event(&account.did, "commit", &body);
    }
}

/// Returns the CID of a record; the archive computes the same one.
fn cid(record: &str) -> String {
    match record_to_cbor(record.as_bytes()) {
        Ok((_, cid)) => cid,
        Err(error) => unreachable!("a record of the demo is malformed: {error}"),
    }
}

fn operation(time_us: u64, names: &mut Names) -> Operation {
    // Clients create their records shortly before the server sees them.
    let made_us = time_us.saturating_sub(50_000 + names.below(900_000) as u64);
    let made = rfc3339_ms(made_us);
    let (collection, record) = match names.below(100) {
        0..58 => ("app.bsky.feed.like", subject_record("app.bsky.feed.like", &made, names)),
        58..74 => ("app.bsky.feed.post", post(&made, names)),
        74..84 => ("app.bsky.feed.repost", subject_record("app.bsky.feed.repost", &made, names)),
        84..94 => ("app.bsky.graph.follow", account_record("app.bsky.graph.follow", &made, names)),
        94..97 => ("app.bsky.graph.block", account_record("app.bsky.graph.block", &made, names)),
        _ => return profile_update(&made, names),
    };
    let deleted = names.one_in(20);
    // Deleted records were created within the month before.
    let age_us = if deleted { names.below(30 * 86_400) as u64 * 1_000_000 } else { 0 };
    Operation {
        verb: if deleted { "delete" } else { "create" },
        collection,
        rkey: names.tid(made_us.saturating_sub(age_us)),
        record: (!deleted).then_some(record),
    }
}

fn post_uri(account: &Account, names: &mut Names) -> String {
    // Some time in 2026.
    let written_us = 1_770_000_000_000_000 + names.below(10_000_000) as u64 * 1_000_003;
    format!("at://{}/app.bsky.feed.post/{}", account.did, names.tid(written_us))
}

/// Returns a reference to a post: its CID and its URI.
fn post_reference(names: &mut Names) -> String {
    let account = names.account();
    let uri = post_uri(&account, names);
    format!(r#"{{"cid":"{}","uri":"{uri}"}}"#, names.cid())
}

fn subject_record(collection: &str, made: &str, names: &mut Names) -> String {
    let subject = post_reference(names);
    let via = if names.one_in(12) {
        format!(r#","via":{}"#, post_reference(names).replace("feed.post/", "feed.repost/"))
    } else {
        String::new()
    };
    format!(r#"{{"$type":"{collection}","createdAt":"{made}","subject":{subject}{via}}}"#)
}

fn account_record(collection: &str, made: &str, names: &mut Names) -> String {
    let subject = names.account().did;
    format!(r#"{{"$type":"{collection}","createdAt":"{made}","subject":"{subject}"}}"#)
}

fn blob(mime: &str, bytes: usize, names: &mut Names) -> String {
    let link = names.blob_cid();
    format!(r#"{{"$type":"blob","mimeType":"{mime}","ref":{{"$link":"{link}"}},"size":{bytes}}}"#)
}

fn post(made: &str, names: &mut Names) -> String {
    let (language, text) = names.prose();
    let embed = if names.one_in(5) {
        let size = 20_000 + names.below(900_000);
        let image = blob("image/jpeg", size, names);
        format!(
            r#""embed":{{"$type":"app.bsky.embed.images","images":[{{"alt":"","aspectRatio":{{"height":1200,"width":1600}},"image":{image}}}]}},"#
        )
    } else {
        String::new()
    };
    let reply = if names.one_in(2) {
        let root = post_reference(names);
        let parent = if names.one_in(2) { root.clone() } else { post_reference(names) };
        format!(r#","reply":{{"parent":{parent},"root":{root}}}"#)
    } else {
        String::new()
    };
    format!(
        r#"{{"$type":"app.bsky.feed.post","createdAt":"{made}",{embed}"langs":["{language}"]{reply},"text":"{text}"}}"#
    )
}

fn profile_update(made: &str, names: &mut Names) -> Operation {
    let (_, text) = names.prose();
    let size = 10_000 + names.below(200_000);
    let avatar = blob("image/jpeg", size, names);
    let name = names.account().handle;
    let name = name.split('.').next().unwrap_or_default();
    Operation {
        verb: "update",
        collection: "app.bsky.actor.profile",
        rkey: "self".to_owned(),
        record: Some(format!(
            r#"{{"$type":"app.bsky.actor.profile","avatar":{avatar},"createdAt":"{made}","description":"{text}","displayName":"{name}"}}"#
        )),
    }
}
