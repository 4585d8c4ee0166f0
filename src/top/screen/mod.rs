//! The screen of `skytail top`: keys, drawing, and entering and leaving the terminal.

pub mod draw;
pub mod keys;
pub mod spark;
mod table;
pub mod terminal;
pub mod theme;
pub mod ui_thread;
