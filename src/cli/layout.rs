//! The layout of help: which flags are on the short page, in which group, and what follows them.
//! Only the parser that answers `-h` and `--help`, and the man pages, need it.

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::{Cli, help};

/// The flags of the group that `skytail tail --help` shows first.
const MOST_USED: [&str; 14] = [
    "collection",
    "did",
    "kind",
    "operation",
    "limit",
    "since",
    "until",
    "last",
    "cursor",
    "exit_when_live",
    "format",
    "jq",
    "output",
    "demo",
];

/// Returns the command line with its help. It accepts the same arguments as `Cli::command`.
pub fn command() -> Command {
    let root = Cli::command();
    // A global flag has one layout for all commands, unless the command has it already.
    let globals = root.get_arguments().filter(|arg| arg.is_global_set()).cloned();
    let globals: Vec<Arg> = globals.map(general).collect();
    root.after_long_help(help::sections(""))
        .mut_subcommand("tail", |tail| {
            let most_used = tail.mut_args(most_used);
            two_pages(most_used, &globals, help::TAIL_SHORT, help::TAIL_EXAMPLES)
                .before_long_help(help::TAIL_LONG)
        })
        .mut_subcommand("plan", |plan| {
            let planned = plan.mut_args(planned);
            two_pages(planned, &globals, help::PLAN_SHORT, help::PLAN)
                .before_long_help(help::TAIL_LONG)
        })
        .mut_subcommand("top", |top| {
            two_pages(top, &globals, help::TOP_SHORT, help::TOP).before_long_help(help::TOP_LONG)
        })
}

/// Returns the flag of `tail`, in the first group if it is one of the most used.
fn most_used(arg: Arg) -> Arg {
    match MOST_USED.iter().position(|id| arg.get_id() == *id) {
        Some(order) => arg.help_heading("Most used").display_order(order),
        None => arg,
    }
}

/// Hides the flags of `tail` that don't change what `plan` prints. It accepts them, so that a
/// command of `tail` can be planned as it is.
fn planned(arg: Arg) -> Arg {
    let matters = matches!(
        arg.get_help_heading(),
        Some("Plan" | "Filters" | "Source" | "Cursor" | "Archive")
    );
    if arg.get_id() == "json" {
        return arg.help("Print one JSON object").help_heading("Plan").hide(false);
    }
    let matters = matters || arg.get_id() == "until";
    arg.hide(!matters)
}

/// Returns the flag in the last group of the long page.
fn general(arg: Arg) -> Arg {
    let heading = arg.get_help_heading().unwrap_or("General").to_owned();
    arg.help_heading(heading).hide_short_help(true)
}

/// Returns a command whose short page is `short`, and whose long page has all flags, with `end`
/// after them.
fn two_pages(command: Command, globals: &[Arg], short: &'static str, end: &str) -> Command {
    let help_flag = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help_flag = help_flag.help("Print help; -h prints the most used options only");
    let (values, examples) = help::split_examples(end);
    command
        .mut_args(|arg| arg.hide_short_help(true))
        .args(globals)
        .disable_help_flag(true)
        .arg(general(help_flag).display_order(907))
        .help_template(help::COMMAND_TEMPLATE)
        .before_help(short)
        .after_help("")
        .after_long_help(format!("{values}\n\n{}\n\n{examples}", help::sections("tail")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail() -> Command {
        command().find_subcommand("tail").unwrap().clone()
    }

    #[test]
    fn the_most_used_flags_exist_and_are_the_first_group() {
        let tail = tail();
        let heading = |arg: &Arg| arg.get_help_heading().map(str::to_owned);
        let headings: Vec<_> = tail.get_arguments().filter_map(heading).collect();
        assert_eq!(headings[0], "Most used");
        let of_group = headings.iter().filter(|heading| *heading == "Most used").count();
        assert_eq!(of_group, MOST_USED.len());
    }

    #[test]
    fn the_short_pages_name_flags_that_exist() {
        for (name, page) in [("tail", help::TAIL_SHORT), ("top", help::TOP_SHORT)] {
            let words = page.split_whitespace().filter_map(|word| {
                let word = word.trim_end_matches([',', ':', ')']);
                word.starts_with('-').then(|| word.trim_start_matches('-'))
            });
            let words: Vec<&str> = words.collect();
            assert!(words.len() > 10, "{words:?}");
            let command = command().find_subcommand(name).unwrap().clone();
            for word in words {
                let is_it = |arg: &Arg| {
                    arg.get_long() == Some(word) || arg.get_short() == word.chars().next()
                };
                assert!(command.get_arguments().any(is_it), "{name}: --{word} does not exist");
            }
        }
    }
}
