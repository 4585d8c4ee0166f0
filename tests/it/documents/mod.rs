//! The documents match the program: each command runs, each sample is what it prints, each link
//! resolves. `operate::documents` checks the tables of metrics and log lines.

mod commands;
mod links;
mod reference;
mod sample;
mod screens;
mod words;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text of a document, named by its path in the repository.
pub fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document))
        .unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// Returns the paths in the repository of `README.md`, `CONTRIBUTING.md`, `SECURITY.md` and all
/// pages below `docs`.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    add_pages(&root().join("docs"), &mut found);
    found.sort();
    assert!(found.len() >= 20, "{found:?}");
    found.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned));
    found
}

fn add_pages(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            add_pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// A fenced block of a document.
struct Block {
    /// The line of the opening fence, counted from 1.
    line: usize,
    language: String,
    /// The text of an HTML comment on the line before the fence.
    comment: Option<String>,
    text: String,
}

impl Block {
    /// Returns what a comment such as `<!-- needs: root -->` says that the block needs.
    fn needs(&self) -> Option<&str> {
        self.comment.as_deref()?.strip_prefix("needs: ")
    }

    fn says(&self, comment: &str) -> bool {
        self.comment.as_deref() == Some(comment)
    }
}

/// Returns the fenced blocks of a document.
fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        if let Some(block) = open.as_mut() {
            if line.trim() == "```" {
                found.extend(open.take());
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(language) = line.trim().strip_prefix("```") {
            let comment = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            open = Some(Block {
                line: number + 1,
                language: language.to_owned(),
                comment: comment.map(str::to_owned),
                text: String::new(),
            });
        }
        before = line.trim();
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// Returns the only block of this language in a document that contains `mark`.
pub fn block(document: &str, language: &str, mark: &str) -> String {
    let mut all = blocks(&read(document));
    all.retain(|block| block.language == language && block.text.contains(mark));
    assert_eq!(all.len(), 1, "{document}: blocks of {language} with {mark}");
    all.remove(0).text
}

/// Returns the prose of a document: its lines outside of fenced blocks.
fn prose(text: &str) -> String {
    let mut is_in_block = false;
    let mut kept = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_in_block ^= is_fence;
        if !is_fence && !is_in_block {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
