//! Reads Parquet files back: with the program itself, with the crate `parquet`, and with DuckDB if its
//! Python package is installed.

use std::path::Path;
use std::process::Command;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;

/// Returns the lines of a file, after a comparison with the other readers.
pub fn lines(client: &Path, path: &Path) -> Vec<u8> {
    let output = Command::new(client).arg("convert").arg(path).args(["-o", "-"]).output();
    let output = output.expect("run skytail convert");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    let file = std::fs::File::open(path).expect("open a file");
    let reader = SerializedFileReader::new(file).expect("a footer that the crate reads");
    let rows = reader.get_row_iter(None).expect("rows that the crate reads");
    let ordinal = |row: parquet::record::Row| row.get_long(0).expect("an ordinal");
    let mut ordinals: Vec<i64> = rows.map(|row| ordinal(row.expect("a row"))).collect();
    ordinals.sort_unstable();
    assert!(ordinals.iter().copied().eq(0..events as i64), "{}: {events} lines", path.display());
    if let Some(count) = count_by_duckdb(path) {
        assert_eq!(count, events, "{}", path.display());
    }
    output.stdout
}

fn count_by_duckdb(path: &Path) -> Option<usize> {
    let program = "import duckdb, sys; \
        print(duckdb.read_parquet(sys.argv[1]).aggregate('count(*)').fetchall()[0][0])";
    let output = Command::new("python3").args(["-c", program]).arg(path).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
