//! One connection to a server. Finds the stream that takes the subject, gets its end, and reads it
//! back if necessary.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::{
    Context, ContextBuilder, GetStreamByNameErrorKind, GetStreamErrorKind, RequestError,
    RequestErrorKind,
};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{ConnectErrorKind, Event, ServerError};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::options::Options;
use crate::sink::broker::error::BrokerError;
use crate::sink::broker::message::MessageId;
use crate::sink::broker::target::Target;

/// Timeout of an acknowledgement. A healthy server needs milliseconds.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest pause between two messages while the stream is read back.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of messages that are read back: those of a run of hours after one checkpoint.
const MOST_READ_BACK: usize = 2_000_000;
/// Maximum number of events of a connection that wait to be processed.
const MOST_EVENTS: usize = 64;

/// Why a session could not be opened.
#[derive(Debug)]
pub enum NoSession {
    /// A retry may succeed.
    NotNow(String),
    /// No retry can succeed.
    Never(BrokerError),
}

/// A connection.
pub struct Session {
    /// JetStream on the connection.
    pub context: Context,
    /// The events of the connection.
    pub events: mpsc::Receiver<Event>,
    /// The stream.
    stream: String,
    /// The sequence number of the stream's next message.
    pub end: u64,
}

impl Session {
    /// Connects, and finds the stream.
    pub async fn open(options: &Options) -> Result<Self, NoSession> {
        let target = &options.target;
        let (sender, mut events) = mpsc::channel(MOST_EVENTS);
        let connect = options.connect_options(sender).map_err(NoSession::Never)?;
        let servers: Vec<String> =
            target.servers.iter().map(|server| format!("nats://{server}")).collect();
        let client = connect.connect(servers).await.map_err(|error| {
            let cause = format_error(&error);
            match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    NoSession::Never(BrokerError::Denied { broker: target.to_string(), cause })
                }
                _ => NoSession::NotNow(cause),
            }
        })?;
        let context = ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            // `Publisher` limits the number itself.
            .max_ack_inflight(1 << 20);
        let context = match &options.domain {
            Some(domain) => context.domain(domain).build(client),
            None => context.build(client),
        };
        let found = find(&context, target);
        let (stream, end) = tokio::select! {
            biased;
            words = forbidden(&mut events) => {
                return Err(NoSession::Never(not_permitted(target, words)));
            }
            found = found => found?,
        };
        Ok(Self { context, events, stream, end })
    }

    /// Checks that the stream still exists, and updates its end.
    pub async fn check(&mut self, target: &Target) -> Result<(), NoSession> {
        let (stream, end) = find(&self.context, target).await?;
        (self.stream, self.end) = (stream, end);
        Ok(())
    }

    /// Returns the ids of the messages from a sequence number on.
    pub async fn stored_since(&self, from: u64) -> Result<HashSet<MessageId>, String> {
        let mut ids = HashSet::new();
        if self.end <= from {
            return Ok(ids);
        }
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
            headers_only: true,
            ..Default::default()
        };
        let stream = self.context.get_stream(&self.stream).await.map_err(|e| format_error(&e))?;
        let consumer = stream.create_consumer(config).await.map_err(|e| format_error(&e))?;
        if consumer.cached_info().num_pending == 0 {
            return Ok(ids);
        }
        let mut messages = consumer.messages().await.map_err(|e| format_error(&e))?;
        loop {
            let next = tokio::time::timeout(READ_TIMEOUT, messages.next()).await;
            let message = match next {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(format_error(&error)),
                Ok(None) => return Err("the server ended the reading early".to_owned()),
                Err(_) => return Err("the server sends nothing more".to_owned()),
            };
            let headers = message.headers.as_ref();
            let id = headers.and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
            ids.extend(id.and_then(|id| MessageId::parse(id.as_str().as_bytes())));
            if ids.len() > MOST_READ_BACK {
                return Err(format!("there are more than {MOST_READ_BACK} messages"));
            }
            let info = message.info().map_err(|error| error.to_string())?;
            if info.pending == 0 {
                return Ok(ids);
            }
        }
    }
}

/// Returns the stream that takes the subject, and the sequence number of its next message.
async fn find(context: &Context, target: &Target) -> Result<(String, u64), NoSession> {
    let subject = match target.partitions {
        Some(_) => format!("{}.0", target.channel),
        None => target.channel.clone(),
    };
    let name = match context.stream_by_subject(subject.clone()).await {
        Ok(name) => name,
        Err(error) => {
            return Err(match error.kind() {
                GetStreamByNameErrorKind::NotFound => {
                    NoSession::Never(no_stream(context, target, subject).await)
                }
                GetStreamByNameErrorKind::JetStream(api) => no_api(target, &error, Some(&api)),
                _ => no_api(target, &error, None),
            });
        }
    };
    let stream = context.get_stream(&name).await.map_err(|error| match error.kind() {
        GetStreamErrorKind::JetStream(api) => no_api(target, &error, Some(&api)),
        _ => no_api(target, &error, None),
    })?;
    let state = &stream.cached_info().state;
    Ok((name, state.last_sequence.saturating_add(1)))
}

/// Returns the error for a request to JetStream that failed.
fn no_api(
    target: &Target,
    error: &(dyn std::error::Error + 'static),
    api: Option<&jetstream::Error>,
) -> NoSession {
    let cause = format_error(error);
    let is_off = api.is_some_and(|api| {
        let off = [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT];
        off.contains(&api.error_code())
    });
    let mut causes = std::iter::successors(error.source(), |cause| cause.source());
    let has_no_responders = causes.any(|cause| {
        let of_request = cause.downcast_ref::<RequestError>().map(RequestError::kind);
        let of_client = cause.downcast_ref::<async_nats::RequestError>();
        of_request == Some(RequestErrorKind::NoResponders)
            || of_client.is_some_and(|e| e.kind() == async_nats::RequestErrorKind::NoResponders)
    });
    if is_off || has_no_responders {
        let broker = target.to_string();
        return NoSession::Never(BrokerError::NoJetStream { broker, cause });
    }
    NoSession::NotNow(cause)
}

/// Returns the error for a subject that no stream takes. A stream may have the subject's text as
/// its name, and other subjects.
async fn no_stream(context: &Context, target: &Target, subject: String) -> BrokerError {
    let channel = &target.channel;
    let words = match target.partitions {
        Some(_) => format!("'{channel}.*'"),
        None => format!("'{channel}'"),
    };
    let remedy = match context.get_stream(channel).await {
        Ok(stream) => format!(
            "the stream of that name takes {}: write one of these subjects after the host",
            stream.cached_info().config.subjects.join(", ")
        ),
        Err(_) => format!("make one (nats stream add --subjects {words}), or name another subject"),
    };
    let broker = format!("{}://{}", target.kind.scheme(), target.servers.join(","));
    BrokerError::NoStream { broker, subject, remedy }
}

/// Waits until the server reports a missing permission. Returns the server's text.
async fn forbidden(events: &mut mpsc::Receiver<Event>) -> String {
    while let Some(event) = events.recv().await {
        if let Some(words) = permission(&event) {
            return words;
        }
    }
    std::future::pending().await
}

/// Returns the server's text if the event reports a missing permission.
pub fn permission(event: &Event) -> Option<String> {
    match event {
        Event::ServerError(ServerError::Other(words))
            if words.to_ascii_lowercase().contains("permissions violation") =>
        {
            Some(crate::display::printable::printable(words.as_bytes(), 200))
        }
        _ => None,
    }
}

/// Returns the error for a missing permission.
pub fn not_permitted(target: &Target, cause: String) -> BrokerError {
    let needs = format!(
        "publish to {} and $JS.API.>, and subscribe to _INBOX.> (or what inbox says in --to-config)",
        target.channel
    );
    BrokerError::Forbidden { broker: target.to_string(), cause, needs }
}

/// Formats an error with its causes, each once, in printable characters.
pub fn format_error(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = cause.source();
    }
    crate::display::printable::printable(words.as_bytes(), 300)
}
