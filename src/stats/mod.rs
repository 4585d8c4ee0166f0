//! What a recording holds: counts, times, gaps, sizes and duplicates, in one pass over its
//! lines and in bounded memory, whatever stands in them. Knows neither flags nor how the
//! figures are shown. Some of its parts count for `top`, too.

pub mod breaks;
pub mod buckets;
pub mod lines;
pub mod names;
pub mod plot;
pub mod seen;
pub mod sizes;
pub mod spoken;
pub mod tally;
