//! The faults that chance decides on: their names, and the durations that they take.

use std::time::Duration;

/// What can go wrong. In the order of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection ends with close frame 1001.
    Close,
    /// It ends with a FIN and no close frame.
    Drop,
    /// It ends with an RST.
    Reset,
    /// It ends in the middle of a frame.
    Cut,
    /// Nothing is sent for a while.
    Stall,
    /// Nothing is sent or answered ever again.
    Hang,
    /// Pings are answered, but no event is sent ever again.
    Mute,
    /// An event's frame comes byte by byte.
    Dribble,
    /// An event comes twice.
    Duplicate,
    /// Two neighbours change places.
    Swap,
    /// An event takes the time of the one before.
    Same,
    /// The clock is back for some events.
    Step,
    /// An event's time is years older.
    Imported,
    /// An event's time is hours to millennia ahead, and the first event's always.
    Absurd,
    /// An event that the connection brought long ago comes again.
    Late,
    /// The server crashes and assigns seqs again.
    Reuse,
    /// A connection is refused for now.
    Refuse,
    /// A message that is no event.
    Garbage,
    /// A message of 17 MiB.
    Oversized,
    /// A message that does not decompress.
    Zstd,
    /// A ping that nobody expects.
    Ping,
    /// An event in several frames.
    Fragment,
    /// A frame that no WebSocket server may send.
    Violate,
    /// The v2 stream ends with the error `ConsumerTooSlow`.
    Slow,
    /// The v2 stream ends with the error `InternalError`.
    Fail,
    /// A message of the v2 stream that nobody knows yet.
    Unknown,
    /// The v2 handshake echoes no subprotocol, or a wrong one.
    Echo,
    /// The v2 dictionary gets another id.
    Rotate,
    /// The current v2 dictionary is denied.
    Deny,
    /// A block of the archive is damaged.
    Corrupt,
    /// A download from the archive breaks off.
    Truncate,
    /// A request of the archive is refused for now.
    Throttle,
    /// A download from the archive comes whole, whatever was asked for.
    Norange,
    /// A segment of the archive gets other bytes.
    Rewrite,
    /// A segment of the archive is not found.
    Missing,
    /// A plan makes no progress.
    Stuck,
}

impl Fault {
    /// All of them, each at the index that it is cast to.
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

    /// Its name in a specification.
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

    /// How long it lasts where the specification does not say; `None` where it takes no
    /// duration.
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
    fn every_fault_stands_at_its_index_under_a_name_of_its_own() {
        for (i, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, i);
            assert_eq!(Fault::ALL.iter().filter(|f| f.name() == fault.name()).count(), 1);
        }
    }
}
