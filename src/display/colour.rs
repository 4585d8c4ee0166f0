//! Whether to colour stderr. Pure.

/// What is known about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColourEnv {
    /// `--color always` (`Some(true)`) or `never` (`Some(false)`), which is stronger than all
    /// else. `NO_COLOR` comes in as `never` from the flags' own rules.
    pub requested: Option<bool>,
    /// `CLICOLOR_FORCE` is set to something but 0.
    pub forced: bool,
    /// stderr is a terminal.
    pub is_terminal: bool,
    /// `TERM` is `dumb`.
    pub is_dumb: bool,
}

/// The decision.
#[must_use]
pub fn use_colour(s: ColourEnv) -> bool {
    s.requested.unwrap_or(s.forced || (s.is_terminal && !s.is_dumb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_a_person_sees_them_or_asked() {
        let terminal = ColourEnv { is_terminal: true, ..ColourEnv::default() };
        assert!(use_colour(terminal));
        assert!(!use_colour(ColourEnv::default()));
        assert!(!use_colour(ColourEnv { is_dumb: true, ..terminal }));
        assert!(!use_colour(ColourEnv { requested: Some(false), forced: true, ..terminal }));
        assert!(use_colour(ColourEnv { requested: Some(true), ..ColourEnv::default() }));
        assert!(use_colour(ColourEnv { forced: true, ..ColourEnv::default() }));
    }
}
