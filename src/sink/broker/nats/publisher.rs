//! Publishes in order, also after failures of servers and connections.
//!
//! Each message has the id of its predecessor (`Nats-Expected-Last-Msg-Id`), except the first one
//! after a start or a retry. If a server did not store a message, it rejects all that follow, and
//! the publisher sends all of them again, so events of an account keep their order. A message that
//! was stored without an acknowledgement is recognised by its id (`Nats-Msg-Id`) within the
//! stream's duplicate window. For longer outages the publisher reads the stream back.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use async_nats::Event;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, ErrorCode};
use xxhash_rust::xxh3::xxh3_64;

use super::options::Options;
use super::session::{NoSession, Session, format_error, not_permitted, permission};
use crate::sink::broker::already_published::AlreadyPublished;
use crate::sink::broker::error::BrokerError;
use crate::sink::broker::in_flight::{InFlight, MOST_MESSAGES};
use crate::sink::broker::message::Message;
use crate::sink::broker::retry::Retry;
use crate::sink::broker::target::Target;

/// The header with the account's DID.
const DID: &str = "Skytail-Did";
/// Number of tries before the run fails because no server has ever answered.
const FIRST_TRIES: u32 = 6;
/// Number of messages that are sent before acknowledgements are processed again.
const BURST: usize = 256;

type Ack = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

/// The state that outlives connections.
pub struct Publisher {
    options: Options,
    in_flight: Arc<InFlight>,
    /// Messages that were taken from `in_flight` and are not acknowledged, oldest first.
    unacked: VecDeque<Message>,
    /// The sequence number from which the stream must be read back; `None` if it need not be.
    from: Option<u64>,
    /// Messages that are stored already, and must not be sent again.
    stored: AlreadyPublished,
    /// Maximum number of unacknowledged messages: small after a failure, and larger with every
    /// acknowledgement.
    window: usize,
    /// Whether there was a connection before.
    is_open: bool,
    retry: Retry,
}

/// Why a connection is not used any more.
enum End {
    /// The connection is lost.
    Lost(String),
    /// The server did not store a message; a retry may succeed.
    NotStored(String),
    /// Another program published a message in between.
    Interrupted,
    /// The run can't continue.
    Failed(BrokerError),
}

impl Publisher {
    /// Returns a publisher that has not connected yet.
    pub fn new(options: Options, known: Option<u64>, in_flight: Arc<InFlight>) -> Self {
        let retry = Retry::new(options.target.to_string());
        Self {
            options,
            in_flight,
            unacked: VecDeque::new(),
            from: known,
            stored: AlreadyPublished::default(),
            window: MOST_MESSAGES,
            is_open: false,
            retry,
        }
    }

    /// Connects for the first time. Also returns the sequence number of the stream's next message.
    pub async fn open(&mut self) -> Result<(Session, u64), BrokerError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.connect().await {
                Ok(session) => {
                    self.retry.succeeded();
                    let end = session.end;
                    self.from.get_or_insert(end);
                    self.is_open = true;
                    return Ok((session, end));
                }
                Err(NoSession::Never(error)) => return Err(error),
                Err(NoSession::NotNow(cause)) if tries >= FIRST_TRIES => {
                    let broker = self.options.target.to_string();
                    return Err(BrokerError::Unreachable { broker, cause, tries });
                }
                Err(NoSession::NotNow(cause)) => self.wait(&cause).await,
            }
        }
    }

    /// Publishes until a failure that no retry can fix, and returns that failure.
    pub async fn run(&mut self, mut session: Session) -> BrokerError {
        loop {
            match self.pump(&mut session).await {
                End::Failed(error) => return error,
                End::Interrupted => self.window = (self.window / 2).max(1),
                End::NotStored(cause) => {
                    self.window = 1;
                    self.wait(&cause).await;
                    match session.check(&self.options.target).await {
                        Ok(()) => {}
                        Err(NoSession::Never(error @ BrokerError::NoStream { .. })) => {
                            return error;
                        }
                        Err(NoSession::Never(error)) => self.retry.warn(&error.to_string()),
                        Err(NoSession::NotNow(cause)) => self.retry.warn(&cause),
                    }
                }
                End::Lost(cause) => match self.reconnect(cause).await {
                    Ok(again) => session = again,
                    Err(error) => return error,
                },
            }
        }
    }

    async fn wait(&mut self, cause: &str) {
        let pause = self.retry.backoff(cause);
        tokio::time::sleep(pause).await;
    }

    async fn reconnect(&mut self, mut cause: String) -> Result<Session, BrokerError> {
        self.window = 1;
        loop {
            self.wait(&cause).await;
            match self.connect().await {
                Ok(session) => return Ok(session),
                // A server that is starting has no JetStream yet.
                Err(NoSession::Never(error @ BrokerError::NoJetStream { .. })) => {
                    cause = error.to_string();
                }
                Err(NoSession::Never(error)) => return Err(error),
                Err(NoSession::NotNow(again)) => cause = again,
            }
        }
    }

    /// Connects, and drops messages that are stored already.
    async fn connect(&mut self) -> Result<Session, NoSession> {
        let session = Session::open(&self.options).await?;
        let Some(from) = self.from else { return Ok(session) };
        if session.end < from {
            self.lost(from - session.end)?;
            self.from = Some(session.end);
        }
        match session.stored_since(from).await {
            Ok(stored) => self.stored = AlreadyPublished::new(stored, &self.in_flight),
            Err(cause) => tracing::warn!(
                "{}: the stream can't be read back ({cause}): only its duplicate window recognises messages that were stored without an acknowledgement",
                self.options.target
            ),
        }
        let (unacked, in_flight) = (std::mem::take(&mut self.unacked), Arc::clone(&self.in_flight));
        for message in unacked {
            match self.stored.remove(message.id, &in_flight) {
                true => in_flight.acknowledge(1, message.bytes(), None),
                false => self.unacked.push_back(message),
            }
        }
        Ok(session)
    }

    /// Handles a stream that ends before acknowledged messages. The next run publishes those again
    /// that were acknowledged after the last checkpoint of this run; older ones are lost.
    fn lost(&self, messages: u64) -> Result<(), NoSession> {
        let broker = self.options.target.to_string();
        if self.is_open {
            return Err(NoSession::Never(BrokerError::Lost { broker, messages }));
        }
        tracing::warn!(
            "{broker}: the stream ends {messages} messages before the saved position: it was created again, or has lost them; continuing at the saved position"
        );
        Ok(())
    }

    /// Publishes on one connection.
    async fn pump(&mut self, session: &mut Session) -> End {
        // One acknowledgement for each of the first messages in `unacked`.
        let mut acks: VecDeque<Ack> = VecDeque::new();
        loop {
            self.refill();
            let may_send = self.unacked.len().min(self.window);
            for index in acks.len()..may_send.min(acks.len() + BURST) {
                match self.send(session, index, !acks.is_empty()).await {
                    Ok(ack) => acks.push_back(ack),
                    Err(error) => return self.classify(&error, index),
                }
            }
            let may_send = may_send > acks.len();
            tokio::select! {
                biased;
                event = session.events.recv() => match event {
                    Some(event) => {
                        if let Some(words) = permission(&event) {
                            return End::Failed(not_permitted(&self.options.target, words));
                        }
                        if matches!(event, Event::Disconnected | Event::Closed) {
                            return End::Lost("the connection is lost".to_owned());
                        }
                    }
                    None => return End::Lost("the connection was closed".to_owned()),
                },
                answer = oldest(&mut acks), if !acks.is_empty() => {
                    acks.pop_front();
                    match answer {
                        Ok(ack) => self.acknowledged(&ack),
                        Err(error) => return self.classify(&error, 0),
                    }
                }
                () = ready(()), if may_send => {}
                () = self.in_flight.work(), if !may_send => {}
            }
        }
    }

    /// Takes waiting messages, and drops those that are stored already.
    fn refill(&mut self) {
        if self.unacked.len() >= MOST_MESSAGES / 2 {
            return;
        }
        for message in self.in_flight.take(MOST_MESSAGES) {
            if self.stored.remove(message.id, &self.in_flight) {
                self.in_flight.acknowledge(1, message.bytes(), None);
            } else {
                self.unacked.push_back(message);
            }
        }
    }

    async fn send(
        &self,
        session: &Session,
        index: usize,
        follows: bool,
    ) -> Result<Ack, PublishError> {
        let Some(message) = self.unacked.get(index) else {
            return Err(PublishError::new(PublishErrorKind::Other));
        };
        let mut publish = PublishMessage::build()
            .payload(message.payload.clone())
            .message_id(message.id.to_string());
        if !message.did.is_empty() {
            publish = publish.header(DID, header_value(&message.did));
        }
        let before = index.checked_sub(1).filter(|_| follows);
        if let Some(before) = before.and_then(|before| self.unacked.get(before)) {
            publish = publish.expected_last_message_id(before.id.to_string());
        }
        let subject = subject(&self.options.target, &message.did);
        let ack = session.context.send_publish(subject, publish).await?;
        Ok(ack.into_future())
    }

    fn acknowledged(&mut self, ack: &PublishAck) {
        let Some(message) = self.unacked.pop_front() else { return };
        let end = ack.sequence.saturating_add(1);
        if self.stored.is_empty() {
            self.from = self.from.max(Some(end));
        }
        self.window = (self.window * 2).min(MOST_MESSAGES);
        self.retry.succeeded();
        self.in_flight.acknowledge(1, message.bytes(), Some((0, end)));
    }

    /// Returns what an error means for the message at `index`.
    fn classify(&self, error: &PublishError, index: usize) -> End {
        let cause = format_error(error);
        let too_large = |limit| {
            let bytes = self.unacked.get(index).map_or(0, |message| message.payload.len());
            let broker = self.options.target.to_string();
            End::Failed(BrokerError::TooLarge { broker, bytes, cause: cause.clone(), limit })
        };
        let api = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
        match (error.kind(), api.map(jetstream::Error::error_code)) {
            (PublishErrorKind::WrongLastMessageId, _) => End::Interrupted,
            (PublishErrorKind::MaxPayloadExceeded, _) => {
                too_large("max_payload there (some 200 bytes of headers count, too)")
            }
            (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)) => {
                too_large("max_msg_size there (some 200 bytes of headers count, too)")
            }
            (PublishErrorKind::BrokenPipe, _) => End::Lost(cause),
            _ => End::NotStored(cause),
        }
    }
}

async fn oldest(acks: &mut VecDeque<Ack>) -> Result<PublishAck, PublishError> {
    match acks.front_mut() {
        Some(ack) => ack.await,
        None => std::future::pending().await,
    }
}

/// Returns the subject of an account's events, which is the same for all of them.
fn subject(target: &Target, did: &str) -> String {
    match target.partitions {
        Some(count) => {
            format!("{}.{}", target.channel, xxh3_64(did.as_bytes()) % u64::from(count.max(1)))
        }
        None => target.channel.clone(),
    }
}

/// Returns a DID as the value of a header, which has visible characters only. A hostile server may
/// send others.
fn header_value(did: &str) -> String {
    did.chars().filter(|c| c.is_ascii_graphic()).collect()
}
