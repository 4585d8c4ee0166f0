//! Reads strict DAG-CBOR item by item, by the rules of protocol/jetstream-v2-archive.md §6.
//! `transcode` converts the items.

/// Maximum depth of nested maps and arrays.
pub const MAX_DEPTH: usize = 128;
/// Maximum length of a text or byte string, in bytes.
pub const MAX_STRING_BYTES: usize = 1 << 20;
/// The tag of a link, the only tag of DAG-CBOR.
pub(super) const LINK_TAG: u64 = 42;

/// Why bytes are not one DAG-CBOR value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct CborError {
    /// The fault.
    pub what: &'static str,
    /// The offset of the fault, from 0.
    pub at: usize,
}

/// The head of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Head {
    /// An integer of at least 0.
    Unsigned(u64),
    /// A negative integer: -1 - n.
    Negative(u64),
    /// A byte string; this many bytes follow.
    Bytes(usize),
    /// A text; this many bytes follow.
    Text(usize),
    /// An array; this many items follow.
    Array(u64),
    /// A map; this many pairs of items follow.
    Map(u64),
    /// A link; its CID follows as one item.
    Link,
    /// `false` or `true`.
    Bool(bool),
    /// `null`.
    Null,
    /// A finite float.
    Float(f64),
}

/// Reads one item after another from a byte slice.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    input: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, pos: 0 }
    }

    /// Returns the number of bytes read.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// Returns the number of bytes left.
    pub(super) fn left(&self) -> usize {
        self.input.len() - self.pos
    }

    /// Reads the head of the next item.
    #[inline]
    pub(super) fn head(&mut self) -> Result<Head, CborError> {
        let at = self.pos;
        let first = *self.input.get(at).ok_or(CborError { what: "the end is missing", at })?;
        self.pos += 1;
        if first >= 0xe0 {
            return self.simple(first, at);
        }
        let argument = match first & 0x1f {
            small @ 0..24 => u64::from(small),
            info => self.argument(info, at)?,
        };
        let fail = |what| Err(CborError { what, at });
        Ok(match first >> 5 {
            0 if i64::try_from(argument).is_err() => return fail("an integer beyond 64 bits"),
            1 if i64::try_from(argument).is_err() => return fail("an integer beyond 64 bits"),
            0 => Head::Unsigned(argument),
            1 => Head::Negative(argument),
            2 => Head::Bytes(self.length(argument, at)?),
            3 => Head::Text(self.length(argument, at)?),
            4 if argument > self.left() as u64 => return fail("an array longer than its bytes"),
            4 => Head::Array(argument),
            5 if argument > self.left() as u64 / 2 => return fail("a map longer than its bytes"),
            5 => Head::Map(argument),
            _ if argument == LINK_TAG => Head::Link,
            _ => return fail("a tag other than 42"),
        })
    }

    /// Reads the number after the first byte, which must have the shortest encoding.
    fn argument(&mut self, info: u8, at: usize) -> Result<u64, CborError> {
        let (value, least) = match info {
            24 => (u64::from(self.array::<1>()?[0]), 24),
            25 => (u64::from(u16::from_be_bytes(self.array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.array()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.array()?), 1 << 32),
            31 => return Err(CborError { what: "an indefinite length", at }),
            _ => return Err(CborError { what: "a reserved length", at }),
        };
        if value < least {
            return Err(CborError { what: "a number or length longer than needed", at });
        }
        Ok(value)
    }

    fn simple(&mut self, first: u8, at: usize) -> Result<Head, CborError> {
        let fail = |what| Err(CborError { what, at });
        match first & 0x1f {
            20 => Ok(Head::Bool(false)),
            21 => Ok(Head::Bool(true)),
            22 => Ok(Head::Null),
            25 | 26 => fail("a float of less than 64 bits"),
            27 => match f64::from_be_bytes(self.array()?) {
                float if float.is_finite() => Ok(Head::Float(float)),
                _ => fail("a float that is not a number"),
            },
            31 => fail("a break without an indefinite length"),
            _ => fail("a simple value other than false, true and null"),
        }
    }

    /// Checks the length of a string against the limit and against the bytes that are left.
    #[inline]
    fn length(&self, length: u64, at: usize) -> Result<usize, CborError> {
        if length > self.left() as u64 {
            return Err(CborError { what: "a string longer than its bytes", at });
        }
        let length = length as usize;
        if length > MAX_STRING_BYTES {
            return Err(CborError { what: "a string of more than 1 MiB", at });
        }
        Ok(length)
    }

    /// Returns the bytes that are left.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.input.get(self.pos..).unwrap_or_default()
    }

    /// Returns the bytes of a string whose head was read last.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], CborError> {
        let taken = self.input.get(self.pos..self.pos + length);
        let taken = taken.ok_or(CborError { what: "the end is missing", at: self.pos })?;
        self.pos += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let array = self.input.get(self.pos..).and_then(|rest| rest.first_chunk::<N>());
        let array = *array.ok_or(CborError { what: "the end is missing", at: self.pos })?;
        self.pos += N;
        Ok(array)
    }
}
