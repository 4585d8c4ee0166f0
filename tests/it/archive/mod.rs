//! The archive's format: the golden files decode to what they hold, what is written reads back,
//! and no damage ever becomes a wrong event.

mod damage;
mod golden;
mod inspect;
mod records;
mod rows;
