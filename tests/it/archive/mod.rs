//! The archive's format: golden files decode to their known rows, written segments read back, and
//! damage never becomes a wrong event.

mod damage;
mod golden;
mod inspect;
mod records;
mod rows;
