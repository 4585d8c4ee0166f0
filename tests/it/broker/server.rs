//! A `nats-server` for each test, which can be killed, stopped and restarted.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::broker::wire::Wire;
use crate::support::Scratch;

/// A server, killed on drop.
pub struct Nats {
    binary: PathBuf,
    pub port: u16,
    scratch: Scratch,
    child: Option<Child>,
    /// The user and the password of the tests' own connections.
    login: Option<(&'static str, &'static str)>,
}

impl Nats {
    /// Starts a server with JetStream, or returns `None` if this machine has none.
    pub fn start() -> Option<Self> {
        Self::with("", None)
    }

    /// Like [`Nats::start`], with these lines in its configuration file.
    pub fn with(settings: &str, login: Option<(&'static str, &'static str)>) -> Option<Self> {
        let places = std::env::var_os("PATH").unwrap_or_default();
        // Debian's directory, which some PATHs lack.
        let places = std::env::split_paths(&places).chain([PathBuf::from("/usr/sbin")]);
        let found = places.map(|place| place.join("nats-server")).find(|path| path.is_file());
        let binary = crate::support::requires("nats-server", found)?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let scratch = Scratch::new();
        let mut file = std::fs::File::create(scratch.path("nats.conf")).unwrap();
        let store = scratch.path("store");
        writeln!(file, "listen: 127.0.0.1:{port}").unwrap();
        writeln!(file, "jetstream {{ store_dir: {store:?} }}\n{settings}").unwrap();
        let mut nats = Self { binary, port, scratch, child: None, login };
        nats.launch();
        Some(nats)
    }

    /// Starts or restarts the server, and waits until JetStream answers.
    pub fn launch(&mut self) {
        let mut command = Command::new(&self.binary);
        command.arg("-c").arg(self.scratch.path("nats.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        self.wire().api("INFO", &serde_json::json!({}));
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal (`STOP`, `CONT`).
    pub fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Opens a connection for the test.
    pub fn wire(&self) -> Wire {
        Wire::connect(self.port, self.login)
    }

    /// Returns `nats://…/SUBJECT`.
    pub fn to(&self, subject: &str) -> String {
        format!("nats://127.0.0.1:{}/{subject}", self.port)
    }

    /// Writes a file in the server's directory, for example for `--to-config`.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.scratch.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
