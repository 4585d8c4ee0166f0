//! From segments to pieces, from pieces to blocks: what a sweep's queues are filled with. What
//! comes out of them, and in which order, is `sweep`'s own.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::super::segment::{Frames, Generation, MAX_FRAME_BYTES, Trouble, Volume};
use super::super::work::{self, Frame, Job, Message, WAITING_BATCHES};
use super::{Decoding, Fetching, Opening, Piece, Sweep};

/// Bytes of a piece: large enough that asking for it costs little, small enough for memory.
const PIECE_BYTES: u64 = 4 << 20;

impl Sweep {
    /// Starts as much work as may be on its way at once.
    pub(super) fn employ(&mut self) {
        while self.decoding.len() < self.parallelism {
            let Some((job, frame)) = self.cut.pop_front() else { break };
            let (out, messages) = mpsc::channel(WAITING_BATCHES);
            let task = match frame {
                Ok(frame) => {
                    let work = work::decode(Arc::clone(&self.common), job.clone(), frame, out);
                    Some(tokio::spawn(work))
                }
                Err(message) => {
                    // There is room for one.
                    let _ = out.try_send(message);
                    None
                }
            };
            self.decoding.push_back(Decoding { job, messages, task });
        }
        while self.fetching.len() < self.parallelism {
            let Some(piece) = self.pieces.pop_front() else { break };
            let (volume, blocks) = (Arc::clone(&piece.volume), piece.blocks.clone());
            let task = tokio::spawn(work::fetch(volume, blocks, piece.is_by_number));
            self.fetching.push_back(Fetching { piece, task });
        }
        // One segment ahead.
        if self.opening.is_none()
            && let Some(planned) = self.volumes.pop_front()
        {
            let is_named = planned.blocks().is_some();
            let volume = Arc::new(Volume::new(Arc::clone(&self.way), planned));
            self.opening = Some(if is_named {
                Opening::Named(volume)
            } else {
                let opened = Arc::clone(&volume);
                Opening::Task(volume, tokio::spawn(async move { opened.generation().await }))
            });
        }
    }

    /// A segment's index is there: its blocks in pieces.
    pub(super) fn opened(&mut self, opened: Result<Arc<Generation>, Trouble>) {
        let Some(Opening::Task(volume, _)) = self.opening.take() else { return };
        let generation = match opened {
            Ok(generation) => generation,
            Err(trouble) => {
                let job = Job { volume, number: 0, entry: None, is_last: true };
                self.cut_trouble(job, trouble);
                return;
            }
        };
        match &*generation {
            Generation::Numbered(count) => self.pieces_by_number(&volume, 0..*count),
            Generation::Indexed { blocks, .. } => {
                let wants = &self.common.wants;
                let is_wanted = |block: u32| {
                    blocks.get(block as usize).is_some_and(|entry| {
                        entry.event_count > 0
                            && entry.max_seq > wants.after
                            && entry.min_seq <= wants.up_to
                    })
                };
                let wanted = (0..blocks.len() as u32).filter(|block| is_wanted(*block));
                let mut bytes = 0;
                let first_piece = self.pieces.len();
                for block in wanted {
                    let size = blocks.get(block as usize).map_or(0, |e| u64::from(e.frame_bytes));
                    bytes += size;
                    match self.pieces.back_mut() {
                        Some(piece) if piece.blocks.end == block && bytes <= PIECE_BYTES => {
                            piece.blocks.end = block + 1;
                        }
                        _ => {
                            bytes = size;
                            self.pieces.push_back(Piece {
                                volume: Arc::clone(&volume),
                                blocks: block..block + 1,
                                is_by_number: size > MAX_FRAME_BYTES as u64,
                                is_last: false,
                            });
                        }
                    }
                }
                if self.pieces.len() == first_piece {
                    self.common.metrics.backfill.segments_done.add(1);
                } else if let Some(last) = self.pieces.back_mut() {
                    last.is_last = true;
                }
            }
        }
    }

    /// A segment of which the plan names the blocks.
    pub(super) fn named(&mut self) {
        let Some(Opening::Named(volume)) = self.opening.take() else { return };
        let planned = volume.planned.clone();
        let ranges = planned.blocks().unwrap_or_default().iter();
        self.pieces_by_number(&volume, ranges.flat_map(|range| range.first..=range.last));
    }

    pub(super) fn pieces_by_number(
        &mut self,
        volume: &Arc<Volume>,
        blocks: impl Iterator<Item = u32>,
    ) {
        for block in blocks {
            self.pieces.push_back(Piece {
                volume: Arc::clone(volume),
                blocks: block..block + 1,
                is_by_number: true,
                is_last: false,
            });
        }
        match self.pieces.back_mut() {
            Some(last) => last.is_last = true,
            None => self.common.metrics.backfill.segments_done.add(1),
        }
    }

    /// The piece in front is there: cut into blocks.
    pub(super) fn fetched(&mut self, fetched: Result<Frames, Trouble>) {
        let Some(Fetching { piece, .. }) = self.fetching.pop_front() else { return };
        let Piece { volume, blocks, is_last, .. } = piece;
        let frames = match fetched {
            Ok(frames) => frames,
            Err(trouble) => {
                let job = Job { volume, number: blocks.start, entry: None, is_last };
                self.cut_trouble(job, trouble);
                return;
            }
        };
        let bytes = Arc::new(frames.bytes);
        let last = blocks.end.saturating_sub(1);
        for ((i, number), place) in blocks.enumerate().zip(frames.places) {
            let entry = frames.entries.get(i).cloned();
            let is_last = is_last && number == last;
            let job = Job { volume: Arc::clone(&volume), number, entry, is_last };
            self.cut.push_back((job, Ok(Frame { bytes: Arc::clone(&bytes), place })));
        }
    }

    /// Trouble waits for its turn.
    pub(super) fn cut_trouble(&mut self, job: Job, trouble: Trouble) {
        self.cut.push_back((job, Err(Message::Failed(trouble))));
    }
}
