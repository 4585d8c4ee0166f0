//! `--did HANDLE`: resolved by DNS and by HTTPS before any other connection, or refused with a
//! reason. The DNS and HTTPS servers here send only what these tests contain.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use crate::support::tail::{Ended, TailProcess, tail_command};
use crate::support::tls::{server_config, tls_file};
use crate::support::{PATIENCE, Scratch, ServeProcess, events};
#[cfg(unix)]
use crate::support::{isolate_environment, pty::Pty};
use tokio_rustls::rustls::{ServerConnection, StreamOwned};

/// The DNS answer for a name.
#[derive(Clone)]
enum DnsAnswer {
    /// These TXT records, each of these strings.
    Texts(Vec<Vec<String>>),
    /// The name does not exist.
    Nothing,
    /// A server failure.
    Failure,
}

fn texts(records: &[&str]) -> DnsAnswer {
    DnsAnswer::Texts(records.iter().map(|record| vec![(*record).to_owned()]).collect())
}

/// A DNS server for TXT records; other names do not exist.
fn dns(names: &[(&str, DnsAnswer)]) -> SocketAddr {
    let names: HashMap<String, DnsAnswer> =
        names.iter().map(|(name, has)| ((*name).to_owned(), has.clone())).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut question) {
            let answer = answer(&question[..length], &names);
            let _ = socket.send_to(&answer, peer);
        }
    });
    address
}

/// RFC 1035 §4: the question again, and its answer.
fn answer(question: &[u8], names: &HashMap<String, DnsAnswer>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..at + 1 + length].to_vec()).unwrap());
        at += 1 + length;
    }
    let section = &question[12..at + 5];
    assert_eq!(section[section.len() - 4..], [0, 16, 0, 1], "the question is for TXT and IN");
    let name = labels.join(".").to_lowercase();
    let has = names.get(&name).cloned().unwrap_or(DnsAnswer::Nothing);
    let (code, records) = match has {
        DnsAnswer::Texts(records) => (0, records),
        DnsAnswer::Nothing => (3, Vec::new()),
        DnsAnswer::Failure => (2, Vec::new()),
    };
    let mut answer = question[..2].to_vec();
    answer.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    answer.extend_from_slice(section);
    for strings in records {
        let data: Vec<u8> = strings
            .iter()
            .flat_map(|text| [&[text.len() as u8][..], text.as_bytes()].concat())
            .collect();
        answer.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        answer.extend_from_slice(&data);
    }
    answer
}

/// A proxy that is also the server behind it, with the certificate of `other.example`: it answers
/// CONNECT, then TLS, then one request after another with these heads and bodies.
fn web(answers: Vec<String>) -> SocketAddr {
    let config = Arc::new(server_config("other.pem"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let connect = head(&mut stream);
            assert!(connect.starts_with("CONNECT other.example:443 "), "{connect}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(tls, stream);
            let request = head(&mut stream);
            assert!(request.contains("Host: other.example\r\n"), "{request}");
            // The client may close before the end.
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
        }
    });
    address
}

fn head(stream: &mut impl std::io::Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn moved(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

/// A server of 100 events, of which `did:plc:even` has 50.
struct Fixture {
    home: Scratch,
    server: ServeProcess,
}

impl Fixture {
    fn new() -> Self {
        let home = Scratch::new();
        let server = ServeProcess::start(&home.recording(&events(100, true)), &[]);
        Self { home, server }
    }

    /// Runs a tail of all events of an account, with this DNS server and an optional proxy.
    fn tail(&self, account: &str, dns: SocketAddr, proxy: Option<SocketAddr>) -> Ended {
        let (host, dns) = (self.server.address.to_string(), dns.to_string());
        let flags = ["--host", &host, "-d", account, "--dns-server", &dns];
        let more = ["--cursor", "oldest", "--exit-when-live", "-v", "--connect-timeout", "4s"];
        let mut command = tail_command(&self.home.path("."), &[&flags[..], &more[..]].concat());
        self.proxied(&mut command, proxy);
        TailProcess::of(command).wait()
    }

    /// Sends HTTPS through the proxy, or to a port on which nothing listens: never to the network.
    fn proxied(&self, command: &mut Command, proxy: Option<SocketAddr>) {
        let proxy = proxy.map_or("127.0.0.1:1".to_owned(), |address| address.to_string());
        command.env("HTTPS_PROXY", format!("http://{proxy}"));
        command.env("SSL_CERT_FILE", tls_file("ca.pem"));
    }
}

#[track_caller]
fn assert_prints_even(ended: &Ended) {
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.rest.len(), 50, "{}", ended.stderr);
    assert!(ended.rest.iter().all(|line| line.contains("did:plc:even")));
}

#[track_caller]
fn assert_fails(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{}", ended.stderr);
    assert!(ended.rest.is_empty());
    for words in words {
        assert!(ended.stderr.contains(words), "{words:?} is not in {}", ended.stderr);
    }
    assert!(!ended.stderr.chars().any(|c| c.is_control() && c != '\n'), "{:?}", ended.stderr);
}

#[test]
fn a_handle_is_resolved_by_dns_and_names_the_consumer_of_its_did() {
    let fixture = Fixture::new();
    // A record split into two strings, between other records.
    let split = DnsAnswer::Texts(vec![
        vec!["v=spf1 -all".into()],
        vec!["did=did:plc".into(), ":even".into()],
    ]);
    let dns = dns(&[("_atproto.even.test", split)]);
    for account in ["even.test", "@Even.TEST", "did:plc:even"] {
        let ended = fixture.tail(account, dns, None);
        assert_prints_even(&ended);
        assert!(ended.stderr.contains("as \"did:plc:even@localhost:"), "{}", ended.stderr);
        let is_handle = !account.starts_with("did:");
        assert_eq!(ended.stderr.contains("even.test is did:plc:even (DNS)"), is_handle);
    }
}

#[test]
fn a_list_may_mix_handles_and_dids() {
    let fixture = Fixture::new();
    let dns = dns(&[("_atproto.even.test", texts(&["did=did:plc:even"]))]);
    let list = fixture.home.path("accounts.txt");
    std::fs::write(&list, "# who\n@even.test\neven.test\ndid:plc:even\n").unwrap();
    assert_prints_even(&fixture.tail(&format!("@{}", list.display()), dns, None));
}

#[test]
fn two_handles_are_followed() {
    let fixture = Fixture::new();
    let even = ("_atproto.even.test", texts(&["did=did:plc:even"]));
    let dns = dns(&[even, ("_atproto.odd.test", texts(&["did=did:plc:odd"]))]);
    for (accounts, count) in [("even.test,@odd.test", 90), ("odd.test", 40)] {
        let ended = fixture.tail(accounts, dns, None);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert_eq!(ended.rest.len(), count, "{}", ended.stderr);
    }
}

#[test]
fn https_is_asked_if_dns_has_no_record() {
    let fixture = Fixture::new();
    let nothing = dns(&[("_atproto.other.example", texts(&["unrelated"]))]);
    let ended = fixture.tail("other.example", nothing, Some(web(vec![ok("did:plc:even\n")])));
    assert_prints_even(&ended);
    assert!(ended.stderr.contains("other.example is did:plc:even (HTTPS)"), "{}", ended.stderr);
    let failing = dns(&[("_atproto.other.example", DnsAnswer::Failure)]);
    assert_prints_even(&fixture.tail(
        "other.example",
        failing,
        Some(web(vec![ok("did:plc:even")])),
    ));
    let redirects =
        vec![moved("/else"), moved("https://other.example/did?x=1"), ok("did:plc:even")];
    assert_prints_even(&fixture.tail("other.example", nothing, Some(web(redirects))));
}

#[test]
fn records_that_conflict_are_an_error_and_https_is_not_asked() {
    let fixture = Fixture::new();
    let conflict = texts(&["did=did:plc:even", "did=did:plc:odd"]);
    let dns = dns(&[("_atproto.other.example", conflict)]);
    let ended = fixture.tail("other.example", dns, Some(web(vec![ok("did:plc:even")])));
    let words = ["more than one DID", "did:plc:even", "did:plc:odd", "give the DID"];
    assert_fails(&ended, 1, &words);
}

#[test]
fn an_answer_that_is_not_a_did_is_an_error_that_quotes_it() {
    let fixture = Fixture::new();
    let nothing = dns(&[]);
    for (answers, words) in [
        (vec![ok("<html>\u{1b}[2J hello")], "which is not a DID"),
        (vec![ok(&"x".repeat(100_000))], "which is not a DID"),
        (vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()], "HTTPS answered 404"),
        (vec![moved("http://other.example/")], "only 3 redirects to https://"),
        (vec![moved("/a"), moved("/b"), moved("/c"), moved("/d")], "only 3 redirects"),
        (vec![moved("https://user:secret@other.example/")], "only 3 redirects"),
        (vec!["nonsense\r\n\r\n".into()], "HTTPS gave no answer"),
    ] {
        let ended = fixture.tail("other.example", nothing, Some(web(answers)));
        assert_fails(&ended, 1, &[words, "no did= in a TXT record of _atproto.other.example"]);
    }
    let no_did = dns(&[("_atproto.other.example", texts(&["did=did:PLC:even"]))]);
    let ended = fixture.tail("other.example", no_did, None);
    assert_fails(&ended, 1, &["names \"did:PLC:even\", which is not a DID"]);
}

#[test]
fn without_an_answer_the_exit_code_is_that_of_giving_up() {
    let fixture = Fixture::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ended = fixture.tail("even.test", silent.local_addr().unwrap(), None);
    assert_fails(
        &ended,
        3,
        &["--did: even.test can't be resolved", "DNS gave no answer", "HTTPS failed"],
    );
}

#[test]
fn the_stream_is_dialled_only_after_the_handle_is_resolved() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let home = Scratch::new();
    let dns = dns(&[]).to_string();
    let flags = ["--host", &host, "-d", "even.test", "--dns-server", &dns];
    let mut command = tail_command(&home.path("."), &flags);
    command.env("HTTPS_PROXY", "http://127.0.0.1:1");
    let ended = TailProcess::of(command).wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    let refused = listener.accept().map(|(stream, _): (TcpStream, _)| stream);
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
#[cfg(unix)]
fn top_shows_the_handle_that_the_user_gave() {
    let fixture = Fixture::new();
    let dns = dns(&[("_atproto.even.test", texts(&["did=did:plc:even"]))]).to_string();
    let (home, mut pty) = (Scratch::new(), Pty::open());
    let host = format!("ws://{}", fixture.server.address);
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &home.path("."));
    command.args(["top", "--cursor", "oldest", "--host", &host, "-d", "even.test"]);
    command.args(["--dns-server", &dns]).env("TERM", "xterm");
    command.stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
    let mut child = command.spawn().unwrap();
    drop(command);
    pty.started();
    let shown = pty.redraw_until(|shown| shown.contains("even.test"));
    assert!(shown.contains("even.test"), "{shown:?}");
    pty.type_keys("q");
    pty.read_to_end();
    assert!(child.wait().unwrap().success());
}
