//! The periods of a Parquet output: which have ended, and when the next may end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::open::{self, OpenFileError};
use super::parquet::{self, Converter, Ended, ParquetSettings, Waiting};
use super::rotation::Rotate;
use super::{FileSink, Output, OutputRecord, OutputState, PeriodStart, SinkError, TimeUs};

/// Periods that may wait for the conversion of another: their files take space.
const MOST_WAITING: usize = 2;

/// How long the stream waits for a conversion before the current period lasts longer: a day of the
/// network takes three minutes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a stream that waits checks whether the run is to stop.
const RECHECK: Duration = Duration::from_millis(100);

/// The periods of one output.
#[derive(Debug)]
pub(super) struct Periods {
    converter: Converter,
    /// Periods that have ended, and whose results were not taken yet.
    unconverted: usize,
    /// Whether a period lasts longer than its time.
    pub(super) has_delayed: bool,
    /// Whether the stream has waited for a conversion.
    has_waited: bool,
    /// The Parquet file of the last period that ended.
    completed: Option<PathBuf>,
}

impl Periods {
    pub(super) fn end(&mut self, record: &OutputRecord) {
        self.unconverted += 1;
        self.completed = parquet::parquet_path(&record.path);
    }

    /// Returns how many periods have ended and are not converted, with the one that is being
    /// converted.
    fn waiting_count(&self) -> usize {
        self.unconverted.saturating_sub(self.converter.done())
    }

    pub(super) fn waiting(&mut self, ended: Ended) -> Waiting {
        self.converter.waiting(ended)
    }
}

impl FileSink {
    /// Makes each file Parquet when its period ends. `ended` has the periods that an earlier run has
    /// not converted.
    #[must_use]
    pub fn with_parquet(self, settings: ParquetSettings, ended: Vec<OutputRecord>) -> Self {
        let unconverted = ended.len();
        let converter = Converter::new(settings, ended);
        let periods = Periods {
            converter,
            unconverted,
            has_delayed: false,
            has_waited: false,
            completed: None,
        };
        Self { periods: Some(periods), ..self }
    }

    /// Returns whether a period has ended and waits for a checkpoint to be converted.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.periods.is_some() && !self.finished.is_empty()
    }

    /// Waits while the next period would have to be delayed: a replay is faster than a conversion,
    /// and its files should be those of a live stream. Returns early after a stop.
    pub(super) fn await_conversion(
        &mut self,
        period_starts: &[PeriodStart],
        deadline: &dyn Fn() -> Option<Instant>,
    ) {
        let (Some(rotate), Some(current)) = (self.naming.rotate, &self.current) else { return };
        let Some(periods) = &mut self.periods else { return };
        let is_over = match rotate {
            Rotate::Size(bytes) => current.length_bytes >= bytes,
            _ => period_starts
                .iter()
                .any(|start| current.period_start != Some(rotate.start_of(start.time))),
        };
        // What no checkpoint covers is not converted before this batch is written.
        if !is_over || !self.finished.is_empty() {
            return;
        }
        let until = Instant::now() + PATIENCE;
        while periods.waiting_count() > MOST_WAITING
            && Instant::now() < until
            && deadline().is_none_or(|deadline| Instant::now() < deadline)
        {
            if !periods.has_waited {
                periods.has_waited = true;
                tracing::warn!(
                    "{MOST_WAITING} files wait to be converted to Parquet, and the stream waits for them"
                );
            }
            periods.converter.wait(RECHECK);
        }
    }

    /// Returns whether the current period may end now. If too many wait to be converted, it
    /// continues, and the user is warned once.
    pub(super) fn may_end_period(&mut self) -> bool {
        let Some(periods) = self.periods.as_mut().filter(|_| self.current.is_some()) else {
            return true;
        };
        let may_end = periods.waiting_count() <= MOST_WAITING;
        if !may_end && !periods.has_delayed {
            tracing::warn!(
                "{MOST_WAITING} files wait to be converted to Parquet, so the next file begins later: give this machine more time for each, with longer periods or fewer --fields"
            );
        }
        periods.has_delayed = !may_end;
        may_end
    }

    /// Returns whether the Parquet file of a period is complete already: this consumer reads the
    /// past again.
    pub(super) fn is_complete(&self, period_start: Option<TimeUs>) -> bool {
        let pattern = self.naming.pattern();
        self.periods.is_some()
            && self.known.values().any(|record| {
                record.state == OutputState::Done
                    && record.pattern == pattern
                    && record.period_start == period_start
            })
    }

    /// Returns whether no file has the name with this number.
    pub(super) fn is_free(&self, time: TimeUs, number: u32) -> bool {
        open::is_free(&self.naming.working_path(time, number))
            && self.existing(time, number).is_none()
    }

    /// Fails if there is a Parquet file already that the conversion would have to replace.
    pub(super) fn check_not_taken(&self, time: TimeUs, number: u32) -> Result<(), SinkError> {
        match self.existing(time, number) {
            Some(path) => Err(SinkError::NextFile(OpenFileError::Taken(path))),
            None => Ok(()),
        }
    }

    /// Returns a Parquet file with this name.
    fn existing(&self, time: TimeUs, number: u32) -> Option<PathBuf> {
        self.periods.as_ref()?;
        parquet::parts(&self.naming.path(time, number)).ok()?.into_iter().next()
    }

    /// Returns what the conversions since the last call changed.
    pub(super) fn take_converted(&mut self) -> Result<Vec<Output>, SinkError> {
        let Some(periods) = &mut self.periods else { return Ok(Vec::new()) };
        let results = periods.converter.results();
        periods.unconverted -= results.len().min(periods.unconverted);
        let mut outputs = Vec::new();
        for result in results {
            let records = result.map_err(SinkError::NotConverted)?;
            let output = |record| Output { file: None, record, waiting: None };
            outputs.extend(records.into_iter().map(output));
        }
        Ok(outputs)
    }

    /// Ends the only file of a run that does not rotate, so that it is converted. Returns whether
    /// there is anything to save.
    ///
    /// # Errors
    /// As a write.
    pub fn complete(&mut self) -> Result<bool, SinkError> {
        let has_events = self.current.as_ref().is_some_and(|current| !current.is_fresh);
        if self.periods.is_none() || self.naming.rotate.is_some() || !has_events {
            return Ok(false);
        }
        self.finish_current()?;
        Ok(true)
    }

    /// Converts all periods whose end the state file records, at the end of a run. Returns what the
    /// state file has to record of them.
    ///
    /// # Errors
    /// [`SinkError::NotConverted`]; the next run converts them.
    pub fn convert_rest(&mut self) -> Result<Vec<OutputRecord>, SinkError> {
        let Some(periods) = &mut self.periods else { return Ok(Vec::new()) };
        if periods.unconverted > periods.converter.done() {
            tracing::info!("converting to Parquet; the next run does that if this one is killed");
        }
        let mut records = Vec::new();
        for result in periods.converter.finish() {
            records.extend(result.map_err(SinkError::NotConverted)?);
        }
        Ok(records)
    }

    /// Returns whether periods are converted to Parquet.
    #[must_use]
    pub fn is_parquet(&self) -> bool {
        self.periods.is_some()
    }

    /// Returns the Parquet file of the last period that ended.
    pub(super) fn completed(&self) -> Option<&Path> {
        self.periods.as_ref().and_then(|periods| periods.completed.as_deref())
    }
}
