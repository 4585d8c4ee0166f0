//! The WebSocket frame reader: its result does not depend on how the bytes arrive, and its memory
//! follows the cap on messages, whatever lengths are claimed.
#![no_main]

use skytail::event::batch::Batch;
use skytail::source::websocket::frame::{FrameBuffer, Message, READ_BYTES};
use skytail_fuzz::{Counting, Input, peak_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Digests messages as they are lent, so that only the reader's memory is counted.
#[derive(Default, PartialEq, Eq, Debug)]
struct Seen {
    messages: u64,
    digest: u64,
    error: Option<skytail::source::websocket::frame::FrameError>,
}

impl Seen {
    fn note(&mut self, sort: u64, bytes: &[u8]) {
        self.messages += 1;
        let add = |digest: u64, value: u64| (digest ^ value).wrapping_mul(0x0100_0000_01b3);
        self.digest = add(add(self.digest, sort), bytes.len() as u64);
        self.digest = bytes.iter().fold(self.digest, |d, b| add(d, u64::from(*b)));
    }

    /// Takes all complete messages; `false` after an error.
    fn drain(&mut self, frames: &mut FrameBuffer, max_bytes: usize) -> bool {
        loop {
            match frames.next() {
                Ok(None) => return true,
                Ok(Some(message)) => match message {
                    Message::Text(bytes) | Message::Binary(bytes) => {
                        assert!(bytes.len() <= max_bytes);
                        self.note(1, bytes);
                    }
                    Message::Ping(bytes) => {
                        assert!(bytes.len() <= 125);
                        self.note(2, bytes);
                    }
                    Message::Pong => self.note(3, &[]),
                    Message::Close { code, reason } => {
                        self.note(4 + u64::from(code.unwrap_or(0)), reason);
                    }
                    Message::TooLong => self.note(5, &[]),
                },
                Err(error) => {
                    self.error = Some(error);
                    return false;
                }
            }
        }
    }
}

fn read(bytes: &[u8], leftover: usize, steps: &[u8], max_bytes: usize) -> Seen {
    let (leftover, mut rest) = bytes.split_at(leftover.min(bytes.len()));
    let mut frames = FrameBuffer::new(max_bytes, leftover);
    let mut seen = Seen::default();
    let mut steps = steps.iter().cycle();
    while seen.drain(&mut frames, max_bytes) && !rest.is_empty() {
        let step = 1 + usize::from(steps.next().copied().unwrap_or(255)) * 3;
        let spare = frames.unfilled();
        assert!(!spare.is_empty());
        let count = step.min(rest.len()).min(spare.len());
        spare[..count].copy_from_slice(&rest[..count]);
        frames.advance(count);
        rest = &rest[count..];
    }
    seen
}

/// The same, with messages that become lines where they were read to.
fn read_in_place(bytes: &[u8], steps: &[u8], max_bytes: usize) -> Seen {
    let mut rest = bytes;
    let mut frames = FrameBuffer::new(max_bytes, &[]);
    let mut batch = Batch::with_capacity(2048);
    let mut seen = Seen::default();
    let mut steps = steps.iter().cycle();
    while seen.drain(&mut frames, max_bytes) && !rest.is_empty() {
        let step = 1 + usize::from(steps.next().copied().unwrap_or(255)) * 3;
        let room = frames.begin_inline(&mut batch);
        let count = match room {
            0 => {
                let spare = frames.unfilled();
                let count = step.min(rest.len()).min(spare.len());
                spare[..count].copy_from_slice(&rest[..count]);
                frames.advance(count);
                count
            }
            room => {
                let count = step.min(rest.len()).min(room);
                batch.line_buffer().extend_from_slice(&rest[..count]);
                let before = batch.len();
                let taken = frames.parse_inline_text(&mut batch, before + step);
                assert_eq!(batch.len(), before + taken);
                assert!(batch.partial_line().is_empty());
                batch.lines().skip(before).for_each(|line| seen.note(1, line));
                count
            }
        };
        rest = &rest[count..];
        assert!(batch.buffered_bytes() <= 2048, "it never gets more memory");
        if batch.room_bytes() < 512 {
            batch.reset(usize::MAX);
        }
    }
    seen
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let max_bytes = usize::from(input.byte()) * usize::from(input.byte());
    let steps = [input.byte(), input.byte(), input.byte()];
    let leftover = usize::from(input.byte());
    let bytes = input.rest();
    let whole = read(bytes, bytes.len(), &[], max_bytes);
    let (pieces, peak) = peak_bytes(|| read(bytes, leftover, &steps, max_bytes));
    assert_eq!(whole, pieces);
    assert_eq!(whole, read_in_place(bytes, &steps, max_bytes));
    // The buffer, while it grows and moves, and one message in fragments.
    assert!(peak <= 2 * READ_BYTES + 6 * max_bytes + 4096, "{peak} bytes for a cap of {max_bytes}");
    read(bytes, 0, &[0], max_bytes);
});
