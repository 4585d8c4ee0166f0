//! The part of NATS's protocol that tests need, over a plain socket and without code of the client
//! under test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::PATIENCE;

pub struct Wire {
    stream: BufReader<TcpStream>,
    requests: u32,
}

impl Wire {
    /// Connects as soon as the server listens.
    pub fn connect(port: u16, login: Option<(&str, &str)>) -> Self {
        let patience = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < patience, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut wire = Self { stream: BufReader::new(stream), requests: 0 };
        let mut options = json!({"verbose": false, "headers": true, "no_responders": true});
        if let Some((user, pass)) = login {
            options["user"] = user.into();
            options["pass"] = pass.into();
        }
        wire.send(&format!("CONNECT {options}\r\n"));
        wire
    }

    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Returns the next message of a subscription: its subject, headers and payload. Skips late
    /// messages of other subscriptions.
    fn message(&mut self, sid: u32) -> (String, String, String) {
        loop {
            let mut line = String::new();
            assert!(
                self.stream.read_line(&mut line).unwrap() > 0,
                "the server closed the connection"
            );
            let words: Vec<&str> = line.split_whitespace().collect();
            let (kind, last) = (words[0], words[words.len() - 1]);
            match kind {
                "PING" => self.send("PONG\r\n"),
                "MSG" | "HMSG" => {
                    let mut bytes = vec![0; last.parse::<usize>().unwrap() + 2];
                    self.stream.read_exact(&mut bytes).unwrap();
                    bytes.truncate(bytes.len() - 2);
                    let text = String::from_utf8(bytes).unwrap();
                    let headers = match kind {
                        "HMSG" => words[words.len() - 2].parse().unwrap(),
                        _ => 0,
                    };
                    let (headers, payload) = text.split_at(headers);
                    if words[2] == sid.to_string() {
                        return (words[1].to_owned(), headers.to_owned(), payload.to_owned());
                    }
                }
                "-ERR" => panic!("{line}"),
                _ => {}
            }
        }
    }

    /// Sends a request to JetStream, repeatedly until it is available.
    pub fn api(&mut self, what: &str, body: &Value) -> Value {
        let patience = Instant::now() + PATIENCE;
        loop {
            self.requests += 1;
            let (sid, body) = (self.requests, body.to_string());
            let ask = format!(
                "SUB _INBOX.t.{sid} {sid}\r\nUNSUB {sid} 1\r\nPUB $JS.API.{what} _INBOX.t.{sid} {}\r\n{body}\r\n",
                body.len()
            );
            self.send(&ask);
            let (_, headers, answer) = self.message(sid);
            if !headers.contains("503") {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                assert!(answer["error"].is_null(), "{what}: {answer}");
                return answer;
            }
            assert!(Instant::now() < patience, "no JetStream");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Creates a stream for the subjects `NAME` and `NAME.*`.
    pub fn stream(&mut self, name: &str, more: Value) {
        let mut config = json!({
            "name": name, "subjects": [name, format!("{name}.*")], "retention": "limits",
            "storage": "file", "discard": "new", "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "max_consumers": -1, "num_replicas": 1,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api(&format!("STREAM.CREATE.{name}"), &config);
    }

    /// Returns the sequence number of the stream's newest message.
    pub fn newest(&mut self, name: &str) -> u64 {
        let info = self.api(&format!("STREAM.INFO.{name}"), &json!({}));
        info["state"]["last_seq"].as_u64().unwrap()
    }

    /// Returns all messages of the stream: subjects, headers and payloads.
    pub fn stored(&mut self, name: &str) -> Vec<(String, String, String)> {
        self.requests += 1;
        let sid = self.requests;
        let inbox = format!("_INBOX.all.{sid}");
        self.send(&format!("SUB {inbox} {sid}\r\n"));
        let info = self.api(&format!("STREAM.INFO.{name}"), &json!({}));
        let count = info["state"]["messages"].as_u64().unwrap();
        let body = json!({"stream_name": name, "config": {
            "deliver_subject": inbox, "deliver_policy": "all", "ack_policy": "none",
            "replay_policy": "instant", "max_deliver": 1,
        }});
        let body = body.to_string();
        let length = body.len();
        self.send(&format!(
            "PUB $JS.API.CONSUMER.CREATE.{name} _INBOX.unread {length}\r\n{body}\r\n"
        ));
        let stored = (0..count).map(|_| self.message(sid)).collect();
        self.send(&format!("UNSUB {sid}\r\n"));
        stored
    }

    /// Returns the payloads of all messages of the stream.
    pub fn payloads(&mut self, name: &str) -> Vec<String> {
        self.stored(name).into_iter().map(|(_, _, payload)| payload).collect()
    }

    /// Waits until the stream has a message of this number.
    pub fn wait_for(&mut self, name: &str, number: u64) {
        let patience = Instant::now() + PATIENCE;
        while self.newest(name) < number {
            assert!(Instant::now() < patience, "only {} came", self.newest(name));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
