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
        .mut_subcommand("tail", |tail| tail_layout(tail, globals))
        .mut_subcommand("top", |top| {
            let (keys, examples) = help::split_examples(help::TOP);
            top.after_long_help(format!("{keys}\n\n{}\n\n{examples}", help::sections("tail")))
        })
}

/// Returns the flag in the last group of the long page.
fn general(arg: Arg) -> Arg {
    let heading = arg.get_help_heading().unwrap_or("General").to_owned();
    arg.help_heading(heading).hide_short_help(true)
}

fn tail_layout(tail: Command, globals: Vec<Arg>) -> Command {
    let help_flag = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help_flag = help_flag.help("Print help; -h prints the most used options only");
    let (values, examples) = help::split_examples(help::TAIL_EXAMPLES);
    let most_used = |arg: Arg| match MOST_USED.iter().position(|id| arg.get_id() == *id) {
        Some(order) => arg.help_heading("Most used").display_order(order),
        None => arg,
    };
    tail.mut_args(|arg| most_used(arg).hide_short_help(true))
        .args(globals)
        .disable_help_flag(true)
        .arg(general(help_flag).display_order(907))
        .help_template(help::TAIL_TEMPLATE)
        .before_help(help::TAIL_SHORT)
        .before_long_help(help::TAIL_LONG)
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
    fn the_short_page_names_flags_that_exist() {
        let tail = tail();
        let words = help::TAIL_SHORT.split_whitespace().filter_map(|word| {
            let word = word.trim_end_matches([',', ':', ')']);
            word.starts_with('-').then(|| word.trim_start_matches('-'))
        });
        let words: Vec<&str> = words.collect();
        assert!(words.len() > 15, "{words:?}");
        for word in words {
            let is_it =
                |arg: &Arg| arg.get_long() == Some(word) || arg.get_short() == word.chars().next();
            assert!(tail.get_arguments().any(is_it), "--{word} does not exist");
        }
    }
}
