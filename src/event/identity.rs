//! The identity of an event: the same on every server, whatever it stamps or how it escapes.
//!
//! Source: protocol/jetstream-v1.md §8. A commit is (did, rev, operation, collection, rkey);
//! identity, account and sync events are (did, kind, the relay's seq). `time_us`, `cursor` and
//! bytes are no part of it.

use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::header::Header;

/// The secret of the identities: 128 random bits, one key for each state file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdentityKey(u64, u64);

impl IdentityKey {
    /// Returns the key made of these 128 bits.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self((bits >> 64) as u64, bits as u64)
    }

    /// Returns a random key, for a run without a state file.
    #[must_use]
    pub fn random() -> Self {
        Self::new(fastrand::u128(..))
    }
}

impl std::fmt::Debug for IdentityKey {
    /// Hides the key: a key that reached a log would no longer be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityKey")
    }
}

/// What the identities of one state file are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentitySecrets {
    /// The key of all identities.
    pub key: IdentityKey,
    /// The seed of the identities that 0.1.0 saved in this file; `None` without a file.
    pub former_seed: Option<u64>,
}

impl IdentitySecrets {
    /// Returns secrets for a run without a state file.
    #[must_use]
    pub fn random() -> Self {
        Self { key: IdentityKey::random(), former_seed: None }
    }
}

/// Computes identities as 64-bit hashes. Keeps its scratch memory between events.
///
/// The hash is SipHash-1-3 under a secret key of 128 bits, a pseudorandom function: without the
/// key, no choice of events makes two of them collide more often than chance, once in 2^64
/// pairs. Two of the at most 131,072 remembered events collide by chance once in 10^9 windows.
/// XXH3, which 0.1.0 used, has no such claim: for inputs over 240 bytes, pairs were built that
/// collide under one seed in a thousand. SipHash-1-3 costs 25 ns for an event of 120 bytes,
/// SipHash-2-4 42 ns, XXH3 6 ns.
#[derive(Debug)]
pub struct Identities {
    hasher: SipHasher13,
    scratch: Vec<u8>,
}

impl Identities {
    /// Identities under this key.
    #[must_use]
    pub fn new(key: IdentityKey) -> Self {
        let hasher = SipHasher13::new_with_keys(key.0, key.1);
        Self { hasher, scratch: Vec::with_capacity(256) }
    }

    /// The identity of one event.
    pub fn of(&mut self, header: &Header<'_>) -> u64 {
        self.spell(header);
        self.hasher.hash(&self.scratch)
    }

    /// Returns the identity that 0.1.0 gave to the event of the latest call of
    /// [`Identities::of`], under the seed of its state file. For state files of 0.1.0 only.
    #[must_use]
    pub fn former(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(&self.scratch, seed)
    }

    /// Returns an identity that does not depend on the key, for use by other programs. It is
    /// collision resistant, and therefore costs more than [`Identities::of`].
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
                // mutant: leaves-out-the-rkey
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

    /// A seed of XXH3, and two record keys whose events share an identity under it.
    const COLLIDING_SEED: u64 = 8999366892653588108;
    const COLLIDING: [&str; 2] = [
        "QMvCoDRFOQYrCQG2N.x~8XjOBeVPcQtF~SJ.NQuA8fT_8NOMcYZu2mzL_HY:IqGBh_yL:JB6hu5xoXDl\
         cUOKzgy1OYb5ssqKnnU78KPPNcDrOQZ7Aj9kYpfr13zawQ:.kF0dXU1y_t7uFbooK~~OGqh9v1GYCIWJ\
         ebg81l4bNEm2KvOsrnm0Y7tI7OlC0YrN-ivO9bAlF4aG81NSran.pvCHY20VJfzvKagxYXVpkcZczZP3\
         :S_1PejGwMMNMjATY5.uIKQCeW~6Y:2MEvRrNODG99qiG96WoAmxcJxNVKJWEwLHVeIaphp3nUq47wjA\
         0lrEQ3YWXMJkq:UdjLwmwL8SS4t66oBOAcw7JIm-hwU3vLthYXqRp2EtppYO~e:a~KQ9AyK~4OpMp25C\
         eRsexhLDQ2V8~B:LaQYUmO8d~nXp:yH0:Cnoln8KH9WFKfzqFEgFtVCXvrWQuxtu4AF3~~R~6fFm7CXw\
         Z1m1kZy3.~OFR7fCvtxCXaQm.A7uhc1B",
        "QMvCoDRFOQYrCQG2N.x~8XjOBeVPcQtF~SJ.NQuA8fT_8NOMcYZu2mzL_HY:IqGBh_yL:JB6hu5xoXDl\
         cUOKzgy1OYb5ssqKnnU78KPPNcDrOQZ7Aj9kYpfr13zawQ:.kF0dXU1y_t7uFbooK~~OGqh9v1GYCIWJ\
         ebg81l4bNEm2KvOsrnm0Y7tI7OlC0YrN-ivO9bAlF4aG81NSran.pvCHY20VJfzvKagxYXVpkcZczZP3\
         :S_1PejGwMMNMjATY5.uIKQCeW~6Y:2MEvRrNODG99qiG96WoAmxcJ8NVKJWEwLHVeIaphp3nUq47wjA\
         0lrEQ3YWXMJkq:UdjLwmwL8SS4t66oBOAcw7JIm-hwU3vLthYXqRp2EtppYO~e:a~KQ9AyK~4OpMp25C\
         eRsexhLDQ2V8~B:LaQYUmOxd~nXp:yH0:Cnoln8KH9WFKfzqFEgFtVCXvrWQuxtu4AF3~~R~6fFm7CXw\
         Z1m1kZy3.~OFR7fCvtxCXaQm.A7uhc1B",
    ];

    fn identity(line: &str) -> u64 {
        Identities::new(IdentityKey::new(1)).of(&parse(line.as_bytes()).unwrap())
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
    fn the_key_decides_and_both_halves_of_it_count() {
        let line = r#"{"did":"d","time_us":5,"kind":"identity","identity":{"seq":7}}"#;
        let header = parse(line.as_bytes()).unwrap();
        let of = |bits| Identities::new(IdentityKey::new(bits)).of(&header);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_ne!(of(1), of(1 | 1 << 64));
    }

    #[test]
    fn is_siphash_1_3_of_the_parts_with_their_lengths() {
        // The reference: a second implementation of the same parts.
        let mut identities = Identities::new(IdentityKey::new(7 << 64 | 9));
        let line = r#"{"did":"d","time_us":5,"kind":"account","account":{"seq":7}}"#;
        let identity = identities.of(&parse(line.as_bytes()).unwrap());
        let spelled = b"d\x01\0\0\0account\x07\0\0\0\x07\0\0\0\0\0\0\0";
        assert_eq!(identity, SipHasher13::new_with_keys(7, 9).hash(spelled));
        assert_eq!(identities.former(3), xxh3_64_with_seed(spelled, 3));
    }

    #[test]
    fn pairs_built_to_collide_under_xxh3_do_not_collide() {
        // Two record keys of 512 bytes that share their XXH3 identity under this seed.
        let (did, rev) = ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "3mptbypk4ze2j");
        let event = |rkey: &str| {
            format!(
                r#"{{"did":"{did}","time_us":5,"kind":"commit","commit":{{"rev":"{rev}","operation":"create","collection":"app.bsky.feed.like","rkey":"{rkey}"}}}}"#
            )
        };
        let [a, b] = COLLIDING.map(event);
        let mut identities = Identities::new(IdentityKey::new(COLLIDING_SEED.into()));
        let first = identities.of(&parse(a.as_bytes()).unwrap());
        let former = identities.former(COLLIDING_SEED);
        assert_ne!(identities.of(&parse(b.as_bytes()).unwrap()), first);
        assert_eq!(identities.former(COLLIDING_SEED), former, "the pair collides under XXH3");
    }

    #[test]
    fn identity_and_account_events_with_one_relay_seq_differ() {
        let event = |kind: &str| {
            identity(&format!(r#"{{"did":"d","time_us":5,"kind":"{kind}","{kind}":{{"seq":7}}}}"#))
        };
        assert_ne!(event("identity"), event("account"));
    }
}
