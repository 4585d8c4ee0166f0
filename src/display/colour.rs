//! Whether to colour stderr. Pure.

/// What is known about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// `--color always` (`Some(true)`) or `never` (`Some(false)`), which is stronger than all
    /// else. `NO_COLOR` comes in as `never` from the flags' own rules.
    pub asked: Option<bool>,
    /// `CLICOLOR_FORCE` is set to something but 0.
    pub forced: bool,
    /// stderr is a terminal.
    pub is_terminal: bool,
    /// `TERM` is `dumb`.
    pub is_dumb: bool,
}

/// The decision.
#[must_use]
pub fn wanted(s: Surroundings) -> bool {
    s.asked.unwrap_or(s.forced || (s.is_terminal && !s.is_dumb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_a_person_sees_them_or_asked() {
        let terminal = Surroundings { is_terminal: true, ..Surroundings::default() };
        assert!(wanted(terminal));
        assert!(!wanted(Surroundings::default()));
        assert!(!wanted(Surroundings { is_dumb: true, ..terminal }));
        assert!(!wanted(Surroundings { asked: Some(false), forced: true, ..terminal }));
        assert!(wanted(Surroundings { asked: Some(true), ..Surroundings::default() }));
        assert!(wanted(Surroundings { forced: true, ..Surroundings::default() }));
    }
}
