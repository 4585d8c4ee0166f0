//! SECURITY.md matches the program: each bound in its table has the value of the constant in the
//! code, and the code has as many `unsafe` blocks as the documents say.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The place of a bound in the code.
enum BoundSource {
    /// A constant of a file below `src`, times a factor.
    Constant(&'static str, &'static str, u64),
    /// A constant that is a power of two.
    Power(&'static str, &'static str),
    /// The default of a flag of `skytail tail`.
    Flag(&'static str),
}
use BoundSource::{Constant, Flag, Power};

/// The rows of the table by their first words, and each quantity in them, in its order.
const ROWS: &[(&str, &[BoundSource])] = &[
    ("a message, in frames", &[Flag("--max-frame-size")]),
    ("the zstd window", &[Power("compression/inflate.rs", "WINDOW_LOG_MAX")]),
    ("nesting of JSON", &[Constant("event/scanner.rs", "MAX_DEPTH", 1)]),
    (
        "a page of an archive's plan",
        &[
            Constant("source/archive/plan.rs", "MAX_PAGE_BYTES", 1),
            Constant("source/archive/segment_list.rs", "MAX_LIST_BYTES", 1),
        ],
    ),
    (
        "a segment of the archive",
        &[
            Constant("archive/segment/header.rs", "MAX_SEGMENT_BYTES", 1),
            Constant("archive/segment/collections.rs", "MAX_TABLE_BYTES", 1),
        ],
    ),
    (
        "a block of it",
        &[
            Constant("archive/block.rs", "MAX_BLOCK_BYTES", 1),
            Power("archive/block.rs", "WINDOW_LOG_MAX"),
        ],
    ),
    ("rows of a block", &[Constant("archive/block.rs", "MAX_ROWS", 1)]),
    (
        "a record in it",
        &[
            Constant("archive/line.rs", "MAX_PAYLOAD_BYTES", 1),
            Constant("archive/cbor.rs", "MAX_STRING_BYTES", 1),
            Constant("archive/cbor.rs", "MAX_DEPTH", 1),
        ],
    ),
    (
        "the head of an HTTP answer",
        &[
            Constant("source/http/head.rs", "MAX_HEAD_BYTES", 1),
            Constant("source/http/head.rs", "MAX_HEADERS", 1),
            Constant("source/http/head.rs", "MAX_INTERIM", 1),
        ],
    ),
    (
        "the body of a refusal",
        &[
            Constant("source/http/error_body.rs", "MAX_BODY_BYTES", 1),
            Constant("source/http/error_body.rs", "BODY_TIMEOUT", 1),
            Constant("source/http/error_body.rs", "MAX_SHOWN_CHARS", 1),
        ],
    ),
    (
        "control frames waiting",
        &[Constant("source/connection/outgoing.rs", "MAX_OUTGOING_FRAMES", 1)],
    ),
    (
        "events that a broker",
        &[
            Constant("sink/broker/in_flight.rs", "MOST_BYTES", 1),
            Constant("sink/broker/in_flight.rs", "MOST_MESSAGES", 1),
        ],
    ),
    (
        "identities read back",
        &[
            Constant("sink/broker/nats/session.rs", "MOST_READ_BACK", 1),
            // A key has 16 bytes.
            Constant("sink/broker/kafka/readback.rs", "MOST_READ_BACK", 16),
        ],
    ),
    ("events waiting for the output", &[Flag("--buffer-bytes")]),
    ("the live stream kept", &[Constant("pipeline/reader/join.rs", "MAX_KEPT_BYTES", 1)]),
    (
        "event ids remembered",
        &[
            Constant("position/dedup_window/mod.rs", "MAX_EVENTS", 2),
            Constant("position/dedup_window/mod.rs", "MAX_EVENTS", 1),
        ],
    ),
    (
        "a request for metrics",
        &[
            Constant("telemetry/http_server.rs", "MAX_HEAD_BYTES", 1),
            Constant("telemetry/http_server.rs", "MAX_HEADERS", 1),
            Constant("telemetry/http_server.rs", "CONNECTION_TIMEOUT", 1),
            Constant("telemetry/http_server.rs", "MAX_CONNECTIONS", 1),
        ],
    ),
    (
        "the answer of a handle's host",
        &[
            Constant("source/handle/well_known.rs", "MAX_BODY_BYTES", 1),
            Constant("source/download.rs", "MAX_REDIRECTS", 1),
        ],
    ),
    ("`--ca-file`", &[Constant("source/net/tls/trust.rs", "MAX_FILE_BYTES", 1)]),
    (
        "a line of a recording",
        &[
            Constant("event/lines.rs", "MAX_LINE_BYTES", 1),
            Constant("stats/tally.rs", "MAX_COLLECTIONS", 1),
            Constant("stats/tally.rs", "MAX_LANGUAGES", 1),
        ],
    ),
    (
        "what `top` counts by name",
        &[
            Constant("top/aggregate.rs", "MAX_COLLECTIONS", 1),
            Constant("top/aggregate.rs", "MAX_LANGUAGES", 1),
            Constant("top/aggregate.rs", "MAX_ACCOUNTS", 1),
        ],
    ),
    (
        "log lines held",
        &[
            Constant("top/log_buffer.rs", "MAX_LINES", 1),
            Constant("display/log.rs", "MAX_CHARS", 1),
        ],
    ),
    (
        "a regular expression of `--jq`",
        &[
            Constant("render/jq/regexes.rs", "MOST_PATTERN_BYTES", 1),
            Constant("render/jq/regexes.rs", "MOST_COMPILED_BYTES", 1),
        ],
    ),
    ("a dictionary", &[Constant("compression/dictionary.rs", "MAX_SIZE_BYTES", 1)]),
    (
        "a Parquet file",
        &[
            Constant("parquet/mod.rs", "MAX_FOOTER_BYTES", 1),
            Constant("parquet/column_reader.rs", "MAX_PAGE_BYTES", 1),
        ],
    ),
    (
        "rows waiting for a database",
        &[
            Constant("sink/sqlite/pending.rs", "MAX_BYTES", 1),
            Constant("sink/position_row.rs", "MOST_IDENTITIES", 1),
        ],
    ),
];

/// Calculates the value of a constant: a whole number, a product, a shift or seconds.
fn constant(file: &str, name: &str) -> u64 {
    let source = read(&format!("src/{file}"));
    let after = source.split_once(&format!("const {name}:"));
    let (_, after) = after.unwrap_or_else(|| panic!("src/{file} has no constant {name}"));
    let value = after.split_once('=').unwrap().1.split(';').next().unwrap();
    let value = value.replace("Duration::from_secs(", "").replace([')', '_'], "");
    let number = |text: &str| -> u64 {
        text.trim().parse().unwrap_or_else(|_| panic!("src/{file}: {name} is {value}"))
    };
    match value.split_once("<<") {
        Some((base, bits)) => number(base) << number(bits),
        None => value.split('*').map(number).product(),
    }
}

/// Returns the default of a flag, from the help.
fn default(flag: &str) -> u64 {
    let help = Command::new(env!("CARGO_BIN_EXE_skytail")).args(["tail", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let (_, after) = help.split_once(&format!("{flag} ")).unwrap();
    let (_, default) = after.split_once("[default: ").unwrap();
    let default = default.split(']').next().unwrap();
    quantities(&default.replace("MiB", " MiB"))[0]
}

/// Returns the quantities in a text, in bytes or as they are.
fn quantities(text: &str) -> Vec<u64> {
    let words = [("three", 3), ("four", 4), ("eight", 8)];
    let words = BTreeMap::from(words);
    let tokens: Vec<&str> =
        text.split([' ', ';', '`']).map(|token| token.trim_matches(',')).collect();
    let mut found = Vec::new();
    for (token, unit) in tokens.iter().zip(tokens.iter().skip(1).chain([&""])) {
        let number = token.replace(',', "").parse().ok().or(words.get(token).copied());
        let factor = match *unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "MB" | "million" => 1_000_000,
            _ => 1,
        };
        found.extend(number.map(|number: u64| number * factor));
    }
    found
}

#[test]
fn each_bound_in_the_table_matches_the_code() {
    let document = read("SECURITY.md");
    let table = document.lines().map(str::trim).filter(|line| line.starts_with("| "));
    let table: Vec<Vec<&str>> = table
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.len() == 3 && !cells[0].is_empty())
        .collect();
    for cells in &table {
        let sources = ROWS.iter().find(|(row, _)| cells[0].starts_with(row));
        let (_, sources) = sources.unwrap_or_else(|| panic!("no constant is known for {cells:?}"));
        let values: Vec<u64> = sources
            .iter()
            .map(|source| match source {
                Constant(file, name, factor) => constant(file, name) * factor,
                Power(file, name) => 1 << constant(file, name),
                Flag(flag) => default(flag),
            })
            .collect();
        let mut documented = quantities(cells[1]);
        // The first fetch, and those after a change.
        if cells[0] == "a dictionary" {
            assert_eq!(
                documented.pop(),
                Some(constant("source/client/v2.rs", "MAX_ROTATIONS") + 1)
            );
        }
        assert_eq!(documented, values, "{cells:?}");
        for path in cells[2].split(", ").map(|path| path.trim_matches(['`', ' ', '|'])) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
            assert!(path.exists(), "{cells:?}: {} does not exist", path.display());
        }
    }
    assert_eq!(table.len(), ROWS.len(), "rows are missing in SECURITY.md, or here");
}

#[test]
fn the_documents_list_each_unsafe_block() {
    let mut blocks = Vec::new();
    collect_unsafe(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut blocks);
    assert_eq!(
        blocks, ["dispatch.rs"; 2],
        "SECURITY.md and fuzz/README.md say which files have one"
    );
    let security = read("SECURITY.md");
    assert!(security.contains("Two `unsafe` blocks in the program (`event/simd/dispatch.rs`"));
    let fuzz = read("fuzz/README.md");
    assert!(fuzz.contains("two `unsafe` blocks") && fuzz.contains("`event/simd/dispatch.rs`"));
}

/// Collects the names of the files with an `unsafe` block outside of tests, once for each.
fn collect_unsafe(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect_unsafe(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let program = source.split("#[cfg(test)]\nmod ").next().unwrap();
        let code = program.lines().filter(|line| !line.trim_start().starts_with("//"));
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
        let count = code.map(|line| words.map(|w| line.matches(w).count()).iter().sum::<usize>());
        found.extend(std::iter::repeat_n(name, count.sum()));
    }
}
