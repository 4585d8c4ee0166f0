//! Chooses the flags of the program for a round.

use std::path::Path;

use super::filters::FilterFile;
use super::harness::Harness;
use super::profile::{Filter, Output, Profile};
use super::recording::{RARE_COLLECTION, RARE_DID};
use super::witness::Witness;

/// The flags of each run.
const FIXED_FLAGS: [&str; 6] =
    ["--cursor", "auto", "--consumer", "c", "--max-retries", "unlimited"];

/// Returns the flags of all runs, and the file of a filter that changes.
pub fn choose(
    profile: &Profile,
    directory: &Path,
    harness: &Harness,
    rng: &mut fastrand::Rng,
) -> (Vec<String>, Option<FilterFile>) {
    let mut flags = host_flags(profile, harness);
    let state = directory.join("state.db").display().to_string();
    flags.extend(FIXED_FLAGS.map(str::to_owned));
    flags.extend(["--state".to_owned(), state]);
    if !profile.flags.contains(&"--protocol") {
        flags.extend(["--protocol", "v1"].map(str::to_owned));
    }
    let mut choose = |flag: &str, values: &[&str]| {
        let value = values[rng.usize(0..values.len())];
        if !value.is_empty() {
            flags.extend([flag.to_owned(), value.to_owned()]);
        }
    };
    choose("--checkpoint-every", &["10ms", "50ms", "300ms", "1s"]);
    choose("--checkpoint-events", &["", "1", "100", "1000"]);
    choose("--buffer", &["100", "1000", "100000"]);
    if !profile.flags.contains(&"--rewind") {
        choose("--rewind", &["500ms", "1s", "2s"]);
    }
    let mut filter_file = None;
    match profile.filter {
        Filter::None => {}
        Filter::Did => flags.extend(["--did".to_owned(), RARE_DID.to_owned()]),
        Filter::File(list) => {
            let file = FilterFile::new(list, directory, rng);
            flags.extend(file.flags());
            filter_file = Some(file);
        }
        Filter::Collection => flags.extend(["-c".to_owned(), RARE_COLLECTION.to_owned()]),
    }
    if let Some(dictionary) = &harness.dictionary {
        let path = dictionary.display().to_string();
        let zstd = ["--compress".to_owned(), "on".to_owned(), "--zstd-dictionary".to_owned(), path];
        flags.extend(zstd);
    }
    flags.extend(output_flags(profile.output, &directory.join("out").display().to_string()));
    flags.extend(profile.flags.iter().map(|flag| (*flag).to_owned()));
    (flags, filter_file)
}

/// Returns the flags that name the servers.
fn host_flags(profile: &Profile, harness: &Harness) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    let in_use = harness.hosts().count() - usize::from(profile.witness.is_some());
    for (number, host) in harness.hosts().enumerate() {
        let flag = if number < in_use { "--host" } else { "--witness" };
        flags.extend([flag.to_owned(), host]);
    }
    match profile.witness {
        None | Some(Witness::Late) => {}
        Some(Witness::Hold) => flags.push("--witness-hold".to_owned()),
        Some(Witness::Report) => {
            flags.extend(["--witness-only", "report"].map(str::to_owned));
        }
    }
    flags
}

/// Returns the flags of an output in the directory `out`.
fn output_flags(output: Output, out: &str) -> Vec<String> {
    match output {
        Output::Stdout | Output::SlowStdout => Vec::new(),
        Output::Files(files) => files.iter().map(|flag| flag.replace("{}", out)).collect(),
        Output::Database(options) => {
            let to = format!("sqlite:{out}/out.db{options}");
            ["--from", "oldest", "--to", &to].map(str::to_owned).to_vec()
        }
    }
}
