//! The segments that have been built: all of them as [`Volume`]s, and the newest as files.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_tungstenite::tungstenite::Bytes;

use super::build::{self, Edition, Volume};
use crate::serve::Shared;

/// Most bytes of files that are kept, besides one that is larger by itself.
const KEPT_BYTES: usize = 256 << 20;

/// Most volumes that are remembered. A loop has no last segment.
const MAX_VOLUMES: usize = 10_000;

/// What was built.
#[derive(Debug, Default)]
pub(in crate::serve) struct Shelf(Mutex<Built>);

#[derive(Debug, Default)]
struct Built {
    /// By index; `None`: nothing in it can be archived.
    volumes: HashMap<u64, (Edition, Option<Arc<Volume>>)>,
    /// The newest last.
    files: VecDeque<(Edition, Bytes)>,
    file_bytes: usize,
}

impl Shelf {
    /// A sealed segment as it is now.
    pub(super) fn volume(&self, index: u64, shared: &Shared) -> Option<Arc<Volume>> {
        let edition = current(index, shared);
        self.lock().volume(edition, shared)
    }

    /// The same with its file.
    pub(super) fn file(&self, index: u64, shared: &Shared) -> Option<(Arc<Volume>, Bytes)> {
        let edition = current(index, shared);
        self.lock().file(edition, shared)
    }

    /// Held while a segment is built, so that nobody builds it twice.
    fn lock(&self) -> std::sync::MutexGuard<'_, Built> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn current(index: u64, shared: &Shared) -> Edition {
    let chaos = shared.chaos.as_ref();
    Edition {
        index,
        crashes: chaos.map_or(0, |chaos| *chaos.crashes().borrow()),
        rewrites: chaos.map_or(0, |chaos| chaos.rewrites(index)),
    }
}

impl Built {
    fn volume(&mut self, edition: Edition, shared: &Shared) -> Option<Arc<Volume>> {
        match self.volumes.get(&edition.index) {
            Some((built, volume)) if *built == edition => volume.clone(),
            _ => self.build(edition, shared).map(|(volume, _)| volume),
        }
    }

    fn file(&mut self, edition: Edition, shared: &Shared) -> Option<(Arc<Volume>, Bytes)> {
        let volume = self.volume(edition, shared)?;
        match self.files.iter().find(|(kept, _)| *kept == edition) {
            Some((_, file)) => Some((volume, file.clone())),
            None => self.build(edition, shared),
        }
    }

    fn build(&mut self, edition: Edition, shared: &Shared) -> Option<(Arc<Volume>, Bytes)> {
        let built = build::build(edition, shared).map(|(volume, file)| (Arc::new(volume), file));
        let volume = built.as_ref().map(|(volume, _)| Arc::clone(volume));
        if self.volumes.len() >= MAX_VOLUMES {
            self.volumes.clear();
        }
        self.volumes.insert(edition.index, (edition, volume));
        let (volume, file) = built?;
        self.file_bytes += file.len();
        self.files.push_back((edition, file.clone()));
        while self.file_bytes > KEPT_BYTES && self.files.len() > 1 {
            let oldest = self.files.pop_front();
            self.file_bytes -= oldest.map_or(0, |(_, file)| file.len());
        }
        Some((volume, file))
    }
}
