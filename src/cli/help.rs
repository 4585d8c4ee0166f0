//! The longer texts of the help. Flags explain themselves where they are defined.

/// The widest that help is printed; terminals that are narrower get less.
pub const WIDTH: usize = 80;

/// The end of `skytail --help`.
pub const ROOT_END: &str = "Try: skytail tail --demo";

/// The end of `skytail tail --help`.
pub const TAIL_EXAMPLES: &str = "\
Lists (HOST, NSID, DID, KIND, OP) may be repeated or separated by commas. @FILE
holds one value a line; blank lines and lines that start with # are left out.
Sizes: 1_000_000, 64k, 8MiB. Times: 250ms, 10s, 5m, 1h30m, 2d.
Points in time: 2026-11-23T10:00:00Z, -15m (ago), or Unix microseconds.

Each flag can be set by an environment variable (--when-full by
SKYTAIL_WHEN_FULL), or in the file of --config (when-full = \"block\"), at its top
or under [profile.NAME]. Flags win over variables, those over the profile, and
that over the top of the file.

Examples:
  See events at once, without a network
    skytail tail --demo -n 10
  Every new post, as text
    skytail tail -c app.bsky.feed.post --operation create |
      jq -r .commit.record.text
  Go on where this command stopped, and never lose an event
    skytail tail -c 'app.bsky.graph.*' --cursor auto >> graph.ndjson
  The last hour of some accounts, then stop
    skytail tail -d @dids.txt --cursor -1h --exit-when-live";
