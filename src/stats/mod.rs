//! What a recording holds: counts, times, gaps, sizes and duplicates, in one pass over its
//! lines and in bounded memory, whatever stands in them. Knows neither flags nor how the
//! figures are shown. Some of its parts count for `top`, too.

pub mod buckets;
pub mod duplicates;
pub mod gaps;
pub mod languages;
pub mod lines;
pub mod name_counts;
pub mod plot;
pub mod sizes;
pub mod tally;
