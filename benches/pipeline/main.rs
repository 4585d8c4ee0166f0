//! The whole program against the floor: how far the built binary is from the cheapest thing
//! that could print the same stream, side by side in one run.
//!
//! ```sh
//! cargo bench --bench pipeline
//! cargo bench --bench pipeline -- --help
//! ```
//!
//! A server in this process sends frames that were made beforehand; every program under test is a
//! process of its own. Programs of one comparison take turns, and a ratio is the median of the
//! ratios of the rounds, because the speed of a shared machine changes from minute to minute.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::exit
)]
#![allow(missing_docs)]

mod archive;
mod compare;
mod corpus;
mod latency;
mod load;
mod measure;
mod peers;
mod programs;
mod protocols;
mod report;
mod server;

use clap::Parser;

use compare::Bench;
use report::Report;

/// How the benchmark is run.
#[derive(Clone, Debug, Parser)]
#[command(name = "pipeline", about = "skytail beside the floor, in one run")]
struct Arguments {
    /// Events of the plain comparisons
    #[arg(long, default_value_t = 2_000_000)]
    events: usize,
    /// Events of the compressed comparison
    #[arg(long, default_value_t = 1_000_000)]
    zstd_events: usize,
    /// Events of the archive
    #[arg(long, default_value_t = 3_000_000)]
    archive_events: usize,
    /// Rounds of each comparison
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each paced stream lasts
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Leave out the reference design, which takes most of the time
    #[arg(long)]
    no_reference: bool,
    /// Measure websocat and other installed clients as well
    #[arg(long)]
    peers: bool,
    /// Go up to 50 million events, where the cost of one is to stay the same
    #[arg(long)]
    long: bool,
    /// Only comparisons whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Another skytail binary
    #[arg(long, default_value = env!("CARGO_BIN_EXE_skytail"))]
    skytail: std::path::PathBuf,
    /// Print the JSON alone
    #[arg(long)]
    json: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut words = std::env::args();
    if let Some(role) = words.nth(1).and_then(|word| word.strip_prefix("role:").map(str::to_owned))
    {
        return programs::play(&role, &words.collect::<Vec<_>>());
    }
    let arguments = Arguments::parse();
    let mut report = Report::new(arguments.json);
    if !arguments.json {
        println!("the load is made of {}", corpus::source());
    }
    let bench = Bench::new(&arguments);
    bench.run(&mut report);
    report.print();
}
