//! Never lose an event: the program runs against servers and networks that break all the time, is
//! killed at random moments and started again, and all that it printed is compared with the
//! recording. Every event is there, in order. An event that comes twice was printed after the
//! position that was saved when the process was killed. No event comes twice after a clean stop,
//! nor ever in a file.
//!
//! The short form is part of `cargo test`. The long one:
//!
//! ```sh
//! cargo test --release --test torture -- --ignored --nocapture
//! ```
//!
//! runs for `SKYTAIL_TORTURE_MINUTES` (30). `SKYTAIL_TORTURE_SEED` is the seed of all random
//! values, except for the moments that the system chooses. `SKYTAIL_TORTURE_LANE` selects profiles
//! by a part of their name, `SKYTAIL_TORTURE_BIN` another program to test.
//!
//! The short form leaves out the profiles whose rounds take longer than it, unless one is selected:
//! `--archive prefer`, budgets and stripes of a history, and witnesses. One of them for a minute:
//!
//! ```sh
//! SKYTAIL_TORTURE_LANE=witness SKYTAIL_TORTURE_SECONDS=60 cargo test --test torture lost_whatever
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod archive_profiles;
mod child;
mod filter_profiles;
mod filters;
mod flags;
mod harness;
mod oracle;
mod outputs;
mod parquet;
mod process_run;
mod profile;
mod profiles;
mod proxy;
mod recording;
mod report;
#[cfg(unix)]
mod scrub;
mod stripes;
mod verdict;
mod witness;
mod witness_profiles;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use profile::{Profile, RunSettings};
use report::{Failure, Totals};

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}: {value:?} makes no sense")))
}

/// Returns the profile of this name, or all whose name contains it.
fn pick(name: &str) -> Vec<Profile> {
    let mut profiles = profiles::profiles();
    if profiles.iter().any(|profile| profile.name == name) {
        profiles.retain(|profile| profile.name == name);
    }
    profiles.retain(|profile| profile.name.contains(name));
    assert!(!profiles.is_empty(), "no profile is called {name:?}");
    profiles
}

/// Runs all profiles at once.
fn run(lasting: Duration, is_short: bool) -> (Totals, Vec<Failure>) {
    let ours = || PathBuf::from(env!("CARGO_BIN_EXE_skytail"));
    let client = variable("SKYTAIL_TORTURE_BIN").unwrap_or_else(ours);
    let seed = variable("SKYTAIL_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let picked: String = variable("SKYTAIL_TORTURE_LANE").unwrap_or_default();
    let mut profiles = pick(&picked);
    if is_short && picked.is_empty() {
        profiles.retain(|profile| !profile.is_for_the_long_form());
    }
    println!("torture: seed {seed}, {} profiles for {lasting:?}", profiles.len());
    let until = Instant::now() + lasting;
    let run = |profile: &Profile, number: u64| {
        // A profile that runs alone gets the seed unchanged.
        let seed = seed.wrapping_add(number);
        profile.run(&RunSettings { client: &client, seed, until, variable: None })
    };
    let (mut totals, mut failures) = (Totals::default(), Vec::new());
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(&profiles)
            .map(|(number, profile)| (profile.name, scope.spawn(move || run(profile, number))))
            .collect();
        for (name, thread) in threads {
            let (of_profile, outcome) =
                thread.join().unwrap_or_else(|_| panic!("profile {name} broke"));
            println!("{name:26} {of_profile}");
            totals.add(&of_profile);
            failures.extend(outcome.err());
        }
    });
    println!("{:26} {totals}; {} broken guarantees; seed {seed}", "all", failures.len());
    (totals, failures)
}

#[track_caller]
fn assert_unbroken(failures: &[Failure]) {
    let message: Vec<String> = failures.iter().map(Failure::to_string).collect();
    assert!(message.is_empty(), "\n{}\n", message.join("\n\n"));
}

// Guards INV-1.
#[test]
fn nothing_is_lost_whatever_breaks() {
    let seconds = variable("SKYTAIL_TORTURE_SECONDS").unwrap_or(10);
    let (_, failures) = run(Duration::from_secs(seconds), true);
    assert_unbroken(&failures);
}

#[test]
#[ignore = "half an hour; see above"]
fn nothing_is_lost_in_half_an_hour() {
    let minutes = variable("SKYTAIL_TORTURE_MINUTES").unwrap_or(30);
    let (totals, failures) = run(Duration::from_secs(60 * minutes), false);
    assert_unbroken(&failures);
    // The purpose of a run of all profiles for this length; a busy machine does less.
    if minutes >= 30 && variable::<String>("SKYTAIL_TORTURE_LANE").is_none() {
        assert!(totals.kills >= 1_000 && totals.disconnects >= 10_000, "{totals}");
    }
}
