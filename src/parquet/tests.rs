use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field as Value, RowAccessor as _};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A recording with all kinds of events, in an order that the file does not have.
fn recording(events: u64) -> Vec<String> {
    let event = |n: u64| {
        let did = format!("did:plc:{:024}", n * 7_919 % 97);
        let (time_us, cursor) = (1_800_000_000_000_000 + n * 10, n + 1);
        match n % 10 {
            0 => json!({"did": did, "time_us": time_us, "cursor": cursor, "kind": "identity",
                "identity": {"did": did, "handle": format!("h{n}.test"), "seq": n}}),
            1 => json!({"did": did, "time_us": time_us, "cursor": cursor, "kind": "account",
                "account": {"did": did, "active": n % 20 == 1, "status": "deleted", "seq": n}}),
            2 => json!({"did": did, "time_us": time_us, "cursor": cursor, "kind": "commit",
                "commit": {"rev": format!("r{n}"), "operation": "delete",
                    "collection": "app.bsky.feed.like", "rkey": format!("k{n}")}}),
            kind => json!({"did": did, "time_us": time_us, "cursor": cursor, "kind": "commit",
                "commit": {"rev": format!("r{n}"), "operation": "create",
                    "collection": format!("app.test.{}", ["a", "b", "c"][kind as usize % 3]),
                    "rkey": format!("k{n}"), "cid": format!("c{n}"),
                    "record": {"text": format!("ä\n\"{n}\""), "n": n, "at": "2026-01-01T00:00:00Z"}}}),
        }
    };
    (0..events).map(|n| event(n).to_string()).collect()
}

fn write(home: &Path, name: &str, lines: &[String], given: &[&str]) -> Vec<Written> {
    let mut writer = EventWriter::new(fields::parse(given).unwrap(), home);
    for line in lines {
        writer.add(line.as_bytes()).unwrap();
    }
    let entries = vec![("skytail.server".to_owned(), "example.test".to_owned())];
    writer.finish(&home.join(name), &Metadata { entries, source: None }).unwrap()
}

fn read(path: &Path) -> Result<Vec<String>, ReadError> {
    let home = tempfile::tempdir().unwrap();
    let mut events = Events::read(File::open(path)?, home.path())?;
    let mut lines = Vec::new();
    while let Some((_, line)) = events.next_event()? {
        lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
    }
    Ok(lines)
}

fn values(lines: &[String]) -> Vec<serde_json::Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_read_back_in_the_order_in_which_they_came() {
    let home = tempfile::tempdir().unwrap();
    let lines = recording(2_000);
    let written = write(home.path(), "a.parquet", &lines, &[]);
    assert_eq!((written.len(), written[0].events), (1, 2_000));
    assert_eq!(written[0].bytes, fs::metadata(&written[0].path).unwrap().len());
    assert_eq!(values(&read(&written[0].path).unwrap()), values(&lines));
    let mut text = String::new();
    open_recording(&written[0].path).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 2_000);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "only the file is left");
}

/// The crate `parquet` is the independent reader.
#[test]
fn another_reader_finds_the_same_values() {
    let home = tempfile::tempdir().unwrap();
    let lines = recording(3_000);
    let fields = ["commit.record.n:int", "commit.record.at:time", "commit.record.text"];
    let written = write(home.path(), "a.parquet", &lines, &fields);
    let reader = SerializedFileReader::new(File::open(&written[0].path).unwrap()).unwrap();
    let metadata = reader.metadata().file_metadata();
    let names: Vec<&str> =
        metadata.schema_descr().columns().iter().map(|column| column.name()).collect();
    assert_eq!(names.len(), 18);
    assert_eq!(names[..4], ["ordinal", "seq", "time_us", "did"]);
    let pairs = metadata.key_value_metadata().unwrap();
    let value = |key: &str| pairs.iter().find(|p| p.key == key).and_then(|p| p.value.as_deref());
    assert_eq!(value("skytail.server"), Some("example.test"));
    assert_eq!(value("skytail.first_seq"), Some("1"));
    assert_eq!(value("skytail.last_time_us"), Some("1800000000029990"));
    let mut keys = Vec::new();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let ordinal = row.get_long(0).unwrap() as usize;
        let event: serde_json::Value = serde_json::from_str(&lines[ordinal]).unwrap();
        assert_eq!(row.get_long(1).unwrap(), ordinal as i64 + 1);
        assert_eq!(row.get_timestamp_micros(2).unwrap(), event["time_us"].as_i64().unwrap());
        assert_eq!(row.get_string(3).unwrap(), event["did"].as_str().unwrap());
        let columns: Vec<(&String, &Value)> = row.get_column_iter().collect();
        match event["commit"]["record"]["text"].as_str() {
            Some(text) => {
                assert_eq!(columns[15].1, &Value::Long(ordinal as i64));
                assert_eq!(columns[16].1, &Value::TimestampMicros(1_767_225_600_000_000));
                assert_eq!(columns[17].1, &Value::Str(text.to_owned()));
            }
            None => assert!(columns[15..].iter().all(|(_, value)| **value == Value::Null)),
        }
        let collection = event["commit"]["collection"].as_str().unwrap_or_default().to_owned();
        keys.push((collection, event["did"].as_str().unwrap().to_owned(), ordinal));
    }
    assert_eq!(keys.len(), lines.len());
    assert!(keys.is_sorted(), "sorted by collection, account and time");
}

#[test]
fn statistics_and_filters_tell_where_an_account_is() {
    let home = tempfile::tempdir().unwrap();
    let written = write(home.path(), "a.parquet", &recording(1_000), &[]);
    let properties =
        parquet::file::properties::ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = parquet::file::serialized_reader::ReadOptionsBuilder::new()
        .with_reader_properties(properties)
        .build();
    let file = File::open(&written[0].path).unwrap();
    let reader = SerializedFileReader::new_with_options(file, options).unwrap();
    let group = reader.get_row_group(0).unwrap();
    let filter = group.get_column_bloom_filter(3).unwrap();
    assert!((0..97).all(|n| filter.check(&*format!("did:plc:{n:024}"))));
    let wrong = (100..1_100).filter(|n| filter.check(&*format!("did:plc:{n:024}"))).count();
    assert!(wrong < 50, "{wrong} of 1000 absent accounts are taken for present");
    let did = group.metadata().column(3).statistics().unwrap();
    assert_eq!(did.min_bytes_opt(), Some(format!("did:plc:{:024}", 0).as_bytes()));
    assert_eq!(did.max_bytes_opt(), Some(format!("did:plc:{:024}", 96).as_bytes()));
    let handle = group.metadata().column(13).statistics().unwrap();
    assert_eq!(handle.null_count_opt(), Some(900));
    assert_eq!(group.metadata().sorting_columns().unwrap().len(), 3);
}

#[test]
fn large_collections_get_files_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let mut lines = recording(1_000);
    let hostile = json!({"did": "d", "time_us": 1, "kind": "commit",
        "commit": {"collection": "../../x", "operation": "create"}});
    lines.push(hostile.to_string());
    lines.push(hostile.to_string().replace("../../x", "App.test.A"));
    let written = write(home.path(), "day-{collection}.parquet", &lines, &[]);
    let mut names: Vec<_> = written
        .iter()
        .map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let expected = ["_other", "app.bsky.feed.like", "app.test.a", "app.test.b", "app.test.c"];
    assert_eq!(names, expected.map(|name| format!("day-{name}.parquet")));
    let mut all: Vec<String> = written.iter().flat_map(|f| read(&f.path).unwrap()).collect();
    assert_eq!(all.len(), lines.len());
    let sort = |lines: &mut Vec<String>| lines.sort();
    let mut expected: Vec<String> = values(&lines).iter().map(ToString::to_string).collect();
    all = values(&all).iter().map(ToString::to_string).collect();
    sort(&mut all);
    sort(&mut expected);
    assert_eq!(all, expected);
}

#[test]
fn at_most_63_collections_have_files() {
    let home = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..100)
        .map(|n| json!({"did": "d", "time_us": n, "kind": "commit", "commit": {"collection": format!("a.b.c{n}")}}).to_string())
        .collect();
    let written = write(home.path(), "{collection}.parquet", &lines, &[]);
    assert_eq!(written.len(), 64);
    let other = written.iter().find(|file| file.path.ends_with("_other.parquet")).unwrap();
    assert_eq!(other.events, 37);
}

#[test]
fn an_existing_file_is_replaced_only_if_it_came_of_the_same_input() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.parquet");
    let put = |source: &str| {
        let mut writer = EventWriter::new(Vec::new(), home.path());
        writer.add(recording(1)[0].as_bytes()).unwrap();
        let metadata = Metadata { source: Some(source.to_owned()), ..Metadata::default() };
        writer.finish(&path, &metadata)
    };
    put("one").unwrap();
    put("one").unwrap();
    let error = put("two").unwrap_err();
    assert!(matches!(error, WriteError::Exists(_)), "{error}");
    assert!(is_source(&path, "one") && !is_source(&path, "two"));
    fs::write(&path, "mine").unwrap();
    assert!(put("one").is_err());
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_rewritten_file_keeps_ordinals_fields_and_metadata() {
    let home = tempfile::tempdir().unwrap();
    let lines = recording(300);
    let written = write(home.path(), "a.parquet", &lines, &["commit.record.n:int"]);
    let output = home.path().join("b.parquet");
    let mut seen = Vec::new();
    let kept = rewrite(File::open(&written[0].path).unwrap(), &output, |ordinal, line| {
        seen.push((ordinal, serde_json::from_slice(line).unwrap()));
        ordinal % 3 == 0
    });
    assert_eq!(kept.unwrap().events, 100);
    assert_eq!(seen, (0..).zip(values(&lines)).collect::<Vec<_>>());
    let expected: Vec<String> = lines.iter().step_by(3).cloned().collect();
    assert_eq!(values(&read(&output).unwrap()), values(&expected));
    let events = Events::read(File::open(&output).unwrap(), home.path()).unwrap();
    let value = |key: &str| events.metadata().iter().find(|(k, _)| k == key).map(|(_, v)| &**v);
    assert_eq!(value("skytail.server"), Some("example.test"));
    assert_eq!(value("skytail.fields"), Some("commit.record.n:int"));
    assert_eq!(value("skytail.last_seq"), Some("298"));
}

#[test]
fn files_that_are_not_ours_are_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let whole = fs::read(&write(home.path(), "a.parquet", &recording(50), &[])[0].path).unwrap();
    let path = home.path().join("b.parquet");
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err().to_string()
    };
    assert_eq!(error(b"{}\n"), "it is not a Parquet file");
    assert!(error(&whole[..whole.len() / 2]).starts_with("it is cut off: "));
    let mut damaged = whole.clone();
    damaged[40] ^= 0xff;
    assert!(error(&damaged).starts_with("it is damaged: "), "{}", error(&damaged));
    let renamed = whole.windows(7).rposition(|bytes| bytes == b"ordinal").unwrap();
    let mut foreign = whole;
    foreign[renamed..renamed + 7].copy_from_slice(b"cardina");
    let first = foreign.windows(7).position(|bytes| bytes == b"ordinal").unwrap();
    foreign[first..first + 7].copy_from_slice(b"cardina");
    assert!(error(&foreign).starts_with("it is a Parquet file that skytail did not write: "));
}

#[test]
fn a_changed_bit_in_a_page_changes_no_event_in_silence() {
    let home = tempfile::tempdir().unwrap();
    let path = write(home.path(), "a.parquet", &recording(12), &[])[0].path.clone();
    let (whole, lines) = (fs::read(&path).unwrap(), read(&path).unwrap());
    let length = u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().unwrap());
    let mut found = 0;
    for at in 4..whole.len() - 8 - length as usize {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        match read(&path) {
            Ok(others) => assert_eq!(others, lines, "byte {at}"),
            Err(_) => found += 1,
        }
    }
    assert!(found > 500, "{found}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes of a file are changed, the reader ends with events or an error.
    #[test]
    fn a_damaged_file_is_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_footer: bool,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let home = tempfile::tempdir().unwrap();
        let path: PathBuf = write(home.path(), "a.parquet", &recording(40), &[])[0].path.clone();
        let mut bytes = fs::read(&path).unwrap();
        let footer = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
        for (at, byte) in changes {
            let from = if is_footer { footer } else { 0 };
            let at = from + at.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            let at = cut.index(bytes.len());
            let end = bytes.split_off(bytes.len() - 8);
            bytes.drain(at.min(bytes.len())..bytes.len().min(at + 10));
            bytes.extend(end);
        }
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        if let Ok(lines) = read(&path) {
            prop_assert!(lines.len() <= 16 * bytes.len());
        }
    }

    #[test]
    fn any_values_are_read_back(
        texts in prop::collection::vec(prop::option::of(".{0,40}"), 1..60), times in 0..1_000_u64,
    ) {
        let home = tempfile::tempdir().unwrap();
        let lines: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| match text {
                Some(text) => json!({"did": text, "time_us": times, "kind": text, "commit": {"collection": text, "record": {"x": n}}}),
                None => json!({"did": "", "time_us": n, "account": {"active": n % 2 == 0}, "y": [n]}),
            })
            .map(|event| event.to_string())
            .collect();
        let written = write(home.path(), "a.parquet", &lines, &[]);
        prop_assert_eq!(values(&read(&written[0].path).unwrap()), values(&lines));
    }
}
