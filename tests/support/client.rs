//! A small WebSocket client for tests: it connects with a query, reads events, sends messages, and
//! returns how the connection ended.

use std::io::Cursor;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::PATIENCE;

pub struct Client {
    socket: WebSocketStream<TcpStream>,
    dictionary: Option<Vec<u8>>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame: its code and reason.
    Closed(u16, String),
    /// Without a close frame.
    Dropped,
}

/// What the client receives next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event, decompressed if the frame was compressed.
    Event(String),
    End(End),
}

impl Client {
    pub async fn connect(url: &str) -> Self {
        Self::try_connect(url, &[]).await.expect("connect")
    }

    /// Connects with `compress=true` added, and decompresses each frame with this dictionary.
    pub async fn connect_zstd(url: &str, dictionary: Vec<u8>) -> Self {
        let mut client = Self::connect(&format!("{url}&compress=true")).await;
        client.dictionary = Some(dictionary);
        client
    }

    /// Connects with additional headers.
    pub async fn try_connect(url: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        let authority = request.uri().authority().expect("an address").to_string();
        let stream = TcpStream::connect(authority).await?;
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self { socket, dictionary: None })
    }

    /// Makes the client decompress each frame with this dictionary.
    pub fn with_dictionary(mut self, dictionary: Vec<u8>) -> Self {
        self.dictionary = Some(dictionary);
        self
    }

    pub async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("send");
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).await.expect("send");
    }

    /// Sends a ping, waits for its pong, and returns the events that come before it.
    pub async fn ping(&mut self) -> Vec<String> {
        self.socket.send(Message::Ping("skytail".into())).await.expect("ping");
        let mut events = Vec::new();
        loop {
            match self.message().await {
                Ok(Message::Pong(_)) => return events,
                Ok(message) => events.extend(self.event(message)),
                Err(end) => panic!("no pong, but {end:?}"),
            }
        }
    }

    pub async fn next(&mut self) -> Next {
        loop {
            match self.message().await {
                Ok(message) => {
                    if let Some(event) = self.event(message) {
                        return Next::Event(event);
                    }
                }
                Err(end) => return Next::End(end),
            }
        }
    }

    pub async fn take(&mut self, count: usize) -> Vec<String> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            match self.next().await {
                Next::Event(event) => events.push(event),
                Next::End(end) => panic!("{end:?} after {} of {count} events", events.len()),
            }
        }
        events
    }

    /// Returns all events until the connection ends, and how it ended.
    pub async fn rest(&mut self) -> (Vec<String>, End) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Next::Event(event) => events.push(event),
                Next::End(end) => return (events, end),
            }
        }
    }

    async fn message(&mut self) -> Result<Message, End> {
        match timeout(PATIENCE, self.socket.next()).await.expect("a message in time") {
            Some(Ok(Message::Close(Some(frame)))) => {
                Err(End::Closed(frame.code.into(), frame.reason.to_string()))
            }
            Some(Ok(message)) => Ok(message),
            Some(Err(_)) | None => Err(End::Dropped),
        }
    }

    fn event(&self, message: Message) -> Option<String> {
        match message {
            Message::Text(text) => {
                assert!(self.dictionary.is_none(), "text on a zstd connection");
                Some(text.to_string())
            }
            Message::Binary(frame) => {
                let dictionary = self.dictionary.as_ref().expect("binary on a plain connection");
                Some(inflate(&frame, dictionary))
            }
            _ => None,
        }
    }
}

/// Decompresses one frame that must be the only one.
fn inflate(frame: &[u8], dictionary: &[u8]) -> String {
    use std::io::Read as _;
    let mut decoder = zstd::stream::read::Decoder::with_dictionary(Cursor::new(frame), dictionary)
        .expect("a decoder")
        .single_frame();
    let mut text = String::new();
    decoder.by_ref().take(64 << 20).read_to_string(&mut text).expect("a frame");
    assert_eq!(decoder.finish().position(), frame.len() as u64, "one frame only");
    text
}
