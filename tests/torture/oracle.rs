//! Compares the printed lines with the recording. It receives all output and each end of a process,
//! and returns the first violation of a guarantee.

use std::collections::HashSet;
use std::num::NonZeroU64;

use super::recording::Recording;
use super::verdict::shorten;
pub use super::verdict::{Order, Saved, Verdict, Violation};
use super::witness::Losses;

/// Events shown on each side of the one that a verdict is about.
const NEIGHBOURS: usize = 2;

#[derive(Clone, Copy)]
struct Printed {
    event: u32,
    run: u32,
    mark: Saved,
}

/// Checks the outputs of one recording.
pub struct Oracle<'a> {
    recording: &'a Recording,
    order: Order,
    /// Whether lines must equal the recording byte for byte.
    is_verbatim: bool,
    wanted: Vec<bool>,
    /// Events that need not come.
    optional: Vec<bool>,
    seen: Vec<bool>,
    missing: usize,
    /// Each event at its first occurrence.
    printed: Vec<Printed>,
    /// All lines of the current run.
    run_lines: Vec<Printed>,
    newest_of_account: Vec<u32>,
    /// The lowest wanted event that has not come.
    next: u32,
    /// The highest event that has come.
    highest: Option<u32>,
    run: u32,
    partial_line: Vec<u8>,
    saved: Option<Saved>,
    /// The events that were printed after the position at which this run began, in the order in
    /// which they were printed. Only these may come again.
    may_repeat: Vec<u32>,
    may_repeat_set: HashSet<u32>,
    /// How many of them came again.
    repeated_here: usize,
    /// The index after the last of them, if the order is exact.
    next_repeat: usize,
    /// Whether this run has printed a new event.
    has_new_event: bool,
    /// The lines that came again after a kill, as they may.
    pub repeated: u64,
    /// The most of them after one kill.
    pub most_repeated: usize,
}

impl<'a> Oracle<'a> {
    /// `wants` returns whether the filters accept a line.
    pub fn new(
        recording: &'a Recording,
        order: Order,
        is_verbatim: bool,
        wants: impl Fn(&str) -> bool,
    ) -> Self {
        let wanted: Vec<bool> = recording.lines.iter().map(|line| wants(line)).collect();
        let accounts = recording.accounts.iter().max().map_or(0, |&most| most as usize + 1);
        let mut oracle = Self {
            recording,
            order,
            is_verbatim,
            missing: wanted.iter().filter(|w| **w).count(),
            optional: vec![false; wanted.len()],
            seen: vec![false; wanted.len()],
            wanted,
            printed: Vec::new(),
            run_lines: Vec::new(),
            newest_of_account: vec![0; accounts],
            next: 0,
            highest: None,
            run: 0,
            partial_line: Vec::new(),
            saved: None,
            may_repeat: Vec::new(),
            may_repeat_set: HashSet::new(),
            repeated_here: 0,
            next_repeat: 0,
            has_new_event: false,
            repeated: 0,
            most_repeated: 0,
        };
        oracle.skip_to_missing();
        oracle
    }

    /// Requires what lossy servers have.
    pub fn with_losses(mut self, losses: &Losses) -> Self {
        for (wanted, is_there) in self.wanted.iter_mut().zip(&losses.wanted) {
            *wanted &= *is_there;
        }
        self.with_optional(losses.optional.clone())
    }

    /// Does not require these events.
    pub fn with_optional(mut self, optional: Vec<bool>) -> Self {
        let is_required = |(wanted, optional): &(&bool, &bool)| **wanted && !**optional;
        self.missing = self.wanted.iter().zip(&optional).filter(is_required).count();
        self.optional = optional;
        self.skip_to_missing();
        self
    }

    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Returns whether at most 5% of the events are missing.
    pub fn is_nearly_complete(&self) -> bool {
        let wanted = self.wanted.iter().filter(|wanted| **wanted).count();
        self.missing * 20 <= wanted
    }

    /// Returns the share of the recording before an instant.
    pub fn share_before(&self, time_us: u64) -> f64 {
        self.recording.share_before(time_us)
    }

    /// Returns how many different events have come.
    pub fn events(&self) -> u64 {
        self.seen.iter().filter(|seen| **seen).count() as u64
    }

    /// Starts the next run. Events printed after `saved` may come again. After a clean stop none
    /// may.
    pub fn begin_run(&mut self, saved: Option<Saved>, was_clean: bool) -> Result<(), Verdict> {
        let lines = std::mem::take(&mut self.run_lines);
        let (kept, swapped) = self.lines_saved(&lines, saved)?;
        let is_last_saved = lines.last().is_none_or(|last| Some(last.mark) == saved);
        // Without seqs the last event of a quiet stream moves the position only when another one
        // supports its time; its dedup key is saved, and it must not come again all the same.
        // The same holds for the first event of another server.
        let has_seq = self.order == Order::Exact && saved.is_none_or(|saved| saved.seq.is_some());
        let is_unsaved = kept + swapped < lines.len() && !is_last_saved && has_seq;
        if let Some(last) = lines.last().filter(|_| was_clean && is_unsaved) {
            let what = format!("was printed before a clean stop, which saved {saved:?}");
            return Err(self.report(Violation::Repeated, last.event, &what));
        }
        let kept = if was_clean { lines.len() } else { kept };
        let settled: HashSet<u32> = lines.iter().take(kept).map(|line| line.event).collect();
        let newest = lines.iter().take(kept).next_back().map(|line| line.event);
        self.may_repeat.retain(|event| match (self.order, newest) {
            // The position covers everything before it.
            (Order::Exact, Some(newest)) => *event > newest,
            _ => !settled.contains(event),
        });
        let behind = lines.iter().skip(kept).map(|line| line.event);
        self.may_repeat_set = self.may_repeat.iter().copied().collect();
        self.may_repeat.extend(behind.filter(|event| self.may_repeat_set.insert(*event)));
        if self.optional.contains(&true) {
            // A run may have printed events that the run before it left out.
            self.may_repeat.sort_unstable();
        }
        self.saved = saved;
        self.partial_line.clear();
        self.run += 1;
        (self.repeated_here, self.next_repeat) = (0, 0);
        self.has_new_event = false;
        Ok(())
    }

    /// Returns how many lines of a run the saved position covers, and how many more it may cover.
    fn lines_saved(
        &self,
        lines: &[Printed],
        saved: Option<Saved>,
    ) -> Result<(usize, usize), Verdict> {
        let Some(saved) = saved.filter(|saved| Some(*saved) != self.saved) else {
            return Ok((0, 0));
        };
        // The position of an event with an absurd time has another time, and the event's own seq.
        let has_seq = |line: &Printed| saved.seq.is_some() && line.mark.seq == saved.seq;
        let exact = lines.iter().rposition(|line| line.mark == saved);
        if let Some(at) = exact.or_else(|| lines.iter().rposition(has_seq)) {
            // Neighbours with the same position: the position does not show which of them it is.
            let twins = lines.iter().take(at).rev().take_while(|line| line.mark == saved);
            // Neighbours in the wrong order: the position is that of the later one, whether it was
            // saved between them or after both.
            let is_swapped = |line: &&Printed| line.event < lines[at].event;
            let swapped = lines.iter().skip(at + 1).take_while(is_swapped);
            return Ok((at + 1 - twins.count(), swapped.count()));
        }
        if self.wanted.iter().all(|wanted| *wanted) {
            let message = format!("{saved:?} was saved, and no such line was printed");
            return Err(Verdict { violation: Violation::Ahead, message, missing: None });
        }
        // It was saved at an event that the filters exclude.
        let is_behind = |line: &Printed| match (line.mark.seq, saved.seq) {
            // Two servers number the same events differently.
            (Some(printed), Some(saved)) if self.order == Order::Exact => printed <= saved,
            _ => line.mark.time_us <= saved.time_us,
        };
        Ok((lines.iter().rposition(is_behind).map_or(0, |at| at + 1), 0))
    }

    /// Starts the check of the files, all at once after the final run: no line in them may repeat.
    pub fn begin_files(&mut self) {
        self.run += 1;
    }

    /// Checks the next output of the current run.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Verdict> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.partial_line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.partial_line);
            self.line(&line)?;
        }
        self.partial_line.extend_from_slice(rest);
        Ok(())
    }

    /// Checks that the outputs, which are now complete, have all events.
    pub fn conclude(&self) -> Result<(), Verdict> {
        if !self.partial_line.is_empty() {
            let message = format!(
                "the last line is incomplete: {}",
                shorten(&String::from_utf8_lossy(&self.partial_line))
            );
            return Err(Verdict { violation: Violation::Foreign, message, missing: None });
        }
        match self.is_complete() {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Verdict> {
        let foreign = |what: &str| {
            let message = format!("{what}: {}", shorten(&String::from_utf8_lossy(line)));
            Err(Verdict { violation: Violation::Foreign, message, missing: None })
        };
        let Ok(text) = std::str::from_utf8(line) else { return foreign("not UTF-8") };
        let Some(read) = self.recording.read(text) else { return foreign("no event") };
        let Some(event) = read.event else { return foreign("not in the recording") };
        if !self.wanted[event as usize] {
            return foreign("excluded by the filters");
        }
        if self.is_verbatim && text != self.recording.lines[event as usize] {
            return foreign("not as the server sent it");
        }
        let mark = Saved { time_us: read.time_us, seq: read.seq };
        let printed = Printed { event, run: self.run, mark };
        self.run_lines.push(printed);
        match self.seen[event as usize] {
            // Another server sends surplus from before the instant that it was asked for, and one
            // event with a false time does not show that it belongs to it. The program closes it
            // out if its own clock shows that the time is false, or if it remembers the event.
            true if self.order != Order::Exact && self.has_plausible_lie(event, mark) => Ok(()),
            true => self.again(event),
            false => self.new_event(printed),
        }
    }

    /// Returns whether the server stamped this event with a time ahead of its own, which does not
    /// lie ahead of this machine's clock.
    fn has_plausible_lie(&self, event: u32, mark: Saved) -> bool {
        let own = self.recording.read(&self.recording.lines[event as usize]);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_us = now.map_or(0, |now| now.as_micros() as u64);
        own.is_some_and(|own| mark.time_us > own.time_us + 60_000_000) && mark.time_us < now_us
    }

    /// Checks a repeated line: only the last lines before a kill may repeat.
    fn again(&mut self, event: u32) -> Result<(), Verdict> {
        if !self.may_repeat_set.remove(&event) {
            return Err(self.report(Violation::Repeated, event, "came again"));
        }
        let turn = self
            .may_repeat
            .iter()
            .skip(self.next_repeat)
            .position(|may_repeat| *may_repeat == event);
        if self.order == Order::Exact && (turn.is_none() || self.has_new_event) {
            return Err(self.report(Violation::Repeated, event, "came again, out of turn"));
        }
        self.next_repeat += turn.map_or(0, |skipped| skipped + 1);
        self.repeated_here += 1;
        self.repeated += 1;
        self.most_repeated = self.most_repeated.max(self.repeated_here);
        Ok(())
    }

    fn new_event(&mut self, printed: Printed) -> Result<(), Verdict> {
        let event = printed.event;
        if self.is_optional_again(printed) {
            self.seen[event as usize] = true;
            self.printed.push(printed);
            return Ok(());
        }
        self.has_new_event = true;
        self.seen[event as usize] = true;
        self.missing -= usize::from(!self.optional[event as usize]);
        self.printed.push(printed);
        self.skip_to_missing();
        let highest = self.highest.map_or(event, |highest| highest.max(event));
        self.highest = Some(highest);
        let slack = self.order.slack();
        if event < highest.saturating_sub(slack) {
            return Err(self.report(Violation::Disorder, event, "came too late"));
        }
        if self.next < highest.saturating_sub(slack) {
            return Err(self.lost());
        }
        let newest = &mut self.newest_of_account[self.recording.accounts[event as usize] as usize];
        let is_in_order = *newest <= event;
        *newest = event.max(*newest);
        if matches!(self.order, Order::ByAccount(_)) && !is_in_order {
            let what = "came after a later event of its account";
            return Err(self.report(Violation::Disorder, event, what));
        }
        Ok(())
    }

    /// Returns whether an event that the run before a kill left out comes in this run, in its place
    /// among the events that may come again.
    fn is_optional_again(&self, printed: Printed) -> bool {
        let is_unsaved = self.saved.is_none_or(|saved| printed.mark.seq > saved.seq);
        let before = self.run_lines.iter().rev().nth(1);
        self.optional[printed.event as usize]
            && is_unsaved
            && before.is_none_or(|before| before.event < printed.event)
            && self.highest.is_some_and(|highest| printed.event < highest)
    }

    fn skip_to_missing(&mut self) {
        let passed = |i: usize| self.seen[i] || !self.wanted[i] || self.optional[i];
        while (self.next as usize) < self.wanted.len() && passed(self.next as usize) {
            self.next += 1;
        }
    }

    fn lost(&self) -> Verdict {
        self.report(Violation::Lost, self.next, "has not come")
    }

    /// Returns the violation with the event's neighbours in the recording and in the outputs.
    fn report(&self, violation: Violation, event: u32, what: &str) -> Verdict {
        use std::fmt::Write as _;
        let mut message = format!("event {event} {what}, in run {}\nin the recording:\n", self.run);
        let event = event as usize;
        let until = (event + NEIGHBOURS + 1).min(self.recording.lines.len());
        for i in event.saturating_sub(NEIGHBOURS)..until {
            let came = if self.seen[i] { "came" } else { "" };
            let _ = writeln!(message, "{i:7} {came:5} {}", shorten(&self.recording.lines[i]));
        }
        let before = self.printed.iter().rposition(|p| p.event as usize == event);
        let before =
            before.or_else(|| self.printed.iter().rposition(|p| (p.event as usize) < event));
        message.push_str("in the outputs (line, run, event):\n");
        let around = before.map_or(0, |at| at.saturating_sub(NEIGHBOURS));
        let tail = self.printed.len().saturating_sub(NEIGHBOURS + 1);
        for (line, p) in self.printed.iter().enumerate() {
            if (around..around + 2 * NEIGHBOURS + 1).contains(&line) || line >= tail {
                let _ = writeln!(message, "{line:7} {:5} {:7} {:?}", p.run, p.event, p.mark);
            }
        }
        let _ = write!(
            message,
            "this run began at {:?}, and might repeat {} events from {:?} on; {} of them came",
            self.saved,
            self.may_repeat.len(),
            self.may_repeat.first(),
            self.repeated_here
        );
        let missing = self.recording.lines.get(event).filter(|_| violation == Violation::Lost);
        let missing = missing.and_then(|line| NonZeroU64::new(self.recording.read(line)?.seq?));
        Verdict { violation, message, missing }
    }
}
