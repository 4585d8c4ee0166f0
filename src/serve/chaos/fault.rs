//! The faults that happen at random: names and durations.

use std::time::Duration;

/// A fault, in the order of the help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection ends with close frame 1001.
    Close,
    /// The connection ends with a FIN and no close frame.
    Drop,
    /// The connection ends with an RST.
    Reset,
    /// The connection ends in the middle of a frame.
    Cut,
    /// The connection sends nothing for a while.
    Stall,
    /// The connection sends and answers nothing any more.
    Hang,
    /// The connection answers pings, but sends no events any more.
    Mute,
    /// An event's frame arrives byte by byte.
    Dribble,
    /// An event is sent twice.
    Duplicate,
    /// Two consecutive events are swapped.
    Swap,
    /// An event has the time of the previous event.
    Same,
    /// The clock is set back for some events.
    Step,
    /// An event's time is years old.
    Imported,
    /// An event's time, and always the first event's, is hours to millennia in the future.
    Absurd,
    /// An event that the connection sent long ago is repeated.
    Late,
    /// The server crashes and assigns used seqs again.
    Reuse,
    /// A connection is refused temporarily.
    Refuse,
    /// A message is not an event.
    Garbage,
    /// A message has 17 MiB.
    Oversized,
    /// A message does not decompress.
    Zstd,
    /// An unsolicited ping.
    Ping,
    /// An event arrives in several fragments.
    Fragment,
    /// A frame violates RFC 6455.
    Violate,
    /// The v2 stream ends with the error `ConsumerTooSlow`.
    Slow,
    /// The v2 stream ends with the error `InternalError`.
    Fail,
    /// A v2 message of an unknown type.
    Unknown,
    /// The v2 handshake confirms no subprotocol, or a wrong one.
    Echo,
    /// The v2 dictionary gets another id.
    Rotate,
    /// The server rejects the id of the current v2 dictionary.
    Deny,
    /// A block of the archive is corrupt.
    Corrupt,
    /// A download from the archive is truncated.
    Truncate,
    /// An archive request is refused temporarily.
    Throttle,
    /// A download ignores the requested range.
    Norange,
    /// A segment is rewritten with other bytes.
    Rewrite,
    /// A segment is not found.
    Missing,
    /// A plan makes no progress.
    Stuck,
}

impl Fault {
    /// All faults, each at the index of its discriminant.
    pub const ALL: [Self; 36] = [
        Self::Close,
        Self::Drop,
        Self::Reset,
        Self::Cut,
        Self::Stall,
        Self::Hang,
        Self::Mute,
        Self::Dribble,
        Self::Duplicate,
        Self::Swap,
        Self::Same,
        Self::Step,
        Self::Imported,
        Self::Absurd,
        Self::Late,
        Self::Reuse,
        Self::Refuse,
        Self::Garbage,
        Self::Oversized,
        Self::Zstd,
        Self::Ping,
        Self::Fragment,
        Self::Violate,
        Self::Slow,
        Self::Fail,
        Self::Unknown,
        Self::Echo,
        Self::Rotate,
        Self::Deny,
        Self::Corrupt,
        Self::Truncate,
        Self::Throttle,
        Self::Norange,
        Self::Rewrite,
        Self::Missing,
        Self::Stuck,
    ];

    /// Returns the fault's name in a specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Stall => "stall",
            Self::Hang => "hang",
            Self::Mute => "mute",
            Self::Dribble => "dribble",
            Self::Duplicate => "duplicate",
            Self::Swap => "swap",
            Self::Same => "same",
            Self::Step => "step",
            Self::Imported => "imported",
            Self::Absurd => "absurd",
            Self::Late => "late",
            Self::Reuse => "reuse",
            Self::Refuse => "refuse",
            Self::Garbage => "garbage",
            Self::Oversized => "oversized",
            Self::Zstd => "zstd",
            Self::Ping => "ping",
            Self::Fragment => "fragment",
            Self::Violate => "violate",
            Self::Slow => "slow",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Echo => "echo",
            Self::Rotate => "rotate",
            Self::Deny => "deny",
            Self::Corrupt => "corrupt",
            Self::Truncate => "truncate",
            Self::Throttle => "throttle",
            Self::Norange => "norange",
            Self::Rewrite => "rewrite",
            Self::Missing => "missing",
            Self::Stuck => "stuck",
        }
    }

    /// Returns the duration if the specification gives none; `None` for faults without a duration.
    #[must_use]
    pub fn default_duration(self) -> Option<Duration> {
        match self {
            Self::Stall | Self::Step => Some(Duration::from_secs(2)),
            Self::Refuse | Self::Throttle => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_index_and_name() {
        for (i, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, i);
            assert_eq!(Fault::ALL.iter().filter(|f| f.name() == fault.name()).count(), 1);
        }
    }
}
