//! What lossy servers have between them, and what a program with a witness must print of it.

use super::profile::{Profile, Witness};
use super::stripes::time_us;

/// More than the default window: at the end of a recording nothing shows that an event is missing.
const WINDOW_US: u64 = 70_000_000;

/// What the servers of a round have.
pub struct Losses {
    /// Whether each event is on a server of which events are printed.
    pub wanted: Vec<bool>,
    /// Whether each event need not come.
    pub optional: Vec<bool>,
}

impl Losses {
    /// `seed` is that of the first server; each further one has the next.
    pub fn new(profile: &Profile, witness: Witness, seed: u64, lines: &[String]) -> Self {
        let until_us = lines.iter().map(|line| time_us(line)).max().unwrap_or(0) - WINDOW_US;
        let is_last = |line: &str| time_us(line) > until_us;
        let has = |server: usize, event: usize| {
            !lacks(profile.losses[server], seed + server as u64, event as u64, &lines[event])
        };
        // The last server is the witness.
        let in_use = 0..profile.losses.len() - 1;
        let witness_has = |event| witness != Witness::Report && has(in_use.end, event);
        let wanted = |event| in_use.clone().any(|server| has(server, event)) || witness_has(event);
        let optional = |event: usize| {
            let is_late = !in_use.clone().all(|server| has(server, event));
            is_last(&lines[event]) && (witness == Witness::Hold || is_late)
        };
        Self {
            wanted: (0..lines.len()).map(wanted).collect(),
            optional: (0..lines.len()).map(optional).collect(),
        }
    }
}

/// Returns whether a server with these `--chaos` items lacks an event.
fn lacks(items: &str, seed: u64, event: u64, line: &str) -> bool {
    items.split(',').any(|item| match item.split_once('=').expect("name=value") {
        ("omit", n) => {
            let n: u64 = n.parse().expect("a number");
            event % n == seed % n
        }
        ("blind", collection) => line.contains(&format!(r#""collection":"{collection}""#)),
        _ => panic!("{item} loses no events"),
    })
}
