use std::fs;
use std::io::Write as _;

use super::*;
use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::position::rollover::RolloverTracker;

const HOUR_US: u64 = 3_600_000_000;

/// A sink in a directory of its own, and what it announced.
struct Bench {
    home: tempfile::TempDir,
    sink: FileSink,
    rollovers: RolloverTracker,
    begun: Vec<String>,
}

impl Bench {
    fn new(name: &str, rotate: Option<Rotate>) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::at(home, name, rotate)
    }

    fn at(home: tempfile::TempDir, name: &str, rotate: Option<Rotate>) -> Self {
        let naming = Naming::new(&home.path().join(name), rotate).unwrap();
        let rollovers = RolloverTracker::new(rotate.map(Rotate::period_us), TimeUs(0));
        let sink = FileSink::new(naming, false, vec![], None).unwrap();
        Self { home, sink, rollovers, begun: Vec::new() }
    }

    /// Writes lines, each with its time, as one batch.
    fn write(&mut self, lines: &[(u64, &str)]) -> Result<(), SinkError> {
        let mut batch = Batch::default();
        self.rollovers.begin_batch();
        for (time, line) in lines {
            batch.push(line.as_bytes());
            self.rollovers.note(TimeUs(*time));
        }
        let begun = &mut self.begun;
        let mut persist = |record: &OutputRecord| {
            let name = record.path.file_name().unwrap().to_str().unwrap();
            let length = record.path.metadata().unwrap().len();
            assert_eq!(length, record.length_bytes, "asked before the first byte");
            begun.push(name.to_owned());
            Ok(())
        };
        write(&mut self.sink, batch, self.rollovers.list(), &mut persist)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap()
    }
}

fn write(
    sink: &mut FileSink,
    batch: Batch,
    period_starts: &[PeriodStart],
    persist: &mut PersistOutput<'_>,
) -> Result<(), SinkError> {
    let request = WriteRequest {
        lines: &batch.into(),
        shape: EventFormat::V1,
        written_bytes: 0,
        period_starts,
        originals: None,
    };
    sink.write(
        &request,
        &mut WriteContext { deadline: &|| None, persist: &mut |record| persist(record) },
    )
}

/// Names and lengths in a checkpoint, with their states.
fn summaries(outputs: &[Output]) -> Vec<(String, u64, OutputState)> {
    let summaries = |output: &Output| {
        let record = &output.record;
        let name = record.path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, record.length_bytes, record.state)
    };
    outputs.iter().map(summaries).collect()
}

#[test]
fn files_turn_exactly_between_two_events_and_never_back() {
    let mut bench = Bench::new("%FT%H", Some(Rotate::Hourly));
    bench.write(&[(1, "a"), (HOUR_US - 1, "b"), (HOUR_US, "c"), (5, "d")]).unwrap();
    bench.write(&[(HOUR_US - 1, "e"), (3 * HOUR_US, "f")]).unwrap();
    assert_eq!(bench.begun, ["1970-01-01T00", "1970-01-01T01", "1970-01-01T03"]);
    assert_eq!(bench.read("1970-01-01T00"), "a\nb\n");
    assert_eq!(bench.read("1970-01-01T01"), "c\nd\ne\n");
    assert_eq!(bench.read("1970-01-01T03"), "f\n");
    let (open, done) = (OutputState::Open, OutputState::Done);
    assert_eq!(
        summaries(&bench.sink.checkpoint().unwrap()),
        [
            ("1970-01-01T00".to_owned(), 4, done),
            ("1970-01-01T01".to_owned(), 6, done),
            ("1970-01-01T03".to_owned(), 2, open),
        ]
    );
    assert_eq!(summaries(&bench.sink.checkpoint().unwrap()), []);
}

#[test]
fn a_file_of_a_size_ends_after_the_line_that_reaches_it() {
    let mut bench = Bench::new("x.ndjson", Some(Rotate::Size(6)));
    bench.write(&[(1, "12"), (2, "45"), (3, "a"), (4, "long line"), (5, "b")]).unwrap();
    bench.write(&[(6, "cd"), (7, "e")]).unwrap();
    assert_eq!(bench.begun, ["x.ndjson", "x.1.ndjson", "x.2.ndjson"]);
    assert_eq!(bench.read("x.ndjson"), "12\n45\n");
    assert_eq!(bench.read("x.1.ndjson"), "a\nlong line\n");
    assert_eq!(bench.read("x.2.ndjson"), "b\ncd\ne\n");
}

#[test]
fn a_file_of_a_size_has_the_time_of_its_first_event_and_takes_no_name_twice() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("x-0.ndjson"), "theirs\n").unwrap();
    fs::write(home.path().join("x-2.ndjson"), "").unwrap();
    let mut bench = Bench::at(home, "x-%s.ndjson", Some(Rotate::Size(4)));
    let second = 1_000_000;
    bench.write(&[(1, "abc"), (2, "def"), (2 * second, "ghi"), (second, "jkl")]).unwrap();
    assert_eq!(bench.begun, ["x-0.1.ndjson", "x-0.2.ndjson", "x-2.ndjson", "x-2.1.ndjson"]);
    assert_eq!(bench.read("x-0.ndjson"), "theirs\n");
    assert_eq!(bench.read("x-2.1.ndjson"), "jkl\n");
}

#[test]
fn what_is_not_settled_can_be_cut_off_again() {
    let mut bench = Bench::new("%FT%H", Some(Rotate::Hourly));
    bench.write(&[(1, "a")]).unwrap();
    assert_eq!(bench.sink.checkpoint().unwrap().len(), 1);
    bench.write(&[(2, "b"), (HOUR_US, "c"), (2 * HOUR_US, "d")]).unwrap();
    bench.sink.truncate_to_checkpoint().unwrap();
    assert_eq!(bench.read("1970-01-01T00"), "a\n");
    assert_eq!(bench.read("1970-01-01T01") + &bench.read("1970-01-01T02"), "");
}

#[test]
fn a_file_of_others_in_the_way_is_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("1970-01-01T01"), "theirs\n").unwrap();
    let mut bench = Bench::at(home, "%FT%H", Some(Rotate::Hourly));
    let refusal = bench.write(&[(1, "a"), (HOUR_US, "b")]).unwrap_err().to_string();
    assert!(refusal.contains("T01 holds 7 bytes that this consumer did not write"), "{refusal}");
    assert_eq!(bench.read("1970-01-01T01"), "theirs\n");
}

#[test]
fn a_file_that_was_disturbed_is_no_part_of_a_checkpoint() {
    let home = tempfile::tempdir().unwrap();
    for (what, disturb) in [
        ("was cut", (|path| fs::write(path, "")) as fn(&Path) -> io::Result<()>),
        ("was written to", |path| fs::write(path, "theirs\n")),
        ("was moved or removed", |path| fs::remove_file(path)),
        ("was replaced", |path| fs::remove_file(path).and_then(|()| fs::write(path, "12\n"))),
    ] {
        let name = what.replace(' ', "-");
        let naming = Naming::new(&home.path().join(&name), Some(Rotate::Size(100))).unwrap();
        let path = home.path().join(name);
        let mut sink = FileSink::new(naming, false, vec![], None).unwrap();
        let mut batch = Batch::default();
        batch.push(b"12");
        write(&mut sink, batch, &[], &mut |_| Ok(())).unwrap();
        disturb(&path).unwrap();
        let refusal = sink.checkpoint().unwrap_err().to_string();
        assert!(refusal.contains(what), "{refusal}");
    }
}

#[test]
fn what_others_write_between_is_no_part_of_a_checkpoint_and_does_not_prevent_it() {
    let foreign = |path: &Path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"theirs\n").unwrap();
    };
    for before_and_after in [[false, true], [true, false], [true, true]] {
        let mut bench = Bench::new("a", None);
        let naming = Naming::new(&bench.home.path().join("a"), None).unwrap();
        let path = bench.home.path().join("a");
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).unwrap();
        let record = Current::new(path.clone(), file.try_clone().unwrap(), 0, FileTail::default());
        let record = record.record(&naming, OutputState::Open);
        bench.sink =
            FileSink::new(naming, false, vec![], Some((record, file, FileTail::default())))
                .unwrap();
        bench.write(&[(1, "a")]).unwrap();
        assert!(bench.sink.checkpoint().is_ok_and(|outputs| outputs.len() == 1));
        let [before, after] = before_and_after;
        if before {
            foreign(&path);
        }
        bench.write(&[(2, "b")]).unwrap();
        if after {
            foreign(&path);
        }
        let outputs = bench.sink.checkpoint().unwrap();
        let record = &outputs[0].record;
        assert_eq!(
            (record.length_bytes, record.tail_hash),
            (4, FileTail::new(b"a\nb\n".into()).hash())
        );
        let refusal = bench.sink.external_change().unwrap().to_string();
        assert!(refusal.contains("was written to"), "{refusal}");
        bench.sink.truncate_own_bytes().unwrap();
        let text = bench.read("a");
        assert_eq!(text.replace("theirs\n", ""), "a\nb\n");
    }
}

#[test]
fn append_takes_a_file_of_others_until_it_is_full() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("a"), "12\n").unwrap();
    fs::write(home.path().join("b"), "long enough\n").unwrap();
    for (name, first, second) in [("a", "12\n3\n", "456\n"), ("b", "long enough\n", "3\n456\n")] {
        let naming = Naming::new(&home.path().join(name), Some(Rotate::Size(5))).unwrap();
        let mut sink = FileSink::new(naming, true, vec![], None).unwrap();
        let mut batch = Batch::default();
        batch.push(b"3");
        batch.push(b"456");
        write(&mut sink, batch, &[], &mut |_| Ok(())).unwrap();
        assert_eq!(fs::read_to_string(home.path().join(name)).unwrap(), first);
        let next = home.path().join(format!("{name}.1"));
        assert_eq!(fs::read_to_string(next).unwrap(), second);
    }
}

/// Writes an event of each hour from `from` to `to`.
fn write_hours(bench: &mut Bench, from: u64, to: u64) {
    for hour in from..=to {
        let time = hour * HOUR_US;
        let line = format!(r#"{{"did":"did:plc:a","time_us":{time}}}"#);
        bench.write(&[(time, &line)]).unwrap();
    }
}

#[test]
fn a_period_lasts_longer_while_two_wait_to_be_converted() {
    let mut bench = Bench::new("%FT%H.parquet", Some(Rotate::Hourly));
    bench.sink = bench.sink.with_parquet(parquet::ParquetSettings::default(), vec![]);
    write_hours(&mut bench, 0, 5);
    let open = |hour: u64| format!("1970-01-01T0{hour}.parquet.open.ndjson.zst");
    // Nothing was committed, so nothing was converted.
    assert_eq!(bench.begun, [open(0), open(1), open(2), open(3)]);
    let outputs = bench.sink.checkpoint().unwrap();
    outputs.iter().for_each(Output::committed);
    while bench
        .sink
        .checkpoint()
        .unwrap()
        .iter()
        .all(|o| !o.record.path.ends_with("1970-01-01T02.parquet"))
    {
        std::thread::yield_now();
    }
    write_hours(&mut bench, 5, 6);
    assert_eq!(bench.begun[4..], [open(5), open(6)]);
    let events = |name: &str| {
        let file = fs::File::open(bench.home.path().join(name)).unwrap();
        crate::parquet::Events::read(file, bench.home.path()).unwrap().count()
    };
    assert_eq!(events("1970-01-01T02.parquet"), 1);
    let outputs = bench.sink.checkpoint().unwrap();
    outputs.iter().for_each(Output::committed);
    let records = bench.sink.convert_rest().unwrap();
    assert_eq!(records.len(), 4, "{records:?}");
    // Hours 3 to 5, of which the file of hour 5 has the second event.
    let events = |name: &str| {
        let file = fs::File::open(bench.home.path().join(name)).unwrap();
        crate::parquet::Events::read(file, bench.home.path()).unwrap().count()
    };
    assert_eq!((events("1970-01-01T03.parquet"), events("1970-01-01T05.parquet")), (3, 1));
}
