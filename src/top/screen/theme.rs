//! Colours and bar characters of the screen.

use ratatui::style::{Color, Modifier, Style};

use super::spark::Bars;

/// The look of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Style of bars.
    pub bars: Style,
    /// Style of alerts.
    pub alert: Style,
    /// Characters of bars.
    pub characters: Bars,
}

impl Theme {
    /// Creates a theme with or without colours.
    #[must_use]
    pub fn new(is_coloured: bool, characters: Bars) -> Self {
        let colour = |colour| match is_coloured {
            true => Style::new().fg(colour),
            false => Style::new(),
        };
        let alert = colour(Color::Red).add_modifier(Modifier::BOLD);
        Self { bars: colour(Color::Cyan), alert, characters }
    }

    /// Returns the mark of a column that rows are sorted by.
    #[must_use]
    pub fn direction(&self, ascends: bool) -> char {
        match (self.characters == Bars::ASCII, ascends) {
            (true, true) => '^',
            (true, false) => 'v',
            (false, true) => '▲',
            (false, false) => '▼',
        }
    }
}
