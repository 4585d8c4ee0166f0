//! The segments that have been built: all of them as [`SegmentInfo`]s, and the newest as files.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_tungstenite::tungstenite::Bytes;

use super::build::{self, SegmentInfo, SegmentVersion};
use crate::serve::ServerState;

/// Most bytes of files that are kept, besides one that is larger by itself.
const KEPT_BYTES: usize = 256 << 20;

/// Most volumes that are remembered. A loop has no last segment.
const MAX_INFOS: usize = 10_000;

/// What was built.
#[derive(Debug, Default)]
pub(in crate::serve) struct SegmentCache(Mutex<CacheState>);

#[derive(Debug, Default)]
struct CacheState {
    /// By index; `None`: nothing in it can be archived.
    infos: HashMap<u64, (SegmentVersion, Option<Arc<SegmentInfo>>)>,
    /// The newest last.
    files: VecDeque<(SegmentVersion, Bytes)>,
    file_bytes: usize,
}

impl SegmentCache {
    /// A sealed segment as it is now.
    pub(super) fn info(&self, index: u64, shared: &ServerState) -> Option<Arc<SegmentInfo>> {
        let version = current(index, shared);
        self.lock().info(version, shared)
    }

    /// The same with its file.
    pub(super) fn file(
        &self,
        index: u64,
        shared: &ServerState,
    ) -> Option<(Arc<SegmentInfo>, Bytes)> {
        let version = current(index, shared);
        self.lock().file(version, shared)
    }

    /// Held while a segment is built, so that nobody builds it twice.
    fn lock(&self) -> std::sync::MutexGuard<'_, CacheState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn current(index: u64, shared: &ServerState) -> SegmentVersion {
    let chaos = shared.chaos.as_ref();
    SegmentVersion {
        index,
        crashes: chaos.map_or(0, |chaos| *chaos.crashes().borrow()),
        rewrites: chaos.map_or(0, |chaos| chaos.rewrites(index)),
    }
}

impl CacheState {
    fn info(&mut self, version: SegmentVersion, shared: &ServerState) -> Option<Arc<SegmentInfo>> {
        match self.infos.get(&version.index) {
            Some((built, info)) if *built == version => info.clone(),
            _ => self.build(version, shared).map(|(info, _)| info),
        }
    }

    fn file(
        &mut self,
        version: SegmentVersion,
        shared: &ServerState,
    ) -> Option<(Arc<SegmentInfo>, Bytes)> {
        let info = self.info(version, shared)?;
        match self.files.iter().find(|(kept, _)| *kept == version) {
            Some((_, file)) => Some((info, file.clone())),
            None => self.build(version, shared),
        }
    }

    fn build(
        &mut self,
        version: SegmentVersion,
        shared: &ServerState,
    ) -> Option<(Arc<SegmentInfo>, Bytes)> {
        let built = build::build(version, shared).map(|(info, file)| (Arc::new(info), file));
        let info = built.as_ref().map(|(info, _)| Arc::clone(info));
        if self.infos.len() >= MAX_INFOS {
            self.infos.clear();
        }
        self.infos.insert(version.index, (version, info));
        let (info, file) = built?;
        self.file_bytes += file.len();
        self.files.push_back((version, file.clone()));
        while self.file_bytes > KEPT_BYTES && self.files.len() > 1 {
            let oldest = self.files.pop_front();
            self.file_bytes -= oldest.map_or(0, |(_, file)| file.len());
        }
        Some((info, file))
    }
}
