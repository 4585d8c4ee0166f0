//! `skytail dictionary`: it installs only the right file, and an error names every wrong one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio_rustls::rustls::{ServerConnection, StreamOwned};

use crate::support::tls::{server_config, tls_file};
use crate::support::vectors;

const NAME: &str = "skytail/dictionaries/1612007021.zdict";

struct Home {
    cache: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { cache: tempfile::tempdir().unwrap() }
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_skytail"))
            .arg("dictionary")
            .args(args)
            .env("XDG_CACHE_HOME", self.cache.path())
            .env("NO_PROXY", "*")
            .env("SSL_CERT_FILE", tls_file("ca.pem"))
            .output()
            .unwrap()
    }

    /// Runs the command, expects exit code 1, and returns stderr.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let log = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {log}");
        log
    }

    fn installed(&self) -> PathBuf {
        self.cache.path().join(NAME)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.cache.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Starts an HTTPS server on loopback that answers each connection with the next of these. Returns
/// the URL; joining the thread requires that it has served all.
fn https(answers: Vec<Vec<u8>>) -> (String, JoinHandle<()>) {
    let config = Arc::new(server_config("good.pem"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for answer in answers {
            let (tcp, _) = listener.accept().unwrap();
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, tcp);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            // The client may close before the end.
            let _ = stream.write_all(&answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (format!("https://localhost:{port}/dictionary"), serving)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    [head.as_bytes(), body].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns the official dictionary, which the program knows by its hash, if it is here.
fn official() -> Option<PathBuf> {
    vectors::recorded(["legacy_subscribe.zdict"]).map(|[path]| path)
}

#[test]
fn the_official_file_is_installed_and_shown() {
    let Some(official) = official() else { return };
    let home = Home::new();
    let before = home.run(&["show"]);
    assert_eq!(before.status.code(), Some(1));
    assert!(text(&before.stdout).contains("not installed"));
    let done = home.run(&["install", official.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(done.stdout.is_empty());
    assert!(text(&done.stderr).contains(NAME));
    assert_eq!(fs::read(home.installed()).unwrap(), fs::read(&official).unwrap());
    let shown = home.run(&["show"]);
    assert!(shown.status.success());
    let shown = text(&shown.stdout);
    for part in [
        NAME,
        "1612007021",
        "112640 bytes",
        "b8d77b46933aceecbdd5275a01241efc985c970c78162b8150cf67a26522f70c",
        "valid",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_dictionary_changed_after_installation_is_detected() {
    let Some(official) = official() else { return };
    let home = Home::new();
    home.run(&["install", official.to_str().unwrap()]);
    let mut bytes = fs::read(home.installed()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(home.installed(), bytes).unwrap();
    let log = home.refused(&["show"]);
    assert!(log.contains("SHA-256") && log.contains("dictionary install"), "{log}");
}

#[test]
fn bad_files_are_named_and_not_installed() {
    let home = Home::new();
    let missing = home.refused(&["install", "no/such/file"]);
    assert!(missing.contains("no/such/file"), "{missing}");
    let wrong = home.file("page.html", b"<html>404</html>");
    let log = home.refused(&["install", &wrong]);
    assert!(log.contains("page.html") && log.contains("not a zstd dictionary"), "{log}");
    let endless = home.refused(&["install", "/dev/zero"]);
    assert!(endless.contains("larger than 1 MiB"), "{endless}");
    let samples: Vec<String> = (0..500).map(|n| format!("{{\"n\":{n}}}")).collect();
    let other = home.file("other", &zstd::dict::from_samples(&samples, 4096).unwrap());
    let log = home.refused(&["install", &other]);
    assert!(log.contains("another dictionary"), "{log}");
    if let Some(official) = official() {
        let half = &fs::read(official).unwrap()[..50_000];
        let log = home.refused(&["install", &home.file("half", half)]);
        assert!(log.contains("50000 bytes"), "{log}");
    }
    assert!(!home.installed().exists());
}

#[test]
fn only_https_is_fetched() {
    let home = Home::new();
    for url in ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://h.example/x"] {
        let log = home.refused(&["install", url]);
        assert!(log.contains("only https://"), "{log}");
    }
    let log = home.refused(&["install", "https://127.0.0.1:1/x"]);
    assert!(log.contains("https://127.0.0.1:1/x"), "{log}");
    assert!(!home.installed().exists());
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let Some(official) = official() else { return };
    let home = Home::new();
    // A file in the place of the directory stops root as well.
    home.file("skytail", b"");
    let log = home.refused(&["install", official.to_str().unwrap()]);
    assert!(log.contains("can't install") && log.contains("skytail/dictionaries"), "{log}");
}

#[test]
fn the_official_file_is_fetched_over_https_even_after_a_redirect() {
    let Some(official) = official() else { return };
    let body = fs::read(&official).unwrap();
    let (target, target_serving) = https(vec![ok(&body)]);
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
    let (url, serving) = https(vec![moved.into_bytes()]);
    let home = Home::new();
    let done = home.run(&["install", &url]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(fs::read(home.installed()).unwrap(), body);
    serving.join().unwrap();
    target_serving.join().unwrap();
}

#[test]
fn downloads_that_are_not_the_dictionary_are_not_installed() {
    let home = Home::new();
    for (answer, part) in [
        (ok(b"<html>sign in to the hotel's network</html>"), "not a zstd dictionary"),
        (ok(&vec![0; 2 << 20]), "1048576"),
        (b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec(), "404"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
            "http://127.0.0.1:1/x",
        ),
    ] {
        let (url, serving) = https(vec![answer]);
        let log = home.refused(&["install", &url]);
        assert!(log.contains(part), "{part}: {log}");
        serving.join().unwrap();
    }
    assert!(!home.installed().exists());
}
