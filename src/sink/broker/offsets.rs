//! What is remembered of a broker, where of a file it is the length.

use std::collections::BTreeMap;

/// How far each partition of a broker's stream has come: the number behind its last message.
pub type Offsets = BTreeMap<u32, u64>;
