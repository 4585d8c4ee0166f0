//! A history that several runs divide (`--archive-stripe`): runs of all stripes are stopped at
//! random, one at a time, and the outputs in order must equal the output of one run.

use super::harness::Harness;
use super::oracle::{Oracle, Verdict};
use super::process_run::{ProcessRun, RunRole, StopPlan};
use super::profile::Round;
use super::report::Totals;

/// How often each stripe is stopped, on average.
const STOPS: usize = 4;

/// Chooses the `--until` of a round: not after the last sealed segment of 1,000 events.
pub fn choose_until(lines: &[String], rng: &mut fastrand::Rng) -> u64 {
    let sealed = lines.len() / 1_000 * 1_000;
    time_us(&lines[rng.usize(sealed / 2..sealed - 500)])
}

/// Returns the time of a recorded line.
pub fn time_us(line: &str) -> u64 {
    let event: serde_json::Value = serde_json::from_str(line).expect("a recorded line");
    event["time_us"].as_u64().expect("a time")
}

impl Round<'_> {
    /// Runs all stripes to their ends, and feeds the outputs to the oracle.
    pub fn run_stripes(
        &mut self,
        harness: &mut Harness,
        process: &mut ProcessRun,
        oracle: &mut Oracle<'_>,
        totals: &mut Totals,
    ) -> Result<(), Verdict> {
        let stripes = self.profile.stripes;
        let mut stops: Vec<u32> = (1..=stripes).flat_map(|stripe| [stripe; STOPS]).collect();
        self.rng.shuffle(&mut stops);
        for stripe in stops {
            process.choose_stripe(stripe, stripes);
            let plan = self.stop_plan(false);
            let run =
                process.run_once(plan, RunRole::Interrupted, harness, oracle, &mut self.rng)?;
            totals.runs += 1;
            totals.kills += u64::from(run.was_killed);
            totals.clean_stops += u64::from(run.was_clean);
        }
        harness.stop_faults();
        for stripe in 1..=stripes {
            process.choose_stripe(stripe, stripes);
            let plan = StopPlan::complete();
            process.run_once(plan, RunRole::Final, harness, oracle, &mut self.rng)?;
        }
        oracle.begin_files();
        oracle.feed(&self.files())?;
        oracle.conclude()
    }
}
