//! Composes the progress line and shortens it for narrow screens. Pure.

/// The separator of parts, and of bar and text.
pub const GAP: &str = "  ";

/// Possible widths of the bar, in columns, the preferred one first.
const BAR_COLUMNS: [usize; 2] = [20, 10];

/// The priority of a part: the last ones are dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The state of the run.
    State,
    /// The lag behind the present.
    Lag,
    /// Events dropped by `--when-full`.
    Drops,
    /// The share of received events that was written.
    Written,
    /// The progress of a backfill in segments.
    Segments,
    /// Events per second.
    Rate,
    /// Estimated time left.
    TimeLeft,
    /// Connections after the first.
    Reconnects,
    /// Fill level of the queue.
    Buffer,
}

/// Parts in display order. All text is ASCII, so a character is a column.
#[derive(Clone, Debug, Default)]
pub struct StatusLine(Vec<(Priority, String)>);

impl StatusLine {
    /// Appends a part.
    pub fn add(&mut self, priority: Priority, part: String) {
        self.0.push((priority, part));
    }

    /// Fits the line into this many columns; returns the width of the bar (0 for none) and the
    /// text. The bar shrinks and disappears before any part does; parts are dropped as a whole,
    /// except the last one, which is truncated.
    #[must_use]
    pub fn fit(mut self, columns: usize, wants_bar: bool) -> (usize, String) {
        let needed = self.columns();
        let fits = |bar: &&usize| **bar + GAP.len() + needed <= columns;
        if let Some(bar) = BAR_COLUMNS.iter().filter(|_| wants_bar).find(fits) {
            return (*bar, self.text());
        }
        while self.columns() > columns && self.0.len() > 1 {
            let lowest = self.0.iter().enumerate().max_by_key(|(_, (priority, _))| *priority);
            let Some((i, _)) = lowest else { break };
            self.0.remove(i);
        }
        (0, self.text().chars().take(columns).collect())
    }

    /// Returns all parts, separated by commas.
    #[must_use]
    pub fn joined(&self) -> String {
        let parts: Vec<&str> = self.0.iter().map(|(_, part)| part.trim()).collect();
        parts.join(", ")
    }

    fn columns(&self) -> usize {
        let gaps = self.0.len().saturating_sub(1) * GAP.len();
        self.0.iter().map(|(_, part)| part.chars().count()).sum::<usize>() + gaps
    }

    fn text(&self) -> String {
        let parts: Vec<&str> = self.0.iter().map(|(_, part)| part.as_str()).collect();
        parts.join(GAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> StatusLine {
        let mut line = StatusLine::default();
        for (priority, part) in [
            (Priority::State, " 50%"),
            (Priority::Rate, "100.0k/s"),
            (Priority::Lag, "30m01s behind"),
            (Priority::Buffer, "buffer 12%"),
            (Priority::Drops, "1 drop"),
        ] {
            line.add(priority, part.to_owned());
        }
        line
    }

    #[test]
    fn a_narrow_screen_drops_the_bar_first_and_then_the_lowest_priorities() {
        let all = " 50%  100.0k/s  30m01s behind  buffer 12%  1 drop";
        assert_eq!(line().fit(78, true), (20, all.into()));
        assert_eq!(line().fit(78, false), (0, all.into()));
        assert_eq!(line().fit(62, true), (10, all.into()));
        assert_eq!(line().fit(50, true), (0, all.into()));
        assert_eq!(line().fit(38, true), (0, " 50%  100.0k/s  30m01s behind  1 drop".into()));
        assert_eq!(line().fit(28, true), (0, " 50%  30m01s behind  1 drop".into()));
        assert_eq!(line().fit(20, true), (0, " 50%  30m01s behind".into()));
        assert_eq!(line().fit(3, true), (0, " 50".into()));
        assert_eq!(line().fit(0, true), (0, String::new()));
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_the_screen(columns in 0usize..120, wants_bar: bool) {
            let (bar, text) = line().fit(columns, wants_bar);
            let bar = if bar == 0 { 0 } else { bar + GAP.len() };
            prop_assert!(bar + text.chars().count() <= columns);
        }
    }
}
