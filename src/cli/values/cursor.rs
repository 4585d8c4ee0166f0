//! `--cursor`. TEMPORARY body, replaced by the checkpoint branch.

use crate::settings::CursorMode;

/// Why a cursor was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (-15m), or an integer cursor"
)]
pub struct CursorError(String);

/// Reads a cursor.
///
/// # Errors
/// [`CursorError`].
pub fn parse_cursor_mode(text: &str, now_us: u64) -> Result<CursorMode, CursorError> {
    match text {
        "live" => Ok(CursorMode::Live),
        "auto" => Ok(CursorMode::Auto),
        "oldest" => Ok(CursorMode::Oldest),
        _ => super::time::parse_time(text, now_us)
            .map(CursorMode::Time)
            .map_err(|_| CursorError(text.to_owned())),
    }
}
