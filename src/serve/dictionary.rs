//! The zstd dictionaries that a server compresses with, one on `/subscribe` and another on the
//! v2 stream: given, or trained from the recording.
//!
//! Where a given one comes from (a file, the cache) is `cli`'s matter, and whether its bytes
//! are good is `compression`'s.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;
use zstd::zstd_safe::CParameter;

use super::recording::Recording;
use crate::compression::dictionary::{Dictionary as Checked, OFFICIAL_ID};

/// Compression level: the default of the encoder that the servers use.
const LEVEL: i32 = 3;
/// A window of at most 128 KiB (protocol/jetstream-v1.md §5).
const WINDOW_LOG: u32 = 17;
/// Size of a trained dictionary, in bytes.
const TRAINED_BYTES: usize = 64 * 1024;
/// Most bytes of a recording to train from: more costs seconds and gains nothing.
const SAMPLE_BYTES: usize = 4 << 20;
/// Where a dictionary keeps its id (protocol/jetstream-v1.md §5).
const ID_BYTES: std::ops::Range<usize> = 4..8;

/// A dictionary, ready to compress with.
pub(super) struct Dictionary {
    checked: Checked,
    prepared: EncoderDictionary<'static>,
}

impl Dictionary {
    pub(super) fn new(checked: Checked) -> io::Result<Self> {
        let prepared = EncoderDictionary::try_copy(&checked.bytes, LEVEL)?;
        Ok(Self { checked, prepared })
    }

    pub(super) fn id(&self) -> u32 {
        self.checked.id
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.checked.bytes
    }

    /// A compressor for one connection: one frame an event, with a checksum.
    pub(super) fn compressor(&self) -> io::Result<Compressor<'_>> {
        let mut compressor = Compressor::with_prepared_dictionary(&self.prepared)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        Ok(compressor)
    }
}

/// The dictionaries of a server. Where none was given, the first client that asks for one
/// waits until it is trained from the recording; there may be none to be had.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    v1: OnceLock<Option<Arc<Dictionary>>>,
    v2: OnceLock<Option<Arc<Dictionary>>>,
    trained: OnceLock<Option<Arc<Dictionary>>>,
    /// That of the v2 stream under its newest other id, and how many that was.
    renumbered: Mutex<Option<(u32, Arc<Dictionary>)>>,
}

impl Dictionaries {
    pub(super) fn new(v1: Option<Checked>, v2: Option<Checked>) -> io::Result<Self> {
        let given = |checked: Option<Checked>| -> io::Result<_> {
            Ok(match checked {
                None => OnceLock::new(),
                Some(checked) => OnceLock::from(Some(Arc::new(Dictionary::new(checked)?))),
            })
        };
        Ok(Self { v1: given(v1)?, v2: given(v2)?, ..Self::default() })
    }

    /// For `/subscribe`.
    pub(super) fn v1(&self, recording: &Recording) -> Option<Arc<Dictionary>> {
        self.v1.get_or_init(|| self.trained(recording)).clone()
    }

    /// For the v2 stream, under the id of this generation.
    pub(super) fn v2(&self, recording: &Recording, generation: u32) -> Option<Arc<Dictionary>> {
        let original = self.v2.get_or_init(|| self.trained(recording)).clone()?;
        if generation == 0 {
            return Some(original);
        }
        let mut newest = self.renumbered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, dictionary)) = newest.as_ref().filter(|(at, _)| *at == generation) {
            return Some(Arc::clone(dictionary));
        }
        let dictionary = Arc::new(original.renumbered(generation)?);
        *newest = Some((generation, Arc::clone(&dictionary)));
        Some(dictionary)
    }

    fn trained(&self, recording: &Recording) -> Option<Arc<Dictionary>> {
        let train = || train(recording).and_then(Dictionary::new).ok().map(Arc::new);
        self.trained.get_or_init(train).clone()
    }
}

impl Dictionary {
    /// The same dictionary under another id, `ahead` of its own.
    pub(super) fn renumbered(&self, ahead: u32) -> Option<Self> {
        let mut bytes = self.checked.bytes.clone();
        let id = self.id().wrapping_add(ahead).max(1);
        bytes.get_mut(ID_BYTES)?.copy_from_slice(&id.to_le_bytes());
        Checked::check(bytes).ok().and_then(|checked| Self::new(checked).ok())
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.checked.fmt(f)
    }
}

/// Trains a dictionary from a recording, the same one each time. Its id is derived from its
/// content, and is never that of the servers' own dictionary.
///
/// # Errors
/// What zstd says; most often that there are too few events (about ten are needed).
pub fn train(recording: &Recording) -> io::Result<Checked> {
    let total: usize = recording.lines().map(<[u8]>::len).sum();
    let step = total.div_ceil(SAMPLE_BYTES).max(1);
    let samples: Vec<&[u8]> = recording.lines().step_by(step).collect();
    let mut bytes = zstd::dict::from_samples(&samples, TRAINED_BYTES)?;
    if let Some(id) = bytes.get_mut(ID_BYTES)
        && id == OFFICIAL_ID.to_le_bytes()
    {
        id.reverse();
    }
    Checked::check(bytes).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
}
