//! Which dictionary each v2 server is asked to compress with: found on disk or fetched, changed
//! when the server changes it, and given up where that leads nowhere.
//!
//! Source: protocol/jetstream-v2.md §6. Compression problems are no reason to have no stream,
//! unless zstd was demanded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::compression::cache::Cache;
use crate::compression::dictionary::Dictionary;
use crate::source::endpoint::Endpoint;
use crate::source::proxy::Proxies;
use crate::source::tls::TlsContext;

use super::fetch::{FetchError, fetch, named_id};

/// Whether zstd is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Plain text only.
    Never,
    /// Where it can be had.
    IfPossible,
    /// Or no stream at all.
    Always,
}

/// Why a server that must compress can't be asked to.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryTrouble {
    /// It could not be fetched.
    #[error("the server's zstd dictionary can't be had: {0}")]
    Fetch(#[from] FetchError),
    /// The server names as current the very dictionary that it refuses.
    #[error("the server refuses the zstd dictionary {0} and names it as its current one")]
    SameAgain(u32),
}

impl DictionaryTrouble {
    /// Whether asking again is useless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_no_such_endpoint(),
            Self::SameAgain(_) => true,
        }
    }
}

/// How dictionaries are fetched.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The server.
    pub endpoint: &'a Endpoint,
    /// Proxies from the environment.
    pub proxies: &'a Proxies,
    /// Trust.
    pub tls: &'a TlsContext,
    /// Time for one dictionary.
    pub timeout: Duration,
}

/// A dictionary to ask with, or why there is none.
pub type Found = Result<Option<Arc<Dictionary>>, DictionaryTrouble>;

/// The dictionaries of a run's v2 servers.
#[derive(Debug)]
pub struct Dictionaries {
    demand: Demand,
    /// The one that a person named, to begin with.
    given: Option<Arc<Dictionary>>,
    /// The ID of the one that a person named, whichever protocol it is of.
    named: Option<u32>,
    cache: Cache,
    servers: Mutex<HashMap<Arc<str>, Server>>,
    is_told: AtomicBool,
    is_ignored_told: AtomicBool,
}

/// What is known of one server.
#[derive(Clone, Debug)]
enum Server {
    /// It takes, or took, this one.
    Has(Arc<Dictionary>),
    /// It is not to be understood.
    Plain,
}

impl Dictionaries {
    /// Nothing is known yet but the dictionary that a person named.
    #[must_use]
    pub fn new(demand: Demand, given: Option<Dictionary>, cache: Cache) -> Self {
        Self {
            demand,
            named: given.as_ref().map(|given| given.id),
            given: given.map(Arc::new),
            cache,
            servers: Mutex::default(),
            is_told: AtomicBool::new(false),
            is_ignored_told: AtomicBool::new(false),
        }
    }

    /// The same, and a person named the dictionary with this ID.
    #[must_use]
    pub fn with_named(self, named: Option<u32>) -> Self {
        Self { named, ..self }
    }

    /// Warns, once in a run, that a server compresses with another dictionary than the one that
    /// a person named.
    fn warn_if_ignored(&self, way: Way<'_>, used: u32) {
        let Some(named) = self.named.filter(|named| *named != used) else { return };
        if !self.is_ignored_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                server = %way.endpoint.label,
                "the file of --zstd-dictionary has ID {named} and is not used: this server compresses with the dictionary {used}"
            );
        }
    }

    /// Whether it is time to say, once in a run, that a stream is plain for lack of a
    /// dictionary that a person could install.
    pub fn is_to_be_told(&self) -> bool {
        self.demand == Demand::IfPossible && !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// Whether no stream is better than a plain one.
    #[must_use]
    pub fn is_demanded(&self) -> bool {
        self.demand == Demand::Always
    }

    /// The dictionary to ask a server with; `None` for plain text.
    ///
    /// # Errors
    /// [`DictionaryTrouble`] where there is none. Without it a plain stream may still be had,
    /// unless [`Dictionaries::is_demanded`].
    pub async fn of(&self, way: Way<'_>) -> Found {
        if self.demand == Demand::Never {
            return Ok(None);
        }
        match self.known(way.endpoint) {
            Some(Server::Has(dictionary)) => return Ok(Some(dictionary)),
            Some(Server::Plain) => return Ok(None),
            None => {}
        }
        let found = self.given.clone().or_else(|| self.cache.newest().map(Arc::new));
        let dictionary = match found {
            Some(found) => found,
            None => self.fetch(way, None).await?,
        };
        self.warn_if_ignored(way, dictionary.id);
        self.know(way.endpoint, Server::Has(Arc::clone(&dictionary)));
        Ok(Some(dictionary))
    }

    /// The dictionary to ask with instead of one that the server refused in these words.
    ///
    /// # Errors
    /// [`DictionaryTrouble`], as for [`Dictionaries::of`].
    pub async fn instead_of(&self, refused: u32, message: &str, way: Way<'_>) -> Found {
        // The number of the refused one says nothing: it may only be repeated there.
        let named = named_id(message).filter(|id| *id != refused);
        let cached = named.and_then(|id| self.cache.load(id)).map(Arc::new);
        let dictionary = match cached {
            Some(cached) => cached,
            None => self.fetch(way, named).await?,
        };
        if dictionary.id == refused {
            self.know(way.endpoint, Server::Plain);
            return Err(DictionaryTrouble::SameAgain(refused));
        }
        let (server, id) = (&way.endpoint.label, dictionary.id);
        self.warn_if_ignored(way, id);
        tracing::info!(%server, "the server has another zstd dictionary now: {id}, not {refused}");
        self.know(way.endpoint, Server::Has(Arc::clone(&dictionary)));
        Ok(Some(dictionary))
    }

    /// From now on this server is asked for plain text.
    pub fn give_up(&self, endpoint: &Endpoint) {
        self.know(endpoint, Server::Plain);
    }

    /// Fetches, once more where the server names another ID than was asked for.
    async fn fetch(&self, way: Way<'_>, id: Option<u32>) -> Result<Arc<Dictionary>, FetchError> {
        let once = |id| {
            let deadline = Instant::now() + way.timeout;
            fetch(way.endpoint, way.proxies, way.tls, id, deadline)
        };
        let dictionary = match once(id).await {
            Err(FetchError::NotFound(message)) if named_id(&message) != id => {
                once(named_id(&message)).await?
            }
            other => other?,
        };
        tracing::info!(server = %way.endpoint.label, "fetched the zstd dictionary {}", dictionary.id);
        self.cache.keep(&dictionary);
        Ok(Arc::new(dictionary))
    }

    fn known(&self, endpoint: &Endpoint) -> Option<Server> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(&endpoint.label).cloned()
    }

    fn know(&self, endpoint: &Endpoint, server: Server) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(Arc::clone(&endpoint.label), server);
    }
}
