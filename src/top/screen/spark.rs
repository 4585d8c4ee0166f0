//! Sparklines: series of counts as text, one character per count. Pure.

/// Characters for zero and for counts from low to high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bars([char; 9]);

impl Bars {
    /// Unicode blocks, for terminals with Unicode.
    pub const BLOCKS: Self = Self([' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']);
    /// ASCII characters for other terminals.
    pub const ASCII: Self = Self([' ', '.', ':', '-', '=', '+', '*', '%', '#']);

    /// Draws the last `columns` counts, scaled to their maximum. Counts above zero are always
    /// visible.
    #[must_use]
    pub fn draw(&self, series: &[u64], columns: usize) -> String {
        let shown = series.get(series.len().saturating_sub(columns)..).unwrap_or_default();
        let max = shown.iter().copied().max().unwrap_or(0).max(1);
        let bar = |count: &u64| {
            let step = (u128::from(*count) * 8).div_ceil(u128::from(max));
            self.0.get(usize::try_from(step).unwrap_or(8)).copied().unwrap_or(' ')
        };
        shown.iter().map(bar).collect()
    }
}

/// Returns whether a terminal with these environment variables shows Unicode: the first of
/// `LC_ALL`, `LC_CTYPE` and `LANG` that is not empty decides.
#[must_use]
pub fn shows_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    crate::platform::DRAWS_UNICODE || locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_count_is_full_and_the_lowest_is_visible() {
        assert_eq!(Bars::BLOCKS.draw(&[99, 0, 1, 800, 400, 100], 5), " ▁█▄▁");
        assert_eq!(Bars::ASCII.draw(&[0, 1, u64::MAX], 60), " .#");
        assert_eq!(Bars::ASCII.draw(&[0, 0], 2), "  ");
        assert_eq!(Bars::ASCII.draw(&[], 2), "");
    }

    #[test]
    fn the_locale_decides() {
        let with = |name: &'static str, value: &'static str| {
            shows_unicode(move |variable| (variable == name).then(|| value.to_owned()))
        };
        assert!(with("LANG", "en_GB.UTF-8") && with("LC_ALL", "C.utf8"));
        assert!(!cfg!(unix) || !with("LANG", "C"));
        assert!(!cfg!(unix) || !with("HOME", "utf-8"));
    }
}
