//! display

pub mod table;
