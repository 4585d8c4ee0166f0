//! What happens now, for people who watch: counts of the last minute by collection, kind,
//! operation, language and account, in bounded memory whatever the stream holds; and the
//! screen that shows them. Knows neither flags nor where events come from.

pub mod board;
pub mod busiest;
pub mod counting;
pub mod held;
pub mod screen;
pub mod slices;
pub mod source;
