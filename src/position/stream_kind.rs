//! The streams of one server: each omits other events, so that a hole in one proves nothing about
//! another.

/// Distinguishes the fingerprint of a v2 stream from that of a v1 stream.
const V2_STREAM: u64 = 0x7632_0000_0000_7632;

/// Distinguishes the fingerprint of the archive from those of the streams.
const ARCHIVE_STREAM: u64 = 0x6a73_7330_0000_6a73;

/// A stream of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The stream of protocol v1, which always has identities and accounts.
    V1,
    /// The stream of protocol v2, which also has syncs and repaired events
    /// (protocol/jetstream-v2.md §2, §7).
    V2,
    /// The archive, which omits superseded events (protocol/jetstream-v2-archive.md §7).
    Archive,
}

impl StreamKind {
    /// Returns what [`Origin::filter_fingerprint`](super::Origin) is in this stream with the filter
    /// of this fingerprint.
    #[must_use]
    pub fn fingerprint(self, filter: u64) -> u64 {
        match self {
            Self::V1 => filter,
            Self::V2 => (filter ^ V2_STREAM).max(1),
            Self::Archive => (filter ^ ARCHIVE_STREAM).max(1),
        }
    }

    /// Returns the stream of a position's fingerprint, if it was read with one of these filters.
    #[must_use]
    pub fn of(fingerprint: u64, mut filters: impl Iterator<Item = u64>) -> Option<Self> {
        filters.find_map(|filter| {
            let kinds = [Self::V1, Self::V2, Self::Archive];
            kinds.into_iter().find(|kind| kind.fingerprint(filter) == fingerprint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_state_files() {
        let of = |kind: StreamKind| kind.fingerprint(17_956_086_024_437_440_847);
        let numbers = [StreamKind::V1, StreamKind::V2, StreamKind::Archive].map(of);
        assert_eq!(
            numbers,
            [17_956_086_024_437_440_847, 10_305_033_207_488_403_325, 10_611_507_848_799_275_836]
        );
    }

    #[test]
    fn a_stream_is_known_by_the_filters_of_the_run() {
        for kind in [StreamKind::V1, StreamKind::V2, StreamKind::Archive] {
            let fingerprint = kind.fingerprint(7);
            assert_eq!(StreamKind::of(fingerprint, [3, 7].into_iter()), Some(kind));
            assert_eq!(StreamKind::of(fingerprint, [3, 4].into_iter()), None);
        }
    }
}
