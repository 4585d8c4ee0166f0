//! From a server's name to the lines of one connection, in the protocol that is wanted and to
//! be had.
//!
//! Knows what v1 and v2 have in common, and nothing of reconnecting: that is the reader's.

mod error;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::compression::dictionary::Dictionary;
use crate::compression::inflate::Inflater;
use crate::event::shape::Shape;
use crate::filter::Filter;
use crate::metrics::Metrics;

use super::Asked;
use super::archive::fetch::Way as ArchiveWay;
use super::archive::key::ApiKey;
use super::archive::sweep::Sweep;
use super::archive::{Beginning, SweepError};
use super::dial;
use super::endpoint::Endpoint;
use super::handshake::{self, HandshakeError, Upgraded};
use super::protocol::Protocol;
use super::protocols::{Plan, Protocols};
use super::proxy::Proxies;
use super::stream::{About, Limits, Stream};
use super::tls::TlsContext;
use super::v2::dictionaries::{Dictionaries, DictionaryTrouble, Way};
use super::v2::fetch::FetchError;
use super::v2::intake::Intake;
use super::{v1, v2};

pub use error::ConnectError;

/// How often a server may change its mind about the dictionary within one connecting.
const MAX_ROTATIONS: usize = 3;

/// What is mixed into the fingerprint of a v2 stream: it carries syncs and what a repair
/// restored, and leaves out kinds that v1 always sends (protocol/jetstream-v2.md §2, §7), so
/// that a hole in one proves nothing about the other.
const V2_STREAM: u64 = 0x7632_0000_0000_7632;

/// The same for the archive: it leaves out what later events have superseded (archive §7), and
/// what was written of it proves nothing about the stream.
const ARCHIVE_STREAM: u64 = 0x6a73_7330_0000_6a73;

/// What all connections of a run have in common.
#[derive(Debug)]
pub struct Client {
    /// What to ask for.
    pub filter: Filter,
    /// Which protocol, and what is known of the servers.
    pub protocols: Protocols,
    /// The shape of v2 events.
    pub shape: Shape,
    /// Proxies from the environment.
    pub proxies: Arc<Proxies>,
    /// Trust.
    pub tls: Arc<TlsContext>,
    /// Time for all steps of one connection together.
    pub connect_timeout: Duration,
    /// Largest message, in bytes, after decompression.
    pub max_message_bytes: usize,
    /// v1's dictionary, if zstd is to be asked for there.
    pub v1_dictionary: Option<Dictionary>,
    /// The dictionaries of v2 servers.
    pub dictionaries: Dictionaries,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// One connection to be made.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The server.
    pub endpoint: &'a Endpoint,
    /// Where it shall begin.
    pub asked: Asked,
    /// Without zstd, whatever else is said of it.
    pub is_plain: bool,
    /// Tells the run's connections apart.
    pub number: u64,
    /// Whether a server without v2 must not be asked for a sequence number: it would take a
    /// small one for an instant long ago (protocol/jetstream-v1.md §4.2).
    pub keeps_seq: bool,
}

impl Client {
    /// Connects, and asks for events.
    ///
    /// # Errors
    /// [`ConnectError`]. Where neither protocol is to be had, it is what v1 was answered.
    pub async fn connect(&self, wish: Wish<'_>) -> Result<Stream, ConnectError> {
        let Plan { first, second } = self.protocols.plan(wish.endpoint, &self.filter);
        self.protocols.explain(wish.endpoint, &self.filter);
        let error = match self.speak(first, wish).await {
            Ok(stream) => return Ok(self.connected(stream, wish)),
            Err(error) => error,
        };
        let Some(second) = second.filter(|_| error.is_no_server_of(first)) else {
            return Err(error);
        };
        let server = &wish.endpoint.label;
        if wish.keeps_seq && first == Protocol::V2 {
            return Err(ConnectError::NoSequence { server: Arc::clone(server) });
        }
        tracing::info!(%server, "no {first} here ({error}): asking for {second}");
        match self.speak(second, wish).await {
            Ok(stream) => Ok(self.connected(stream, wish)),
            Err(_) if first == Protocol::V1 => Err(error),
            Err(error) => Err(error),
        }
    }

    fn connected(&self, stream: Stream, wish: Wish<'_>) -> Stream {
        let protocol = stream.protocol();
        self.protocols.know(wish.endpoint, protocol);
        self.metrics.protocol.set(if protocol == Protocol::V2 { 2 } else { 1 });
        let server = &wish.endpoint.label;
        tracing::info!(%server, %protocol, asked = %wish.asked, "connected");
        stream
    }

    /// Returns whether a server's archive may be read, as far as is known. It may also hold what
    /// the v2 stream can't be asked for: a plan takes longer lists, and rows are filtered here.
    #[must_use]
    pub fn may_have_archive(&self, endpoint: &Endpoint) -> bool {
        self.protocols.pinned(endpoint) != Some(Protocol::V1)
    }

    /// What tells positions in the archive from those in a stream.
    #[must_use]
    pub fn archive_stream(&self) -> u64 {
        (self.filter.fingerprint() ^ ARCHIVE_STREAM).max(1)
    }

    /// Begins to read a server's archive.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn sweep(
        &self,
        endpoint: &Endpoint,
        beginning: Beginning,
        key: Option<ApiKey>,
        parallelism: usize,
    ) -> Result<Sweep, SweepError> {
        let way = ArchiveWay {
            endpoint: endpoint.clone(),
            proxies: Arc::clone(&self.proxies),
            tls: Arc::clone(&self.tls),
            key,
            connect_timeout: self.connect_timeout,
            metrics: Arc::clone(&self.metrics),
        };
        Sweep::begin(Arc::new(way), beginning, self.filter.clone(), self.shape, parallelism).await
    }

    async fn speak(&self, protocol: Protocol, wish: Wish<'_>) -> Result<Stream, ConnectError> {
        match protocol {
            Protocol::V1 => self.speak_v1(wish).await,
            Protocol::V2 => self.speak_v2(wish).await,
        }
    }

    async fn speak_v1(&self, wish: Wish<'_>) -> Result<Stream, ConnectError> {
        let dictionary = self.v1_dictionary.as_ref().filter(|_| !wish.is_plain);
        if dictionary.is_none() && self.dictionaries.is_demanded() && !wish.is_plain {
            let server = Arc::clone(&wish.endpoint.label);
            return Err(ConnectError::NoDictionary { server });
        }
        let inflater = inflater(dictionary, wish)?;
        let subscription =
            v1::request::Subscription::new(&self.filter, wish.asked, inflater.is_some());
        let request = handshake::Request {
            path: v1::PATH.into(),
            query: subscription.query,
            ..handshake::Request::default()
        };
        let deadline = Instant::now() + self.connect_timeout;
        let upgraded = self.upgrade(wish, &request, deadline).await?;
        if inflater.is_none() && !wish.is_plain && self.dictionaries.is_to_be_told() {
            tracing::warn!(
                "receiving uncompressed, which takes twice the bytes: for zstd with v1, install the dictionary with `skytail dictionary install` (--compress off says nothing)"
            );
        }
        let stream = self.filter.fingerprint();
        let mut stream = self.stream(upgraded, inflater, None, stream, wish);
        stream.narrow_by(subscription.narrow);
        if let Some(hello) = subscription.hello {
            let said = stream.say(&hello, deadline).await;
            said.map_err(|e| in_handshake(wish, HandshakeError::Cut(e)))?;
        }
        Ok(stream)
    }

    async fn speak_v2(&self, wish: Wish<'_>) -> Result<Stream, ConnectError> {
        let way = Way {
            endpoint: wish.endpoint,
            proxies: &self.proxies,
            tls: &self.tls,
            timeout: self.connect_timeout,
        };
        let mut trouble = None;
        let mut dictionary = match wish.is_plain {
            true => None,
            false => self.or_plain(self.dictionaries.of(way).await, wish, &mut trouble)?,
        };
        let mut rotations = 0;
        let upgraded = loop {
            let id = dictionary.as_ref().map(|dictionary| dictionary.id);
            let request = handshake::Request {
                path: v2::PATH.into(),
                query: v2::request::query(&self.filter, wish.asked, id),
                subprotocols: vec![v2::SUBPROTOCOL.into()],
                ..handshake::Request::default()
            };
            // A time of its own: a server that is slow with its dictionary may still stream.
            let deadline = Instant::now() + self.connect_timeout;
            let error = match self.upgrade(wish, &request, deadline).await {
                Ok(upgraded) => break upgraded,
                Err(error) => error,
            };
            let (Some(id), true) = (id, error.xrpc_name() == Some("UnknownZstdDictionary")) else {
                return Err(error);
            };
            rotations += 1;
            let found = match rotations > MAX_ROTATIONS {
                true => Err(DictionaryTrouble::SameAgain(id)),
                false => self.dictionaries.instead_of(id, error.xrpc_message(), way).await,
            };
            dictionary = self.or_plain(found, wish, &mut trouble)?;
        };
        if let Some(trouble) = trouble {
            let server = &wish.endpoint.label;
            tracing::warn!(%server, "{trouble}; receiving uncompressed");
        }
        let inflater = inflater(dictionary.as_deref(), wish)?;
        let intake = Some(Intake::new(self.shape));
        let stream = (self.filter.fingerprint() ^ V2_STREAM).max(1);
        Ok(self.stream(upgraded, inflater, intake, stream, wish))
    }

    /// Without a dictionary the stream is plain, unless zstd is demanded. What to say of that
    /// waits until there is a stream: a server of v1 has no dictionary by nature.
    fn or_plain(
        &self,
        found: v2::dictionaries::Found,
        wish: Wish<'_>,
        trouble: &mut Option<DictionaryTrouble>,
    ) -> Result<Option<Arc<Dictionary>>, ConnectError> {
        match found {
            Ok(found) => Ok(found),
            // A server that can't be reached has more to say than that it has no dictionary.
            Err(DictionaryTrouble::Fetch(FetchError::Dial(error))) => Err(error.into()),
            Err(source) if self.dictionaries.is_demanded() => {
                let server = Arc::clone(&wish.endpoint.label);
                Err(ConnectError::Dictionary { server, source })
            }
            Err(source) => {
                *trouble = Some(source);
                Ok(None)
            }
        }
    }

    async fn upgrade(
        &self,
        wish: Wish<'_>,
        request: &handshake::Request,
        deadline: Instant,
    ) -> Result<Upgraded, ConnectError> {
        let transport = dial::dial(wish.endpoint, &self.proxies, &self.tls, deadline).await?;
        let upgraded = handshake::upgrade(transport, wish.endpoint, request, deadline).await;
        upgraded.map_err(|source| in_handshake(wish, source))
    }

    fn stream(
        &self,
        upgraded: Upgraded,
        inflater: Option<Inflater>,
        intake: Option<Intake>,
        stream: u64,
        wish: Wish<'_>,
    ) -> Stream {
        let limits = Limits { max_message_bytes: self.max_message_bytes };
        let about = About {
            label: Arc::clone(&wish.endpoint.label),
            stream,
            asked: wish.asked,
            number: wish.number,
        };
        Stream::new(upgraded, limits, inflater, intake, about, Arc::clone(&self.metrics))
    }
}

fn in_handshake(wish: Wish<'_>, source: HandshakeError) -> ConnectError {
    ConnectError::Handshake { server: Arc::clone(&wish.endpoint.label), source }
}

fn inflater(
    dictionary: Option<&Dictionary>,
    wish: Wish<'_>,
) -> Result<Option<Inflater>, ConnectError> {
    let inflater = dictionary.map(|dictionary| Inflater::new(&dictionary.bytes)).transpose();
    inflater.map_err(|source| ConnectError::BadDictionary {
        server: Arc::clone(&wish.endpoint.label),
        source,
    })
}
