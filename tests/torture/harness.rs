//! The servers of a round, each behind a proxy that breaks connections.

use std::path::{Path, PathBuf};

use super::profile::Profile;
use super::proxy::{NetworkFaults, Proxy};
use crate::support::ServeProcess;

/// The servers and their proxies, ended on drop.
pub struct Harness {
    recording: PathBuf,
    /// The flags of every start of a server, and the `--chaos` items that last until the final run.
    flags: Vec<String>,
    chaos: String,
    stamps: &'static str,
    losses: &'static [&'static str],
    seed: u64,
    is_live: bool,
    kinds: &'static [&'static str],
    servers: Vec<ServeProcess>,
    proxies: Vec<Proxy>,
    /// The dictionary for zstd.
    pub dictionary: Option<PathBuf>,
    /// How many servers were killed.
    pub kills: u64,
}

impl Harness {
    pub fn start(profile: &Profile, directory: &Path, seed: u64, rng: &mut fastrand::Rng) -> Self {
        let recording = directory.join("recording.ndjson");
        let mut flags: Vec<String> = profile.serve_flags.iter().map(|&f| f.to_owned()).collect();
        if profile.is_live {
            flags.extend(["--rate", "1x", "--restamp"].map(str::to_owned));
        }
        if profile.is_archived {
            let sizes = [["--archive-segment-events", "1000"], ["--archive-block-events", "100"]];
            flags.extend(sizes.concat().into_iter().map(str::to_owned));
        }
        let dictionary = profile.is_compressed.then(|| train(directory, &recording));
        if let Some(dictionary) = &dictionary {
            flags.extend(["--zstd-dictionary".to_owned(), dictionary.display().to_string()]);
        }
        let mut harness = Self {
            recording,
            flags,
            chaos: profile.chaos.to_owned(),
            stamps: profile.stamps,
            losses: profile.losses,
            seed: seed >> 1,
            is_live: profile.is_live,
            kinds: profile.servers,
            servers: Vec::new(),
            proxies: Vec::new(),
            dictionary,
            kills: 0,
        };
        for number in 0..profile.servers.len() {
            let server = harness.serve(number, false);
            let proxy = Proxy::start(profile.faults, rng.fork());
            proxy.set_upstream(Some(server.address));
            harness.servers.push(server);
            harness.proxies.push(proxy);
        }
        harness
    }

    /// Returns the seed of the first server's faults.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the addresses of the proxies.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.proxies.iter().map(|proxy| proxy.address.to_string())
    }

    /// Kills a server. It is unavailable until its replacement has started.
    pub fn kill_a_server(&mut self, rng: &mut fastrand::Rng) {
        let number = rng.usize(0..self.servers.len());
        self.replace(number, false);
        self.kills += 1;
    }

    /// Stops all faults of servers and network.
    pub fn stop_faults(&mut self) {
        for number in 0..self.servers.len() {
            self.proxies[number].faults(NetworkFaults::NONE);
            // A live server has a clock of its own, and one without faults needs no change.
            if !self.is_live && !self.chaos.is_empty() {
                self.replace(number, true);
            }
        }
    }

    /// Returns how many connections ended while the program was running.
    pub fn disconnects(&self) -> u64 {
        self.proxies.iter().map(Proxy::disconnects).sum()
    }

    fn replace(&mut self, number: usize, is_faultless: bool) {
        self.proxies[number].set_upstream(None);
        // Dropping the server kills it, before its replacement starts.
        drop(self.servers.remove(number));
        let server = self.serve(number, is_faultless);
        self.proxies[number].set_upstream(Some(server.address));
        self.servers.insert(number, server);
    }

    fn serve(&self, number: usize, is_faultless: bool) -> ServeProcess {
        let mut flags = self.flags.clone();
        flags.extend(["--server-kind".to_owned(), self.kinds[number].to_owned()]);
        let chaos = self.chaos_of(number, is_faultless);
        if chaos.contains(",") {
            flags.extend(["--chaos".to_owned(), chaos]);
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        ServeProcess::start(&self.recording, &flags)
    }

    fn chaos_of(&self, number: usize, is_faultless: bool) -> String {
        // Servers that omit one event in several must omit different ones.
        let differs = if self.losses.is_empty() { 0 } else { number as u64 };
        let mut items = vec![format!("seed={}", self.seed + differs)];
        let losses = self.losses.get(number).copied();
        items.extend(
            [self.stamps, losses.unwrap_or("")]
                .iter()
                .filter(|i| !i.is_empty())
                .map(|i| (*i).to_owned()),
        );
        if !is_faultless && !self.chaos.is_empty() {
            items.push(self.chaos.clone());
        }
        if self.kinds.len() > 1 {
            items.push(format!("instance={}", number + 1));
        }
        items.join(",")
    }
}

/// Trains a dictionary on the beginning of the recording.
fn train(directory: &Path, recording: &Path) -> PathBuf {
    let text = std::fs::read_to_string(recording).expect("read the recording");
    let head: Vec<&str> = text.lines().take(3000).collect();
    let sample = directory.join("sample.ndjson");
    std::fs::write(&sample, head.join("\n")).expect("write a sample");
    let dictionary = directory.join("dictionary");
    let path = dictionary.to_str().expect("a readable path");
    drop(ServeProcess::start(&sample, &["--write-dictionary", path]));
    dictionary
}
