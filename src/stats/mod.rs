//! Statistics of a recording: counts, times, gaps, sizes and duplicates, in one pass and in bounded
//! memory for any input. Independent of flags and of presentation. `top` uses some of the counters
//! as well.

pub mod buckets;
pub mod duplicates;
pub mod gaps;
pub mod languages;
pub mod name_counts;
pub mod plot;
pub mod sizes;
pub mod tally;
