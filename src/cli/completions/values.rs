//! Adds values that only a run of the program knows to the generated scripts: the names of saved
//! cursors, the profiles, and the words of `--cursor`. The scripts run `skytail completions
//! --values` for them, with the `--state`, `--config` and `--profile` of the line that is typed.

use clap_complete::Shell;

/// Wraps the generated function: bash splits words at `:` and `=`, which names contain, so this
/// reads the line itself. It compares names without expanding them.
const BASH: &str = r#"
_skytail_values() {
    local line="${COMP_LINE:0:COMP_POINT}" cur prev which="" prefix="" name word is_cursors=""
    local -a words flags
    # An option with its value, quoted or with backslashes, and a space after it.
    local plain="([^[:space:]\"'\\\\]|\\\\.)+" option
    option="[[:space:]](--state|--config|--profile)(=|[[:space:]]+)('[^']*'|\"[^\"]*\"|$plain)[[:space:]]"
    read -r -a words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    cur="${words[${#words[@]}-1]}"
    prev="${words[${#words[@]}-2]}"
    if [[ $cur == --*=* ]]; then
        prev="${cur%%=*}"
        cur="${cur#*=}"
    fi
    cur="${cur//\\/}"
    case "$prev" in
        --consumer) which=names ;;
        --profile) which=profiles ;;
        --cursor|--from) which=starts ;;
        *)
            for word in "${words[@]:0:${#words[@]}-1}"; do
                case "$is_cursors,$word" in
                    ,cursors) is_cursors=1 ;;
                    1,show|1,set|1,restore|1,export|1,reset|1,rm|1,delete) which=names ;;
                esac
            done
            [[ $cur == -* || $prev == --state || $prev == --config ]] && which=""
            ;;
    esac
    if [[ -z $which ]]; then
        _skytail "$@"
        return
    fi
    COMPREPLY=()
    line=" $line"
    while [[ $line =~ $option ]]; do
        line=" ${line#*"${BASH_REMATCH[0]}"}"
        word="${BASH_REMATCH[3]}"
        case "$word" in
            [\"\']*) word="${word#?}" word="${word%?}" ;;
            *) word="${word//\\/}" word="${word/#\~\//$HOME/}" ;;
        esac
        flags+=("${BASH_REMATCH[1]}=$word")
    done
    [[ $COMP_WORDBREAKS == *:* && $cur == *:* ]] && prefix="${cur%:*}:"
    name="${cur#"$prefix"}"
    [[ $COMP_WORDBREAKS == *=* && $name == *=* ]] && prefix+="${name%=*}="
    while IFS= read -r name; do
        if [[ $name == "$cur"* ]]; then
            printf -v word %q "${name#"$prefix"}"
            COMPREPLY+=("$word")
        fi
    done < <("$1" completions --values "$which" "${flags[@]}" 2>/dev/null)
}

complete -F _skytail_values -o bashdefault -o default skytail
"#;

const ZSH: &str = r#"
_skytail_values() {
    local -a values typed flags
    local expl i name value
    typed=(${(z)LBUFFER})
    [[ $LBUFFER == *[[:space:]] ]] || typed[-1]=()
    for ((i = 1; i <= $#typed; i++)); do
        name=${(Q)typed[i]}
        case $name in
            --state|--config|--profile)
                ((i < $#typed)) || continue
                value=${(Q)typed[i+1]} ;;
            --state=*|--config=*|--profile=*) value=${name#*=} name=${name%%=*} ;;
            *) continue ;;
        esac
        [[ $value == '~/'* ]] && value=$HOME/${value#'~/'}
        flags+=("$name=$value")
    done
    values=(${(f)"$(skytail completions --values $1 $flags 2>/dev/null)"})
    _wanted values expl $1 compadd -a values
}
"#;

const FISH: &str = r#"
function __fish_skytail_values
    set -l words (commandline -opc)
    set -l flags
    for i in (seq (count $words))
        set -l next (math $i + 1)
        switch $words[$i]
            case --state --config --profile
                if set -q words[$next]
                    set -a flags $words[$i]=(string replace -r '^~/' "$HOME/" -- $words[$next])
                end
            case '--state=*' '--config=*' '--profile=*'
                set -a flags (string replace -r '=~/' "=$HOME/" -- $words[$i])
        end
    end
    skytail completions --values $argv[1] $flags 2>/dev/null
end
complete -c skytail -n "__fish_seen_subcommand_from tail" -l consumer -x -a "(__fish_skytail_values names)"
complete -c skytail -n "__fish_seen_subcommand_from tail top" -l cursor -x -a "(__fish_skytail_values starts)"
complete -c skytail -n "__fish_seen_subcommand_from tail" -l from -x -a "(__fish_skytail_values starts)"
complete -c skytail -l profile -x -a "(__fish_skytail_values profiles)"
complete -c skytail -n "__fish_seen_subcommand_from cursors; and __fish_seen_subcommand_from show set restore export reset rm delete" -f -a "(__fish_skytail_values names)"
"#;

/// The starts of lines of the zsh script, each with what the argument accepts.
const ZSH_ARGUMENTS: [(&str, &str); 7] = [
    ("'--consumer=[", "names"),
    ("'--profile=[", "profiles"),
    ("'--cursor=[", "starts"),
    ("'--from=[", "starts"),
    ("':name -- ", "names"),
    ("'*::names -- ", "names"),
    ("'*:names -- ", "names"),
];

/// Returns the script with these values, for the shells that this knows.
pub fn add(shell: Shell, script: String) -> String {
    match shell {
        Shell::Bash => script + BASH,
        Shell::Fish => script + FISH,
        Shell::Zsh => zsh(&script),
        _ => script,
    }
}

fn zsh(script: &str) -> String {
    let mut changed = String::new();
    for line in script.lines() {
        let argument = ZSH_ARGUMENTS.iter().find(|(start, _)| line.starts_with(start));
        let line = match argument {
            Some((_, which)) => line.replace(":_default'", &format!(": _skytail_values {which}'")),
            None => line.to_owned(),
        };
        changed += &line;
        changed.push('\n');
        if line == "autoload -U is-at-least" {
            changed += ZSH;
        }
    }
    changed
}
