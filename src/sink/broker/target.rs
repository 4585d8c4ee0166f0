//! The target of `--to`: the kind of broker, its servers, and the topic or subject. Parsing only:
//! nothing is resolved or dialled here, and every build reads all of it.

use std::fmt;

use percent_encoding::percent_decode_str;

/// Longest value that is parsed, in bytes.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// Longest topic of Kafka, in bytes (its own limit).
const MAX_TOPIC_BYTES: usize = 249;
/// Longest subject, in bytes. A server's line for a message has at most 4,096.
const MAX_SUBJECT_BYTES: usize = 1024;
/// Maximum number of partitions of a NATS subject.
const MAX_PARTITIONS: u16 = 1024;
/// The default port of NATS.
const NATS_PORT: u16 = 4222;
/// The default port of Kafka.
const KAFKA_PORT: u16 = 9092;

/// The two kinds of broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Apache Kafka, or a broker with its protocol.
    Kafka,
    /// NATS with JetStream.
    Nats,
}

impl Kind {
    /// Returns the scheme, which is also the name of the cargo feature.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Nats => "nats",
        }
    }

    /// Returns whether this build has a client for it.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Kafka => cfg!(feature = "kafka"),
            Self::Nats => cfg!(feature = "nats"),
        }
    }
}

/// A topic of Kafka, or a subject of NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The kind of broker.
    pub kind: Kind,
    /// `host:port` of each server to connect to first, in the given order; never empty.
    pub servers: Vec<String>,
    /// The topic or the subject.
    pub channel: String,
    /// Number of subjects `CHANNEL.0`, `CHANNEL.1`, … among which accounts are distributed; NATS
    /// only.
    pub partitions: Option<u16>,
}

impl fmt::Display for Target {
    /// Formats the target as it was given. It is the name in the rows of the state file and has no
    /// secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.kind.scheme(), self.servers.join(","), self.channel)?;
        self.partitions.map_or(Ok(()), |count| write!(f, "?partitions={count}"))
    }
}

/// Why a value of `--to` was refused. No message repeats a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The value has not the form of a target.
    #[error(
        "{0:?} names no broker: write nats://HOST[:PORT]/SUBJECT, kafka://HOST[:PORT]/TOPIC or sqlite:FILE"
    )]
    Form(String),
    /// The value is longer than `MAX_INPUT_BYTES`.
    #[error("the address is too long ({0} bytes)")]
    TooLong(usize),
    /// A user name or a password on the command line.
    #[error(
        "credentials don't belong on a command line, where every user of the machine can read them: put them into a file, and name it with --to-config FILE"
    )]
    Credentials,
    /// A server is invalid.
    #[error("{server:?} is not a server ({reason}): write HOST or HOST:PORT, several with commas")]
    Server {
        /// The given text.
        server: String,
        /// The fault.
        reason: &'static str,
    },
    /// The topic or subject is missing.
    #[error("there is no {what} after {servers:?}: write {scheme}://{servers}/NAME")]
    NoChannel {
        /// `topic` or `subject`.
        what: &'static str,
        /// The servers.
        servers: String,
        /// The scheme.
        scheme: &'static str,
    },
    /// Kafka does not allow this topic.
    #[error(
        "{0:?} is not a topic of Kafka: write letters, digits, dots, dashes and underscores, at most 249"
    )]
    Topic(String),
    /// A client can't publish to this subject.
    #[error(
        "{0:?} is not a subject to publish to: write words with dots between them, without blanks, * and >"
    )]
    Subject(String),
    /// The query is unknown or invalid.
    #[error("{0:?} is not valid here: only a NATS subject may have ?partitions=N, from 1 to 1024")]
    Query(String),
}

/// Parses `kafka://broker[,broker]/TOPIC` or `nats://host[,host]/SUBJECT[?partitions=N]`.
///
/// # Errors
/// [`TargetError`] says which part of the value is wrong.
pub fn parse(input: &str) -> Result<Target, TargetError> {
    if input.len() > MAX_INPUT_BYTES {
        return Err(TargetError::TooLong(input.len()));
    }
    parse_parts(input).map_err(|error| match error {
        // A part of an invalid value may be a password.
        TargetError::TooLong(_) => error,
        _ if input.contains('@') => TargetError::Credentials,
        error => error,
    })
}

fn parse_parts(input: &str) -> Result<Target, TargetError> {
    let form = || TargetError::Form(without_query(input));
    let (scheme, rest) = input.split_once("://").ok_or_else(form)?;
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (servers, channel) = rest.split_once('/').unwrap_or((rest, ""));
    if servers.contains('@') {
        return Err(TargetError::Credentials);
    }
    let kind = match scheme {
        "kafka" => Kind::Kafka,
        "nats" => Kind::Nats,
        _ => return Err(form()),
    };
    let servers: Vec<String> =
        servers.split(',').map(|text| server(text, kind)).collect::<Result<_, _>>()?;
    let channel = match percent_decode_str(channel).decode_utf8() {
        Ok(channel) => channel.into_owned(),
        Err(_) => return Err(TargetError::Subject(channel.to_owned())),
    };
    check_channel(&channel, kind, &servers)?;
    let partitions = query.map(|query| partitions(query, kind)).transpose()?;
    Ok(Target { kind, servers, channel, partitions })
}

/// Removes a query, which may hold a token.
fn without_query(input: &str) -> String {
    match input.split_once(['?', '#']) {
        Some((plain, _)) => format!("{plain}?…"),
        None => input.to_owned(),
    }
}

fn server(text: &str, kind: Kind) -> Result<String, TargetError> {
    let refused = |reason| Err(TargetError::Server { server: text.to_owned(), reason });
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.is_empty() {
        return refused("it has no name");
    }
    let is_address = host.starts_with('[') && host.ends_with(']');
    if host.contains(':') && !is_address {
        return refused("an IPv6 address must be in brackets");
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || "\\\"'#;".contains(c)) {
        return refused("it has a character that no name has");
    }
    let port = match port.map(str::parse) {
        None if kind == Kind::Kafka => KAFKA_PORT,
        None => NATS_PORT,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return refused("its port is not between 1 and 65535"),
    };
    Ok(format!("{host}:{port}"))
}

fn check_channel(channel: &str, kind: Kind, servers: &[String]) -> Result<(), TargetError> {
    let what = if kind == Kind::Kafka { "topic" } else { "subject" };
    if channel.is_empty() {
        let (servers, scheme) = (servers.join(","), kind.scheme());
        return Err(TargetError::NoChannel { what, servers, scheme });
    }
    match kind {
        Kind::Kafka => {
            let is_sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let is_reserved = matches!(channel, "." | "..");
            if channel.len() > MAX_TOPIC_BYTES || is_reserved || !channel.chars().all(is_sound) {
                return Err(TargetError::Topic(channel.to_owned()));
            }
        }
        Kind::Nats => {
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || "*>/".contains(c);
            let is_sound = |word: &str| !word.is_empty() && !word.contains(is_odd);
            // Subjects that begin with a dollar sign belong to the server.
            let is_reserved = channel.starts_with('$') || channel.starts_with("_INBOX.");
            if channel.len() > MAX_SUBJECT_BYTES || is_reserved || !channel.split('.').all(is_sound)
            {
                return Err(TargetError::Subject(channel.to_owned()));
            }
        }
    }
    Ok(())
}

fn partitions(query: &str, kind: Kind) -> Result<u16, TargetError> {
    let count = query.strip_prefix("partitions=");
    let refused = || match count {
        Some(count) => TargetError::Query(format!("?partitions={count}")),
        None => TargetError::Query("?…".to_owned()),
    };
    if kind != Kind::Nats {
        return Err(refused());
    }
    let count = count.ok_or_else(refused)?;
    let count: u16 = count.parse().map_err(|_| refused())?;
    if (1..=MAX_PARTITIONS).contains(&count) { Ok(count) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_meant() {
        for (given, shown) in [
            ("nats://n/FIREHOSE", "nats://n:4222/FIREHOSE"),
            ("nats://n:1,[::1]/a.b", "nats://n:1,[::1]:4222/a.b"),
            ("nats://n/a?partitions=8", "nats://n:4222/a?partitions=8"),
            ("kafka://a,b:9/x-y_z", "kafka://a:9092,b:9/x-y_z"),
        ] {
            let target = parse(given).unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(parse(shown).unwrap(), target);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (given, said) in [
            ("", "names no broker"),
            ("FIREHOSE", "names no broker"),
            ("amqp://h/q", "names no broker"),
            ("nats://", "has no name"),
            ("nats://h", "no subject after"),
            ("kafka://h/", "no topic after"),
            ("nats://h:0/s", "port"),
            ("nats://h:99999/s", "port"),
            ("nats://::1/s", "brackets"),
            ("kafka://a,,b/t", "has no name"),
            ("nats://h/a.*", "not a subject to publish to"),
            ("nats://h/a..b", "not a subject to publish to"),
            ("nats://h/$JS.API", "not a subject to publish to"),
            ("nats://h/a%20b", "not a subject to publish to"),
            ("kafka://h/a b", "not a topic of Kafka"),
            ("kafka://h/a/b", "not a topic of Kafka"),
            ("kafka://h/t?partitions=2", "is not valid here"),
            ("nats://h/s?partitions=0", "is not valid here"),
            ("nats://h/s?x=1", "is not valid here"),
        ] {
            let error = parse(given).unwrap_err().to_string();
            assert!(error.contains(said), "{given}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for given in [
            "nats://me:hidden@h/s",
            "kafka://me:hidden@h/t",
            "me:hidden@h",
            "x://a:hidden@b",
            "nats://me:hidden/1@h/s",
            "nats://me:hidden?1@h/s",
        ] {
            let error = parse(given).unwrap_err();
            assert_eq!(error, TargetError::Credentials);
            assert!(!error.to_string().contains("hidden"));
        }
        for given in ["https://h/s?token=hidden", "nats://h/s?token=hidden", "h?token=hidden"] {
            assert!(!parse(given).unwrap_err().to_string().contains("hidden"));
        }
    }
}
