//! The help of all commands as one Markdown page: `docs/reference/cli.md`.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::layout;

const COLUMNS: usize = 80;

const INTRODUCTION: &str = "\
# Command line

<!-- Generated: `cargo run -- man --markdown > docs/reference/cli.md`. -->

This page is the `--help` of each command, without the flags that all commands share: those are under
[skytail](#skytail). Every flag of `skytail tail` is also an environment
variable and a key of the [configuration file](config.md). The [exit codes](exit-codes.md) and the
[output format](output-format.md) have pages of their own.
";

/// Returns the page, for a terminal of 80 columns.
pub fn markdown() -> String {
    let mut root = layout::command().term_width(COLUMNS);
    root.build();
    let mut page = INTRODUCTION.to_owned();
    add(&root, &mut page);
    page
}

/// Adds the help of a command and of those below it.
fn add(command: &Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let is_root = name == "skytail";
    let is_shared = |arg: &Arg| arg.is_global_set() || arg.get_id() == "help";
    let mut shown = command.clone().mut_args(|arg| {
        let is_hidden = !is_root && is_shared(&arg);
        if is_hidden { arg.hide(true) } else { arg }
    });
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
    // Writing to a string can't fail.
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add(below, page);
    }
}
