//! Secrets: no password of a host, a proxy or a URL is logged, printed in an error, saved, or shown
//! by `skytail cursors`. Text of a damaged state file does not act on a terminal.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use crate::support::scripted::Step::{Accept, Answer, Hang, Send};
use crate::support::scripted::{ScriptedServer, close, http, texts};
use crate::support::{Scratch, events, isolate_environment};

const SECRET: &str = "s3cret-hunter2";

fn skytail(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, home);
    // Libraries log as well if asked to.
    command
        .env("SKYTAIL_LOG", "trace,tungstenite::handshake::client=trace")
        .args(args)
        .envs(environment.iter().copied());
    command.output().unwrap()
}

/// Returns all output; fails if it contains the secret, plain or as it is sent.
#[track_caller]
fn output_without_secret(output: &Output) -> String {
    let encoded = data_encoding::BASE64.encode(format!("me:{SECRET}").as_bytes());
    let output = [&output.stdout[..], &output.stderr[..]].concat();
    let output = String::from_utf8(output).unwrap();
    for secret in [SECRET, &encoded, "s3cret"] {
        assert!(!output.contains(secret), "{secret:?} is in {output}");
    }
    output
}

fn with_secret(server: &ScriptedServer) -> String {
    format!("ws://me:{SECRET}@{}", server.host())
}

#[test]
fn the_password_of_a_host_is_sent_but_never_shown_or_saved() {
    let server = ScriptedServer::start([
        vec![Answer(http("503 Busy", "", "later"))],
        vec![Accept, Send(texts(events(3, true))), Hang],
    ]);
    let home = Scratch::new();
    let run = skytail(
        &home.path("."),
        &["tail", "--protocol", "v1", "-n", "3", "--host", &with_secret(&server)],
        &[],
    );
    assert!(run.status.success(), "{run:?}");
    assert!(output_without_secret(&run).contains(&server.host()));
    let sent = server.requests()[1].header("authorization").map(str::to_owned);
    let basic = data_encoding::BASE64.encode(format!("me:{SECRET}").as_bytes());
    assert_eq!(sent, Some(format!("Basic {basic}")));
    let list = skytail(&home.path("."), &["cursors", "list", "--json"], &[]);
    assert!(output_without_secret(&list).contains(&server.host()), "{list:?}");
    for file in walk(&home.path(".")) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET) && !text.contains(&basic), "{}", file.display());
    }
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn refusals_and_redirects_show_no_password() {
    let moved = "Location: https://me:s3cret-hunter2@else.example/?s3cret-hunter2\r\n";
    let server = ScriptedServer::start([
        vec![Answer(http("302 Found", moved, ""))],
        vec![Answer(http("401 No", "", "who are you?"))],
    ]);
    let home = Scratch::new();
    let host = with_secret(&server);
    let flags = ["tail", "--protocol", "v1", "--host", &host, "--max-retries", "3"];
    let run = skytail(&home.path("."), &flags, &[]);
    let output = output_without_secret(&run);
    assert!(output.contains("redirects") && output.contains("https://else.example"), "{output}");
    assert!(output.contains("HTTP 401"), "{output}");
}

/// A proxy that reads a request and gives this answer.
fn proxy(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the test's process if no client comes.
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
    });
    address
}

#[test]
fn the_password_of_a_proxy_is_never_shown() {
    let home = Scratch::new();
    let answers: [(&str, &[u8]); 4] = [
        ("http", b"HTTP/1.1 407 Who \x1b[31mare you\r\n\r\n"),
        ("http", b"\x1b]0;title\x07 no proxy\r\n\r\n"),
        ("socks5h", b"\x05\xff"),
        ("socks5h", b"\x05\x02\x01\x01"),
    ];
    for (scheme, answer) in answers {
        let url = format!("{scheme}://me:{SECRET}@{}", proxy(answer));
        let host = format!("wss://you:{SECRET}@server.invalid");
        let flags = ["tail", "--max-retries", "0", "--no-checkpoint", "--host", &host];
        let run = skytail(&home.path("."), &flags, &[("ALL_PROXY", &url)]);
        let output = output_without_secret(&run);
        assert_eq!(run.status.code(), Some(3), "{output}");
        assert!(output.contains("proxy 127.0.0.1"), "{output}");
        assert!(output.chars().all(|c| c == '\n' || !c.is_control()), "{output:?}");
    }
}

#[test]
fn bad_settings_are_reported_without_their_passwords() {
    let home = Scratch::new();
    let directory = home.path("skytail");
    std::fs::create_dir_all(&directory).unwrap();
    let run = |settings: &str, args: &[&str], environment: &[(&str, &str)]| {
        std::fs::write(directory.join("config.toml"), settings).unwrap();
        let output = skytail(&home.path("."), args, environment);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        output_without_secret(&output)
    };
    let host = format!("wss://me:{SECRET}@h.example?x");
    let output = run(&format!("host = '{host}' x"), &["tail"], &[]);
    assert!(output.contains("is not a TOML file"), "{output}");
    assert!(run(&format!("host = '{host}'"), &["tail"], &[]).contains("…@h.example"));
    assert!(run("", &["tail"], &[("SKYTAIL_HOST", &host)]).contains("SKYTAIL_HOST"));
    assert!(run("", &["tail", "--host", &host], &[]).contains("--host"));
    let host = format!("wss://h.example/subscribe?token={SECRET}");
    assert!(run("", &["tail", "--host", &host], &[]).contains("h.example/subscribe?…\" has a"));
    let to = format!("nats://h.example/s?token={SECRET}");
    assert!(run("", &["tail", "--to", &to], &[]).contains("\"?…\" is not valid here"));
    assert!(run("", &["cursors", "set", "a", "7", "--server", &host], &[]).contains("--server"));
}

#[test]
fn the_password_of_a_dictionary_url_is_never_shown() {
    let home = Scratch::new();
    for url in [
        format!("https://me:{SECRET}@127.0.0.1:1/x?token={SECRET}"),
        format!("https://127.0.0.1:1/x?token=me@{SECRET}"),
        format!("http://me:{SECRET}@127.0.0.1:1/x"),
    ] {
        let run = skytail(&home.path("."), &["dictionary", "install", &url], &[]);
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        assert!(output_without_secret(&run).contains("127.0.0.1:1/x"), "{run:?}");
    }
}

#[test]
fn a_secret_that_a_peer_repeats_is_redacted() {
    // A proxy may return what it received: the password, the pair in base64, and parts of either.
    let pair = data_encoding::BASE64.encode(format!("me:{SECRET}").as_bytes());
    let inner = data_encoding::BASE64.encode(format!("user=me&password={SECRET}&x=1").as_bytes());
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let upper = SECRET.to_uppercase();
    let long = format!("{}{SECRET}", "x".repeat(110));
    let forms =
        [SECRET, &pair, &inner, &format!("{{\"a\":\"{SECRET}\"}}"), &upper, &percent, &long];
    std::thread::scope(|scope| {
        for (i, form) in forms.into_iter().enumerate() {
            let format = if i % 2 == 0 { "text" } else { "json" };
            scope.spawn(move || assert_redacted(form, format));
        }
    });
}

/// Checks that no output has the secret when a server repeats `form` in each of its texts.
fn assert_redacted(form: &str, format: &str) {
    let moved = format!("Location: https://{form}.example/\r\n");
    let reason = &form.as_bytes()[..form.len().min(123)];
    let event = format!("{{\"did\":{form}");
    let body = format!("{{\"error\":\"Bad\",\"message\":\"{form}\"}}");
    let status = format!("HTTP/1.1 407 {form}\r\nContent-Length: 0\r\n\r\n");
    let server = ScriptedServer::start([
        vec![Answer(http("302 Found", &moved, ""))],
        vec![Answer(http("503 Busy", "", &format!("who is {form}?")))],
        vec![Answer(status.into_bytes())],
        vec![Answer(format!("{form} is no HTTP\r\n").into_bytes())],
        vec![Accept, Send(texts([event])), Send(close(1008, reason))],
        vec![Answer(http("401 No", "", &body))],
    ]);
    let home = Scratch::new();
    let host = with_secret(&server);
    let flags = ["tail", "--protocol", "v1", "--max-retries", "6", "--log-format", format];
    let run = skytail(&home.path("."), &[&flags[..], &["--host", &host]].concat(), &[]);
    let output = output_without_secret(&run).to_lowercase();
    for hidden in ["s3cret", "hunter2", "bwu6czn", &form.to_lowercase()] {
        assert!(!output.contains(hidden), "{hidden} is in {output}");
    }
    // Excerpts of two of the answers may end before the secret.
    assert!(output.matches("[redacted]").count() >= 4, "{output}");
}

#[test]
fn the_key_of_the_archive_is_redacted_when_a_server_repeats_it() {
    let key = "key-0123456789abcdef";
    for form in
        [key.to_owned(), data_encoding::BASE64.encode(key.as_bytes()), format!("Bearer {key}")]
    {
        let server = ScriptedServer::start([vec![Answer(http(
            "403 Forbidden",
            "",
            &format!("{form} is no key of ours"),
        ))]]);
        let home = Scratch::new();
        let host = format!("ws://{}", server.host());
        let flags = [
            "tail",
            "--protocol",
            "v2",
            "--archive",
            "auto",
            "--cursor",
            "oldest",
            "--host",
            &host,
            "--max-retries",
            "0",
            "--compress",
            "off",
        ];
        let run = skytail(&home.path("."), &flags, &[("SKYTAIL_API_KEY", key)]);
        let output = String::from_utf8([&run.stdout[..], &run.stderr[..]].concat()).unwrap();
        let requests = server.requests();
        assert_eq!(requests[0].header("authorization"), Some(&*format!("Bearer {key}")));
        assert!(!output.contains(key) && !output.contains(&form), "{output}");
        for file in walk(&home.path(".")) {
            let bytes = std::fs::read(&file).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(&form), "{}", file.display());
        }
        assert!(output.contains("[redacted]"), "{output}");
    }
}

// Guards INV-6.
#[test]
fn a_tampered_state_file_sends_no_control_characters_to_a_terminal() {
    let home = Scratch::new();
    let state = home.path("state.db").display().to_string();
    let cursors = |args: &[&str]| {
        skytail(&home.path("."), &[&["cursors"], args, &["--state", &state]].concat(), &[])
    };
    let set = cursors(&["set", "posts", "7", "--server", "a.example"]);
    assert!(set.status.success(), "{set:?}");
    let evil = "\x1b]0;title\x07\u{9b}2J\u{202e}h";
    let connection = rusqlite::Connection::open(&state).unwrap();
    connection.execute("UPDATE consumers SET set_server = ?1", [evil]).unwrap();
    drop(connection);
    let tail = ["tail", "--consumer", "posts", "--cursor", "auto", "--host", "b.example"];
    let outputs = [
        cursors(&["list"]),
        cursors(&["show", "posts"]),
        skytail(&home.path("."), &[&tail[..], &["--state", &state]].concat(), &[]),
    ];
    for output in outputs {
        let output = [&output.stdout[..], &output.stderr[..]].concat();
        let output = String::from_utf8(output).unwrap();
        assert!(output.contains("title"), "{output:?}");
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!output.contains(acts), "{output:?}");
    }
}
