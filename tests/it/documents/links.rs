//! Links between documents: the file exists, and so does the heading of the anchor.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::{documents, prose, read, root};

/// Returns the targets of a document's links, inline ones and definitions.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    // A code span holds no link.
    let prose = Regex::new("`[^`]*`").unwrap().replace_all(&prose, "code").into_owned();
    let pattern = Regex::new(r"(?m)\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)").unwrap();
    let target = |found: regex::Captures<'_>| {
        found.iter().skip(1).flatten().next().unwrap().as_str().to_owned()
    };
    pattern.captures_iter(&prose).map(target).collect()
}

/// Returns the anchors that a renderer makes of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in prose(text).lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut unique = anchor.clone();
        for number in 1.. {
            if found.insert(unique.clone()) {
                break;
            }
            unique = format!("{anchor}-{number}");
        }
    }
    found
}

/// Returns a path without `..`, relative to the repository.
fn resolve(document: &str, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let folder = Path::new(document).parent().unwrap();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{document}: {link} leaves the repository"),
            other => path.push(other),
        }
    }
    path
}

#[test]
fn each_link_between_documents_resolves() {
    let mut count = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let path =
                if file.is_empty() { PathBuf::from(&document) } else { resolve(&document, file) };
            let path = root().join(path);
            if !path.exists() {
                broken.push(format!("{document}: {target}: no such file"));
            } else if !anchor.is_empty() {
                let text = std::fs::read_to_string(&path).unwrap();
                if !anchors(&text).contains(anchor) {
                    broken.push(format!("{document}: {target}: no such heading"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count >= 60, "{count} links");
}

#[test]
fn each_page_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut open = vec!["README.md".to_owned()];
    while let Some(document) = open.pop() {
        for target in targets(&read(&document)) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || target.contains("://") || !file.ends_with(".md") {
                continue;
            }
            let path = resolve(&document, file).to_str().unwrap().to_owned();
            if root().join(&path).exists() && reached.insert(path.clone()) {
                open.push(path);
            }
        }
    }
    let unreached: Vec<String> =
        documents().into_iter().filter(|document| !reached.contains(document)).collect();
    assert!(unreached.is_empty(), "no link leads to {unreached:?}");
}

#[test]
fn anchors_are_those_of_the_headings() {
    let text = "# A `b` c\n## Don't, do\n## Don't, do\n```\n# no\n```\n";
    let expected = ["a-b-c", "dont-do", "dont-do-1"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
}
