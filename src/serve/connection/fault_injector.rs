//! Injects the faults of `--chaos` into one connection. `serve::chaos` decides what happens when;
//! without that flag none of this code runs.

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::raw_socket::frame_bytes;
use super::{BATCH_BYTES, Session, StreamEnd, Wait};
use crate::serve::ServerState;
use crate::serve::chaos::{self, Chaos, Draw, Fault, SwapBuffer};
use crate::serve::feed::Feed;
use crate::serve::step::Step;

/// Maximum number of fragments of a message.
const MAX_FRAGMENTS: u64 = 4;

/// Distance at which `late` repeats an event: half a minute at 60 ms per event, and more than a
/// client's dedup window holds.
const LATE_EVENTS: u64 = 500;

/// Injects faults into one connection.
pub(super) struct FaultInjector<'a> {
    chaos: &'a Chaos,
    shared: &'a ServerState,
    connection: u64,
    /// The number of crashes when the connection was opened: it sends the log in the state of that
    /// time.
    crashes: u64,
    swaps: SwapBuffer,
    /// The first event that this connection sent.
    first: Option<u64>,
    /// The stalled event and the end of its stall.
    stall: Option<(u64, Instant)>,
    /// Whether the connection has stopped sending events.
    mute: bool,
}

/// The result of sending an event.
enum SendOutcome {
    /// Number of bytes that were sent or buffered.
    Sent(usize),
    Wait(Wait),
}

impl<'a> FaultInjector<'a> {
    pub(super) fn new(shared: &'a ServerState, connection: u64, crashes: u64) -> Option<Self> {
        let chaos = shared.chaos.as_ref()?;
        let swaps = SwapBuffer::default();
        let (first, stall) = (None, None);
        Some(Self { chaos, shared, connection, crashes, swaps, first, stall, mute: false })
    }

    fn injects(&self, fault: Fault, slot: u64) -> Option<Draw> {
        self.chaos.injects(fault, self.connection, slot)
    }

    fn account(&self, slot: u64) -> String {
        let event = self.chaos.event(slot, self.crashes);
        chaos::account(&self.shared.timeline.stamps.recorded_line(event))
    }

    /// Returns the end of the stall if the event has to wait; `None` if it does not, or has waited
    /// already.
    fn stalls(&mut self, slot: u64, now: Instant) -> Option<Instant> {
        let odds = self.chaos.odds(Fault::Stall)?;
        self.injects(Fault::Stall, slot)?;
        if self.stall.is_some_and(|(stalled, _)| stalled == slot) {
            return None;
        }
        let until = now.checked_add(odds.duration)?;
        self.stall = Some((slot, until));
        self.swaps.put_back(slot);
        Some(until)
    }
}

impl chaos::SwapPolicy for &FaultInjector<'_> {
    fn injects(&self, slot: u64) -> bool {
        FaultInjector::injects(self, Fault::Swap, slot).is_some()
    }

    fn same_account(&self, one: u64, other: u64) -> bool {
        self.account(one) == self.account(other)
    }
}

/// Resolves when the server crashes.
pub(super) async fn crashed(crashes: &mut Option<watch::Receiver<u64>>) {
    if let Some(crashes) = crashes
        && crashes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

impl Session<'_> {
    /// As `fill`, with faults.
    pub(super) async fn fill_with_faults(
        &mut self,
        feed: &mut Feed,
        injector: &mut FaultInjector<'_>,
    ) -> Result<Wait, StreamEnd> {
        let now = Instant::now();
        if injector.mute {
            return Ok(Wait::ForClient);
        }
        if let Some((_, until)) = injector.stall
            && now < until
        {
            return Ok(Wait::Until(until));
        }
        let mut bytes = 0;
        let wait = loop {
            match self.next(feed, injector, now)? {
                Step::Send(slot) => match self.send_with_faults(slot, injector, now).await? {
                    SendOutcome::Sent(more) => bytes += more,
                    SendOutcome::Wait(wait) => break wait,
                },
                step => break self.wait_after(step)?,
            }
            if bytes >= BATCH_BYTES {
                break Wait::Not;
            }
        };
        self.flush_all().await?;
        Ok(wait)
    }

    /// Returns the next step. There is no `await` between the check for a crash and the encoding of
    /// the event, so the event is encoded in the state that this connection knows.
    fn next(
        &self,
        feed: &mut Feed,
        injector: &mut FaultInjector<'_>,
        now: Instant,
    ) -> Result<Step, StreamEnd> {
        if *injector.chaos.crashes().borrow() != injector.crashes {
            return Err(StreamEnd::Fin);
        }
        let (filter, crashes) = (&self.subscription.filter, injector.crashes);
        let mut swaps = std::mem::take(&mut injector.swaps);
        let step = swaps.next(&&*injector, now, || feed.step(filter, self.shared, now, crashes));
        injector.swaps = swaps;
        Ok(step)
    }

    /// Sends one event, with the faults that come before, at and after it.
    async fn send_with_faults(
        &mut self,
        slot: u64,
        injector: &mut FaultInjector<'_>,
        now: Instant,
    ) -> Result<SendOutcome, StreamEnd> {
        if injector.injects(Fault::Hang, slot).is_some() {
            self.flush_all().await?;
            return Err(StreamEnd::Hang);
        }
        if injector.injects(Fault::Mute, slot).is_some() {
            injector.mute = true;
            return Ok(SendOutcome::Wait(Wait::ForClient));
        }
        if let Some(until) = injector.stalls(slot, now) {
            return Ok(SendOutcome::Wait(Wait::Until(until)));
        }
        let event = injector.chaos.event(slot, injector.crashes);
        let Some(frame) = self.encode(event, slot)? else { return Ok(SendOutcome::Sent(0)) };
        let mut bytes = frame.payload().len();
        bytes += self.inject(slot, injector, &frame).await?;
        if let Some(draw) = injector.injects(Fault::Violate, slot) {
            self.write_raw(chaos::violation(draw)).await?;
            return Err(StreamEnd::Fin);
        }
        if let Some(draw) = injector.injects(Fault::Cut, slot) {
            let wire = frame_bytes(&frame)?;
            let end = 1 + draw.below(0, wire.len() as u64 - 1) as usize;
            self.write_raw(wire.get(..end).unwrap_or_default()).await?;
            return Err(StreamEnd::Fin);
        }
        if injector.injects(Fault::Dribble, slot).is_some() {
            self.dribble(&frame_bytes(&frame)?).await?;
            // Counts as a whole batch, because the write timeout applies to each batch.
            bytes += BATCH_BYTES;
        } else if let Some(draw) = injector.injects(Fault::Fragment, slot) {
            self.send_fragmented(&frame, draw).await?;
        } else {
            self.buffer_message(Message::Frame(frame.clone())).await?;
        }
        if injector.injects(Fault::Duplicate, slot).is_some() {
            bytes += frame.payload().len();
            self.buffer_message(Message::Frame(frame)).await?;
        }
        bytes += self.repeat_late(slot, injector).await?;
        self.end_after(slot, injector).await?;
        Ok(SendOutcome::Sent(bytes))
    }

    /// Repeats an event that this connection sent long ago; returns its size.
    async fn repeat_late(
        &mut self,
        slot: u64,
        injector: &mut FaultInjector<'_>,
    ) -> Result<usize, StreamEnd> {
        let first = *injector.first.get_or_insert(slot);
        let earlier = slot.checked_sub(LATE_EVENTS).filter(|earlier| *earlier >= first);
        let (Some(_), Some(earlier)) = (injector.injects(Fault::Late, slot), earlier) else {
            return Ok(0);
        };
        let event = injector.chaos.event(earlier, injector.crashes);
        if self.shared.timeline.stamps.is_missing(event) {
            return Ok(0);
        }
        let Some(frame) = self.encode(event, earlier)? else { return Ok(0) };
        let bytes = frame.payload().len();
        self.buffer_message(Message::Frame(frame)).await?;
        Ok(bytes)
    }

    /// Injects the faults that end the connection directly after an event.
    async fn end_after(
        &mut self,
        slot: u64,
        injector: &FaultInjector<'_>,
    ) -> Result<(), StreamEnd> {
        let injects = |fault| injector.injects(fault, slot).is_some();
        if injector.chaos.record_sent(slot) || injects(Fault::Drop) {
            return Err(StreamEnd::Fin);
        }
        if injects(Fault::Reset) {
            self.flush_all().await?;
            return Err(StreamEnd::Reset);
        }
        if let Some(error) = self.error_after(slot, injector) {
            let frame = self.encode_frame(error.into())?;
            self.buffer_message(Message::Frame(frame)).await?;
            return Err(StreamEnd::Fin);
        }
        if injects(Fault::Close) {
            return Err(StreamEnd::Close(CloseCode::Away, "chaos".to_owned()));
        }
        Ok(())
    }

    /// Returns the error message that ends the v2 stream after an event.
    fn error_after(&self, slot: u64, injector: &FaultInjector<'_>) -> Option<String> {
        let injects = |fault| self.subscription.is_v2() && injector.injects(fault, slot).is_some();
        if injects(Fault::Slow) {
            return Some(chaos::consumer_too_slow(self.shared.timeline.stamps.seq(slot)));
        }
        injects(Fault::Fail).then(chaos::internal_error)
    }

    /// Sends injected messages that are not events; returns their size.
    async fn inject(
        &mut self,
        slot: u64,
        injector: &FaultInjector<'_>,
        event: &Frame,
    ) -> Result<usize, StreamEnd> {
        let mut messages = Vec::new();
        if let Some(draw) = injector.injects(Fault::Garbage, slot) {
            messages.push(self.garbage(draw)?);
        }
        if let Some(draw) = injector.injects(Fault::Unknown, slot)
            && self.subscription.is_v2()
        {
            let before = self.shared.timeline.stamps.seq(slot).saturating_sub(1);
            let frame = self.encode_frame(chaos::unknown_message(draw, before).into())?;
            messages.push(Message::Frame(frame));
        }
        if injector.injects(Fault::Oversized, slot).is_some() {
            messages.push(Message::Text(chaos::oversized()));
        }
        if let (Some(draw), Some(_)) =
            (injector.injects(Fault::Zstd, slot), self.compressor.as_ref())
        {
            messages.push(Message::Binary(match draw.below(0, 4) {
                0 => chaos::bomb(),
                _ => chaos::damage(draw, event.payload().to_vec()),
            }));
        }
        if injector.injects(Fault::Ping, slot).is_some() {
            messages.push(Message::Ping(format!("chaos at {slot}").into()));
        }
        let bytes = messages.iter().map(Message::len).sum();
        for message in messages {
            self.buffer_message(message).await?;
        }
        Ok(bytes)
    }

    /// Returns a malformed message. On zstd connections half of them are compressed like events.
    fn garbage(&mut self, draw: Draw) -> Result<Message, StreamEnd> {
        let bytes = chaos::garbage(draw);
        if let Some(compressor) = &mut self.compressor
            && draw.below(1, 2) == 0
        {
            let compressed = compressor.compress(&bytes).map_err(|_| StreamEnd::Drop)?;
            return Ok(Message::Binary(compressed.into()));
        }
        Ok(match Utf8Bytes::try_from(bytes.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(bytes),
        })
    }

    /// Sends a message in fragments, with pings between them.
    async fn send_fragmented(&mut self, frame: &Frame, draw: Draw) -> Result<(), StreamEnd> {
        let payload = Bytes::copy_from_slice(frame.payload());
        let fragments = 2 + draw.below(0, MAX_FRAGMENTS - 1);
        let mut opcode = frame.header().opcode;
        let mut start = 0;
        for fragment in 1..=fragments {
            // At any offset, also within a character; a fragment may be empty.
            let rest = (payload.len() - start) as u64;
            let end = match fragment == fragments {
                true => payload.len(),
                false => start + draw.below(fragment, rest + 1) as usize,
            };
            let fragment_frame =
                Frame::message(payload.slice(start..end), opcode, fragment == fragments);
            self.buffer_message(Message::Frame(fragment_frame)).await?;
            if fragment < fragments {
                self.buffer_message(Message::Ping("between".into())).await?;
            }
            (start, opcode) = (end, OpCode::Data(Data::Continue));
        }
        Ok(())
    }
}
