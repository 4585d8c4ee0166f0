//! Chooses the zstd dictionary for each v2 server: from disk or from the server itself. Follows
//! a server that changes its dictionary, and falls back to plain text.
//!
//! Source: protocol/jetstream-v2.md §6. A problem with compression does not prevent a stream,
//! unless the user requires zstd.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::compression::cache::Cache;
use crate::compression::dictionary::Dictionary;
use crate::source::endpoint::Endpoint;
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;

use super::fetch::{DictionaryFetchError, current_id, fetch};

/// Whether to request zstd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZstdPolicy {
    /// Only plain text.
    Off,
    /// zstd if a dictionary is available, plain text otherwise.
    Auto,
    /// zstd, or no stream at all.
    Required,
}

/// Why no dictionary is available for a server.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryUnavailable {
    /// The download failed.
    #[error("the server's zstd dictionary is not available: {0}")]
    Fetch(#[from] DictionaryFetchError),
    /// The server names as current the very dictionary that it refuses.
    #[error("the server refuses the zstd dictionary {0} and names it as its current one")]
    StillRefused(u32),
}

impl DictionaryUnavailable {
    /// Returns whether another attempt is useless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_no_such_endpoint(),
            Self::StillRefused(_) => true,
        }
    }
}

/// How to download a server's dictionary.
#[derive(Clone, Copy, Debug)]
pub struct FetchContext<'a> {
    /// The server.
    pub endpoint: &'a Endpoint,
    /// The proxies of the environment.
    pub proxies: &'a Proxies,
    /// The trusted certificates.
    pub tls: &'a TlsContext,
    /// The time for one download.
    pub timeout: Duration,
}

/// The dictionary to request; `None` for plain text.
pub type DictionaryResult = Result<Option<Arc<Dictionary>>, DictionaryUnavailable>;

/// The dictionaries of a run's v2 servers.
#[derive(Debug)]
pub struct Dictionaries {
    policy: ZstdPolicy,
    /// The dictionary from the user's file, to try first.
    given: Option<Arc<Dictionary>>,
    /// The ID of the dictionary in the user's file, which may be one of v1.
    given_id: Option<u32>,
    cache: Cache,
    servers: Mutex<HashMap<Arc<str>, ServerState>>,
    has_warned_plain_text: AtomicBool,
    has_warned_ignored: AtomicBool,
}

/// What is known about one server.
#[derive(Clone, Debug)]
enum ServerState {
    /// The server accepts this dictionary, as far as is known.
    Uses(Arc<Dictionary>),
    /// No dictionary worked: request plain text.
    PlainText,
}

impl Dictionaries {
    /// Creates the set with the dictionary from the user's file, if there is one.
    #[must_use]
    pub fn new(policy: ZstdPolicy, given: Option<Dictionary>, cache: Cache) -> Self {
        Self {
            policy,
            given_id: given.as_ref().map(|given| given.id),
            given: given.map(Arc::new),
            cache,
            servers: Mutex::default(),
            has_warned_plain_text: AtomicBool::new(false),
            has_warned_ignored: AtomicBool::new(false),
        }
    }

    /// Sets the ID of the dictionary in the user's file, for the warning that a server uses
    /// another one.
    #[must_use]
    pub fn with_given_id(self, given_id: Option<u32>) -> Self {
        Self { given_id, ..self }
    }

    /// Warns, once in a run, that a server compresses with another dictionary than the one in
    /// the user's file.
    fn warn_if_ignored(&self, context: FetchContext<'_>, used: u32) {
        let Some(given) = self.given_id.filter(|given| *given != used) else { return };
        if !self.has_warned_ignored.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                server = %context.endpoint.label,
                "the file of --zstd-dictionary has ID {given} and is not used: this server compresses with the dictionary {used}"
            );
        }
    }

    /// Returns whether to warn that a stream is plain text because there is no dictionary, which
    /// the user could install: `true` once in a run.
    pub fn take_plain_text_warning(&self) -> bool {
        self.policy == ZstdPolicy::Auto && !self.has_warned_plain_text.swap(true, Ordering::Relaxed)
    }

    /// Returns whether the user prefers no stream to a plain-text one.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.policy == ZstdPolicy::Required
    }

    /// Returns the dictionary to request from a server.
    ///
    /// # Errors
    /// [`DictionaryUnavailable`]. A plain-text stream is still possible then, unless
    /// [`Dictionaries::is_required`].
    pub async fn for_server(&self, context: FetchContext<'_>) -> DictionaryResult {
        if self.policy == ZstdPolicy::Off {
            return Ok(None);
        }
        match self.state(context.endpoint) {
            Some(ServerState::Uses(dictionary)) => return Ok(Some(dictionary)),
            Some(ServerState::PlainText) => return Ok(None),
            None => {}
        }
        let found = self.given.clone().or_else(|| self.cache.newest().map(Arc::new));
        let dictionary = match found {
            Some(found) => found,
            None => self.fetch(context, None).await?,
        };
        self.warn_if_ignored(context, dictionary.id);
        self.set_state(context.endpoint, ServerState::Uses(Arc::clone(&dictionary)));
        Ok(Some(dictionary))
    }

    /// Returns the dictionary to request after the server refused one with `message`.
    ///
    /// # Errors
    /// [`DictionaryUnavailable`], as for [`Dictionaries::for_server`].
    pub async fn after_refusal(
        &self,
        refused: u32,
        message: &str,
        context: FetchContext<'_>,
    ) -> DictionaryResult {
        // A message that repeats only the refused ID does not name the current one.
        let current = current_id(message).filter(|id| *id != refused);
        let cached = current.and_then(|id| self.cache.load(id)).map(Arc::new);
        let dictionary = match cached {
            Some(cached) => cached,
            None => self.fetch(context, current).await?,
        };
        if dictionary.id == refused {
            self.set_state(context.endpoint, ServerState::PlainText);
            return Err(DictionaryUnavailable::StillRefused(refused));
        }
        let (server, id) = (&context.endpoint.label, dictionary.id);
        self.warn_if_ignored(context, id);
        tracing::info!(%server, "the server has another zstd dictionary now: {id}, not {refused}");
        self.set_state(context.endpoint, ServerState::Uses(Arc::clone(&dictionary)));
        Ok(Some(dictionary))
    }

    /// Downloads a dictionary. Tries once more if the server names another ID than requested.
    async fn fetch(
        &self,
        context: FetchContext<'_>,
        id: Option<u32>,
    ) -> Result<Arc<Dictionary>, DictionaryFetchError> {
        let once = |id| {
            let deadline = Instant::now() + context.timeout;
            fetch(context.endpoint, context.proxies, context.tls, id, deadline)
        };
        let dictionary = match once(id).await {
            Err(DictionaryFetchError::NotFound(message)) if current_id(&message) != id => {
                once(current_id(&message)).await?
            }
            other => other?,
        };
        tracing::info!(server = %context.endpoint.label, "fetched the zstd dictionary {}", dictionary.id);
        self.cache.keep(&dictionary);
        Ok(Arc::new(dictionary))
    }

    fn state(&self, endpoint: &Endpoint) -> Option<ServerState> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(&endpoint.label).cloned()
    }

    fn set_state(&self, endpoint: &Endpoint, state: ServerState) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(Arc::clone(&endpoint.label), state);
    }
}
