//! Finds misspelled environment variables. Other variables with our prefix are none of ours:
//! Kubernetes gives pods `SKYTAIL_SERVICE_HOST` and the like, if a service is called skytail.

use clap::Command;

use super::layers::variable_name;

const PREFIX: &str = "SKYTAIL_";
/// The variables that are no flags.
const NOT_FLAGS: [&str; 2] = ["SKYTAIL_LOG", "SKYTAIL_API_KEY"];
/// Up to this many letters, one wrong letter is a typo; in longer names, two are.
const SHORT_NAME: usize = 4;

/// Returns a warning for each of the variables that is one or two letters from a known one.
pub fn misspelled(names: impl Iterator<Item = String>, root: &Command) -> Vec<String> {
    let mut known: Vec<String> = NOT_FLAGS.map(str::to_owned).to_vec();
    add_flags(root, &mut known);
    let unknown = names.filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    let mut warnings: Vec<String> = unknown
        .filter(|name| !is_of_kubernetes(name))
        .filter_map(|name| {
            let near = nearest(&name, &known)?;
            Some(format!("{name} is not a setting: did you mean {near}?"))
        })
        .collect();
    warnings.sort();
    warnings
}

/// Adds the variables of all flags of a command and of its subcommands.
fn add_flags(command: &Command, known: &mut Vec<String>) {
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    known.extend(longs.map(variable_name));
    command.get_subcommands().for_each(|sub| add_flags(sub, known));
}

/// Returns whether Kubernetes sets a variable of this name for a service.
fn is_of_kubernetes(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest == "PORT" || ["PORT_", "SERVICE_"].iter().any(|part| rest.contains(part))
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let typos = |known: &String| {
        let short = known.len() - PREFIX.len() <= SHORT_NAME;
        let typos = strsim::osa_distance(name, known);
        (typos <= if short { 1 } else { 2 }).then_some(typos)
    };
    known.iter().filter_map(|known| Some((typos(known)?, known))).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn warnings(names: &[&str]) -> Vec<String> {
        misspelled(names.iter().map(|&name| name.to_owned()), &Cli::command())
    }

    #[test]
    fn a_variable_one_or_two_letters_from_a_known_one_is_reported() {
        for (name, meant) in [
            ("SKYTAIL_HOTS", "SKYTAIL_HOST"),
            ("SKYTAIL_HOSTS", "SKYTAIL_HOST"),
            ("SKYTAIL_COLECTION", "SKYTAIL_COLLECTION"),
            ("SKYTAIL_COLECTIONS", "SKYTAIL_COLLECTION"),
            ("SKYTAIL_APIKEY", "SKYTAIL_API_KEY"),
            ("SKYTAIL_CHECKPOINT-EVERY", "SKYTAIL_CHECKPOINT_EVERY"),
        ] {
            let warning = format!("{name} is not a setting: did you mean {meant}?");
            assert_eq!(warnings(&[name]), [warning]);
        }
    }

    #[test]
    fn known_variables_and_those_of_other_programs_are_not() {
        let others = [
            "SKYTAIL_HOST",
            "SKYTAIL_LOG",
            "SKYTAIL_CHAOS",
            "SKYTAIL_SERVICE_HOST",
            "SKYTAIL_SERVICE_PORT",
            "SKYTAIL_PORT",
            "SKYTAIL_PORT_6008_TCP",
            "SKYTAIL_WEB_SERVICE_HOST",
            "SKYTAIL_OWNER",
            "SKYTAIL_",
            "SKYTAIl_HOTS",
            "HOTS",
        ];
        assert_eq!(warnings(&others), [""; 0]);
    }
}
