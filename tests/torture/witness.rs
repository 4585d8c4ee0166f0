//! What lossy servers have between them, and what a program with a witness must print of it.

use super::profile::Profile;
use super::stripes::time_us;

/// More than the default window: at the end of a recording nothing shows that an event is missing.
const WINDOW_US: u64 = 70_000_000;

/// The same at the beginning: kills and changes of the server in use within the first window move
/// the start of the comparison.
const FIRST_US: u64 = 120_000_000;

/// What happens to the events that only the witness has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// They come late.
    Late,
    /// They come in their places.
    Hold,
    /// They do not come.
    Report,
}

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
        let from_us = time_us(&lines[0]) + FIRST_US;
        let until_us = lines.iter().map(|line| time_us(line)).max().unwrap_or(0) - WINDOW_US;
        let is_at_an_end = |line: &str| !(from_us..until_us).contains(&time_us(line));
        let is_last = |line: &str| time_us(line) >= until_us;
        let has = |server: usize, event: usize| {
            !lacks(profile.losses[server], seed + server as u64, event as u64, &lines[event])
        };
        // Each server may be in use for a while, and then the other one is the witness.
        let servers = 0..profile.losses.len();
        let wanted = |event| servers.clone().any(|server| has(server, event));
        let optional = |event: usize| {
            let is_late = !servers.clone().all(|server| has(server, event));
            let (is_first_or_last, is_last) = (is_at_an_end(&lines[event]), is_last(&lines[event]));
            match witness {
                Witness::Late => is_late && is_first_or_last,
                Witness::Hold => is_late && is_first_or_last || is_last,
                Witness::Report => is_late,
            }
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
