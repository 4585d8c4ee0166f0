//! `--chaos` and the archive: each fault happens, happens again with the same seed, and a client
//! that continues as §3 says gets everything.

use serde_json::{Value, json};
use skytail::archive::block::BlockDecoder;
use skytail::archive::segment::Segment;

use super::{Answer, get, plan, plan_with, read_plan, recorded, segment_rows, server};
use crate::support::Scratch;

const FIRST: &str = "seg_0000000000.jss";

fn is_sound(frame: &[u8]) -> bool {
    BlockDecoder::new().unwrap().decode(frame).is_ok()
}

fn block(index: usize) -> String {
    format!("getBlock?segment={FIRST}&blockIndex={index}")
}

#[test]
fn corrupt_damages_blocks_and_a_retry_succeeds() {
    let scratch = Scratch::new();
    let play = || -> Vec<bool> {
        let server = server(&scratch, &["--chaos", "corrupt=4"]);
        (0..40).map(|i| is_sound(&get(&server, &block(i % 10), "").body)).collect()
    };
    let sound = play();
    let damaged = sound.iter().filter(|sound| !**sound).count();
    assert!((3..20).contains(&damaged), "{sound:?}");
    assert_eq!(sound, play());
    for block in 0..10 {
        assert!((0..4).any(|round| sound[round * 10 + block]), "block {block}");
    }
    let server = server(&scratch, &["--chaos", "corrupt=1"]);
    let file = get(&server, &format!("getSegment?name={FIRST}"), "").body;
    let segment = Segment::parse(&file).unwrap();
    assert!(
        (0..10).all(|b| !is_sound(segment.frame(&file, b).unwrap())),
        "only blocks are damaged, not the header or the footer"
    );
}

#[test]
fn truncate_breaks_off_downloads() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "truncate=3"]);
    let target = format!("getSegment?name={FIRST}");
    let answers: Vec<Answer> = (0..30).map(|_| get(&server, &target, "")).collect();
    let cut = answers.iter().filter(|answer| !answer.is_whole()).count();
    assert!((3..25).contains(&cut), "{cut}");
    let whole = answers.iter().find(|answer| answer.is_whole()).unwrap();
    assert!(answers.iter().all(|answer| whole.body.starts_with(&answer.body)));
    // A range request continues at the byte reached.
    let mut file = Vec::new();
    while file.len() < whole.body.len() {
        file.extend(get(&server, &target, &format!("Range: bytes={}-\r\n", file.len())).body);
    }
    assert_eq!(file, whole.body);
}

#[test]
fn throttle_answers_429_and_503_with_retry_after() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "throttle=1:7s"]);
    let (mut errors, mut headers) = (Vec::new(), Vec::new());
    for i in 0..60 {
        let answer = match i % 3 {
            0 => plan_with(&server, "{}", ""),
            1 => get(&server, &block(i), ""),
            _ => get(&server, &format!("getSegment?name={FIRST}"), ""),
        };
        errors.push(answer.error());
        match (answer.header("Retry-After"), answer.header("RateLimit-Reset")) {
            (Some(seconds), None) => headers.push(seconds == "7"),
            (None, Some(at)) => headers.push(at.parse::<u64>().unwrap() > 1_700_000_000),
            _ => panic!("{}", answer.head),
        }
    }
    assert!(headers.iter().all(|good| *good));
    for error in [(429, "RateLimitExceeded"), (503, "ServiceUnavailable")] {
        assert!(errors.contains(&(error.0, error.1.to_owned())), "{errors:?}");
    }
}

#[test]
fn norange_ignores_the_range_header() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "norange=3"]);
    let target = format!("getSegment?name={FIRST}");
    let statuses: Vec<(u16, usize)> = (0..30)
        .map(|_| get(&server, &target, "Range: bytes=0-9\r\n"))
        .map(|answer| (answer.status, answer.body.len()))
        .collect();
    assert!(statuses.contains(&(206, 10)), "{statuses:?}");
    assert!(statuses.iter().any(|(status, length)| *status == 200 && *length > 1_000));
}

#[test]
fn rewrite_changes_the_bytes_of_a_segment_but_not_its_events() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "rewrite=2"]);
    let target = format!("getSegment?name={FIRST}");
    let planned = plan(&server, "{}")["segments"][0]["checksum"].clone();
    let mut checksums = vec![planned];
    for _ in 0..12 {
        let answer = get(&server, &target, "");
        assert_eq!(segment_rows(&answer.body), recorded(100));
        let etag = answer.header("ETag").unwrap().trim_matches('"').to_owned();
        let changed = checksums.last() != Some(&Value::from(etag.clone()));
        // A range of the previous version is not served as a range of the current one.
        let old = checksums.last().and_then(Value::as_str).unwrap();
        if changed {
            let headers = format!("Range: bytes=0-9\r\nIf-Range: \"{old}\"\r\n");
            let answer = get(&server, &target, &headers);
            let now = answer.header("ETag").unwrap().trim_matches('"') == old;
            assert_eq!(answer.status, if now { 206 } else { 200 });
        }
        checksums.push(etag.into());
    }
    let mut distinct: Vec<&str> = checksums.iter().filter_map(Value::as_str).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert!((2..=4).contains(&distinct.len()), "{distinct:?}");
}

#[test]
fn missing_hides_segments_temporarily() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "missing=3"]);
    let statuses: Vec<u16> = (0..30).map(|_| get(&server, &block(0), "").status).collect();
    assert!(statuses.contains(&404) && statuses.contains(&200), "{statuses:?}");
}

#[test]
fn stuck_makes_a_plan_without_progress() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "stuck=1"]);
    let page = plan(&server, r#"{"afterSeq":300}"#);
    let seqs = (&page["plannedThroughSeq"], &page["sealedTipSeq"], &page["segments"]);
    assert_eq!(seqs, (&json!(300), &json!(1_099), &json!([])));
}

#[tokio::test]
async fn archive_faults_do_not_affect_the_streams() {
    let scratch = Scratch::new();
    let spec = "corrupt=1,truncate=1,throttle=1,norange=1,rewrite=1,missing=1,stuck=1,page=1";
    let server = server(&scratch, &["--chaos", spec]);
    assert_eq!(crate::serve::all(&server, "").await.len(), 1_050);
}

#[test]
fn omit_and_blind_leave_events_out_of_the_archive() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "omit=4,blind=app.bsky.feed.like"]);
    let is_there =
        |(event, _): &(u64, Value)| event % 4 != 0 && (event % 2 == 0 || event % 10 == 9);
    let expected: Vec<Value> =
        (0..).zip(recorded(1_000)).filter(is_there).map(|(_, e)| e).collect();
    assert_eq!(read_plan(&server, "").0, expected);
}
