//! `skytail tail` against a server that breaks every rule: each fault has its own message and exit
//! code, and no event is lost that could be kept. The server sends only bytes written down in these
//! files; it shares no code with `skytail serve`.

mod answers;
mod filters;
mod frames;
mod gaps;
mod liveness;
mod negotiation;
mod output;
mod resume;
mod v2;
mod v2_zstd;
mod zstd;

use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{Step, texts};

/// A post of number `i` with these stamps.
fn post(i: u64, time_us: u64, seq: Option<u64>) -> String {
    let cursor = seq.map(|seq| format!(r#","cursor":{seq}"#)).unwrap_or_default();
    format!(
        r#"{{"did":"did:plc:a","time_us":{time_us}{cursor},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}"}}}}"#
    )
}

/// Closes the connection after `lines`.
fn cut(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines))]
}

/// Stays connected after `lines`.
fn stay(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines)), Hang]
}
