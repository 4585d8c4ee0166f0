//! Decides whether to colour stderr. Pure.

/// The settings and facts that decide about colour.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColourEnv {
    /// `--color always` (`Some(true)`) or `never` (`Some(false)`), which overrides everything else.
    /// The flag parser maps `NO_COLOR` to `never`.
    pub requested: Option<bool>,
    /// `CLICOLOR_FORCE` is set to a value other than 0.
    pub forced: bool,
    /// stderr is a terminal.
    pub is_terminal: bool,
    /// `TERM` is `dumb`.
    pub is_dumb: bool,
}

/// Returns whether to use colour.
#[must_use]
pub fn use_colour(s: ColourEnv) -> bool {
    s.requested.unwrap_or(s.forced || (s.is_terminal && !s.is_dumb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_on_a_terminal_or_on_request() {
        let terminal = ColourEnv { is_terminal: true, ..ColourEnv::default() };
        assert!(use_colour(terminal));
        assert!(!use_colour(ColourEnv::default()));
        assert!(!use_colour(ColourEnv { is_dumb: true, ..terminal }));
        assert!(!use_colour(ColourEnv { requested: Some(false), forced: true, ..terminal }));
        assert!(use_colour(ColourEnv { requested: Some(true), ..ColourEnv::default() }));
        assert!(use_colour(ColourEnv { forced: true, ..ColourEnv::default() }));
    }
}
