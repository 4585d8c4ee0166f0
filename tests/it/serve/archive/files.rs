//! `getSegment`, `getBlock`, `listSegments` and the key (§2, §3).

use super::{
    get, get_block, get_segment, plan_with, recorded, request, rows, segment_rows, server,
};
use crate::support::{Scratch, ServeProcess, events, serve_command, vectors};

const FIRST: &str = "seg_0000000000.jss";

#[test]
fn a_segment_is_served_with_its_checksum_as_etag() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let whole = get(&server, &format!("getSegment?name={FIRST}"), "");
    assert_eq!(whole.status, 200);
    assert!(whole.is_whole());
    let checksum = u64::from_le_bytes(whole.body[4..12].try_into().unwrap());
    let etag = format!("\"{checksum:016x}\"");
    for (name, value) in [
        ("Content-Type", "application/octet-stream"),
        ("ETag", &etag),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "public, no-cache"),
        ("Last-Modified", "Sat, 04 Jul 2026 14:38:08 GMT"),
    ] {
        assert_eq!(whole.header(name), Some(value), "{}", whole.head);
    }
    assert_eq!(segment_rows(&whole.body), recorded(100));
    assert_eq!(get_segment(&server, FIRST), whole.body, "a second download has other bytes");
}

#[test]
fn ranges_and_conditional_requests_are_honoured() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let whole = get_segment(&server, FIRST);
    let target = format!("getSegment?name={FIRST}");
    let etag = get(&server, &target, "").header("ETag").unwrap().to_owned();
    let length = whole.len();
    let part = get(&server, &target, "Range: bytes=100-\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &whole[100..]));
    let range = format!("bytes 100-{}/{length}", length - 1);
    assert_eq!(part.header("Content-Range"), Some(&*range));
    assert_eq!(part.header("ETag"), Some(&*etag));
    let part = get(&server, &target, &format!("Range: bytes=0-9\r\nIf-Range: {etag}\r\n"));
    assert_eq!((part.status, &part.body[..]), (206, &whole[..10]));
    let changed = get(&server, &target, "Range: bytes=0-9\r\nIf-Range: \"0000000000000000\"\r\n");
    assert_eq!((changed.status, changed.body.len()), (200, length));
    let past_end = get(&server, &target, &format!("Range: bytes={length}-\r\n"));
    assert_eq!(past_end.status, 416);
    assert_eq!(past_end.header("Content-Range"), Some(&*format!("bytes */{length}")));
    let known = get(&server, &target, &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("ETag"), Some(&*etag));
    let head = super::METHOD.to_owned() + &target;
    let head = request(&server, &format!("HEAD {head} HTTP/1.1\r\n\r\n"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("Content-Length"), Some(&*length.to_string()));
}

#[test]
fn a_block_is_served_as_its_frame_without_the_length() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let whole = get(&server, &format!("getSegment?name={FIRST}"), "");
    let etag = whole.header("ETag").unwrap().trim_matches('"').to_owned();
    for block in [0, 9] {
        let target = format!("getBlock?segment={FIRST}&blockIndex={block}");
        let answer = get(&server, &target, "");
        assert_eq!(answer.header("ETag"), Some(&*format!("\"{etag}:{block}\"")));
        assert_eq!(rows(&answer.body), recorded(100)[block * 10..][..10]);
        assert!(whole.body.windows(answer.body.len()).any(|w| w == answer.body));
        let part = get(&server, &target, "Range: bytes=3-5\r\n");
        assert_eq!((part.status, &part.body[..]), (206, &answer.body[3..6]));
    }
}

#[test]
fn unknown_and_invalid_values_are_refused_by_name() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    for (target, status, error) in [
        ("getSegment?name=seg_000000000a.jss", 404, "SegmentNotFound"),
        ("getSegment?name=../etc/passwd", 400, "InvalidRequest"),
        ("getSegment?name=seg_000000000A.jss", 400, "InvalidRequest"),
        ("getSegment", 400, "InvalidRequest"),
        ("getBlock?segment=seg_000000000z.jss&blockIndex=0", 404, "SegmentNotFound"),
        ("getBlock?segment=seg_0000000000.jss&blockIndex=10", 404, "BlockNotFound"),
        ("getBlock?segment=seg_0000000000.jss&blockIndex=-1", 400, "InvalidRequest"),
        ("getBlock?segment=seg_0000000000.jss&blockIndex=", 400, "InvalidRequest"),
        ("getBlock?segment=seg_0000000000.jss", 400, "InvalidRequest"),
        ("listSegments?limit=0", 400, "InvalidRequest"),
        ("listSegments?limit=x", 400, "InvalidRequest"),
        ("listSegments?cursor=-1", 400, "InvalidRequest"),
    ] {
        assert_eq!(get(&server, target, "").error(), (status, error.into()), "{target}");
    }
    let post = format!("POST {}getSegment?name={FIRST} HTTP/1.1\r\n\r\n", super::METHOD);
    assert_eq!(request(&server, &post).error(), (405, "MethodNotAllowed".into()));
}

#[test]
fn segments_are_listed_in_pages() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let page = |query: &str| get(&server, &format!("listSegments?{query}"), "").json();
    let all = page("limit=5000");
    assert_eq!(all["segments"].as_array().unwrap().len(), 10);
    assert_eq!(all.get("cursor"), None);
    let first = &all["segments"][0];
    assert_eq!(first["name"], FIRST);
    assert_eq!(first["sizeBytes"], get_segment(&server, FIRST).len());
    assert_eq!((&first["eventCount"], &first["minSeq"]), (&100.into(), &100.into()));
    assert_eq!(first["maxWitnessedAt"], crate::support::FIRST_US + 99_000);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(&format!("limit=4&cursor={cursor}"));
        listed.extend(page["segments"].as_array().unwrap().clone());
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(&listed, all["segments"].as_array().unwrap());
}

#[test]
fn the_archive_accepts_a_key_if_one_is_required_and_nothing_else_does() {
    let scratch = Scratch::new();
    let key = scratch.path("key");
    std::fs::write(&key, "s3cret\n").unwrap();
    let server = server(&scratch, &["--api-key-file", key.to_str().unwrap()]);
    let block = format!("getBlock?segment={FIRST}&blockIndex=0");
    for headers in ["", "Authorization: Bearer wrong\r\n", "Authorization: s3cret\r\n"] {
        let refused = (401, "AuthenticationRequired".to_owned());
        assert_eq!(plan_with(&server, "{}", headers).error(), refused);
        for target in [&block, "listSegments", "getSegment?name=seg_0000000000.jss"] {
            assert_eq!(get(&server, target, headers).error(), refused, "{target}");
        }
    }
    let shown = "Authorization: Bearer s3cret\r\n";
    assert_eq!(plan_with(&server, "{}", shown).status, 200);
    assert_eq!(get(&server, &block, shown).status, 200);
    assert_eq!(get(&server, "getZstdDictionary", "").status, 200);
    let empty = scratch.path("empty");
    std::fs::write(&empty, "\n").unwrap();
    let path = scratch.recording(&events(5, true));
    let output = serve_command(&path).arg("--api-key-file").arg(&empty).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("--api-key-file") && message.contains("no key"), "{message}");
}

/// The segment's CIDs equal those that the recorded server sent.
#[test]
fn recorded_cids_match_the_archived_records() {
    for path in vectors::samples() {
        assert_cids_match_records(vectors::lines(&path));
    }
}

fn assert_cids_match_records(mut lines: Vec<String>) {
    lines.sort_by_key(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["time_us"].as_u64().unwrap()
    });
    let scratch = Scratch::new();
    let count = (lines.len() - 2).to_string();
    let flags = ["--server-kind", "v2", "--archive-segment-events", &count];
    let server = ServeProcess::start(&scratch.recording(&lines), &flags);
    let file = get_segment(&server, FIRST);
    let segment = skytail::archive::segment::Segment::parse(&file).unwrap();
    let mut decoder = skytail::archive::block::BlockDecoder::new().unwrap();
    let (mut records, frame) = (0, segment.frame(&file, 0).unwrap());
    let block = decoder.decode(frame).unwrap();
    assert_eq!(block.rows().count(), lines.len() - 2);
    for (row, line) in block.rows().zip(&lines) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(cid) = event["commit"]["cid"].as_str() {
            assert_eq!(skytail::archive::cid::record_cid(row.payload), cid, "{line}");
            records += 1;
        }
    }
    assert!(records > 0);
}

#[test]
fn imported_times_are_served_and_witnessed_times_are_stored() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "imported=3"]);
    let file = get_segment(&server, FIRST);
    let (streamed, _) = super::read_plan(&server, "");
    let segment = skytail::archive::segment::Segment::parse(&file).unwrap();
    assert_eq!(segment.header.min_witnessed_at_us as u64, crate::support::FIRST_US);
    let shown = |event: &serde_json::Value| event["time_us"].as_u64().unwrap();
    let imported = streamed.iter().filter(|event| shown(event) < crate::support::FIRST_US);
    assert!(imported.count() > 200);
    assert!(get_block(&server, FIRST, 0).len() > 10);
}
