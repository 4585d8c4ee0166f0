//! `skytail man`: the manual, generated from the flags.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Command, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::completions::{cant_write, create};
use super::exit::Exit;
use super::reference;
use super::stdout::print;
use super::{help, layout};

/// Most columns of a line that a page of 80 columns indents by seven.
const MAX_INDENTED: usize = 71;

/// The flags of `skytail man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write a page for each command into DIR [default: print the main page]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Print the help of all commands as one Markdown page
    #[arg(long, conflicts_with = "dir")]
    markdown: bool,
}

/// Runs `skytail man`.
///
/// # Errors
/// If the pages can't be written.
pub fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    if args.markdown {
        return print(reference::markdown().as_bytes());
    }
    let mut root = layout::command();
    root.build();
    let Some(dir) = &args.dir else {
        return print(&page(&root)?);
    };
    create(dir)?;
    for (name, page) in pages(&root)? {
        std::fs::write(dir.join(name), page).with_context(|| cant_write(dir))?;
    }
    Ok(Exit::Done)
}

/// Returns the pages of a command and of its subcommands, with the names of their files.
fn pages(command: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut all = vec![(format!("{name}.1"), page(command)?)];
    for below in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        all.extend(pages(below)?);
    }
    Ok(all)
}

/// Returns one page. The synopsis of clap_mangen lists every flag, and it joins the lines of notes
/// into paragraphs, so these sections don't come from it.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    // clap_mangen prints no text for a flag that the short page lacks.
    let mut command = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let source = concat!("skytail ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("skytail");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend(synopsis(&mut command));
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let full = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let name = full.split('-').nth(1).unwrap_or_default();
    let notes = match full.as_str() {
        "skytail" => String::new(),
        "skytail-tail" => help::split_examples(help::TAIL_EXAMPLES).0.to_owned(),
        "skytail-top" => help::split_examples(help::TOP).0.to_owned(),
        _ => command.get_after_help().map(ToString::to_string).unwrap_or_default(),
    };
    let examples = help::examples(name).trim_start_matches("Examples:\n");
    for (title, text) in [
        ("NOTES", &*notes),
        ("EXIT STATUS", help::EXIT_CODES),
        ("FILES", help::FILES),
        ("ENVIRONMENT", help::ENVIRONMENT),
        ("EXAMPLES", examples),
    ] {
        if !text.is_empty() {
            page.extend(section(title, text));
        }
    }
    page.extend(see_also(&full));
    page.flush()?;
    Ok(page)
}

fn synopsis(command: &mut Command) -> Vec<u8> {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let name = command.get_bin_name().unwrap_or("skytail").to_owned();
    let rest = usage.strip_prefix(&name).unwrap_or_default().to_owned();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(name), roman(rest)]);
    roff.to_roff().into_bytes()
}

/// Returns a section whose lines are kept. It has no indentation if a line would not fit 80 columns
/// with it.
fn section(title: &str, text: &str) -> Vec<u8> {
    let is_wide = text.lines().any(|line| line.chars().count() > MAX_INDENTED);
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff.control("nf", []);
    if is_wide {
        roff.control("in", ["0"]);
    }
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    if is_wide {
        roff.control("in", []);
    }
    roff.control("fi", []);
    roff.to_roff().into_bytes()
}

/// Returns the section SEE ALSO of the page with this name.
fn see_also(name: &str) -> Vec<u8> {
    let others = match name {
        "skytail" => {
            "skytail-tail(1), skytail-top(1), skytail-cursors(1), skytail-stats(1), skytail-serve(1), jq(1)"
        }
        "skytail-tail" => "skytail(1), skytail-cursors(1), skytail-top(1), jq(1)",
        "skytail-cursors" | "skytail-top" => "skytail(1), skytail-tail(1)",
        name if name.starts_with("skytail-cursors-") => {
            "skytail(1), skytail-cursors(1), skytail-tail(1)"
        }
        _ => "skytail(1), skytail-tail(1)",
    };
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(others)]);
    roff.to_roff().into_bytes()
}
