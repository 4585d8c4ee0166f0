//! What a screen looks like: colours, and the characters of series.

use ratatui::style::{Color, Modifier, Style};

use super::spark::Bars;

/// What it looks like.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Of series.
    pub bars: Style,
    /// Of what needs attention.
    pub alert: Style,
    /// The characters of series.
    pub characters: Bars,
}

impl Theme {
    /// With or without colours, and with these characters for series.
    #[must_use]
    pub fn new(is_coloured: bool, characters: Bars) -> Self {
        let colour = |colour| match is_coloured {
            true => Style::new().fg(colour),
            false => Style::new(),
        };
        let alert = colour(Color::Red).add_modifier(Modifier::BOLD);
        Self { bars: colour(Color::Cyan), alert, characters }
    }
}
