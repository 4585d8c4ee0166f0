//! The options of a connection: the address, and the keys of `--to-config`.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use tokio::sync::mpsc;

use crate::display::secrets;
use crate::sink::broker::BrokerSettings;
use crate::sink::broker::error::BrokerError;
use crate::sink::broker::target::Target;

/// Timeout for TCP, TLS and the server's greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent server is pinged; two lost answers end a connection.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Maximum number of commands that wait for the socket: more than there are unacknowledged
/// messages, so that queueing one never waits for a server that is down.
const CAPACITY: usize = 16 * 1024;

/// The settings of a connection. `Debug` shows no secret.
#[derive(Clone)]
pub struct Options {
    /// The servers and the subject.
    pub target: Target,
    /// The domain of JetStream, if it is not the server's own.
    pub domain: Option<String>,
    login: Login,
    /// Whether to require TLS; `None` if the server decides.
    tls: Option<bool>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    inbox: Option<String>,
}

#[derive(Clone, Default)]
struct Login {
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    nkey: Option<String>,
    credentials: Option<String>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Options {
    /// Checks the keys, and reads the files that they name.
    ///
    /// # Errors
    /// [`BrokerError::Setting`].
    pub fn new(settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let mut options = Self {
            target: settings.target.clone(),
            domain: None,
            login: Login::default(),
            tls: None,
            ca: None,
            certificate: None,
            key: None,
            inbox: None,
        };
        for (key, value) in settings.config.iter() {
            let text = || Some(value.to_owned());
            match key {
                "user" => options.login.user = text(),
                "password" => options.login.password = text(),
                "token" => options.login.token = text(),
                "nkey" => options.login.nkey = text(),
                "credentials" => {
                    let file = read(key, value)?;
                    // A token and a seed, between lines of dashes.
                    file.lines().filter(|line| !line.starts_with('-')).for_each(secrets::register);
                    options.login.credentials = Some(file);
                }
                "tls" => options.tls = Some(boolean(key, value)?),
                "tls.ca" => options.ca = Some(file(key, value)?),
                "tls.certificate" => options.certificate = Some(file(key, value)?),
                "tls.key" => options.key = Some(file(key, value)?),
                "domain" => options.domain = text(),
                "inbox" => options.inbox = text(),
                _ => {
                    let known = "NATS knows user, password, token, nkey, credentials, tls, tls.ca, tls.certificate, tls.key, domain and inbox here";
                    return setting(key, known);
                }
            }
        }
        if options.certificate.is_some() != options.key.is_some() {
            return setting("tls.certificate", "it needs tls.key: give both");
        }
        if options.login.user.is_some() != options.login.password.is_some() {
            return setting("user", "it needs password: give both");
        }
        Ok(options)
    }

    /// Returns the options of one connection, which sends its events to `events`.
    ///
    /// # Errors
    /// [`BrokerError::Setting`] if the credentials are invalid.
    pub fn connect_options(
        &self,
        events: mpsc::Sender<Event>,
    ) -> Result<ConnectOptions, BrokerError> {
        let mut options = ConnectOptions::new()
            .name("skytail")
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(Some(CONNECT_TIMEOUT))
            .ping_interval(PING_EVERY)
            .client_capacity(CAPACITY)
            // After a lost connection the publisher sends unacknowledged messages again on a new
            // connection. The library must not, because it does not keep their order.
            .max_reconnects(self.target.servers.len())
            .event_callback(move |event| {
                let events = events.clone();
                async move {
                    let _ = events.try_send(event);
                }
            });
        let login = &self.login;
        if let (Some(user), Some(password)) = (&login.user, &login.password) {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &login.token {
            options = options.token(token.clone());
        }
        if let Some(seed) = &login.nkey {
            options = options.nkey(seed.clone());
        }
        if let Some(text) = &login.credentials {
            let with = options.credentials(text);
            options = with.map_err(|error| BrokerError::Setting {
                key: "credentials".to_owned(),
                problem: format!("this is not a credentials file of NATS ({error})"),
            })?;
        }
        if self.requires_tls() {
            options = options.require_tls(true);
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if let Some(prefix) = &self.inbox {
            options = options.custom_inbox_prefix(prefix.clone());
        }
        Ok(options)
    }

    /// Returns whether the connection must use TLS: if the user asked for it, or if a password or
    /// token would cross a network. An nkey, also one in credentials, only signs, so it stays
    /// secret.
    fn requires_tls(&self) -> bool {
        let sends_secret = self.login.password.is_some() || self.login.token.is_some();
        let is_remote = !self.target.servers.iter().all(|server| is_local(server));
        self.tls.unwrap_or(sends_secret && is_remote)
    }
}

fn is_local(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

fn setting<T>(key: &str, problem: &str) -> Result<T, BrokerError> {
    Err(BrokerError::Setting { key: key.to_owned(), problem: problem.to_owned() })
}

fn boolean(key: &str, value: &str) -> Result<bool, BrokerError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => setting(key, "write true or false"),
    }
}

fn file(key: &str, value: &str) -> Result<PathBuf, BrokerError> {
    read(key, value).map(|_| PathBuf::from(value))
}

/// Maximum size of a file with credentials or certificates.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

fn read(key: &str, path: &str) -> Result<String, BrokerError> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(cause) => setting(key, &format!("can't read {path}: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::broker::config::Config;
    use crate::sink::broker::target::parse;

    fn options(target: &str, config: &str) -> Result<Options, String> {
        let config = Config::parse(config).unwrap();
        let settings = BrokerSettings { target: parse(target).unwrap(), config };
        Options::new(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_told_in_the_open_to_this_machine_alone_or_by_order() {
        let hides = |target: &str, config: &str| options(target, config).unwrap().requires_tls();
        let login = "user = me\npassword = secret";
        assert!(hides("nats://far.example/s", login));
        assert!(hides("nats://localhost,far.example/s", "token = t"));
        assert!(!hides("nats://localhost,127.0.0.1,[::1]:9/s", login));
        assert!(!hides("nats://far.example/s", &format!("{login}\ntls = false")));
        assert!(!hides("nats://far.example/s", "nkey = seed"));
        assert!(hides("nats://localhost/s", "tls = true"));
    }

    #[test]
    fn a_key_that_means_nothing_is_named_and_no_value_is_told() {
        for (config, said) in [
            ("pasword = secret", "pasword: NATS knows"),
            ("tls = secret", "tls: write true or false"),
            ("user = secret", "user: it needs password"),
            ("credentials = /nowhere/x", "credentials: can't read /nowhere/x"),
        ] {
            let error = options("nats://h/s", config).unwrap_err();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
        let options = options("nats://h/s", "token = secret").unwrap();
        assert!(!format!("{options:?}").contains("secret"));
    }
}
