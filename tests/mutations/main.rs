//! Tests of the torture harness: builds with deliberate faults must fail in it, by a lost or a
//! repeated event. A mutation that survives shows that no test checks a guarantee.
//!
//! ```sh
//! cargo test --test mutations -- --ignored
//! ```
//!
//! One compilation builds all mutations into one program, which an environment variable turns into
//! one of them. `SKYTAIL_MUTATION` selects mutations by a part of their name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::print_stdout)]
#![allow(dead_code, reason = "the harness is used in part")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../torture/archive_profiles.rs"]
mod archive_profiles;
#[path = "../torture/child.rs"]
mod child;
#[path = "../torture/filter_profiles.rs"]
mod filter_profiles;
#[path = "../torture/filters.rs"]
mod filters;
#[path = "../torture/flags.rs"]
mod flags;
#[path = "../torture/harness.rs"]
mod harness;
#[path = "../torture/oracle.rs"]
mod oracle;
#[path = "../torture/outputs.rs"]
mod outputs;
#[path = "../torture/parquet.rs"]
mod parquet;
#[path = "../torture/process_run.rs"]
mod process_run;
#[path = "../torture/profile.rs"]
mod profile;
#[path = "../torture/profiles.rs"]
mod profiles;
#[path = "../torture/proxy.rs"]
mod proxy;
#[path = "../torture/recording.rs"]
mod recording;
#[path = "../torture/report.rs"]
mod report;
#[path = "../torture/stripes.rs"]
mod stripes;
#[path = "../torture/verdict.rs"]
mod verdict;
#[path = "../torture/witness.rs"]
mod witness;
#[path = "../torture/witness_profiles.rs"]
mod witness_profiles;

mod build;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use oracle::Violation;
use profile::RunSettings;
use table::{MUTATIONS, Mutation};

/// How long one seed is tried. Each attempt differs in its timing, so a new seed finds more than a
/// longer search.
const SEARCH_TIME: Duration = Duration::from_secs(20);
/// The same for tables and Parquet files, which a round compares at its end: an earlier end is enough.
const SEARCH_TIME_TO_THE_END: Duration = Duration::from_secs(3);
/// The seeds, tried one after another. A mutation that survives all of them fails the test; most
/// are caught by the first.
const SEEDS: std::ops::RangeInclusive<u64> = 11..=20;
/// How many mutations are tested at the same time.
const WORKERS: usize = 3;

/// Returns how a mutation was caught, or what happened instead.
fn search(mutation: &Mutation, program: &Path) -> Result<String, String> {
    let began = Instant::now();
    let profile = profiles::profile(mutation.profile);
    let time = match mutation.profile.contains("parquet") || mutation.profile.contains("database") {
        true => SEARCH_TIME_TO_THE_END,
        false => SEARCH_TIME,
    };
    for seed in SEEDS {
        let until = Instant::now() + time;
        let variable = Some((build::VARIABLE, mutation.name));
        let settings = RunSettings { client: program, seed, until, variable };
        let (totals, outcome) = profile.run(&settings);
        let Err(failure) = outcome else { continue };
        let took = began.elapsed();
        let _ = std::fs::remove_dir_all(&failure.directory);
        return match mutation.violations.contains(&failure.verdict.violation) {
            true => Ok(format!(
                "{:?} after {took:.1?}, {} kills",
                failure.verdict.violation, totals.kills
            )),
            false => Err(format!("failed for another reason:\n{failure}")),
        };
    }
    Err(format!("survived {:?} in profile {:?}", began.elapsed(), mutation.profile))
}

#[test]
#[ignore = "builds another program; a minute or two"]
fn every_mutation_is_caught() {
    let picked = std::env::var("SKYTAIL_MUTATION").unwrap_or_default();
    let program = build::all(MUTATIONS);
    let unchanged = RunSettings {
        client: &program,
        seed: 1,
        until: Instant::now() + Duration::from_secs(5),
        variable: None,
    };
    if let (_, Err(failure)) = profiles::profile("v2").run(&unchanged) {
        panic!("fails without any mutation, too:\n{failure}");
    }
    let chosen: Vec<&Mutation> = MUTATIONS.iter().filter(|m| m.name.contains(&picked)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let survivors = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(mutation) =
                    chosen.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    match search(mutation, &program) {
                        Ok(how) => println!("{:28} {how}", mutation.name),
                        Err(message) => {
                            println!("{:28} NOT CAUGHT: {message}", mutation.name);
                            survivors.lock().unwrap().push(mutation.name);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(survivors.into_inner().unwrap(), [""; 0], "not caught");
}

#[test]
fn every_mutation_has_its_anchor_and_every_anchor_its_mutation() {
    build::mutated(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), MUTATIONS);
    for mutation in MUTATIONS {
        assert!(mutation.violations.iter().all(|violation| *violation != Violation::Failed));
        profiles::profile(mutation.profile);
    }
}
