//! Caches built segments: the metadata of all of them, and the files of the newest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Bytes;

use super::build::{self, SegmentInfo, SegmentVersion};
use crate::serve::ServerState;

/// Maximum total size of cached files, in bytes; the newest file may exceed it.
const KEPT_BYTES: usize = 256 << 20;

/// Maximum number of cached metadata entries. A loop has no last segment.
const MAX_INFOS: usize = 10_000;

/// A thread-safe cache of built segments.
#[derive(Debug, Default)]
pub(in crate::serve) struct SegmentCache(Mutex<CacheState>);

#[derive(Debug, Default)]
struct CacheState {
    /// By index; `None` if the segment can't be built.
    infos: HashMap<u64, (SegmentVersion, Option<Arc<SegmentInfo>>)>,
    /// Ordered from the oldest to the newest.
    files: VecDeque<(SegmentVersion, Bytes)>,
    file_bytes: usize,
}

impl SegmentCache {
    /// Returns the metadata of the current version of a sealed segment.
    pub(super) fn info(
        &self,
        index: u64,
        shared: &ServerState,
        now: Instant,
    ) -> Option<Arc<SegmentInfo>> {
        let version = current(index, shared, now);
        self.lock().info(version, shared)
    }

    /// As [`Self::info`], with the segment's file.
    pub(super) fn file(
        &self,
        index: u64,
        shared: &ServerState,
        now: Instant,
    ) -> Option<(Arc<SegmentInfo>, Bytes)> {
        let version = current(index, shared, now);
        self.lock().file(version, shared)
    }

    /// Stays locked while a segment is built, so that no segment is built twice.
    fn lock(&self) -> std::sync::MutexGuard<'_, CacheState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn current(index: u64, shared: &ServerState, now: Instant) -> SegmentVersion {
    let chaos = shared.chaos.as_ref();
    SegmentVersion {
        index,
        crashes: chaos.map_or(0, |chaos| *chaos.crashes().borrow()),
        rewrites: chaos.map_or(0, |chaos| chaos.rewrites(index)),
        compacted: shared.archive.compacted(&shared.timeline, now),
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
