//! What happens now, for people who watch: counts of the last minute by collection, kind,
//! operation, language and account, in bounded memory whatever the stream holds; and the
//! screen that shows them. Knows neither flags nor where events come from.

pub mod aggregate;
pub mod current_server;
pub mod heavy_hitters;
pub mod log_buffer;
pub mod screen;
pub mod tap;
pub mod time_series;
