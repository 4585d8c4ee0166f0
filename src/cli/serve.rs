//! `skytail serve`: runs a server with the settings of its flags until a signal.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use super::exit::{self, Exit};
use super::help;
use super::limits;
use super::replaced::check_replaced;
use crate::compression::dictionary;
use crate::position::ServerKind;
use crate::serve::{
    self, ApiKey, AtEnd, ChaosSpec, Rate, Recording, ServeSettings, ServerLimits, ZstdDictionary,
};

/// The flags of `skytail serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = help::SERVE_CHAOS)]
pub struct ServeArgs {
    /// NDJSON events as Jetstream v1 sends them, plain or zstd, or a database of --to
    /// sqlite:FILE; `-` for standard input. The server holds them in memory
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,
    /// Address to listen on; port 0 means any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6008")]
    listen: SocketAddr,
    /// Speed of the recording: `max`, a speed like `1x` or `10x`, or events per second
    /// like `500/s`. A paced recording starts when the first client connects
    #[arg(long, value_name = "RATE", default_value = "max")]
    rate: Rate,
    /// Start again at the end, with later times, higher cursors and a new `rev` of commits or
    /// relay `seq` of other events
    #[arg(long = "loop")]
    looping: bool,
    /// With `--loop`, do not change what identifies the events of a round: a consumer that
    /// removes duplicates then drops all rounds but the first
    #[arg(long, requires = "looping")]
    keep_identities: bool,
    /// Move all times so that the event being played happens now (with `--rate max`: the last
    /// event). At speeds other than 1x, times drift from the clock as the recording plays
    #[arg(long)]
    restamp: bool,
    /// Which server to imitate [default: what the recording was made from]
    #[arg(long, value_name = "KIND")]
    server_kind: Option<KindArg>,
    /// Compress /subscribe with this dictionary for clients that ask for zstd [default: the
    /// official one if installed, else one trained from the recording]
    #[arg(long, value_name = "FILE")]
    zstd_dictionary: Option<PathBuf>,
    /// Compress the v2 stream with this dictionary, and serve it to clients [default: one
    /// trained from the recording]
    #[arg(long, value_name = "FILE")]
    v2_dictionary: Option<PathBuf>,
    /// Train a dictionary from the recording, write it to this file and use it
    #[arg(long, value_name = "FILE", conflicts_with = "zstd_dictionary")]
    write_dictionary: Option<PathBuf>,
    /// Hold only the newest N events, rounded up to whole segments: an older cursor starts at
    /// the oldest of them, or is rejected (v2 stream). 0 replays nothing [default: all]
    #[arg(long, value_name = "N")]
    retention_events: Option<u64>,
    /// Events in a segment of a v2 server's log. The archive has all segments but the newest,
    /// which is not full yet
    #[arg(long, value_name = "N", default_value_t = serve::DEFAULT_SEGMENT_EVENTS, value_parser = clap::value_parser!(u64).range(1..))]
    archive_segment_events: u64,
    /// Events in a block of the archive
    #[arg(long, value_name = "N", default_value_t = serve::DEFAULT_BLOCK_EVENTS as u64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    archive_block_events: u64,
    /// Remove superseded creates and updates from the archive, as a real server does
    #[arg(long)]
    archive_compact: bool,
    /// Require the API key in this file for the archive: Authorization: Bearer KEY
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Imitate a legacy server that scans a replay at N events per second before it filters,
    /// also at --rate max. During a scan it sends no events, but answers pings [default: 50000;
    /// no limit at --rate max]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    legacy_scan_rate: Option<u32>,
    /// Imitate a legacy server that closes a connection when N events are queued for it
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    legacy_queue_events: u32,
    /// Imitate a legacy server that sends at most N events per second on a connection
    /// [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    legacy_send_rate: Option<u32>,
    /// Imitate a v2 server that sends at most N events per second on a connection
    /// [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    v2_send_rate: Option<u32>,
    /// Close connections at the end of the recording instead of keeping them open
    #[arg(long, conflicts_with = "looping")]
    close_at_end: bool,
    /// Inject the faults listed below
    #[arg(long, value_name = "SPEC")]
    chaos: Option<ChaosSpec>,
}

/// `--server-kind`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    /// The current server: cursors are sequence numbers
    V2,
    /// The original server: cursors are times
    Legacy,
}

/// Runs the command.
///
/// # Errors
/// Any failure; the message is for the user.
pub fn run(args: ServeArgs) -> anyhow::Result<Exit> {
    let recording = Recording::open(&args.recording)?;
    let settings = ServeSettings {
        listen: args.listen,
        kind: args.server_kind.map(|kind| match kind {
            KindArg::V2 => ServerKind::V2,
            KindArg::Legacy => ServerKind::Legacy,
        }),
        rate: args.rate,
        looping: args.looping,
        keeps_event_ids: args.keep_identities,
        restamp: args.restamp,
        zstd: dictionary(&args, &recording)?,
        v2_zstd: v2_dictionary(&args)?,
        retention_events: args.retention_events,
        segment_events: args.archive_segment_events,
        block_events: usize::try_from(args.archive_block_events).unwrap_or(usize::MAX),
        compacts: args.archive_compact,
        api_key: args.api_key_file.as_deref().map(read_key).transpose()?,
        limits: legacy_limits(&args),
        chaos: args.chaos,
        at_end: if args.close_at_end { AtEnd::Close } else { AtEnd::Idle },
        ..ServeSettings::default()
    };
    limits::check_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the server's runtime")?;
    runtime.block_on(serve(settings, recording, &args.recording))
}

async fn serve(settings: ServeSettings, recording: Recording, path: &Path) -> anyhow::Result<Exit> {
    // Handle signals before the ready line, so that a signal right after it stops the server
    // cleanly.
    let stop = crate::platform::stop_signal().context("listen for signals")?;
    let (events, rate, torn) = (recording.len(), settings.rate, recording.torn());
    let chaos = settings.chaos.as_ref().map_or(String::new(), |spec| format!(", chaos {spec}"));
    let server = serve::bind(settings, recording).await?;
    let (address, kind) = (server.local_addr(), server.kind().as_str());
    let mut stderr = std::io::stderr().lock();
    writeln!(
        stderr,
        "skytail: serving {events} events on ws://{address}/subscribe ({kind}, {rate}{chaos})"
    )
    .and_then(|()| stderr.flush())
    .context("write to stderr")?;
    drop(stderr);
    // This follows the ready line, which programs read.
    if let Some(torn) = torn {
        let (path, line, bytes) = (path.display(), torn.line, torn.bytes);
        exit::eprint(&format!(
            "skytail: warning: recording {path}: the last line ({line}) was not finished and is left out ({bytes} bytes without a line feed that are not an event)"
        ));
    }
    server.run(stop).await?;
    Ok(Exit::Done)
}

fn legacy_limits(args: &ServeArgs) -> ServerLimits {
    let defaults = ServerLimits::default();
    ServerLimits {
        legacy_queue_events: usize::try_from(args.legacy_queue_events).unwrap_or(usize::MAX),
        legacy_replay_per_second: args
            .legacy_scan_rate
            .unwrap_or(defaults.legacy_replay_per_second),
        legacy_send_per_second: args.legacy_send_rate,
        v2_send_per_second: args.v2_send_rate,
        legacy_limits_at_max: args.legacy_scan_rate.is_some() || args.legacy_send_rate.is_some(),
        ..defaults
    }
}

/// Returns the dictionary that a flag names, else the installed one, else one to be trained.
fn dictionary(args: &ServeArgs, recording: &Recording) -> anyhow::Result<ZstdDictionary> {
    if let Some(path) = &args.write_dictionary {
        check_replaced(path, "--write-dictionary", &dictionary::MAGIC, "a dictionary")?;
        let dictionary = serve::train(recording).context(
            "--write-dictionary: no dictionary can be trained from this recording; the usual \
             reason is that it is too short",
        )?;
        std::fs::write(path, &dictionary.bytes)
            .with_context(|| format!("--write-dictionary {}", path.display()))?;
        return Ok(ZstdDictionary::Given(dictionary));
    }
    let found = dictionary::find(args.zstd_dictionary.as_deref())?;
    Ok(found.map_or(ZstdDictionary::Trained, ZstdDictionary::Given))
}

/// Reads the API key from a file.
fn read_key(path: &Path) -> anyhow::Result<ApiKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--api-key-file {}", path.display()))?;
    ApiKey::new(&text).with_context(|| {
        let path = path.display();
        format!("--api-key-file {path}: it holds no key: write one word on one line into it")
    })
}

fn v2_dictionary(args: &ServeArgs) -> anyhow::Result<ZstdDictionary> {
    Ok(match &args.v2_dictionary {
        Some(path) => ZstdDictionary::Given(dictionary::load(path)?),
        None => ZstdDictionary::Trained,
    })
}
