//! Per-partition end offsets in a checkpoint: a broker's counterpart of a file's length.

use std::collections::BTreeMap;

/// The offset after the last message of each partition.
pub type Offsets = BTreeMap<u32, u64>;
