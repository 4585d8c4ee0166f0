//! Converts DAG-CBOR into JSON without a tree: each item is written when it is read, and the
//! members of a map are sorted after the last one (protocol/jetstream-v2-archive.md §6).

use data_encoding::BASE64_NOPAD;

use super::cbor::{CborError, Head, MAX_DEPTH, Reader};
use super::{cid, json};

/// Maximum capacity in bytes that each buffer keeps from one value to the next.
const KEPT_BYTES: usize = 1 << 20;

/// One member of an open map. In the output a comma follows it.
#[derive(Clone, Copy, Debug)]
struct Member<'a> {
    key: &'a [u8],
    rank: u64,
    /// Where it starts in the output.
    start: usize,
    /// Where it ends in the output.
    end: usize,
}

impl Member<'_> {
    /// Returns the sort key: mostly the rank decides, without a comparison of bytes.
    #[inline]
    fn order(&self) -> (u64, &[u8]) {
        (self.rank, self.key)
    }
}

/// Returns the first eight bytes of a key of `length` bytes, the first of `from`, as a number that
/// orders as they do. A shorter key counts as if zeros followed.
#[inline]
fn rank(from: &[u8], length: usize) -> u64 {
    let bytes = from.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 8];
        padded.iter_mut().zip(from).for_each(|(place, byte)| *place = *byte);
        padded
    });
    match length {
        0..8 => u64::from_be_bytes(bytes) & !(u64::MAX >> (8 * length)),
        _ => u64::from_be_bytes(bytes),
    }
}

/// Converts values into JSON. Reuses its buffers from value to value.
#[derive(Debug, Default)]
pub struct Transcoder {
    /// Copies of a map's members while they are sorted.
    scratch: Vec<u8>,
    /// The buffer of [`Run::members`] between two values; always empty.
    members: Vec<Member<'static>>,
}

impl Transcoder {
    /// Returns a transcoder with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the JSON of exactly one value.
    ///
    /// # Errors
    /// [`CborError`]; `out` is unchanged then.
    pub fn append(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), CborError> {
        let start = out.len();
        let mut run = Run {
            input: Reader::new(value),
            members: std::mem::take(&mut self.members),
            scratch: &mut self.scratch,
        };
        let outcome = run.value(out, 0).and_then(|()| match run.input.left() {
            0 => Ok(()),
            _ => Err(CborError { what: "something follows the value", at: run.input.pos() }),
        });
        let mut members = run.members;
        members.clear();
        // The vector is empty, so its memory can be reused for members with another lifetime.
        self.members =
            members.into_iter().map(|_| Member { key: &[], rank: 0, start: 0, end: 0 }).collect();
        self.members.shrink_to(KEPT_BYTES / size_of::<Member<'_>>());
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_BYTES);
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }
}

/// The conversion of one value.
struct Run<'a, 's> {
    input: Reader<'a>,
    /// The members of all open maps, those of the innermost last.
    members: Vec<Member<'a>>,
    scratch: &'s mut Vec<u8>,
}

impl Run<'_, '_> {
    /// Converts one value inside `depth` maps and arrays.
    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        let at = self.input.pos();
        match self.input.head()? {
            Head::Text(length) => self.text(length, out).map(drop)?,
            Head::Unsigned(n) => json::append_unsigned(n, out),
            Head::Negative(n) => {
                out.push(b'-');
                json::append_unsigned(n + 1, out);
            }
            Head::Map(count) => self.map(count, out, at, depth + 1)?,
            Head::Array(count) => self.array(count, out, at, depth + 1)?,
            Head::Link => self.link(out, at)?,
            Head::Bytes(length) => {
                let bytes = self.input.take(length)?;
                out.extend_from_slice(b"{\"$bytes\":\"");
                append_base64(bytes, out);
                out.extend_from_slice(b"\"}");
            }
            Head::Bool(true) => out.extend_from_slice(b"true"),
            Head::Bool(false) => out.extend_from_slice(b"false"),
            Head::Null => out.extend_from_slice(b"null"),
            Head::Float(value) => json::append_float(value, out),
        }
        Ok(())
    }

    fn array(
        &mut self,
        count: u64,
        out: &mut Vec<u8>,
        at: usize,
        depth: usize,
    ) -> Result<(), CborError> {
        check_depth(depth, at)?;
        out.push(b'[');
        for i in 0..count {
            if i > 0 {
                out.push(b',');
            }
            self.value(out, depth)?;
        }
        out.push(b']');
        Ok(())
    }

    fn link(&mut self, out: &mut Vec<u8>, at: usize) -> Result<(), CborError> {
        let fail = |what| Err(CborError { what, at });
        let Head::Bytes(length) = self.input.head()? else {
            return fail("a link that is not a byte string");
        };
        let Some(cid) = self.input.take(length)?.strip_prefix(&[0]) else {
            return fail("a link that does not start with zero");
        };
        out.extend_from_slice(b"{\"$link\":\"");
        if cid::append_text(cid, out).is_none() {
            return fail("a link that holds no CID");
        }
        out.extend_from_slice(b"\"}");
        Ok(())
    }
}

impl<'a> Run<'a, '_> {
    /// Converts a text whose head was read.
    #[inline]
    fn text(&mut self, length: usize, out: &mut Vec<u8>) -> Result<&'a [u8], CborError> {
        let at = self.input.pos();
        let rest = self.input.rest();
        let text = self.input.take(length)?;
        json::append_checked(rest, length, out)
            .map_err(|within| CborError { what: "text that is not UTF-8", at: at + within })?;
        Ok(text)
    }

    fn map(
        &mut self,
        count: u64,
        out: &mut Vec<u8>,
        at: usize,
        depth: usize,
    ) -> Result<(), CborError> {
        check_depth(depth, at)?;
        out.push(b'{');
        if count == 0 {
            out.push(b'}');
            return Ok(());
        }
        let base = self.members.len();
        let mut is_sorted = true;
        for _ in 0..count {
            let (start, at) = (out.len(), self.input.pos());
            let Head::Text(length) = self.input.head()? else {
                return Err(CborError { what: "a key that is not text", at });
            };
            let rank = rank(self.input.rest(), length);
            let key = self.text(length, out)?;
            let end = out.len();
            let member = Member { key, rank, start, end };
            if self.members.len() > base
                && let Some(last) = self.members.last()
            {
                // DAG-CBOR orders keys by length first; the output orders them by bytes only.
                if (last.key.len(), last.order()) >= (key.len(), member.order()) {
                    return Err(CborError { what: "keys out of order, or one twice", at });
                }
                is_sorted &= last.order() < member.order();
            }
            out.push(b':');
            self.value(out, depth)?;
            out.push(b',');
            self.members.push(Member { end: out.len(), ..member });
        }
        if !is_sorted {
            self.sort_members(base, out);
        }
        self.members.truncate(base);
        // Overwrites the last comma.
        out.pop();
        out.push(b'}');
        Ok(())
    }

    /// Sorts the members from `base` to the end of the output by the bytes of their keys.
    fn sort_members(&mut self, base: usize, out: &mut [u8]) {
        let Some(members) = self.members.get_mut(base..) else { return };
        let Some(start) = members.first().map(|member| member.start) else { return };
        members.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        self.scratch.clear();
        for member in members.iter() {
            self.scratch.extend_from_slice(out.get(member.start..member.end).unwrap_or_default());
        }
        if let Some(place) = out.get_mut(start..) {
            place.copy_from_slice(self.scratch);
        }
    }
}

fn check_depth(depth: usize, at: usize) -> Result<(), CborError> {
    if depth > MAX_DEPTH {
        return Err(CborError { what: "nested more than 128 deep", at });
    }
    Ok(())
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + BASE64_NOPAD.encode_len(bytes.len()), 0);
    if let Some(place) = out.get_mut(start..) {
        BASE64_NOPAD.encode_mut(bytes, place);
    }
}

#[cfg(test)]
mod tests;
