//! The short page, the long page and the man pages.

use std::path::Path;

use crate::cli::{files, stdout};

fn short_page(command: &str) -> String {
    let page = stdout(&[command, "-h"]);
    assert!((18..=22).contains(&page.lines().count()), "{page}");
    let widest = page.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(60), "{page}");
    let example = format!("  skytail {command} ");
    let examples = page.lines().filter(|line| line.starts_with(&example));
    assert_eq!(examples.count(), 3, "{page}");
    page
}

#[test]
fn the_short_help_of_tail_is_one_small_screen() {
    let page = short_page("tail");
    for flag in ["-c,", "-d,", "-k,", "-n,", "--cursor", "--since", "--format", "--jq", "-o,"] {
        assert!(page.contains(&format!("{flag} ")), "{flag}: {page}");
    }
    insta::assert_snapshot!("skytail_tail_short_help", page);
}

#[test]
fn the_short_help_of_top_is_one_small_screen() {
    let page = short_page("top");
    for flag in ["-c,", "-d,", "--window", "--once", "--json", "--demo", "Keys:", "--help"] {
        assert!(page.contains(flag), "{flag}: {page}");
    }
    let long = stdout(&["top", "--help"]);
    for flag in ["--window", "--max-frame-size", "--log-format", "--profile", "Keys:"] {
        assert!(long.contains(flag), "{flag}: {long}");
    }
}

#[test]
fn the_long_help_is_complete_and_begins_with_the_most_used_group() {
    for command in [&["--help"][..], &["tail", "--help"], &["top", "--help"]] {
        let page = stdout(command);
        for part in
            ["Exit codes:", "130  ", "Files:", "state.db", "Environment:", "NO_COLOR", "Examples:"]
        {
            assert!(page.contains(part), "{command:?}: {part}: {page}");
        }
    }
    let page = stdout(&["tail", "--help"]);
    let at = |heading: &str| page.find(&format!("\n{heading}:\n")).unwrap();
    assert!(at("Most used") < at("Filters") && at("Filters") < at("Source"), "{page}");
    for flag in ["--log-format", "--profile", "--metrics-listen", "--rewind", "--help", "--follow"]
    {
        assert!(page.contains(flag), "{flag}");
    }
}

/// Lines that are not filled are never wrapped, so each has to fit a terminal of 80 columns.
#[test]
fn the_man_pages_have_all_sections_and_fit_80_columns() {
    let pages = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/man"));
    for (name, page) in pages {
        for section in ["EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"] {
            assert!(
                page.contains(&format!(".SH \"{section}\""))
                    || page.contains(&format!(".SH {section}")),
                "{name}: {section}"
            );
        }
        let (mut is_kept, mut indent) = (false, 7);
        for line in page.lines() {
            match line {
                ".nf" => is_kept = true,
                ".fi" => is_kept = false,
                ".in 0" => indent = 0,
                ".in" => indent = 7,
                text if is_kept => {
                    let columns = text.replace("\\-", "-").replace("\\&", "").chars().count();
                    assert!(indent + columns <= 80, "{name}: {text}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn the_man_pages_explain_each_flag() {
    let pages = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/man"));
    for (name, page) in pages {
        let lines: Vec<&str> = page.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("\\fB\\-")) {
            assert!(!pair[1].trim().is_empty(), "{name}: {}", pair[0]);
        }
    }
}
