//! The longer texts of the help. Flags explain themselves where they are defined.

/// The end of `skytail serve --help`.
pub const SERVE_CHAOS: &str = "\
SPEC is a list like seed=7,drop=2000,stall=500:3s. N means once in N events of a
connection, on average. The same seed, connection number and event give the same
fault, so that a failure can be played again. DUR: 250ms, 2s, 5m.

  seed=N          what chance derives from [default: 0]
 The connection ends
  close=N         with close frame 1001
  drop=N          with a FIN, without a close frame
  reset=N         with an RST
  cut=N           in the middle of a frame
 Time passes
  stall=N[:DUR]   nothing is sent for DUR [2s]; pings are answered
  hang=N          silence for ever, no pongs either: a vanished peer
  mute=N          pongs, but no events any more
  dribble=N       an event comes byte by byte
 Order and repetition
  duplicate=N     an event comes twice
  late=N          an event comes again 500 events later
  swap=N          two neighbours (of two accounts) change places
 Stamps, the same on every connection
  same=N          an event takes the time_us of the one before
  step=N[:DUR]    the clock is DUR [2s] back for 20 events
  imported=N      an event's time_us is years older
  absurd=N        an event's time_us is hours or millennia ahead, and that of
                  the first one always
  instance=K      the recording as another server K tells it: other times, seqs
                  and order of accounts
 The server
  reuse=N         crashes once in N events, drops all, and assigns the last seqs
                  again in another order (v2 only)
  clamp=N         holds N events; older cursors silently start at the oldest
                  (v2 stream: are refused, or told)
  refuse=N[:DUR]  answers one in N connections with 429 or 503, to retry after
                  DUR [1s]
  behind=DUR      its tip is DUR behind the recording's end
 Messages and frames; no event is lost by them
  garbage=N       broken JSON, control characters, bad UTF-8
  oversized=N     17 MiB of text
  zstd=N          damaged, of another dictionary, or a bomb (if compressed)
  ping=N          a ping with a payload
  fragment=N      an event in fragments with pings between them
  violate=N       a frame that breaks RFC 6455; then the connection ends
 The v2 stream only
  slow=N          it ends with the error ConsumerTooSlow
  fail=N          it ends with the error InternalError
  unknown=N       a message of a later version
  echo=N          one in N handshakes echoes a wrong subprotocol, or none
  rotate=N        the dictionary gets another id after N compressed connections
  deny=N          one in N connections is denied the current dictionary
 The archive only; once in N requests of one thing (block, segment, page)
  page=N          pages of a plan have N entries
  stuck=N         a plan gets no further
  throttle=N[:DUR]  429 or 503, to retry after DUR [1s]
  missing=N       a segment is not found
  rewrite=N       a segment gets other bytes, and another checksum
  norange=N       a download comes whole, whatever Range asks for
  truncate=N      a download breaks off
  corrupt=N       a block is damaged";

/// The form of `skytail --help`, which fits 24 lines: blank lines and headings are fewer than
/// usual. The codes are those of clap's own headings; they go where nobody wants colours.
pub const MAIN_TEMPLATE: &str = "{about}\n{usage-heading} {usage}\n\n\
\x1b[1m\x1b[4mCommands:\x1b[0m\n{subcommands}\n\n\
\x1b[1m\x1b[4mOptions:\x1b[0m\n{options}";

/// The widest that help is printed; terminals that are narrower get less.
pub const MAX_WIDTH: usize = 80;

/// The end of `skytail top --help`.
pub const TOP: &str = "\
Keys: q, Esc and Ctrl-C quit, p pauses, Tab chooses a table, s sorts it,
/ filters it by name, o shows one operation, z enlarges the table, arrows and
page keys scroll it, Ctrl-Z suspends, Ctrl-L draws anew.
The screen needs 80 columns and 20 lines. With TERM=dumb a page is printed for
each window. HOST, NSID, DID and so on are those of skytail tail --help.

Examples:
  Watch made-up events, without a network
    skytail top --demo
  The five busiest collections of ten seconds, for a script
    skytail top --once --json | jq '.collections[:5]'
  Which languages people post in, minute by minute
    skytail top -c app.bsky.feed.post --window 1m";

/// The end of `skytail tail --help`.
pub const TAIL_EXAMPLES: &str = "\
HOST, NSID, DID, KIND and OP may be repeated, or separated by commas. For NSID
and DID, @FILE reads a file: one a line; blank lines and # comments don't count.
Where DID stands, a handle does too: alice.bsky.social or @alice.bsky.social.
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
    skytail tail -c app.bsky.feed.post --operation create \\
      -r --jq .commit.record.text
  Look at what goes by
    skytail tail --format text
  Continue where this command stopped, and never lose an event
    skytail tail -c 'app.bsky.graph.*' -o graph.ndjson
  The last hour of some accounts, then stop
    skytail tail -d @dids.txt --cursor -1h --exit-when-live";
