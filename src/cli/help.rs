//! Long help texts. The help of a flag is its doc comment.

/// The end of `skytail serve --help`.
pub const SERVE_CHAOS: &str = "\
SPEC is a list like seed=7,drop=2000,stall=500:3s. N means once in N events of a
connection, on average. The same seed, connection number and event give the same
fault, so that a failure can be reproduced. DUR: 250ms, 2s, 5m.

  seed=N          seed of the random numbers [default: 0]
 The connection ends
  close=N         with close frame 1001
  drop=N          with a FIN, without a close frame
  reset=N         with an RST
  cut=N           in the middle of a frame
 Delays
  stall=N[:DUR]   sends nothing for DUR [2s], but answers pings
  hang=N          sends nothing more, not even pongs, like a vanished peer
  mute=N          sends pongs, but no more events
  dribble=N       sends an event byte by byte
 Order and repetition
  duplicate=N     sends an event twice
  late=N          sends an event again 500 events later
  swap=N          swaps two neighbouring events of different accounts
 Times and seqs, the same on every connection
  same=N          an event has the time_us of the previous one
  step=N[:DUR]    the clock is set back by DUR [2s] for 20 events
  imported=N      an event's time_us is years older
  absurd=N        an event's time_us is hours or millennia ahead; always for
                  the first event
  instance=K      the recording as another server K sends it: other times, seqs
                  and order of accounts
 The server
  reuse=N         crashes once in N events, drops all connections, and assigns
                  the last seqs again in another order (v2 only)
  clamp=N         holds N events; older cursors silently start at the oldest
                  (the v2 stream rejects them, or sends a notice)
  refuse=N[:DUR]  answers one in N connections with 429 or 503, to retry after
                  DUR [1s]
  behind=DUR      its live tip is DUR behind the recording's end
 Messages and frames; none of them loses an event
  garbage=N       broken JSON, control characters, bad UTF-8
  oversized=N     17 MiB of text
  zstd=N          damaged, of another dictionary, or a bomb (if compressed)
  ping=N          a ping with a payload
  fragment=N      an event in fragments with pings between them
  violate=N       a frame that violates RFC 6455; then the connection ends
 The v2 stream only
  slow=N          ends with the error ConsumerTooSlow
  fail=N          ends with the error InternalError
  unknown=N       a message of a later version
  echo=N          one in N handshakes echoes a wrong subprotocol, or none
  rotate=N        the dictionary gets a new id after N compressed connections
  deny=N          one in N connections is denied the current dictionary
 The archive only; once in N requests for one block, segment or page
  page=N          pages of a plan have N entries
  stuck=N         a plan makes no progress
  throttle=N[:DUR]  429 or 503, to retry after DUR [1s]
  missing=N       a segment is not found
  rewrite=N       a segment gets other bytes and another checksum
  norange=N       a download ignores Range and sends the whole file
  truncate=N      a download is cut off
  corrupt=N       a block is damaged";

/// The layout of `skytail --help`. It fits 24 lines, so it has fewer blank lines and headings than
/// clap's default. The escape codes are those of clap's headings; clap removes them without
/// colours.
pub const MAIN_TEMPLATE: &str = "{about}\n{usage-heading} {usage}\n\n\
\x1b[1m\x1b[4mCommands:\x1b[0m\n{subcommands}\n\n\
\x1b[1m\x1b[4mOptions:\x1b[0m\n{options}";

/// Largest width of help in columns; clap uses the terminal's width if that is smaller.
pub const MAX_WIDTH: usize = 80;

/// The end of `skytail top --help`.
pub const TOP: &str = "\
Keys: ? lists all of them. q and Ctrl-C quit, j, k and arrows select a row, Enter
shows the latest events of a collection or account, Tab selects a table, s sorts
it, r reverses the order, / filters by name or handle, p pauses.
The screen needs 60 columns and 20 lines. With TERM=dumb, top prints a page for
each window. skytail tail --help explains HOST, NSID, DID and so on.

Examples:
  Show made-up events, without a network
    skytail top --demo
  The five busiest collections of ten seconds, for a script
    skytail top --once --json | jq '.collections[:5]'
  Which languages people post in, minute by minute
    skytail top -c app.bsky.feed.post --window 1m";

/// The end of `skytail tail --help`.
pub const TAIL_EXAMPLES: &str = "\
HOST, NSID, DID, KIND and OP may be repeated, or separated by commas. For NSID
and DID, @FILE reads a file with one value a line; blank lines and # comments are
ignored. A DID may also be a handle: alice.bsky.social or @alice.bsky.social.
DUR: 250ms, 10s, 5m, 1h30m.  SIZE and N bytes: 1_000_000, 64k, 8MiB.
TIME: 15m (ago), yesterday, 2026-11-23T10:00:00Z, or Unix microseconds.

Every flag has an environment variable (SKYTAIL_WHEN_FULL for --when-full) and a
key in the configuration file (when-full = \"drop-oldest\"), at the top level or
under [profile.NAME]. Flags override variables, variables override the profile,
and the profile overrides the top level. NO_COLOR turns colours off.

Examples:
  Print events at once, without a network
    skytail tail --demo -n 10
  Every new post, as text
    skytail tail -c app.bsky.feed.post --operation create \\
      -r --jq .commit.record.text
  Read the events as plain text
    skytail tail --format text
  Resume where this command stopped, and lose no event
    skytail tail -c 'app.bsky.graph.*' -o graph.ndjson
  The last hour of some accounts, then stop
    skytail tail -d @dids.txt --cursor -1h --exit-when-live";
