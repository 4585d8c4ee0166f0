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

/// The layout of `skytail --help`. `-h` fits 24 lines, so it has fewer blank lines and headings than
/// clap's default. The escape codes are those of clap's headings; clap removes them without
/// colours.
pub const MAIN_TEMPLATE: &str = "{about}\n{usage-heading} {usage}\n\
\x1b[1m\x1b[4mCommands:\x1b[0m\n{subcommands}\n\
\x1b[1m\x1b[4mOptions:\x1b[0m\n{options}{after-help}";

/// Largest width of help in columns; clap uses the terminal's width if that is smaller.
pub const MAX_WIDTH: usize = 80;

/// The end of `skytail top --help`.
pub const TOP: &str = "\
Keys: ? lists all of them. q and Ctrl-C quit, j, k and arrows select a row,
Enter shows the latest events of a collection or account, Tab selects a table,
s sorts it, r reverses the order, / filters by name or handle, p pauses.
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
and DID, @FILE reads a file with one value a line; blank lines and # comments
are ignored. A DID may also be a handle: alice.bsky.social, @alice.bsky.social.
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
    skytail tail -c 'app.bsky.graph.*' --markers -o graph.ndjson
  The last hour of some accounts, then stop
    skytail tail -d @dids.txt --cursor -1h --exit-when-live";

/// The layout of both pages of `skytail tail` and of `skytail top`.
pub const COMMAND_TEMPLATE: &str =
    "{about}\n\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// The short page of `skytail tail`, for a screen of 60 by 20: its flags and examples.
pub const TAIL_SHORT: &str = "\
\x1b[1m\x1b[4mMost used options\x1b[0m (all of them: skytail tail --help):
  -c, --collection NSID  app.bsky.feed.post, app.bsky.feed.*
  -d, --did DID          an account: its handle or its DID
  -k, --kind KIND        commit, identity, account or sync
  -n, --limit N          stop after N events
      --since TIME       10m (ago), yesterday, 2026-11-23
      --last N           start N matching events back
      --cursor CURSOR    live, auto (resume), or oldest
  -e, --exit-when-live   stop when it reaches the present
      --format FORM      ndjson, pretty, text, csv or tsv
      --jq EXPR          filter and transform as jq does
  -o, --output FILE      append to FILE; a rerun resumes

\x1b[1m\x1b[4mExamples:\x1b[0m
  skytail tail --demo --format text
  skytail tail -c app.bsky.feed.post --since 10m -e
  skytail tail -d alice.bsky.social -o alice.ndjson";

/// The end of `skytail plan --help`.
pub const PLAN: &str = "\
plan takes all flags of tail, and prints what that run would download from an
archive. It asks the server for the plan of a backfill and for its list of
segments, and downloads a few headers. It measures the rate with the start of
the backfill: at most 16 MiB, and 5 s. A ~ marks an estimate. tail reads from
the live stream what that still holds.

Keys of --json (*_us are Unix microseconds; null if not known):
  server, segments, listed_segments, blocks, blocks_are_estimated, bytes,
  bytes_are_estimated, events_at_most, after_seq, last_seq, oldest_us,
  newest_us, measured_bytes, measured_s, estimated_s

Examples:
  The archive of a server inside skytail
    skytail plan --demo --cursor oldest
  What the posts of a year would cost
    skytail plan -c app.bsky.feed.post --since 2025-01-01 --until 2026-01-01
  The bytes of the whole history, for a script
    skytail plan --cursor oldest --json | jq .bytes";

/// The short page of `skytail plan`, for a screen of 60 by 20.
pub const PLAN_SHORT: &str = "\
\x1b[1m\x1b[4mMost used options\x1b[0m (all of them: skytail plan --help):
  -c, --collection NSID  app.bsky.feed.post, app.bsky.feed.*
  -d, --did DID          an account: its handle or its DID
  -k, --kind KIND        commit, identity, account or sync
      --since TIME       10m (ago), yesterday, 2026-11-23
      --until TIME       the end of the history
      --cursor CURSOR    oldest, a time, or auto (resume)
      --host HOST        the server whose archive is planned
      --json             print one JSON object
      --no-measure       do not measure the rate

\x1b[1m\x1b[4mExamples:\x1b[0m
  skytail plan --demo --cursor oldest
  skytail plan -c app.bsky.feed.post --since 2025-01-01
  skytail plan --cursor oldest --json";

/// The short page of `skytail top`, for a screen of 60 by 20.
pub const TOP_SHORT: &str = "\
\x1b[1m\x1b[4mMost used options\x1b[0m (all of them: skytail top --help):
  -c, --collection NSID  app.bsky.feed.post, app.bsky.feed.*
  -d, --did DID          an account: its handle or its DID
  -k, --kind KIND        commit, identity, account or sync
      --window DUR       count the events of the last DUR
      --cursor CURSOR    live, oldest, a time, or 15m (ago)
      --once             print one window, then exit
      --json             print it as JSON
      --demo             made-up events, without a network

\x1b[1m\x1b[4mKeys:\x1b[0m ? lists them, q quits, Enter shows latest events

\x1b[1m\x1b[4mExamples:\x1b[0m
  skytail top --demo
  skytail top -c app.bsky.feed.post --window 1m
  skytail top --once --json | jq '.collections[:5]'";

/// The note above the groups of the long page of `skytail top`.
pub const TOP_LONG: &str = "\
Keys, exit codes, files, variables and examples follow the options.";

/// The note above the groups of the long page of `skytail tail`.
pub const TAIL_LONG: &str = "\
Values, exit codes, files, variables and examples follow the options.";

/// The exit codes, for help and for the section EXIT STATUS.
pub const EXIT_CODES: &str = "\
0    done: a limit, an end, a signal, or the reader of a pipe left
1    failed: an output or a file can't be used, or --jq-errors fail
2    a flag, the configuration file or a variable is wrong
3    gave up connecting, after --max-retries
4    events are missing, and --on-gap fail was given
130  a second Ctrl-C: ended without writing what was received
143  convert or scrub: ended by SIGTERM";

/// The files, for help and for the section FILES.
pub const FILES: &str = "\
~/.config/skytail/config.toml    settings (--config)
~/.local/state/skytail/state.db  saved cursors (--state)
~/.cache/skytail/dictionaries/   zstd dictionaries
These are the places on Linux; XDG_CONFIG_HOME, XDG_STATE_HOME and
XDG_CACHE_HOME move them.";

/// The environment variables, for help and for the section ENVIRONMENT.
pub const ENVIRONMENT: &str = "\
SKYTAIL_WHEN_FULL  --when-full; each flag has such a variable
SKYTAIL_API_KEY    the API key of the archive (or --api-key-file)
SKYTAIL_LOG        which log lines to print, as in RUST_LOG
NO_COLOR           no colours; CLICOLOR_FORCE: colours in pipes, too
JQ_COLORS          the colours of JSON, as for jq
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY  proxies, as for curl";

/// Returns the sections of a long page that all commands share. `command` is `tail`, or empty for
/// the page of the program.
#[must_use]
pub fn sections(command: &str) -> String {
    let title = |title: &str| format!("\x1b[1m\x1b[4m{title}:\x1b[0m");
    let indent = |text: &str| text.replace('\n', "\n  ");
    let mut page = String::new();
    for (name, text) in [("Exit codes", EXIT_CODES), ("Files", FILES), ("Environment", ENVIRONMENT)]
    {
        page += &format!("{}\n  {}\n\n", title(name), indent(text));
    }
    if command.is_empty() {
        page += &format!("{}\n  {}\n\n", title("Examples"), indent(examples("")));
    }
    page.trim_end().to_owned()
}

/// Splits the end of a page into the notes and the examples, which begin with `Examples:`.
#[must_use]
pub fn split_examples(text: &str) -> (&str, &str) {
    match text.find("Examples:\n") {
        Some(at) => (text[..at].trim_end(), &text[at..]),
        None => (text, ""),
    }
}

/// Returns the lines of the section EXAMPLES of a man page. `command` is the name of a command
/// without `skytail`, such as `cursors`; empty for the program.
#[must_use]
pub fn examples(command: &str) -> &'static str {
    match command {
        "" => {
            "skytail tail --demo\nskytail tail -c app.bsky.feed.post --since 10m -e\nskytail top\nskytail cursors"
        }
        "tail" => split_examples(TAIL_EXAMPLES).1,
        "top" => split_examples(TOP).1,
        "plan" => split_examples(PLAN).1,
        "cursors" => {
            "skytail cursors\nskytail cursors show posts\nskytail cursors set posts 1h\nskytail cursors reset posts\nskytail cursors export posts > posts.cursor\nskytail cursors import posts.cursor"
        }
        "serve" => {
            "skytail serve posts.ndjson --listen 127.0.0.1:6008\nskytail serve posts.ndjson --chaos seed=7,drop=2000"
        }
        "stats" => "skytail stats posts.ndjson\nskytail stats posts.ndjson.zst --json",
        "convert" => "skytail convert posts.ndjson.zst -o posts.parquet",
        "scrub" => {
            "skytail scrub --dry-run archive/*.ndjson.zst\nskytail scrub archive/*.ndjson.zst --markers-from today.ndjson"
        }
        "inspect" => "skytail inspect segment.jss",
        "dictionary" => "skytail dictionary install\nskytail dictionary show",
        "completions" => {
            "skytail completions bash > ~/.local/share/bash-completion/completions/skytail\nskytail completions fish > ~/.config/fish/completions/skytail.fish"
        }
        _ => "skytail man | man -l -\nskytail man --dir ~/.local/share/man/man1",
    }
}
