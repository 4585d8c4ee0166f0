//! The harness is held to its own promise: builds that are broken on purpose must fail in it,
//! by a lost or a repeated event. A mutation that survives means that a promise is watched by
//! nobody.
//!
//! ```sh
//! cargo test --test mutations -- --ignored
//! ```
//!
//! All mutations are built at once, into one program that asks a variable which of them to
//! be: one compilation instead of many. `SKYTAIL_MUTATION` picks some by a part of their name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::print_stdout)]
#![allow(dead_code, reason = "the harness is used in part")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../torture/child.rs"]
mod child;
#[path = "../torture/harness.rs"]
mod harness;
#[path = "../torture/oracle.rs"]
mod oracle;
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

mod build;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use oracle::Violation;
use profile::RunSettings;
use table::{MUTATIONS, Mutation};

/// How long one seed is tried: a clock that differs by nothing gives nothing away, so that a
/// fresh one does more than a long hunt.
const SEARCH_TIME: Duration = Duration::from_secs(20);
/// Seeds tried one after the other; an attempt that is not over by then counts as a survival.
/// Most mutations don't see the second.
const SEEDS: std::ops::RangeInclusive<u64> = 11..=20;
/// Mutations hunted at the same time.
const WORKERS: usize = 3;

/// How a mutation was found out, or what happened instead.
fn search(mutation: &Mutation, program: &Path) -> Result<String, String> {
    let began = Instant::now();
    let profile = profiles::profile(mutation.profile);
    for seed in SEEDS {
        let until = Instant::now() + SEARCH_TIME;
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
                            println!("{:28} NOT FOUND OUT: {message}", mutation.name);
                            survivors.lock().unwrap().push(mutation.name);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(survivors.into_inner().unwrap(), [""; 0], "not found out");
}

#[test]
fn every_mutation_has_its_anchor_and_every_anchor_its_mutation() {
    build::mutated(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), MUTATIONS);
    for mutation in MUTATIONS {
        assert!(mutation.violations.iter().all(|violation| *violation != Violation::Failed));
        profiles::profile(mutation.profile);
    }
}
