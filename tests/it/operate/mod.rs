//! What other programs see of a `skytail tail`: metrics and health over HTTP, messages to a service
//! manager, the status line on SIGUSR1. Also checks `docs/operations`.

mod documents;
mod hostile;
mod manager;
mod scrape;
mod security;
mod status;

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::tail::tail_command;
use crate::support::{PATIENCE, Scratch, ServeProcess, events};

/// A tail whose stdout is discarded, and whose stderr the test reads line by line.
pub(crate) struct MonitoredTail {
    child: Child,
    stderr: Receiver<String>,
    _home: Option<Scratch>,
}

impl MonitoredTail {
    /// Starts a tail of this host; `change` sets what the test is about.
    fn start(host: &str, flags: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let home = Scratch::new();
        let mut tail = Self::start_in(&home.path("."), host, flags, change);
        tail._home = Some(home);
        tail
    }

    /// Starts a tail of this host with the state file in this directory.
    pub(crate) fn start_in(
        directory: &Path,
        host: &str,
        flags: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = tail_command(directory, &["--host", host]);
        command.args(flags).stdout(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().expect("start skytail");
        let pipe = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, stderr) = channel();
        std::thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, stderr, _home: None }
    }

    /// Returns the next line of stderr that contains these words.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(left) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => others.push(line),
                Err(_) => panic!("stderr lacks {words:?}: {others:#?}"),
            }
        }
    }

    /// Returns the address of the metrics.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        let line = self.says("serving metrics at http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split_once("/metrics").unwrap().0.parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends the tail with SIGTERM; the exit code must be 0.
    fn stop(self) {
        self.signal("TERM");
        self.ends();
    }

    /// Waits for the end after a SIGTERM.
    #[track_caller]
    pub(crate) fn ends(self) {
        self.ends_with(0);
    }

    /// Waits for the end after a SIGTERM; returns the lines of stderr that no one has read.
    #[track_caller]
    pub(crate) fn ends_after(mut self) -> Vec<String> {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.stderr.iter().collect()
    }

    /// Waits for the end; the exit code must be `code`.
    #[track_caller]
    pub(crate) fn ends_with(mut self, code: i32) {
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
    }
}

impl Drop for MonitoredTail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server that sends this many events and then stays silent.
fn serve(count: u64) -> (Scratch, ServeProcess) {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(count, true)), &[]);
    (scratch, server)
}

/// Starts a tail of all events of a server, with metrics on a free port.
fn start_monitored(server: &ServeProcess, flags: &[&str]) -> MonitoredTail {
    let flags = [&["--metrics-listen", "0", "--cursor", "oldest", "-v"], flags].concat();
    MonitoredTail::start(&server.address.to_string(), &flags, |_| {})
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    head: String,
    pub(crate) body: String,
}

/// Sends a request and reads until the connection closes.
fn ask(address: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

fn get(address: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    ask(address, &request).expect("no answer came")
}

/// Repeats the request until the answer is as wanted.
#[track_caller]
pub(crate) fn get_until(
    address: SocketAddr,
    path: &str,
    wanted: impl Fn(&Answer) -> bool,
) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(address, path);
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
