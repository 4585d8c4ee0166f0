use super::*;
use crate::event::columns::parse;
use crate::parquet::row;

fn sorted(order: Order, lines: &[String], run_bytes: usize) -> Vec<u64> {
    let home = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(order, 0, home.path()).with_run_bytes(run_bytes);
    for (i, line) in lines.iter().enumerate() {
        let event = parse(line.as_bytes()).unwrap();
        // Ordinals that come in another order than they count.
        let ordinal = (i as u64 * 7_919) % 10_007;
        let added = sorter.add(|rows| {
            row::push(rows, ordinal, &event, None);
            io::Result::Ok(())
        });
        added.unwrap();
    }
    assert_eq!(home.path().read_dir().unwrap().count(), 0, "a file has a name");
    let mut sorted = sorter.finish().unwrap();
    let mut ordinals = Vec::new();
    while let Some(bytes) = sorted.next().unwrap() {
        ordinals.push(Row::new(bytes, 0).ordinal());
    }
    assert!(sorted.next().unwrap().is_none());
    ordinals
}

#[test]
fn any_number_of_runs_gives_the_same_order() {
    let lines: Vec<String> = (0..3_000_u64)
        .map(|n| {
            let (collection, did) = (n * 31 % 7, n * 17 % 97);
            format!(r#"{{"did":"did:plc:{did:020}","time_us":{},"kind":"commit","commit":{{"collection":"c{collection}","x":1}}}}"#, n % 5)
        })
        .collect();
    for order in [Order::Content, Order::Ordinal] {
        let in_memory = sorted(order, &lines, 1 << 20);
        assert_eq!(in_memory.len(), lines.len());
        // A hundred runs need more than one merge.
        for run_bytes in [5_000, 60_000] {
            assert_eq!(sorted(order, &lines, run_bytes), in_memory, "{run_bytes}");
        }
        if order == Order::Ordinal {
            assert!(in_memory.is_sorted());
        }
    }
}

#[test]
fn no_rows_are_no_error() {
    assert_eq!(sorted(Order::Content, &[], 10), [] as [u64; 0]);
}
