//! The consumer of a run, and the parts of its name.

/// A consumer: the name that a position is saved under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The name.
    pub name: String,
    /// Whether the user chose the name.
    pub is_chosen: bool,
    /// The name that 0.1.0 derived from the same filters and servers.
    pub former: String,
    /// The lists that are named by their files.
    pub lists: ListNames,
    /// The name that the content of those files would give; `None` if there are none.
    pub by_content: Option<String>,
}

/// The lists of the filter that the consumer's derived name names by their files and not by their
/// content, because that may change. Each is the sorted parts of the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListNames {
    /// `--did`; `None` if it names no file.
    pub did: Option<Vec<String>>,
    /// `--collection`; `None` if it names no file.
    pub collection: Option<Vec<String>>,
    /// `--exclude`; `None` if it names no file.
    pub exclude: Option<Vec<String>>,
}

impl ListNames {
    /// Returns whether no list is named by a file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
