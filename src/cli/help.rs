//! The longer texts of the help. Flags explain themselves where they are defined.

/// The widest that help is printed; terminals that are narrower get less.
pub const WIDTH: usize = 80;

/// The end of `skytail tail --help`.
pub const TAIL_EXAMPLES: &str = "\
HOST, NSID, DID, KIND and OP may be repeated, or separated by commas. For NSID
and DID, @FILE reads a file: one a line; blank lines and # comments don't count.
DUR: 250ms, 10s, 5m, 1h30m.  SIZE and N bytes: 1_000_000, 64k, 8MiB.
TIME: 2026-11-23T10:00:00Z, -15m (ago), or Unix microseconds.

Every flag has an environment variable (SKYTAIL_WHEN_FULL for --when-full) and a
key in the file of settings (when-full = \"drop-oldest\"), at its top or under
[profile.NAME]. Flags win over variables, variables over the profile, and the
profile over the top of the file. NO_COLOR turns colours off.

Examples:
  See events at once, without a network
    skytail tail --demo -n 10
  Every new post, as text
    skytail tail -c app.bsky.feed.post --operation create |
      jq -r .commit.record.text
  Go on where this command stopped, and never lose an event
    skytail tail -c 'app.bsky.graph.*' --cursor auto -o graph.ndjson
  The last hour of some accounts, then stop
    skytail tail -d @dids.txt --cursor -1h --exit-when-live";
