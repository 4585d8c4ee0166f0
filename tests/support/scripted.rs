//! A server that sends only the bytes written down in a test: TCP in a thread, and one script for
//! each connection, in order. It shares no code with `skytail serve`, because one misreading of the
//! protocol could hide in both.
//!
//! Dropping it fails the test if a script was never reached, or if the client closed the connection
//! while a script still waited for it.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::PATIENCE;

/// One action of the server.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads the request and answers 101 with the right key.
    Accept,
    /// Like [`Step::Accept`], with additional whole header lines.
    AcceptWith(&'static str),
    /// Reads the request and answers with these bytes.
    Answer(Vec<u8>),
    Send(Vec<u8>),
    /// Sends a ping and waits for its pong, so that the client has read everything before it.
    Sync,
    /// Waits for a frame with this opcode.
    WaitFor(u8),
    /// Answers pings and sends nothing else until the client closes the connection.
    OnlyPongs,
    /// Sends these bytes repeatedly, with this pause, until the client closes the connection.
    Drip(Vec<u8>, Duration),
    /// Waits until the test opens the gate.
    Gate(Arc<AtomicBool>),
    /// Waits. It sets the pace of a server; no test depends on it for its result.
    Pause(Duration),
    /// Does nothing until the client closes the connection: for the client, a peer that vanished.
    Hang,
}

/// What the client sent on one connection.
#[derive(Clone, Debug, Default)]
pub struct ReceivedRequest {
    /// The whole request head.
    pub head: String,
    /// The client's frames, unmasked: opcode and payload.
    pub frames: Vec<(u8, Vec<u8>)>,
}

impl ReceivedRequest {
    /// Returns the path with its query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Returns the decoded values of a query parameter.
    pub fn query(&self, name: &str) -> Vec<String> {
        let query = self.target().split_once('?').map_or("", |(_, query)| query);
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

#[derive(Debug, Default)]
struct Seen {
    connections: Vec<ReceivedRequest>,
    complaints: Vec<String>,
}

/// The server. It listens until its last script has begun and refuses later connections.
#[derive(Debug)]
pub struct ScriptedServer {
    pub address: SocketAddr,
    scripts: usize,
    seen: Arc<Mutex<Seen>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedServer {
    /// Serves the scripts, one connection each.
    pub fn start(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let scripts: Vec<Vec<Step>> = scripts.into_iter().collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let count = scripts.len();
        let thread = std::thread::spawn({
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            move || serve(listener, scripts, &seen, &is_over)
        });
        Self { address, scripts: count, seen, is_over, thread: Some(thread) }
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns what the client has sent so far, one entry for each connection.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.seen.lock().unwrap().connections.clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes a thread that waits for a client.
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().map(JoinHandle::join);
        if std::thread::panicking() {
            return;
        }
        assert!(matches!(ended, Some(Ok(()))), "the scripted server panicked");
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.connections.len(), self.scripts, "connections made, and scripts written");
        assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
    }
}

fn serve(listener: TcpListener, scripts: Vec<Vec<Step>>, seen: &Mutex<Seen>, is_over: &AtomicBool) {
    let mut listener = Some(listener);
    let last = scripts.len().saturating_sub(1);
    for (number, script) in scripts.into_iter().enumerate() {
        let Some(Ok((stream, _))) = listener.as_ref().map(TcpListener::accept) else { return };
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        if number == last {
            listener = None;
        }
        seen.lock().unwrap().connections.push(ReceivedRequest::default());
        let mut connection = Connection { stream, is_upgraded: false, seen };
        if let Err(complaint) = connection.play(script) {
            seen.lock().unwrap().complaints.push(format!("connection {number}: {complaint}"));
        }
    }
}

/// A connection that follows its script.
struct Connection<'a> {
    stream: TcpStream,
    /// Whether the client sends frames.
    is_upgraded: bool,
    seen: &'a Mutex<Seen>,
}

impl Connection<'_> {
    fn play(&mut self, script: Vec<Step>) -> Result<(), String> {
        self.stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
        self.stream.set_write_timeout(Some(PATIENCE)).expect("set a timeout");
        self.stream.set_nodelay(true).expect("set an option");
        for step in script {
            let what = format!("{step:.60?}");
            match self.step(step) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => return Err(format!("{what}: {e}")),
            }
        }
        // Sends FIN, not a reset: the client must still receive what was sent.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.hang();
        Ok(())
    }

    /// Returns whether the client is still connected.
    fn step(&mut self, step: Step) -> io::Result<bool> {
        match step {
            Step::Accept => self.accept("")?,
            Step::AcceptWith(headers) => self.accept(headers)?,
            Step::Answer(bytes) => {
                self.read_head()?;
                self.stream.write_all(&bytes)?;
            }
            // A client that has all it needs may close the connection in the middle.
            Step::Send(bytes) => return Ok(self.stream.write_all(&bytes).is_ok()),
            Step::Sync => {
                if self.stream.write_all(&ping(b"sync")).is_err() {
                    return Ok(false);
                }
                self.wait_for(10)?;
            }
            Step::WaitFor(opcode) => self.wait_for(opcode)?,
            Step::OnlyPongs => self.only_pongs(),
            Step::Drip(bytes, pause) => {
                while self.stream.write_all(&bytes).is_ok() {
                    std::thread::sleep(pause);
                }
                return Ok(false);
            }
            Step::Gate(is_open) => {
                let patience = Instant::now() + PATIENCE;
                while !is_open.load(Ordering::SeqCst) && Instant::now() < patience {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            Step::Pause(pause) => std::thread::sleep(pause),
            Step::Hang => self.hang(),
        }
        Ok(true)
    }

    fn accept(&mut self, headers: &str) -> io::Result<()> {
        let request = self.read_head()?;
        let key = request.header("sec-websocket-key").unwrap_or_default();
        let mut answer = switching(&derive_accept_key(key.as_bytes()));
        // Before the empty line.
        answer.splice(answer.len() - 2..answer.len() - 2, headers.bytes());
        self.stream.write_all(&answer)?;
        self.is_upgraded = true;
        Ok(())
    }

    fn read_head(&mut self) -> io::Result<ReceivedRequest> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let mut seen = self.seen.lock().unwrap();
        let request = seen.connections.last_mut().expect("entered at accept");
        request.head = head;
        Ok(request.clone())
    }

    fn wait_for(&mut self, wanted: u8) -> io::Result<()> {
        while self.frame()?.0 != wanted {}
        Ok(())
    }

    fn only_pongs(&mut self) {
        while let Ok((opcode, payload)) = self.frame() {
            if opcode == 9 && self.stream.write_all(&frame(0x8a, &payload)).is_err() {
                return;
            }
        }
    }

    /// Reads until the client closes the connection, without answering.
    fn hang(&mut self) {
        while self.is_upgraded && self.frame().is_ok() {}
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    /// Reads the client's next frame, unmasks it and records it.
    fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut start = [0; 2];
        self.stream.read_exact(&mut start)?;
        let opcode = start[0] & 0x0f;
        if start[0] & 0xf0 != 0x80 || start[1] & 0x80 == 0 {
            let mut seen = self.seen.lock().unwrap();
            seen.complaints.push(format!("a client frame begins {start:02x?}"));
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = match start[1] & 0x7f {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.stream.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        self.stream.read_exact(&mut mask)?;
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.stream.read_exact(&mut payload)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let mut seen = self.seen.lock().unwrap();
        let request = seen.connections.last_mut().expect("entered at accept");
        request.frames.push((opcode, payload.clone()));
        Ok((opcode, payload))
    }
}

/// Returns a 101 answer with this `Sec-WebSocket-Accept`.
pub fn switching(accept: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// Returns an HTTP answer with a body; `headers` are whole lines.
pub fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// Returns an unmasked frame with this first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..=125 => frame.push(u8::try_from(n).unwrap()),
        n @ 126..=0xffff => {
            frame.push(126);
            frame.extend(u16::try_from(n).unwrap().to_be_bytes());
        }
        n => {
            frame.push(127);
            frame.extend(u64::try_from(n).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Returns a text message.
pub fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x81, payload.as_ref())
}

/// Returns text messages, one after another.
pub fn texts<T: AsRef<[u8]>>(payloads: impl IntoIterator<Item = T>) -> Vec<u8> {
    payloads.into_iter().flat_map(text).collect()
}

/// Returns a binary message.
pub fn binary(payload: &[u8]) -> Vec<u8> {
    frame(0x82, payload)
}

/// Returns a ping.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    frame(0x89, payload)
}

/// Returns a close frame.
pub fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}
