//! The identities of the newest events that were written.
