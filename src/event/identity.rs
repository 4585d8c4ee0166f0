//! The identity of an event: the same on every server, whatever it stamps or how it escapes.
//!
//! Source: protocol/jetstream-v1.md §8. A commit is (did, rev, operation, collection, rkey);
//! identity, account and sync events are (did, kind, the relay's seq). `time_us`, `cursor` and
//! bytes are no part of it.

use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::header::Header;

/// Computes identities as 64-bit hashes. Keeps its scratch memory between events.
///
/// The seed is random per state file, so that nobody can prepare two events that collide.
/// Two of the at most 65,536 remembered events collide by chance once in 10^10 windows.
#[derive(Debug, Default)]
pub struct Identities {
    seed: u64,
    scratch: Vec<u8>,
}

impl Identities {
    /// Identities under this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, scratch: Vec::with_capacity(256) }
    }

    /// The identity of one event.
    pub fn of(&mut self, header: &Header<'_>) -> u64 {
        self.spell(header);
        xxh3_64_with_seed(&self.scratch, self.seed)
    }

    /// The identity of one event whatever the seed, for others to know it by: nobody can prepare
    /// two events that share it, and so it costs more than [`Identities::of`].
    pub fn digest(&mut self, header: &Header<'_>) -> u128 {
        self.spell(header);
        digest(&self.scratch)
    }

    /// Writes what names the event into the scratch memory.
    fn spell(&mut self, header: &Header<'_>) {
        self.scratch.clear();
        self.part(&header.did);
        match (&header.commit, header.relay_seq) {
            (Some(commit), _) if !commit.rev.is_empty() => {
                self.part(&commit.rev);
                self.part(&commit.operation_text);
                self.part(&commit.collection);
                self.part(&commit.rkey);
            }
            // A sync that a server made itself has number 0, as all of them do (v2 §3).
            (_, Some(seq)) if seq > 0 => {
                self.part(&header.kind_text);
                self.scratch.extend_from_slice(&seq.to_le_bytes());
            }
            // A kind of a later server: its place there is the best there is, and the time
            // alone would not do, since a v2 server repeats it. Both differ between servers,
            // so a failover may repeat such an event, and never loses it.
            _ => {
                self.part(&header.kind_text);
                self.scratch.extend_from_slice(&header.time_us.to_le_bytes());
                self.scratch.extend_from_slice(&header.cursor.unwrap_or(0).to_le_bytes());
            }
        }
    }

    /// Adds a part and its length, so that no two lists of parts give the same bytes.
    fn part(&mut self, part: &str) {
        self.scratch.extend_from_slice(part.as_bytes());
        self.scratch.extend_from_slice(&(part.len() as u32).to_le_bytes());
    }
}

/// The first 128 bits of SHA-256.
fn digest(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// For tables of identities, which are hashes already: hashing them again would cost as much as
/// looking them up.
pub type AsItIs = BuildHasherDefault<AlreadyHashed>;

/// The hasher of [`AsItIs`].
#[derive(Debug, Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::parse;

    fn identity(line: &str) -> u64 {
        Identities::new(1).of(&parse(line.as_bytes()).unwrap())
    }

    #[test]
    fn is_the_same_on_every_server() {
        let legacy = r#"{"did":"d","time_us":5,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"c.d.e","rkey":"k","record":{"t":"&"}}}"#;
        let v2 = r#"{"did":"d","time_us":6,"cursor":9,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"c.d.e","rkey":"\u006b","record":{"t":"\u0026"}}}"#;
        assert_eq!(identity(legacy), identity(v2));
    }

    #[test]
    fn differs_in_each_part() {
        let event = |rev: &str, operation: &str, rkey: &str| {
            identity(&format!(
                r#"{{"did":"d","time_us":5,"kind":"commit","commit":{{"rev":"{rev}","operation":"{operation}","collection":"c","rkey":"{rkey}"}}}}"#
            ))
        };
        let all = [
            event("r", "create", "k"),
            event("s", "create", "k"),
            event("r", "delete", "k"),
            event("r", "create", "l"),
            event("rc", "reate", "k"),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn events_without_a_name_of_their_own_differ_in_place() {
        let event = |cursor: u64, rest: &str| {
            identity(&format!(r#"{{"did":"d","time_us":5,"cursor":{cursor}{rest}}}"#))
        };
        for rest in ["", r#","kind":"new""#, r#","kind":"commit","commit":{}"#] {
            assert_ne!(event(1, rest), event(2, rest), "{rest}");
            assert_eq!(event(1, rest), event(1, rest), "{rest}");
        }
    }

    #[test]
    fn identity_and_account_events_with_one_relay_seq_differ() {
        let event = |kind: &str| {
            identity(&format!(r#"{{"did":"d","time_us":5,"kind":"{kind}","{kind}":{{"seq":7}}}}"#))
        };
        assert_ne!(event("identity"), event("account"));
    }
}
