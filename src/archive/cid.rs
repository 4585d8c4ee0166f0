//! CIDs: identifiers of records and blobs that are hashes of their content. Only version 1 in
//! base32, because the network uses nothing else (protocol/jetstream-v2-archive.md §6).

use sha2::{Digest as _, Sha256};

/// The first bytes of a version 1 CID of DAG-CBOR with SHA-256.
const RECORD_PREFIX: [u8; 4] = [0x01, 0x71, 0x12, 0x20];
/// RFC 4648 base32, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Longest digest that is accepted, in bytes. The longest digest of a known hash has 64 bytes.
const MAX_DIGEST_BYTES: u64 = 128;

/// Appends the text of the CID of a record, computed from its DAG-CBOR bytes.
pub fn append_record_cid(payload: &[u8], out: &mut Vec<u8>) {
    let mut cid = [0; 36];
    let (prefix, digest) = cid.split_at_mut(RECORD_PREFIX.len());
    prefix.copy_from_slice(&RECORD_PREFIX);
    digest.copy_from_slice(&Sha256::digest(payload));
    append_base32(&cid, out);
}

/// Returns the CID of a record, computed from its DAG-CBOR bytes.
#[must_use]
pub fn record_cid(payload: &[u8]) -> String {
    let mut text = Vec::with_capacity(59);
    append_record_cid(payload, &mut text);
    text.into_iter().map(char::from).collect()
}

/// Appends the text of a CID's bytes. Returns `None` and appends nothing if they are not a CID.
#[must_use]
pub(super) fn append_text(cid: &[u8], out: &mut Vec<u8>) -> Option<()> {
    is_cid(cid).then(|| append_base32(cid, out))
}

/// Returns the bytes of a CID's text; `None` if it is not a CID.
#[must_use]
pub(super) fn from_text(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix('b')?.as_bytes();
    let mut cid = Vec::with_capacity(digits.len() * 5 / 8);
    let (mut bits, mut used) = (0_u32, 0);
    for digit in digits {
        let value = ALPHABET.iter().position(|letter| letter == digit)? as u32;
        bits = bits << 5 | value;
        used += 5;
        if used >= 8 {
            used -= 8;
            cid.push((bits >> used) as u8);
            bits &= (1 << used) - 1;
        }
    }
    // The remaining bits must be zero, because otherwise two texts would encode one CID.
    (bits == 0 && used < 5 && is_cid(&cid)).then_some(cid)
}

/// Returns whether the bytes are a CID: version 1, a codec, a hash, and a digest of the stated
/// length.
fn is_cid(cid: &[u8]) -> bool {
    if cid.len() == 36 && matches!(cid, [0x01, 0x71 | 0x55, 0x12, 0x20, ..]) {
        return true;
    }
    let parts = || {
        let rest = cid.strip_prefix(&[1])?;
        let (_codec, rest) = varint(rest)?;
        let (_hash, rest) = varint(rest)?;
        let (length, digest) = varint(rest)?;
        Some(length == digest.len() as u64 && length <= MAX_DIGEST_BYTES)
    };
    parts() == Some(true)
}

/// Reads an unsigned varint of at most nine bytes in its shortest encoding.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let is_short = i == 0 || byte != 0;
            return is_short.then(|| (value, bytes.get(i + 1..).unwrap_or_default()));
        }
    }
    None
}

/// Returns the letters of 40 bits, all eight in one step: each byte of a word takes five bits, and
/// becomes their letter.
#[inline]
fn eight_letters(chunk: &[u8; 5]) -> [u8; 8] {
    let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    let by_20 = bits >> 20 | (bits & 0xf_ffff) << 32;
    let by_10 = by_20 >> 10 & 0x3ff_0000_03ff | (by_20 & 0x3ff_0000_03ff) << 16;
    let fives = by_10 >> 5 & 0x001f_001f_001f_001f | (by_10 & 0x001f_001f_001f_001f) << 8;
    // 1 in each byte from 26 on, for which the letter is a digit: 26 is `2`, and not the letter
    // after `z`.
    let is_digit = (fives + 0x6666_6666_6666_6666) >> 7 & 0x0101_0101_0101_0101;
    let letters = fives + 0x6161_6161_6161_6161 - is_digit * u64::from(b'z' + 1 - b'2');
    letters.to_le_bytes()
}

/// Appends the prefix `b` and the bytes in base32, without padding.
fn append_base32(bytes: &[u8], out: &mut Vec<u8>) {
    let letter = |value: u64| ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'a');
    out.push(b'b');
    let (chunks, rest) = bytes.as_chunks::<5>();
    for chunk in chunks {
        out.extend_from_slice(&eight_letters(chunk));
    }
    let bits = rest.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    let (have, letters) = (rest.len() * 8, (rest.len() * 8).div_ceil(5));
    let padded = bits << (letters * 5 - have);
    out.extend((0..letters).map(|i| letter(padded >> (5 * (letters - 1 - i)))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(cid: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        append_text(cid, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_record_is_named_by_its_bytes() {
        // The empty map.
        let cid = record_cid(&[0xa0]);
        assert_eq!(cid, "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
    }

    #[test]
    fn what_is_no_cid_has_no_text() {
        let mut cid = [&RECORD_PREFIX[..], &[7; 32]].concat();
        assert!(text(&cid).is_some());
        cid.pop();
        assert_eq!(text(&cid), None);
        for wrong in [&[][..], &[0], &[1], &[1, 0x80, 0, 0], &[1, 0x71, 0x12, 0xff], &[0x12, 0x20]]
        {
            assert_eq!(text(wrong), None, "{wrong:?}");
        }
        for wrong in ["", "b", "bafyreia", "zafyrei", "bAFY", "b1"] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_are_one_to_one(digest in prop::collection::vec(any::<u8>(), 0..70)) {
            let cid = [&[1, 0x55, 0x12, digest.len() as u8][..], &digest].concat();
            let text = text(&cid).unwrap();
            let encoded = data_encoding::BASE32_NOPAD.encode(&cid).to_lowercase();
            prop_assert_eq!(&text, &format!("b{encoded}"));
            prop_assert_eq!(from_text(&text), Some(cid));
        }
    }
}
