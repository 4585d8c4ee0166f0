//! Parquet files, generated or damaged: each event that is read is one valid line, and memory is
//! bounded.
#![no_main]

use std::fs::File;
use std::io::Write as _;
use std::sync::OnceLock;

use skytail::event::columns;
use skytail::parquet::{EventWriter, Events, Metadata};
use skytail_fuzz::{Counting, peak_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a conversion may take.
const MOST_BYTES: usize = 256 << 20;

/// Returns a file with all kinds of pages.
fn whole() -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let home = tempfile::tempdir().expect("a directory");
        let mut writer = EventWriter::new(Vec::new(), home.path());
        for n in 0..40 {
            let line = match n % 3 {
                0 => format!(r#"{{"did":"d{n}","time_us":{n},"kind":"account","account":{{"active":{}}}}}"#, n % 2 == 0),
                _ => format!(r#"{{"did":"d{n}","time_us":{n},"cursor":{n},"kind":"commit","commit":{{"rev":"r","collection":"a.b.c","record":{{"x":{n}}}}},"y":1}}"#),
            };
            writer.add(line.as_bytes()).expect("an event");
        }
        let path = home.path().join("a.parquet");
        writer.finish(&path, &Metadata::default()).expect("a file");
        std::fs::read(path).expect("a file")
    })
}

/// The file to read, by the first byte: the bytes after it, or changes of a whole file, as places and
/// values.
fn file(data: &[u8]) -> Vec<u8> {
    let changes = match data.split_first() {
        Some((0..128, changes)) => changes,
        Some((_, bytes)) => return bytes.to_vec(),
        None => return Vec::new(),
    };
    let mut bytes = whole().to_vec();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

fn read(bytes: &[u8]) {
    let mut temporary = tempfile::tempfile().expect("a file");
    temporary.write_all(bytes).expect("write");
    let file: File = temporary;
    let Ok(mut events) = Events::read(file, &std::env::temp_dir()) else { return };
    while let Ok(Some((_, line))) = events.next_event() {
        let line = line.strip_suffix(b"\n").expect("a line");
        assert!(!line.contains(&b'\n'));
        let _ = columns::parse(line);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes = file(data);
    let ((), peak) = peak_bytes(|| read(&bytes));
    assert!(peak <= MOST_BYTES, "{peak} bytes");
});
