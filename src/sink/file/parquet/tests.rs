use std::fs;
use std::path::Path;

use super::*;
use crate::sink::output_record::{FileTail, OutputRecord, OutputState};

fn line(n: u64) -> String {
    format!(
        r#"{{"did":"did:plc:a","time_us":{n},"kind":"commit","commit":{{"collection":"a.b.c"}}}}"#
    )
}

/// Writes a file of lines, and returns its record.
fn ended(home: &Path, name: &str) -> OutputRecord {
    let lines: String = (0..10).map(|n| line(n) + "\n").collect();
    let bytes = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    let path = open_path(&home.join(name));
    fs::write(&path, &bytes).unwrap();
    OutputRecord {
        path,
        pattern: home.join(name).to_string_lossy().into_owned(),
        rotation: None,
        state: OutputState::Done,
        length_bytes: bytes.len() as u64,
        tail_hash: FileTail::new(bytes).hash(),
        period_start: None,
        number: 0,
    }
}

/// Converts a period as the next run does.
fn convert(
    record: &OutputRecord,
    settings: &ParquetSettings,
) -> Result<Vec<OutputRecord>, ConvertError> {
    super::convert(&Ended::by_earlier_run(record.clone()), settings)
}

fn names(home: &Path) -> Vec<String> {
    let entries = home.read_dir().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn states(records: &[OutputRecord]) -> Vec<(String, OutputState)> {
    let name = |record: &OutputRecord| record.path.file_name().unwrap().to_string_lossy().into();
    records.iter().map(|record| (name(record), record.state)).collect()
}

#[test]
fn a_conversion_that_was_killed_at_any_step_is_repeated() {
    let settings = ParquetSettings::default();
    for name in ["a.parquet", "a-{collection}.parquet"] {
        let home = tempfile::tempdir().unwrap();
        let record = ended(home.path(), name);
        let file = name.replace("{collection}", "a.b.c");
        let expected =
            vec![(file.clone(), OutputState::Done), (format!("{name}{OPEN}"), OutputState::Gone)];
        // Killed while it wrote.
        fs::write(home.path().join(format!("{file}.tmp")), "some").unwrap();
        let first = convert(&record, &settings).unwrap();
        assert_eq!(states(&first), expected);
        assert_eq!(names(home.path()), [&*file]);
        let bytes = fs::read(home.path().join(&file)).unwrap();
        // Killed after it had removed the file of lines.
        assert_eq!(convert(&record, &settings).unwrap(), first);
        // Killed before it removed the file of lines.
        ended(home.path(), name);
        assert_eq!(convert(&record, &settings).unwrap(), first);
        assert_eq!(fs::read(home.path().join(&file)).unwrap(), bytes);
        // The user moved the result.
        fs::remove_file(home.path().join(&file)).unwrap();
        assert_eq!(states(&convert(&record, &settings).unwrap()), expected[1..]);
    }
}

#[test]
fn what_another_program_changed_is_not_converted() {
    let settings = ParquetSettings::default();
    let home = tempfile::tempdir().unwrap();
    let record = ended(home.path(), "a.parquet");
    let whole = fs::read(&record.path).unwrap();
    for bytes in [[&whole[..], b"x"].concat(), whole[1..].to_vec(), vec![0; whole.len()]] {
        fs::write(&record.path, &bytes).unwrap();
        let error = convert(&record, &settings).unwrap_err();
        assert!(matches!(error, ConvertError::Changed(_)), "{error}");
        assert_eq!(fs::read(&record.path).unwrap(), bytes);
    }
    fs::write(&record.path, &whole).unwrap();
    fs::write(home.path().join("a.parquet"), "mine").unwrap();
    let error = convert(&record, &settings).unwrap_err();
    assert!(error.to_string().contains("exists already and has other events"), "{error}");
    assert_eq!(names(home.path()), ["a.parquet", "a.parquet.open.ndjson.zst"]);
}

#[test]
fn the_thread_converts_in_order_and_stops_at_the_first_error() {
    let home = tempfile::tempdir().unwrap();
    let records = ["a.parquet", "b.parquet", "c.parquet"].map(|name| ended(home.path(), name));
    fs::write(&records[1].path, "damaged").unwrap();
    let [first, second, third] = records;
    let mut converter = Converter::new(ParquetSettings::default(), vec![first]);
    converter.waiting(Ended::by_earlier_run(second)).convert();
    converter.waiting(Ended::by_earlier_run(third)).convert();
    let results = converter.finish();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    let left = ["a.parquet", "b.parquet.open.ndjson.zst", "c.parquet.open.ndjson.zst"];
    assert_eq!(names(home.path()), left);
}

#[test]
fn a_period_is_locked_until_it_is_converted() {
    let home = tempfile::tempdir().unwrap();
    let record = ended(home.path(), "a.parquet");
    let other = fs::File::open(&record.path).unwrap();
    let mut converter = Converter::new(ParquetSettings::default(), Vec::new());
    let waiting = converter.waiting(Ended::by_earlier_run(record));
    // A scrub leaves a file that is locked.
    other.try_lock().unwrap_err();
    waiting.convert();
    drop(waiting);
    assert!(converter.finish().iter().all(Result::is_ok));
    other.try_lock().unwrap();
}
