//! The consumer: the name that a cursor is saved under. A name that the user chose is checked. By
//! default the name is derived from filters and output, so that the same command finds the same
//! cursor again.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::cli::values::keywords::keyword;
use crate::event::header::Kind;
use crate::filter::{Filter, Markers};
use crate::settings::{ListNames, OutputSettings, To};
use crate::sink::sqlite;
use crate::source::endpoint::Endpoint;

/// Longest derived name; a longer one is shortened.
const MAX_DERIVED_BYTES: usize = 80;
/// Bytes of a shortened name that show filters.
const SHOWN_BYTES: usize = 56;
/// Characters of a file's name, or of an expression, that a derived name shows.
const SHOWN_CHARS: usize = 32;
/// Most ports that a derived name lists.
const MAX_PORTS: usize = 4;
/// Longest name that a user may choose, in characters.
const MAX_CHOSEN_CHARS: usize = 200;

/// A name that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a consumer name: write 1 to 200 printable characters without spaces")]
pub struct InvalidName(String);

/// Checks a name that the user chose.
///
/// # Errors
/// [`InvalidName`] unless it has 1 to 200 characters, none of them white space or a control
/// character.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let printable = |c: char| !c.is_whitespace() && !c.is_control() && !is_invisible(c);
    if (1..=MAX_CHOSEN_CHARS).contains(&name.chars().count()) && name.chars().all(printable) {
        Ok(())
    } else {
        Err(InvalidName(name.to_owned()))
    }
}

/// Returns whether the character is invisible or reorders the text around it. Names must not hold
/// one, so that two names that look the same are the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// The output, as far as it is part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    /// A file, a rotation of files, or a channel of a broker.
    Named {
        /// `file`, or the scheme of the broker.
        kind: &'static str,
        /// The part that people recognise: the file name or the channel.
        label: String,
        /// The unique address: the whole path or URL.
        address: String,
    },
}

impl Destination {
    /// Returns the destination of these settings. The path of a directory is made canonical, so
    /// that it is the same however it is reached.
    pub fn new(output: Option<&OutputSettings>, to: Option<&To>) -> Self {
        if let Some(To::Database(to)) = to {
            let path = sqlite::absolute(&to.path).unwrap_or_else(|_| to.path.clone());
            let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let address = path.to_string_lossy().into_owned();
            return Self::Named { kind: "sqlite", label, address };
        }
        if let Some(To::Broker(to)) = to {
            let mut servers = to.target.servers.clone();
            servers.sort();
            let (kind, channel) = (to.target.kind.scheme(), &to.target.channel);
            let address = format!("{kind}://{}/{channel}", servers.join(","));
            return Self::Named { kind, label: channel.clone(), address };
        }
        let Some(output) = output else { return Self::Stdout };
        let naming = &output.naming;
        let directory = crate::platform::canonical(&naming.directory);
        let directory = directory.unwrap_or_else(|_| naming.directory.clone());
        let address = directory.join(&naming.name).to_string_lossy().into_owned();
        Self::Named { kind: "file", label: naming.name.clone(), address }
    }
}

/// Returns the name for these filters, servers and output. It depends on the set of filters, not
/// on their order, and not on which public server is read. State files hold it: a change of this
/// function orphans the cursors that people saved.
pub fn derive(
    filter: &Filter,
    endpoints: &[Endpoint],
    demo: bool,
    destination: &Destination,
) -> String {
    derive_with(filter, &ListNames::default(), endpoints, demo, destination)
}

/// Returns the name for these filters, of which some lists have names of their own: those whose
/// files are read again, so that their content is not part of the consumer's name.
pub fn derive_with(
    filter: &Filter,
    lists: &ListNames,
    endpoints: &[Endpoint],
    demo: bool,
    destination: &Destination,
) -> String {
    let mut name = shorten(&parts(filter, lists));
    if demo {
        name = format!("demo:{name}");
    } else if is_local(endpoints) {
        name = format!("{name}@localhost:{}", ports(endpoints));
    }
    if let Destination::Named { kind, label, address } = destination {
        let hash = hash(&format!("{kind}\0{address}"));
        name = format!("{name}+{kind}:{}-{hash}", plain(label));
    }
    name
}

/// Returns the filters in short words; `all` if there are none.
pub fn describe(filter: &Filter, lists: &ListNames) -> String {
    shorten(&parts(filter, lists))
}

/// Returns the name that 0.1.0 derived from these filters and servers; it ignored the output.
pub fn derive_0_1_0(filter: &Filter, endpoints: &[Endpoint], demo: bool) -> String {
    let name = shorten(&parts(filter, &ListNames::default()));
    match demo {
        true => format!("demo:{name}"),
        false if is_local(endpoints) => format!("{name}@localhost"),
        false => name,
    }
}

fn is_local(endpoints: &[Endpoint]) -> bool {
    !endpoints.is_empty() && endpoints.iter().all(is_loopback)
}

/// Returns the ports, each once, or a hash if there are many.
fn ports(endpoints: &[Endpoint]) -> String {
    let ports: BTreeSet<u16> = endpoints.iter().map(|endpoint| endpoint.port).collect();
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    if ports.len() > MAX_PORTS { hash(&list) } else { list }
}

/// Returns the start of a text, with `_` in place of what is not plain in a name.
pub fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-%".contains(c);
    text.chars().take(SHOWN_CHARS).map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// Returns the first 32 bits of the SHA-256 hash as hexadecimal digits.
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect()
}

/// Returns the filters as words, in an order that does not depend on that of the flags.
fn parts(filter: &Filter, lists: &ListNames) -> Vec<String> {
    let mut parts = lists.collection.clone().unwrap_or_else(|| filter.collections.patterns());
    parts.extend(lists.did.clone().unwrap_or_else(|| {
        let mut dids: Vec<String> = filter.dids.iter().cloned().collect();
        dids.sort();
        dids
    }));
    // These rules imply commits, so the kind would only make the name longer.
    let of_commits =
        !filter.collections.is_empty() || !filter.operations.is_empty() || filter.reads_records();
    if !(of_commits && filter.kinds == [Kind::Commit]) {
        parts.extend(sorted("kind", filter.kinds.iter().map(keyword)));
    }
    parts.extend(sorted("operation", filter.operations.iter().map(keyword)));
    if let Some(bytes) = filter.max_message_bytes {
        parts.push(format!("max:{bytes}"));
    }
    let excluded = lists.exclude.clone().unwrap_or_else(|| filter.excluded.patterns());
    parts.extend(sorted("exclude", excluded.into_iter()));
    parts.extend(sorted("lang", filter.languages.ranges().iter().cloned()));
    parts.extend(filter.grep.as_ref().map(|grep| {
        let text = grep.text();
        format!("grep:{}-{}", plain(text), hash(&format!("grep\0{text}")))
    }));
    parts.extend(filter.sample.map(|sample| format!("sample:{sample}")));
    parts.extend((filter.markers == Markers::Asked).then(|| "markers".to_owned()));
    parts
}

fn sorted(prefix: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = words.map(|word| format!("{prefix}:{word}")).collect();
    words.sort();
    words.dedup();
    words
}

/// Joins all parts. If that is too long: the first parts, the number of the others, and a hash of
/// all parts.
fn shorten(parts: &[String]) -> String {
    if parts.is_empty() {
        return "all".to_owned();
    }
    let full = parts.join("+");
    if full.len() <= MAX_DERIVED_BYTES {
        return full;
    }
    let mut shown = String::new();
    let mut count = 0;
    for part in parts {
        if shown.len() + part.len() > SHOWN_BYTES {
            break;
        }
        shown.push_str(part);
        shown.push('+');
        count += 1;
    }
    if count == 0
        && let Some(first) = parts.first()
    {
        // A single part that is too long. DIDs and NSIDs are ASCII.
        shown.extend(first.chars().take(SHOWN_BYTES));
        shown.push_str("...+");
        count = 1;
    }
    let hash = hash(&full);
    format!("{shown}{}-more-{hash}", parts.len() - count)
}

fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || host.ends_with(".localhost") || address.is_some_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests;
