//! The settings of the comparison with a second server.

/// `--witness` and the flags that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The time after which an event that only one server has is missing, in microseconds of event
    /// time.
    pub window_us: u64,
    /// What becomes of an event that only the witness has.
    pub missing: MissingEvents,
    /// The share of missing events from which on the server in use is left for the witness, in
    /// events of a million; `None` for never.
    pub leave_ppm: Option<u32>,
}

/// What becomes of an event that only the witness has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingEvents {
    /// It is printed once it is known to be missing, after later events of its account.
    Print,
    /// It is printed in its place: the output waits for it (`--witness-hold`).
    Hold,
    /// It is counted and logged (`--witness-only report`).
    Report,
}
