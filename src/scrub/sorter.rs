//! Sorts records of a fixed size in bounded memory: sorted runs go to a temporary file, and are
//! merged when they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The most runs that are merged at once. Each needs a buffer of [`RUN_BUFFER_BYTES`].
const MOST_RUNS: usize = 128;
/// Bytes of one run that are read at a time.
const RUN_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes that are written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Sorts records of `N` numbers.
#[derive(Debug)]
pub struct Sorter<const N: usize> {
    buffer: Vec<[u64; N]>,
    most_buffered: usize,
    directory: PathBuf,
    spilled: Option<Spill>,
}

/// Sorted runs in a temporary file without a name, which the system removes when it is closed.
#[derive(Debug)]
struct Spill {
    file: File,
    /// The first byte and the end of each run.
    runs: Vec<(u64, u64)>,
}

impl<const N: usize> Sorter<N> {
    /// Returns a sorter that keeps up to `memory_bytes` of records in memory, and the others in
    /// `directory`.
    #[must_use]
    pub fn new(memory_bytes: usize, directory: &Path) -> Self {
        let most_buffered = (memory_bytes / (N * 8)).max(1);
        Self { buffer: Vec::new(), most_buffered, directory: directory.to_owned(), spilled: None }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// If the temporary file can't be written.
    #[inline]
    pub fn push(&mut self, record: [u64; N]) -> io::Result<()> {
        self.buffer.push(record);
        if self.buffer.len() >= self.most_buffered { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort_unstable();
        let spill = match &mut self.spilled {
            Some(spill) => spill,
            None => self.spilled.insert(Spill::new(&self.directory)?),
        };
        spill.append(self.buffer.drain(..).map(Ok))
    }

    /// Returns all records in ascending order.
    ///
    /// # Errors
    /// If the temporary file can't be written or read.
    pub fn finish(mut self) -> io::Result<Sorted<N>> {
        if self.spilled.is_none() {
            self.buffer.sort_unstable();
            return Ok(Sorted { buffered: self.buffer.into_iter(), merge: None });
        }
        self.spill()?;
        self.buffer = Vec::new();
        let mut spill = self.spilled.take().map_or_else(|| Spill::new(&self.directory), Ok)?;
        while spill.runs.len() > MOST_RUNS {
            let mut merged = Spill::new(&self.directory)?;
            for runs in spill.runs.chunks(MOST_RUNS) {
                merged.append(Merge::<N>::new(&spill.file, runs)?)?;
            }
            spill = merged;
        }
        let merge = Merge::new(&spill.file, &spill.runs)?;
        Ok(Sorted { buffered: Vec::new().into_iter(), merge: Some(merge) })
    }
}

impl Spill {
    fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(directory)?, runs: Vec::new() })
    }

    /// Appends sorted records as one run.
    fn append<const N: usize>(
        &mut self,
        records: impl Iterator<Item = io::Result<[u64; N]>>,
    ) -> io::Result<()> {
        let start = self.runs.last().map_or(0, |(_, end)| *end);
        self.file.seek(SeekFrom::Start(start))?;
        let (mut bytes, mut end) = (Vec::with_capacity(WRITE_BYTES + N * 8), start);
        for record in records {
            record?.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
            if bytes.len() >= WRITE_BYTES {
                // A merge that reads the same file moves its position.
                self.file.write_all(&bytes)?;
                end += bytes.len() as u64;
                bytes.clear();
            }
        }
        self.file.write_all(&bytes)?;
        self.runs.push((start, end + bytes.len() as u64));
        Ok(())
    }
}

/// Sorted records.
#[derive(Debug)]
pub struct Sorted<const N: usize> {
    buffered: std::vec::IntoIter<[u64; N]>,
    merge: Option<Merge<N>>,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.merge {
            Some(merge) => merge.next(),
            None => self.buffered.next().map(Ok),
        }
    }
}

/// Merges runs of one file.
#[derive(Debug)]
struct Merge<const N: usize> {
    file: File,
    runs: Vec<Run<N>>,
    /// The first record of each run that is left.
    heads: BinaryHeap<Reverse<([u64; N], usize)>>,
}

impl<const N: usize> Merge<N> {
    fn new(file: &File, runs: &[(u64, u64)]) -> io::Result<Self> {
        let runs = runs.iter().map(|(at, end)| Run { at: *at, end: *end, buffer: Vec::new() });
        let mut merge =
            Self { file: file.try_clone()?, runs: runs.collect(), heads: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    /// Puts the next record of a run, if there is one, among the heads.
    fn advance(&mut self, number: usize) -> io::Result<()> {
        if let Some(run) = self.runs.get_mut(number)
            && let Some(record) = run.next(&self.file)?
        {
            self.heads.push(Reverse((record, number)));
        }
        Ok(())
    }
}

impl<const N: usize> Iterator for Merge<N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, run)) = self.heads.pop()?;
        Some(self.advance(run).map(|()| record))
    }
}

/// The part of a run that is not read yet.
#[derive(Debug)]
struct Run<const N: usize> {
    at: u64,
    end: u64,
    /// Records that were read, the last one first.
    buffer: Vec<[u64; N]>,
}

impl<const N: usize> Run<N> {
    fn next(&mut self, mut file: &File) -> io::Result<Option<[u64; N]>> {
        if self.buffer.is_empty() && self.at < self.end {
            let most = (RUN_BUFFER_BYTES / (N * 8) * (N * 8)) as u64;
            let mut bytes = vec![0; most.min(self.end - self.at) as usize];
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(&mut bytes)?;
            self.at += bytes.len() as u64;
            self.buffer.extend(bytes.chunks_exact(N * 8).rev().map(record));
        }
        Ok(self.buffer.pop())
    }
}

fn record<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut record = [0; N];
    for (number, bytes) in record.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    }
    record
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(records: &[[u64; 2]], memory_bytes: usize) -> Vec<[u64; 2]> {
        let mut sorter = Sorter::new(memory_bytes, &std::env::temp_dir());
        records.iter().for_each(|record| sorter.push(*record).unwrap());
        sorter.finish().unwrap().map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn any_records_are_sorted_in_any_memory(
            records in prop::collection::vec((0..50_u64, any::<u64>()).prop_map(|(a, b)| [a, b]), 0..300),
            memory_bytes in prop_oneof![Just(0), Just(100), Just(1000), Just(1 << 20)],
        ) {
            let mut expected = records.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(&records, memory_bytes), expected);
        }
    }

    #[test]
    fn runs_that_do_not_fit_their_buffers_are_merged_in_two_steps() {
        let mut rng = fastrand::Rng::with_seed(1);
        let records: Vec<[u64; 2]> = (0..200_000).map(|_| [rng.u64(..), rng.u64(..)]).collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        assert!(sorted(&records, 16 * 1_000) == expected, "200 runs");
        assert!(sorted(&records, 16 * 100_000) == expected, "two runs of several buffers");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let mut sorter = Sorter::new(0, Path::new("/nonexistent"));
        assert!(sorter.push([1]).is_err());
    }
}
