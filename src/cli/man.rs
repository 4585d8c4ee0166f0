//! `skytail man`: the manual, generated from the flags.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Command, CommandFactory, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;
use super::completions::{cant_write, create};
use super::exit::Exit;
use super::reference;
use super::stdout::print;

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
    let mut root = Cli::command();
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

/// Returns one page. Two sections don't come from clap_mangen: its synopsis lists every flag, and
/// it joins the lines of the examples into paragraphs.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut command = command.clone();
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
    if let Some(text) = command.get_after_help() {
        page.extend(notes(&text.to_string()));
    }
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

/// Returns a section whose lines are kept.
fn notes(text: &str) -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("SH", ["NOTES"]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.to_roff().into_bytes()
}
