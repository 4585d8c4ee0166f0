//! The screen of `skytail top`: keys, drawing, and a terminal that is left as it was found.

pub mod draw;
pub mod keys;
pub mod spark;
mod table;
pub mod terminal;
pub mod theme;
pub mod ui_thread;
