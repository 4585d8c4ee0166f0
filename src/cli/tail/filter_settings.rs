//! The settings of the filter flags.

use std::collections::HashSet;

use super::args::{FilterArgs, TailArgs};
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::account::{Account, parse_account, strip_handle_prefix};
use crate::cli::values::list::{ListError, read_list};
use crate::event::header::Kind;
use crate::filter::{Collections, Filter, Grep, Languages, Markers, Sample};
use crate::source::handle::Handle;

/// Most collections that a server accepts (protocol/jetstream-v1.md §3).
pub(super) const MAX_COLLECTIONS: usize = 100;
/// Most DIDs that a server accepts (protocol/jetstream-v1.md §3).
pub(super) const MAX_DIDS: usize = 10_000;

/// Returns the DIDs and the handles that `--did` names, each once.
///
/// # Errors
/// [`UsageError`] for the first wrong value.
pub fn accounts(
    args: &TailArgs,
    sources: &ValueSources,
) -> Result<(HashSet<String>, Vec<Handle>), UsageError> {
    let for_tests = args.source.dns_server.is_some();
    let values =
        args.filters.did.iter().map(|value| strip_handle_prefix(value, for_tests).to_owned());
    let values: Vec<String> = values.collect();
    let list = read_list(&values, MAX_DIDS, |text| parse_account(text, for_tests).map(drop))
        .map_err(|error: ListError<_>| sources.usage_error("did", error))?;
    let (mut dids, mut handles) = (HashSet::new(), Vec::new());
    for text in &list {
        match parse_account(text, for_tests).map_err(|error| sources.usage_error("did", error))? {
            Account::Did(did) => {
                dids.insert(did);
            }
            Account::Handle(handle) if !handles.contains(&handle) => handles.push(handle),
            Account::Handle(_) => {}
        }
    }
    Ok((dids, handles))
}

/// Returns the filter with a placeholder DID for each handle, for checks of the number of DIDs.
pub fn with_placeholder_dids(filter: &Filter, handles: &[Handle]) -> Filter {
    let mut complete = filter.clone();
    complete.dids.extend(handles.iter().map(|handle| format!("did:web:{handle}")));
    complete
}

/// Returns the filter of the flags.
///
/// # Errors
/// [`UsageError`] for the first wrong value, and for flags that together could match nothing.
pub fn filter(
    args: &FilterArgs,
    dids: HashSet<String>,
    sources: &ValueSources,
) -> Result<Filter, UsageError> {
    let collections = collections("collection", &args.collection, MAX_COLLECTIONS, sources)?;
    // No server sees these, so that only the size of a file bounds their number.
    let excluded = self::collections("exclude", &args.local.exclude, usize::MAX, sources)?;
    let filter = Filter {
        collections,
        dids,
        kinds: kinds(args, sources)?,
        operations: distinct(&args.operation),
        max_message_bytes: args.max_message_size,
        excluded,
        languages: languages(args, sources)?,
        grep: grep(args, sources)?,
        sample: sample(args, sources)?,
        markers: Markers::Off,
    };
    check_exclusion(&filter, sources)?;
    Ok(filter)
}

/// Returns the NSIDs and patterns that a flag lists.
fn collections(
    flag: &str,
    values: &[String],
    max: usize,
    sources: &ValueSources,
) -> Result<Collections, UsageError> {
    let patterns = read_list(values, max, |value| Collections::default().add(value));
    let mut collections = Collections::default();
    for pattern in patterns.map_err(|error| sources.usage_error(flag, error))? {
        collections.add(&pattern).map_err(|error| sources.usage_error(flag, error))?;
    }
    Ok(collections)
}

fn languages(args: &FilterArgs, sources: &ValueSources) -> Result<Languages, UsageError> {
    let tags = read_list(&args.local.lang, usize::MAX, |value| Languages::default().add(value));
    let mut languages = Languages::default();
    for tag in tags.map_err(|error| sources.usage_error("lang", error))? {
        languages.add(&tag).map_err(|error| sources.usage_error("lang", error))?;
    }
    Ok(languages)
}

fn grep(args: &FilterArgs, sources: &ValueSources) -> Result<Option<Grep>, UsageError> {
    let grep = args.local.grep.as_deref().map(Grep::new).transpose();
    grep.map_err(|error| sources.usage_error("grep", error))
}

fn sample(args: &FilterArgs, sources: &ValueSources) -> Result<Option<Sample>, UsageError> {
    if args.local.sample.is_none() && args.local.sample_by.is_some() {
        let problem = "this says what --sample takes: add --sample 1/N, or leave this out";
        return Err(sources.usage_error("sample-by", problem));
    }
    let by = args.local.sample_by.unwrap_or_default();
    Ok(args.local.sample.and_then(|one_in| Sample::new(one_in, by)))
}

/// Returns whether `--exclude` leaves nothing of `--collection`, and no other kind is wanted.
pub(super) fn leaves_nothing(filter: &Filter) -> bool {
    filter.kinds == [Kind::Commit]
        && !filter.collections.is_empty()
        && filter.excluded.covers(&filter.collections)
}

/// Refuses `--exclude` if it leaves nothing of `--collection`, and no other kind is wanted.
fn check_exclusion(filter: &Filter, sources: &ValueSources) -> Result<(), UsageError> {
    if leaves_nothing(filter) {
        let collection = sources.of("collection");
        let problem = format!(
            "it leaves out everything that {collection} asks for: leave one of the two out, or make it narrower"
        );
        return Err(sources.usage_error("exclude", problem));
    }
    Ok(())
}

/// Returns the kinds, and `commit` alone if a flag implies it that only commits can match: without
/// a kind the server would also send the identity and account events of all accounts
/// (protocol/jetstream-v1.md §3).
fn kinds(args: &FilterArgs, sources: &ValueSources) -> Result<Vec<Kind>, UsageError> {
    let kinds = distinct(&args.kind);
    let rules_of_commits = [
        ("collection", !args.collection.is_empty()),
        ("operation", !args.operation.is_empty()),
        ("lang", !args.local.lang.is_empty()),
        ("grep", args.local.grep.is_some()),
    ];
    let implied_by = rules_of_commits.iter().find(|(_, is_given)| *is_given);
    let Some((implied_by, _)) = implied_by else { return Ok(kinds) };
    if kinds.is_empty() {
        return Ok(vec![Kind::Commit]);
    }
    if kinds.contains(&Kind::Commit) {
        return Ok(kinds);
    }
    let source = sources.of(implied_by);
    Err(sources.usage_error(
        "kind",
        format!("without commit, {source} could match nothing: add --kind commit, or leave one of the two out"),
    ))
}

/// Returns the values in their order, each once.
fn distinct<T: Copy + PartialEq>(values: &[T]) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(value) {
            distinct.push(*value);
        }
    }
    distinct
}
