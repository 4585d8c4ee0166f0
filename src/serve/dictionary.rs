//! The zstd dictionaries of a server, one for `/subscribe` and one for the v2 stream: given by the
//! user or trained on the recording.
//!
//! `cli` loads given dictionaries (from a file or the cache), and `compression` validates them.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;
use zstd::zstd_safe::CParameter;

use super::recording::Recording;
use crate::compression::dictionary::{Dictionary as Checked, OFFICIAL_ID};

/// Compression level: the default of the servers' encoder.
const LEVEL: i32 = 3;
/// Window log for at most 128 KiB (protocol/jetstream-v1.md §5).
const WINDOW_LOG: u32 = 17;
/// Size of a trained dictionary, in bytes.
const TRAINED_BYTES: usize = 64 * 1024;
/// Maximum bytes of a recording to train on; more costs seconds and gains nothing.
const SAMPLE_BYTES: usize = 4 << 20;
/// Position of the id in a dictionary (protocol/jetstream-v1.md §5).
const ID_BYTES: std::ops::Range<usize> = 4..8;

/// A dictionary that is prepared for compression.
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

    /// Returns a compressor for one connection: one frame per event, with a checksum.
    pub(super) fn compressor(&self) -> io::Result<Compressor<'_>> {
        let mut compressor = Compressor::with_prepared_dictionary(&self.prepared)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        Ok(compressor)
    }
}

/// The dictionaries of a server. If none was given, the first client that requests one waits while
/// it is trained on the recording. `None` if training failed.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    v1: OnceLock<Option<Arc<Dictionary>>>,
    v2: OnceLock<Option<Arc<Dictionary>>>,
    trained: OnceLock<Option<Arc<Dictionary>>>,
    /// The v2 dictionary under its newest alternative id, with the generation of that id.
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

    /// Returns the dictionary of `/subscribe`.
    pub(super) fn v1(&self, recording: &Recording) -> Option<Arc<Dictionary>> {
        self.v1.get_or_init(|| self.trained(recording)).clone()
    }

    /// Returns the dictionary of the v2 stream under the id of this generation.
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
    /// Returns the same dictionary with its id increased by `ahead`.
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

/// Trains a dictionary on a recording, deterministically. Its id is derived from its content and
/// never equals the id of the servers' own dictionary.
///
/// # Errors
/// zstd's error, most often because there are too few events (about ten are needed).
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
