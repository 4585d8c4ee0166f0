//! What is kept of an event to decide about it: 40 bytes, which sort by account and record.

use super::order::Moment;

/// The bits of a line number in a [`Place`].
const LINE_BITS: u32 = 40;
/// The bits of a file number in a [`Place`].
const FILE_BITS: u32 = 20;
/// The bits of a kind in an entry.
const KIND_BITS: u32 = 4;

/// The most files of one run.
pub const MOST_FILES: usize = (1 << FILE_BITS) - 1;
/// The number of the file of all events that are known from elsewhere: after all files.
pub const ELSEWHERE: u32 = MOST_FILES as u32;

/// Of the account itself; its entries come first.
const ACCOUNT: u64 = 0;
/// Of events that belong to an account and to no record.
const NO_RECORD: u64 = 1;
/// The first value for records.
const FIRST_RECORD: u64 = 2;

/// The place of a line: a file and a line, both counted from 0. Places sort in the order of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub u64);

impl Place {
    /// Returns the place of a line; `None` for a line after the 2^40th.
    #[must_use]
    pub fn new(file: u32, line: u64) -> Option<Self> {
        (line >> LINE_BITS == 0).then_some(Self(u64::from(file) << LINE_BITS | line))
    }

    /// Returns the number of the file.
    #[must_use]
    pub fn file(self) -> u32 {
        (self.0 >> LINE_BITS) as u32
    }

    /// Returns the number of the line in its file.
    #[must_use]
    pub fn line(self) -> u64 {
        self.0 & ((1 << LINE_BITS) - 1)
    }
}

/// What an event says, as far as scrubbing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A record was created or replaced.
    Put,
    /// A record was deleted.
    Delete,
    /// Something else about an account, such as its handle.
    Other,
    /// The account was deleted.
    AccountDeleted,
    /// The account is inactive for another reason.
    AccountInactive,
    /// The account is active.
    AccountActive,
    /// The repository was repaired: what is older than this rev counts no longer.
    Sync,
    /// The repository was repaired, and the event has no rev.
    SyncWithoutRev,
}

const FACTS: [Fact; 8] = [
    Fact::Put,
    Fact::Delete,
    Fact::Other,
    Fact::AccountDeleted,
    Fact::AccountInactive,
    Fact::AccountActive,
    Fact::Sync,
    Fact::SyncWithoutRev,
];

/// An event, packed. Entries of an account are adjacent when they are sorted: first those about
/// the account, then those of each record, the newest rev first.
///
/// The numbers are: a hash of the account; a hash of the record; the inverted rev or relay number; the inverted
/// place with the fact; the time.
pub type Entry = [u64; 5];

/// An event, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// A keyed hash of the DID.
    pub did: u64,
    /// A keyed hash of the record's URI; any number if the fact is not about a record.
    pub record: u64,
    /// The number of the rev; of an account event the relay's number.
    pub rev: u64,
    /// What it says.
    pub fact: Fact,
    /// Where its line is.
    pub place: Place,
    /// The server's time; 0 if it is absurd.
    pub time_us: u64,
}

impl Fields {
    /// Packs the fields.
    #[must_use]
    pub fn pack(self) -> Entry {
        let record = match self.fact {
            Fact::Put | Fact::Delete => self.record.max(FIRST_RECORD),
            Fact::Other => NO_RECORD,
            _ => ACCOUNT,
        };
        let fact = FACTS.iter().position(|fact| *fact == self.fact).unwrap_or_default() as u64;
        [self.did, record, !self.rev, !(self.place.0 << KIND_BITS | fact), self.time_us]
    }

    /// Unpacks an entry.
    #[must_use]
    pub fn unpack(entry: Entry) -> Self {
        let [did, record, rev, place, time_us] = entry;
        let fact = (!place & ((1 << KIND_BITS) - 1)) as usize;
        Self {
            did,
            record,
            rev: !rev,
            fact: FACTS.get(fact).copied().unwrap_or(Fact::Other),
            place: Place(!place >> KIND_BITS),
            time_us,
        }
    }

    /// Returns when the event came.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { time_us: self.time_us, place: self.place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fact: Fact, rev: u64, line: u64) -> Fields {
        let place = Place::new(7, line).unwrap();
        Fields { did: 5, record: 0, rev, fact, place, time_us: 9 }
    }

    #[test]
    fn packing_keeps_the_fields() {
        for fact in FACTS {
            let packed = Fields { record: 77, ..fields(fact, u64::MAX, 123) };
            let unpacked = Fields::unpack(packed.pack());
            assert_eq!(Fields { record: 77, ..unpacked }, packed);
            assert_eq!((unpacked.place.file(), unpacked.place.line()), (7, 123));
        }
        assert_eq!(Place::new(0, 1 << LINE_BITS), None);
        let last = Place::new(ELSEWHERE, (1 << LINE_BITS) - 1).unwrap();
        let place = Fields::unpack(Fields { place: last, ..fields(Fact::Put, 0, 0) }.pack()).place;
        assert_eq!(place, last);
    }

    #[test]
    fn an_account_sorts_first_and_then_the_newest_of_each_record() {
        let sorted = [
            fields(Fact::AccountDeleted, 1, 0),
            fields(Fact::Other, 9, 0),
            fields(Fact::Put, 9, 0),
            fields(Fact::Delete, 8, 5),
            fields(Fact::Put, 8, 4),
        ];
        let packed = sorted.map(Fields::pack);
        assert!(packed.is_sorted());
    }
}
