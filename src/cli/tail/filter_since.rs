//! Where the filter of a run that resumes has replaced another one.

use crate::display::units::counted;
use crate::filter::Filter;
use crate::position::{FilterSince, FilterStamp, StartPosition};

/// Returns where the filter in force replaced another one. If the filter is another one than that of
/// the saved position, `stamp`, it replaces that one there. If two servers are compared (`compares`),
/// the run asks for earlier events, too: what is missing among them is not decided yet.
pub fn filter_since(
    stamp: Option<FilterStamp>,
    start: &mut StartPosition,
    filter: &Filter,
    compares: bool,
) -> Option<FilterSince> {
    let (StartPosition::Resume(resume), Some(stamp)) = (start, stamp) else { return None };
    let position = &mut resume.position;
    if stamp.fingerprint == filter.fingerprint() {
        return stamp.since;
    }
    let since = FilterSince::at_newest(position, stamp.since.as_ref());
    let at = since.at;
    if at.seq.is_some() && !compares {
        // Up to here, nothing must be asked for again.
        (position.newest, position.rewind_to) = (at, at);
    }
    let sizes = sizes(filter);
    tracing::warn!("filter changed while no run was active: {sizes}; it applies after {at}");
    Some(since)
}

/// Returns the sizes of the lists: `12 accounts, 2 collections`.
fn sizes(filter: &Filter) -> String {
    let lists = [
        (filter.dids.len(), "account"),
        (filter.collections.len(), "collection"),
        (filter.excluded.len(), "excluded collection"),
    ];
    let lists = lists.into_iter().filter(|(size, _)| *size > 0);
    let texts: Vec<String> = lists.map(|(size, word)| counted(size as u64, word)).collect();
    if texts.is_empty() { "no list".to_owned() } else { texts.join(", ") }
}
