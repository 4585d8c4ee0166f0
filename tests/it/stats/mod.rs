//! What is counted, and how it is told: of recordings (`skytail stats`), and of what happens now
//! (`skytail top`).

mod recordings;
mod top;
