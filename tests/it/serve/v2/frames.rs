//! Messages of the v2 stream (§2, §3, §7).

use serde_json::value::RawValue;

use super::{all, in_v2_shape, json, seqs};
use crate::support::client::{Client, End, Next};
use crate::support::{FIRST_US, Scratch, ServeProcess, events, vectors};

const SYNC: &str = r#"{"did":"did:plc:odd","time_us":1783175889000000,"cursor":900,"kind":"sync","sync":{"blocks":{"$bytes":"OqJlcm9vdHOB2CpYJQAB"},"did":"did:plc:odd","rev":"3mptbypluud2a","seq":31527015472,"time":"2026-07-04T14:38:08.101Z"}}"#;

fn strings(lines: &[String]) -> Vec<serde_json::Value> {
    lines.iter().map(|line| json(line)).collect()
}

#[tokio::test]
async fn events_are_sent_in_the_shape_of_v2() {
    let scratch = Scratch::new();
    let mut lines = events(30, true);
    lines.push(SYNC.to_owned());
    let server = ServeProcess::start(&scratch.recording(&lines), &["--close-at-end"]);
    let frames = all(&server, "").await;
    let expected: Vec<_> = lines.iter().map(|line| in_v2_shape(line)).collect();
    assert_eq!(strings(&frames), expected);
    assert_eq!(
        frames[0],
        r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","cid":"bafyrei0","collection":"app.bsky.feed.post","did":"did:plc:even","operation":"create","record":{"$type":"app.bsky.feed.post","text":"event 0"},"rev":"3mptbypluud2a","rkey":"0","seq":100,"time":"2026-07-04T14:38:08.000000Z"}}"##
    );
    // v1 has no syncs.
    assert_eq!(crate::serve::all(&server, "").await, lines[..30]);
    assert_eq!(crate::serve::all(&server, "wantedDids=did:plc:odd&cursor=899").await, [""; 0]);
}

#[tokio::test]
async fn recordings_of_a_legacy_server_receive_seqs() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(20, false));
    let server = ServeProcess::start(&path, &["--close-at-end", "--server-kind", "v2"]);
    assert_eq!(seqs(&all(&server, "").await), (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_restrict_kinds_and_dids_of_all_and_collections_of_commits() {
    let scratch = Scratch::new();
    let mut lines = events(40, true);
    lines.push(SYNC.to_owned());
    let server = ServeProcess::start(&scratch.recording(&lines), &["--close-at-end"]);
    let wanted = |test: &dyn Fn(&str) -> bool| -> Vec<_> {
        lines.iter().filter(|line| test(line)).map(|line| in_v2_shape(line)).collect()
    };
    let is_post = |line: &str| line.contains("feed.post");
    let is_commit = |line: &str| line.contains(r#""kind":"commit""#);
    for (query, test) in [
        ("kinds=commit", &is_commit as &dyn Fn(&str) -> bool),
        ("kinds=identity&kinds=sync", &|line| !is_commit(line)),
        ("dids=did:plc:odd", &|line| line.contains("did:plc:odd")),
        ("collections=app.bsky.feed.post", &|line| is_post(line) || !is_commit(line)),
        ("collections=app.bsky.feed.*&kinds=commit", &is_commit),
        ("kinds=commit&collections=app.bsky.feed.post", &is_post),
        ("dids=did:plc:tenth&collections=app.bsky.feed.post", &|line| line.contains("tenth")),
        ("somethingElse=1&maxMessageSizeBytes=0&cursor=", &|_| true),
    ] {
        assert_eq!(strings(&all(&server, query).await), wanted(test), "{query}");
    }
}

#[tokio::test]
async fn the_size_limit_measures_the_uncompressed_frame_with_its_envelope() {
    let scratch = Scratch::new();
    let lines = events(2_000, true);
    let server = ServeProcess::start(&scratch.recording(&lines), &["--close-at-end"]);
    let frames = all(&server, "").await;
    let limit = frames[0].len();
    let small: Vec<&String> = frames.iter().filter(|frame| frame.len() <= limit).collect();
    assert!(small.len() < frames.len());
    let plain = all(&server, &format!("maxMessageSizeBytes={limit}")).await;
    assert!(plain.iter().eq(small.iter().copied()));
    let (id, dictionary) = super::dictionary::fetch(&server);
    let query = format!("maxMessageSizeBytes={limit}&zstdDictionary={id}");
    let client = Client::connect(&server.v2_url(&query)).await;
    let packed = client.with_dictionary(dictionary).rest().await.0;
    assert!(packed.iter().eq(small));
}

#[tokio::test]
async fn any_client_message_ends_the_push_only_stream_with_1008() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(5, true)), &[]);
    for binary in [false, true] {
        let mut client = Client::connect(&server.v2_url("")).await;
        client.take(5).await;
        assert_eq!(client.ping().await, [""; 0], "a ping ends or changes nothing");
        if binary {
            client.send_binary(b"hello").await;
        } else {
            client.send(r#"{"type":"options_update","payload":{}}"#).await;
        }
        let Next::End(End::Closed(code, _)) = client.next().await else {
            panic!("the stream did not end with a close frame")
        };
        assert_eq!(code, 1008);
    }
}

#[tokio::test]
async fn a_server_that_stops_reports_it() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(5, true)), &[]);
    let mut client = Client::connect(&server.v2_url("")).await;
    client.take(5).await;
    let stopped = tokio::task::spawn_blocking(move || server.stop("TERM"));
    let end = End::Closed(1001, "server shutting down".into());
    assert_eq!(client.next().await, Next::End(end));
    assert!(stopped.await.unwrap().0.success());
}

/// Returns the v1 line of a v2 message, with the record's own bytes.
fn in_v1_shape(frame: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        payload: Option<std::collections::BTreeMap<String, &'a RawValue>>,
    }
    let message: Message<'_> = serde_json::from_str(frame).unwrap();
    let payload = message.payload?;
    let raw = |name: &str| payload.get(name).map(|value| value.get());
    let kind = raw("$type")?.trim_matches('"').rsplit_once('#')?.1.to_owned();
    let time: jiff::Timestamp = raw("time")?.trim_matches('"').parse().unwrap();
    let body = match kind.as_str() {
        "commit" => {
            let names = ["rev", "operation", "collection", "rkey", "record", "cid"];
            let members = names.iter().filter_map(|n| Some(format!("\"{n}\":{}", raw(n)?)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        kind => raw(kind)?.to_owned(),
    };
    Some(format!(
        r#"{{"did":{},"time_us":{},"cursor":{},"kind":"{kind}","{kind}":{body}}}"#,
        raw("did")?,
        time.as_microsecond(),
        raw("seq")?
    ))
}

/// v2 → v1 → v2 gives the same bytes (§7).
#[tokio::test]
async fn v2_frames_are_served_byte_for_byte() {
    for [path] in vectors::sets(["sample_v2.jsonl"], ["derived_v2.jsonl"]) {
        let messages = vectors::lines(&path);
        let (frames, lines): (Vec<&String>, Vec<String>) =
            messages.iter().filter_map(|frame| Some((frame, in_v1_shape(frame)?))).unzip();
        assert_eq!(frames.len(), messages.len() - 2, "all but an #info and an error frame");
        let scratch = Scratch::new();
        let server = ServeProcess::start(&scratch.recording(&lines), &["--close-at-end"]);
        assert!(all(&server, "").await.iter().eq(frames), "{}", path.display());
    }
}

/// The lines of a legacy server become the frames of a v2 server, except for the order of the
/// members of blobs.
#[tokio::test]
async fn lines_of_a_legacy_server_become_v2_frames() {
    let generated = ["sample_v2.jsonl", "sample_v1.jsonl"];
    for paths in vectors::sets(generated, ["derived_v2.jsonl", "production_v1.jsonl"]) {
        let [frames, lines] = paths.map(|path| vectors::lines(&path));
        legacy_lines_become_frames(&frames, &lines).await;
    }
}

async fn legacy_lines_become_frames(frames: &[String], lines: &[String]) {
    let frames: Vec<_> =
        frames.iter().map(|frame| json(frame)).filter(|f| f["payload"]["seq"].is_u64()).collect();
    let times: Vec<i64> = frames
        .iter()
        .map(|f| f["payload"]["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap())
        .map(|time| time.as_microsecond())
        .collect();
    let mut lines: Vec<(i64, String)> = lines
        .iter()
        .map(|line| (json(line)["time_us"].as_i64().unwrap(), line.clone()))
        .filter(|(time_us, _)| times.contains(time_us))
        .collect();
    lines.sort();
    let number = |(i, (_, line)): (usize, &(i64, String))| {
        line.replacen(",\"kind\":", &format!(",\"cursor\":{},\"kind\":", 7_000_001 + i), 1)
    };
    let lines: Vec<String> = lines.iter().enumerate().map(number).collect();
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&lines), &["--close-at-end"]);
    let served = strings(&all(&server, "").await);
    assert!(served.len() > 20, "{}", served.len());
    for frame in served {
        let time = &frame["payload"]["time"];
        let expected = frames.iter().find(|f| f["payload"]["time"] == *time).unwrap();
        let mut expected = expected.clone();
        expected["payload"]["seq"] = frame["payload"]["seq"].clone();
        assert_eq!(frame, expected);
    }
}

#[tokio::test]
async fn looped_and_restamped_events_have_their_own_times_and_seqs() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(10, true));
    let server = ServeProcess::start(&path, &["--loop"]);
    let frames = Client::connect(&server.v2_url("")).await.take(25).await;
    assert_eq!(seqs(&frames), (100..125).collect::<Vec<_>>());
    let time = json(&frames[10])["payload"]["time"].as_str().unwrap().to_owned();
    let time: jiff::Timestamp = time.parse().unwrap();
    assert!(time.as_microsecond() as u64 > FIRST_US + 9_000);
}
