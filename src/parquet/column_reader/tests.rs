use std::io::Write as _;

use super::*;
use crate::parquet::schema;
use crate::parquet::thrift::Writer;

/// Returns the header of a page: kind, sizes before and after compression, rows and encoding.
fn header([kind, uncompressed, compressed, rows, encoding]: [i32; 5]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.structure_item(|w| {
        w.i32(1, kind);
        w.i32(2, uncompressed);
        w.i32(3, compressed);
        w.structure(if kind == DATA_PAGE { 5 } else { 7 }, |w| {
            w.i32(1, rows);
            w.i32(2, encoding);
        });
    });
    writer.out
}

/// Returns a page with this content, which claims `claimed` bytes.
fn page(kind: i32, content: &[u8], claimed: usize, rows: i32, encoding: i32) -> Vec<u8> {
    let packed = zstd::encode_all(content, 1).unwrap();
    [header([kind, claimed as i32, packed.len() as i32, rows, encoding]), packed].concat()
}

/// Reads the column `did` in these pages up to an error; returns it and how much memory the page
/// takes.
fn read(pages: &[u8]) -> (ReadError, usize, u64) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(pages).unwrap();
    let column = schema::columns(&[]).into_iter().find(|column| column.name == "did").unwrap();
    let mut reader = ColumnReader::new(&column, 0..pages.len() as u64);
    let mut input = Input::new(file).unwrap();
    for rows in 0.. {
        if let Err(error) = reader.advance(&mut input) {
            return (error, reader.page.capacity(), rows);
        }
    }
    unreachable!("the pages end")
}

#[test]
fn a_size_is_only_a_claim() {
    let bomb = vec![0; 19 << 20];
    for (pages, reason) in [
        (header([DATA_PAGE, i32::MAX, 10, 1, PLAIN]), "a number out of range"),
        (header([DATA_PAGE, 10, i32::MAX, 1, PLAIN]), "a number out of range"),
        (header([DATA_PAGE, 10, -1, 1, PLAIN]), "a number out of range"),
        (header([DATA_PAGE, 10, 1_000, 1, PLAIN]), "longer than its column"),
        (page(DATA_PAGE, &bomb, 1_000, 1, PLAIN), "can't be decompressed"),
        (page(DATA_PAGE, b"short", 18 << 20, 1, PLAIN), "can't be decompressed"),
        (vec![0xff; 600], "Thrift"),
    ] {
        let (error, capacity, rows) = read(&pages);
        assert!(error.to_string().contains(reason), "{error}");
        assert!(capacity < 100_000, "{reason}: {capacity} bytes");
        assert_eq!(rows, 0);
    }
}

#[test]
fn a_run_of_any_length_takes_no_memory() {
    // One level for 2^30 rows, and one index into a dictionary of one text.
    let run = [0x80, 0x80, 0x80, 0x80, 0x08];
    let levels = [&run[..], &[1]].concat();
    let content = [&(levels.len() as u32).to_le_bytes()[..], &levels, &[0], &run].concat();
    let dictionary = [&3_u32.to_le_bytes()[..], b"did"].concat();
    let pages = [
        page(DICTIONARY_PAGE, &dictionary, dictionary.len(), 1, PLAIN),
        page(DATA_PAGE, &content, content.len(), 100_000, RLE_DICTIONARY),
    ];
    let (error, capacity, rows) = read(&pages.concat());
    assert_eq!(
        (error.to_string().as_str(), rows),
        ("it is damaged: a column ends before its row group", 100_000)
    );
    assert!(capacity < 1_000, "{capacity}");
}

#[test]
fn dictionaries_are_small() {
    let long = [&2_000_u32.to_le_bytes()[..], &[b'x'; 2_000]].concat();
    let many = [&1_000_u32.to_le_bytes()[..], &[b'x'; 1_000]].concat().repeat(1_100);
    let short = [&9_u32.to_le_bytes()[..], b"x"].concat();
    for (content, reason) in [
        (&long, "long values in a dictionary"),
        (&many, "a large dictionary"),
        (&short, "a page ends before its values"),
    ] {
        let (error, ..) = read(&page(DICTIONARY_PAGE, content, content.len(), 1, PLAIN));
        assert!(error.to_string().contains(reason), "{error}");
    }
}
