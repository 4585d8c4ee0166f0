//! Merges the command line, environment variables and the configuration file.

pub mod file;
pub mod layers;
pub mod value_source;
pub mod variables;
