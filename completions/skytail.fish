# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_skytail_global_optspecs
    string join \n q/quiet v/verbose log-format= color= config= profile= h/help V/version
end

function __fish_skytail_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_skytail_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_skytail_using_subcommand
    set -l cmd (__fish_skytail_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c skytail -n "__fish_skytail_needs_command" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_needs_command" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_needs_command" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_needs_command" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_needs_command" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_needs_command" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_needs_command" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_needs_command" -s V -l version -d 'Print version'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "cursors" -d 'List, show and edit the saved cursors'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "serve" -d 'Serve a recording as a Jetstream server'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "stats" -d 'Count the events of a recording'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "convert" -d 'Convert recordings to Parquet, and back'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "scrub" -d 'Remove deleted records and accounts from recordings'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "inspect" -d 'Show the contents of an archive segment'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "dictionary" -d 'Install the zstd dictionary of Jetstream v1'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "man" -d 'Print or write the man pages'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "tail" -d 'Print events as they happen, or from where you stopped'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "top" -d 'Watch what happens now: rates, collections, accounts'
complete -c skytail -n "__fish_skytail_needs_command" -f -a "plan" -d 'Show what a run would download from the archive'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -l json -d 'Print one JSON object a line'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "list" -d 'List the saved cursors'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "show" -d 'Show everything that is saved under a name'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "set" -d 'Set where the next `tail --cursor auto` starts'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "restore" -d 'List the earlier positions of a name, or restore one'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "export" -d 'Print everything that is saved under names, for `import`'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "import" -d 'Import the output of `export` under the same names'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "backup" -d 'Copy the whole state file, even while runs save to it'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "reset" -d 'Forget the position of names, and keep the names'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "rm" -d 'Remove saved cursors'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and not __fish_seen_subcommand_from list show set restore export import backup reset rm delete" -f -a "delete" -d 'Remove saved cursors'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object a line'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -l server -d 'Server of the sequence number [default: any]' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -l force -d 'Replace what is saved under a name'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -l force -d 'Replace FILE if it exists'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from backup" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand cursors; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l listen -d 'Address to listen on; port 0 means any free port' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l rate -d 'Speed of the recording: `max`, a speed like `1x` or `10x`, or events per second like `500/s`. A paced recording starts when the first client connects' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l server-kind -d 'Which server to imitate [default: what the recording was made from]' -r -f -a "v2\t'The current server: cursors are sequence numbers'
legacy\t'The original server: cursors are times'"
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l zstd-dictionary -d 'Compress /subscribe with this dictionary for clients that ask for zstd [default: the official one if installed, else one trained from the recording]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l v2-dictionary -d 'Compress the v2 stream with this dictionary, and serve it to clients [default: one trained from the recording]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l write-dictionary -d 'Train a dictionary from the recording, write it to this file and use it' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l retention-events -d 'Hold only the newest N events, rounded up to whole segments: an older cursor starts at the oldest of them, or is rejected (v2 stream). 0 replays nothing [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l archive-segment-events -d 'Events in a segment of a v2 server\'s log. The archive has all segments but the newest, which is not full yet' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l archive-block-events -d 'Events in a block of the archive' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l api-key-file -d 'Require the API key in this file for the archive: Authorization: Bearer KEY' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l legacy-scan-rate -d 'Imitate a legacy server that scans a replay at N events per second before it filters, also at --rate max. During a scan it sends no events, but answers pings [default: 50000; no limit at --rate max]' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l legacy-queue-events -d 'Imitate a legacy server that closes a connection when N events are queued for it' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l legacy-send-rate -d 'Imitate a legacy server that sends at most N events per second on a connection [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l v2-send-rate -d 'Imitate a v2 server that sends at most N events per second on a connection [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l chaos -d 'Inject the faults listed below' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l loop -d 'Start again at the end, with later times, higher cursors and a new `rev` of commits or relay `seq` of other events'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l keep-identities -d 'With `--loop`, do not change what identifies the events of a round: a consumer that removes duplicates then drops all rounds but the first'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l restamp -d 'Move all times so that the event being played happens now (with `--rate max`: the last event). At speeds other than 1x, times drift from the clock as the recording plays'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l archive-compact -d 'Remove superseded creates and updates from the archive, as a real server does'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -l close-at-end -d 'Close connections at the end of the recording instead of keeping them open'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l plot -d 'Draw the events a minute by collection as SVG' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l gap-over -d 'Report a longer time without an event as a gap' -r
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l top -d 'Show the N largest collections and languages (JSON has all; the picture shows up to 8)' -r
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand stats" -l json -d 'Print JSON'
complete -c skytail -n "__fish_skytail_using_subcommand stats" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand stats" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand stats" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand convert" -s o -l output -d 'The file to write; {collection} in the name of a Parquet file splits it into one file for each large collection' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand convert" -l fields -d 'Columns to add to a Parquet file: paths into the event, and a type (text, int, float, bool or time) if not text' -r
complete -c skytail -n "__fish_skytail_using_subcommand convert" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand convert" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand convert" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand convert" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand convert" -l skip-malformed -d 'Leave out lines that are not events'
complete -c skytail -n "__fish_skytail_using_subcommand convert" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand convert" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand convert" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l markers-from -d 'Also honour the deletes in this recording or database (--to sqlite:FILE), which stays as it is; may be repeated' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l markers-host -d 'Also honour all account and sync events in the archive of this v2 server' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l api-key-file -d 'File that holds the API key of the archive; or set SKYTAIL_API_KEY [default: no key]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l ca-file -d 'Also trust the certificates in FILE (PEM)' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l state -d 'File of saved cursors, which also lists the files of skytail tail [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l temp -d 'Directory for temporary files [default: that of the first FILE]' -r -f -a "(__fish_complete_directories)"
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l sort-memory -d 'Memory of the sort, for tests' -r
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l keep-history -d 'Keep records that were replaced by a later version'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l inactive -d 'Also remove accounts whose latest status is inactive (deactivated, suspended, taken down)'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l ignore-sync -d 'Keep records that are older than a repair of their repository, and may no longer exist'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l dry-run -d 'Change no file'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -l json -d 'Print the report as JSON'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand scrub" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l shape -d 'JSON format of the events: v1 as on /subscribe, or native as the payload of the v2 stream' -r -f -a "v1\t''
native\t''"
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l json -d 'Print one JSON object'
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -l events -d 'Print the rows as events, one JSON object a line'
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -f -a "install" -d 'Download the dictionary, check it and store it in the cache directory'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and not __fish_seen_subcommand_from install show" -f -a "show" -d 'Show where the dictionary is and whether it is valid'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -l ca-file -d 'Also trust the certificates in FILE (PEM)' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -l zstd-dictionary -d 'Show this file instead of the installed one' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand dictionary; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l dir -d 'Write to a file in DIR instead of stdout' -r -f -a "(__fish_complete_directories)"
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l values -d 'Print what the scripts offer: names (of saved cursors), profiles, or starts (values of --cursor)' -r -f -a "names\t''
profiles\t''
starts\t''"
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l state -d 'File of saved cursors, for --values [default: as for tail]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand completions" -l all -d 'Write the scripts of all shells into --dir'
complete -c skytail -n "__fish_skytail_using_subcommand completions" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand completions" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand completions" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand man" -l dir -d 'Write a page for each command into DIR [default: print the main page]' -r -f -a "(__fish_complete_directories)"
complete -c skytail -n "__fish_skytail_using_subcommand man" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand man" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand man" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand man" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand man" -l markdown -d 'Print the help of all commands as one Markdown page'
complete -c skytail -n "__fish_skytail_using_subcommand man" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand man" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand man" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s d -l did -d 'Only events of this account: its DID, or its handle (alice.bsky.social), resolved at the start. @FILE has one a line, and tail reads it again when it changes; top reads all files once [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s k -l kind -d 'Only this kind: commit, identity, account or sync (v2 only) [default: all]' -r -f -a "commit\t''
identity\t''
account\t''
sync\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l operation -d 'Only this operation: create, update or delete. Implies --kind commit, as -c does [default: all]' -r -f -a "create\t''
update\t''
delete\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l max-message-size -d 'Only events of up to N bytes of JSON (64k) [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l exclude -d 'No records of this collection, or of a prefix. Servers send them, and skytail drops them. @FILE has one a line, and tail reads it again when it changes [default: drop none]' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l lang -d 'Only records in this language: de is also de-AT. Deletes have none. Implies --kind commit, as -c does [default: all]' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l grep -d 'Only records with a string that matches REGEX; (?i) at its start ignores case. Implies --kind commit [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l sample -d 'Only one in N (1/100): the same ones on every server, a record\'s create, update and delete together [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l sample-by -d 'What to sample: record, or did (whole accounts) [default: record]' -r -f -a "record\t''
did\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l host -d 'Server to read; repeat it for servers to fall back on [default: Bluesky\'s public servers]' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l prefer-first -d 'Return to the first --host once it has worked for DUR (1m if no =DUR is given)' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l protocol -d 'Protocol: v1, v2, or auto, which is v2 if the server speaks it' -r -f -a "auto\t''
v1\t''
v2\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l compress -d 'Use zstd: on, off, or auto, which is on if a dictionary is available (v2 servers send one, v1 needs `skytail dictionary install`) and the server is another machine' -r -f -a "auto\t''
on\t''
off\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l zstd-dictionary -d 'zstd dictionary to use instead of the installed one' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l ca-file -d 'Also trust the certificates in FILE (PEM): of an authority, or of one server' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l connect-timeout -d 'Give up a connection attempt after this' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l ping-after -d 'Ping a silent server after this' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l pong-timeout -d 'Time for the server to answer a ping' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l stall-timeout -d 'Reconnect after this long without an event, or never [default: 60s; with --did never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l max-retries -d 'Failed retries in a row before skytail gives up, or unlimited [default: unlimited; 8 before the first event]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l dns-server -d 'DNS server that resolves handles [default: the system\'s]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l max-frame-size -d 'Largest message accepted' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l witness -d 'Second server to compare with: what only HOST has is printed, late, and counted' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l witness-window -d 'Event time after which an event of only one server is missing on the other' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l witness-leave -d 'Leave the server in use for the witness if it lacks this share of the events of a window, like 1% [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l witness-only -d 'What to do with an event that only the witness has: print, or only report [default: print]' -r -f -a "print\t''
report\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l cursor -d 'Where to start: live, auto (where this consumer stopped), oldest, a time, an age (15m), or an integer cursor [default: live; with -o, --to, --consumer, --from auto]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l since -d 'Start at TIME: 10m (ago), yesterday, 2026-11-23T10:00:00Z; the same as --cursor TIME' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l last -d 'Print the N newest events that match (up to 100,000), then follow, or stop with --exit-when-live' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l last-within -d 'How far back --last may read: DUR, or all (also in the archive) [default: what the server replays]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l from -d 'Where auto starts if nothing is saved: oldest, a time, or an age (15m) [default: live]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l consumer -d 'Name of the saved cursor [default: from filters and output]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l checkpoint-every -d 'Save the cursor this often [default: 1s; with .zst output 10s]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l checkpoint-events -d 'Also save it after N events [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l join -d 'Cutover from the replay to the live stream of a legacy server: auto (loses nothing), or single (on one connection: the server may lose events)' -r -f -a "auto\t''
single\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l on-gap -d 'When events are missing: warn, or fail (exit code 4)' -r -f -a "warn\t''
fail\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l rewind -d 'Dedup overlap: replay this much on each connection, and drop the duplicates' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l archive -d 'Read history from the archive of v2 servers: auto (if the cursor is older than the live stream), prefer (also if that is faster; omits superseded events), or off [default: auto]' -r -f -a "auto\t''
prefer\t''
off\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l archive-parallelism -d 'Parallel downloads' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l api-key-file -d 'File that holds the API key of the archive; or set SKYTAIL_API_KEY [default: no key]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l archive-max-bytes -d 'Stop before the archive has sent more than SIZE; the next run continues there [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l archive-stripe -d 'Read stripe I of N of the history between the start and --until, to divide it over N machines [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l jq -d 'Print the output of the jq program EXPR for each event' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l jq-errors -d 'When --jq raises an error: skip the event, or fail (stop before the event, with exit code 1)' -r -f -a "skip\t''
fail\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l format -d 'Print ndjson, pretty (indented JSON), text (one line for people), csv or tsv' -r -f -a "ndjson\t''
pretty\t''
text\t''
csv\t''
tsv\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l fields -d 'Columns of csv and tsv: did,commit.record.text,…; added columns of Parquet, with types (commit.record.n:int)' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s o -l output -d 'Append each event to FILE exactly once; .zst files are compressed, .parquet files tables [default: - for stdout]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l rotate -d 'Begin a new file hourly, daily, or after SIZE; strftime fields in FILE are event times (log-%FT%H.ndjson)' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l to -d 'Keep the newest state of each record in a database, sqlite:FILE; or publish each event exactly once to nats://HOST/SUBJECT or kafka://HOST/TOPIC (cargo features nats and kafka)' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l to-config -d 'File of "key = value" lines for --to, such as password' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s n -l limit -d 'Stop after N events [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l until -d 'Stop when event times reach TIME: 10m (ago), +10m, or as for --since [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l timeout -d 'Stop after this long [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l drain-timeout -d 'Time to write received events after a stop' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l shape -d 'JSON format of v2 events: v1, or native' -r -f -a "v1\t''
native\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l buffer -d 'Most events that wait for the output' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l buffer-bytes -d 'Most bytes that wait for the output' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l when-full -d 'When the buffer is full: block (lossless), drop-newest or drop-oldest' -r -f -a "block\t''
drop-newest\t''
drop-oldest\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l max-lag -d 'Queue warning threshold: warn while more events than this wait [default: no warning]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l progress -d 'Progress: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l metrics-listen -d 'Serve /metrics (for Prometheus) and /healthz over HTTP; a port alone listens on 127.0.0.1 [default: no server]' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s c -l collection -d 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: for more kinds add --kind commit,identity. @FILE has one a line, and tail reads it again when it changes [default: all]' -r -f -a "app.bsky.feed.post\t''
app.bsky.feed.like\t''
app.bsky.feed.repost\t''
app.bsky.feed.threadgate\t''
app.bsky.feed.postgate\t''
app.bsky.feed.generator\t''
app.bsky.graph.follow\t''
app.bsky.graph.block\t''
app.bsky.graph.list\t''
app.bsky.graph.listitem\t''
app.bsky.graph.starterpack\t''
app.bsky.graph.listblock\t''
app.bsky.actor.profile\t''
app.bsky.labeler.service\t''
chat.bsky.actor.declaration\t''
app.bsky.feed.\*\t''
app.bsky.graph.\*\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l markers -d 'With -c and other filters: also take what honours deletes later (account, sync, deletes of the wanted collections); see skytail scrub'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l demo -d 'Read made-up events from a server inside skytail'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l witness-hold -d 'Delay the output by one and a half windows, so that what only the witness has comes in its place'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l no-checkpoint -d 'Do not save a cursor'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l backfill-new -d 'When -d @FILE or -c @FILE gains entries: read their history before their new events, beside the live stream'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s r -l raw-output -d 'Print the strings that --jq outputs without quotes'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l json -d 'A synonym of --format ndjson'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l csv-safe -d 'Put \' in front of cells that a spreadsheet could take for a formula'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l append -d 'Append to FILE even if skytail did not write it'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s e -l exit-when-live -d 'Stop when the replay has reached the present'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s f -l follow -d 'Continue at the live stream, which is the default'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -l strict -d 'Check the whole JSON grammar of each event'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand tail" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand top" -l window -d 'Count the events of the last DUR, 1s to 1h' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l top -d 'Print the N largest with --once (JSON has all, and N accounts)' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l host -d 'Server to read; repeat it for servers to fall back on [default: Bluesky\'s public servers]' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l prefer-first -d 'Return to the first --host once it has worked for DUR (1m if no =DUR is given)' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l protocol -d 'Protocol: v1, v2, or auto, which is v2 if the server speaks it' -r -f -a "auto\t''
v1\t''
v2\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l compress -d 'Use zstd: on, off, or auto, which is on if a dictionary is available (v2 servers send one, v1 needs `skytail dictionary install`) and the server is another machine' -r -f -a "auto\t''
on\t''
off\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l zstd-dictionary -d 'zstd dictionary to use instead of the installed one' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand top" -l ca-file -d 'Also trust the certificates in FILE (PEM): of an authority, or of one server' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand top" -l connect-timeout -d 'Give up a connection attempt after this' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l ping-after -d 'Ping a silent server after this' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l pong-timeout -d 'Time for the server to answer a ping' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l stall-timeout -d 'Reconnect after this long without an event, or never [default: 60s; with --did never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l max-retries -d 'Failed retries in a row before skytail gives up, or unlimited [default: unlimited; 8 before the first event]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l dns-server -d 'DNS server that resolves handles [default: the system\'s]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l max-frame-size -d 'Largest message accepted' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l witness -d 'Second server to compare with: what only HOST has is printed, late, and counted' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l witness-window -d 'Event time after which an event of only one server is missing on the other' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l witness-leave -d 'Leave the server in use for the witness if it lacks this share of the events of a window, like 1% [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l witness-only -d 'What to do with an event that only the witness has: print, or only report [default: print]' -r -f -a "print\t''
report\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -s d -l did -d 'Only events of this account: its DID, or its handle (alice.bsky.social), resolved at the start. @FILE has one a line, and tail reads it again when it changes; top reads all files once [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -s k -l kind -d 'Only this kind: commit, identity, account or sync (v2 only) [default: all]' -r -f -a "commit\t''
identity\t''
account\t''
sync\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l operation -d 'Only this operation: create, update or delete. Implies --kind commit, as -c does [default: all]' -r -f -a "create\t''
update\t''
delete\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l max-message-size -d 'Only events of up to N bytes of JSON (64k) [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l exclude -d 'No records of this collection, or of a prefix. Servers send them, and skytail drops them. @FILE has one a line, and tail reads it again when it changes [default: drop none]' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand top" -l lang -d 'Only records in this language: de is also de-AT. Deletes have none. Implies --kind commit, as -c does [default: all]' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand top" -l grep -d 'Only records with a string that matches REGEX; (?i) at its start ignores case. Implies --kind commit [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l sample -d 'Only one in N (1/100): the same ones on every server, a record\'s create, update and delete together [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l sample-by -d 'What to sample: record, or did (whole accounts) [default: record]' -r -f -a "record\t''
did\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l cursor -d 'Where to start: live, oldest, a time, an age (15m), or an integer cursor; top never saves a cursor' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l archive -d 'Read history from the archive of v2 servers: auto (if the cursor is older than the live stream), prefer (also if that is faster; omits superseded events), or off [default: auto]' -r -f -a "auto\t''
prefer\t''
off\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l archive-parallelism -d 'Parallel downloads' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l api-key-file -d 'File that holds the API key of the archive; or set SKYTAIL_API_KEY [default: no key]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand top" -s c -l collection -d 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: for more kinds add --kind commit,identity. @FILE has one a line, and tail reads it again when it changes [default: all]' -r -f -a "app.bsky.feed.post\t''
app.bsky.feed.like\t''
app.bsky.feed.repost\t''
app.bsky.feed.threadgate\t''
app.bsky.feed.postgate\t''
app.bsky.feed.generator\t''
app.bsky.graph.follow\t''
app.bsky.graph.block\t''
app.bsky.graph.list\t''
app.bsky.graph.listitem\t''
app.bsky.graph.starterpack\t''
app.bsky.graph.listblock\t''
app.bsky.actor.profile\t''
app.bsky.labeler.service\t''
chat.bsky.actor.declaration\t''
app.bsky.feed.\*\t''
app.bsky.graph.\*\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand top" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand top" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand top" -l once -d 'Print the figures of one window, then exit'
complete -c skytail -n "__fish_skytail_using_subcommand top" -l json -d 'Print them as JSON'
complete -c skytail -n "__fish_skytail_using_subcommand top" -l demo -d 'Read made-up events from a server inside skytail'
complete -c skytail -n "__fish_skytail_using_subcommand top" -l witness-hold -d 'Delay the output by one and a half windows, so that what only the witness has comes in its place'
complete -c skytail -n "__fish_skytail_using_subcommand top" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand top" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand top" -s h -l help -d 'Print help'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s d -l did -d 'Only events of this account: its DID, or its handle (alice.bsky.social), resolved at the start. @FILE has one a line, and tail reads it again when it changes; top reads all files once [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s k -l kind -d 'Only this kind: commit, identity, account or sync (v2 only) [default: all]' -r -f -a "commit\t''
identity\t''
account\t''
sync\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l operation -d 'Only this operation: create, update or delete. Implies --kind commit, as -c does [default: all]' -r -f -a "create\t''
update\t''
delete\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l max-message-size -d 'Only events of up to N bytes of JSON (64k) [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l exclude -d 'No records of this collection, or of a prefix. Servers send them, and skytail drops them. @FILE has one a line, and tail reads it again when it changes [default: drop none]' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l lang -d 'Only records in this language: de is also de-AT. Deletes have none. Implies --kind commit, as -c does [default: all]' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l grep -d 'Only records with a string that matches REGEX; (?i) at its start ignores case. Implies --kind commit [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l sample -d 'Only one in N (1/100): the same ones on every server, a record\'s create, update and delete together [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l sample-by -d 'What to sample: record, or did (whole accounts) [default: record]' -r -f -a "record\t''
did\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l host -d 'Server to read; repeat it for servers to fall back on [default: Bluesky\'s public servers]' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l prefer-first -d 'Return to the first --host once it has worked for DUR (1m if no =DUR is given)' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l protocol -d 'Protocol: v1, v2, or auto, which is v2 if the server speaks it' -r -f -a "auto\t''
v1\t''
v2\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l compress -d 'Use zstd: on, off, or auto, which is on if a dictionary is available (v2 servers send one, v1 needs `skytail dictionary install`) and the server is another machine' -r -f -a "auto\t''
on\t''
off\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l zstd-dictionary -d 'zstd dictionary to use instead of the installed one' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l ca-file -d 'Also trust the certificates in FILE (PEM): of an authority, or of one server' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l connect-timeout -d 'Give up a connection attempt after this' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l ping-after -d 'Ping a silent server after this' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l pong-timeout -d 'Time for the server to answer a ping' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l stall-timeout -d 'Reconnect after this long without an event, or never [default: 60s; with --did never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l max-retries -d 'Failed retries in a row before skytail gives up, or unlimited [default: unlimited; 8 before the first event]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l dns-server -d 'DNS server that resolves handles [default: the system\'s]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l max-frame-size -d 'Largest message accepted' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l witness -d 'Second server to compare with: what only HOST has is printed, late, and counted' -r -f -a "(__fish_print_hostnames)"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l witness-window -d 'Event time after which an event of only one server is missing on the other' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l witness-leave -d 'Leave the server in use for the witness if it lacks this share of the events of a window, like 1% [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l witness-only -d 'What to do with an event that only the witness has: print, or only report [default: print]' -r -f -a "print\t''
report\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l cursor -d 'Where to start: live, auto (where this consumer stopped), oldest, a time, an age (15m), or an integer cursor [default: live; with -o, --to, --consumer, --from auto]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l since -d 'Start at TIME: 10m (ago), yesterday, 2026-11-23T10:00:00Z; the same as --cursor TIME' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l last -d 'Print the N newest events that match (up to 100,000), then follow, or stop with --exit-when-live' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l last-within -d 'How far back --last may read: DUR, or all (also in the archive) [default: what the server replays]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l from -d 'Where auto starts if nothing is saved: oldest, a time, or an age (15m) [default: live]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l consumer -d 'Name of the saved cursor [default: from filters and output]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l state -d 'File of saved cursors [default: skytail/state.db in the directory for state]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l checkpoint-every -d 'Save the cursor this often [default: 1s; with .zst output 10s]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l checkpoint-events -d 'Also save it after N events [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l join -d 'Cutover from the replay to the live stream of a legacy server: auto (loses nothing), or single (on one connection: the server may lose events)' -r -f -a "auto\t''
single\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l on-gap -d 'When events are missing: warn, or fail (exit code 4)' -r -f -a "warn\t''
fail\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l rewind -d 'Dedup overlap: replay this much on each connection, and drop the duplicates' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l archive -d 'Read history from the archive of v2 servers: auto (if the cursor is older than the live stream), prefer (also if that is faster; omits superseded events), or off [default: auto]' -r -f -a "auto\t''
prefer\t''
off\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l archive-parallelism -d 'Parallel downloads' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l api-key-file -d 'File that holds the API key of the archive; or set SKYTAIL_API_KEY [default: no key]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l archive-max-bytes -d 'Stop before the archive has sent more than SIZE; the next run continues there [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l archive-stripe -d 'Read stripe I of N of the history between the start and --until, to divide it over N machines [default: all]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l jq -d 'Print the output of the jq program EXPR for each event' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l jq-errors -d 'When --jq raises an error: skip the event, or fail (stop before the event, with exit code 1)' -r -f -a "skip\t''
fail\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l format -d 'Print ndjson, pretty (indented JSON), text (one line for people), csv or tsv' -r -f -a "ndjson\t''
pretty\t''
text\t''
csv\t''
tsv\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l fields -d 'Columns of csv and tsv: did,commit.record.text,…; added columns of Parquet, with types (commit.record.n:int)' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s o -l output -d 'Append each event to FILE exactly once; .zst files are compressed, .parquet files tables [default: - for stdout]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l rotate -d 'Begin a new file hourly, daily, or after SIZE; strftime fields in FILE are event times (log-%FT%H.ndjson)' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l to -d 'Keep the newest state of each record in a database, sqlite:FILE; or publish each event exactly once to nats://HOST/SUBJECT or kafka://HOST/TOPIC (cargo features nats and kafka)' -r -f
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l to-config -d 'File of "key = value" lines for --to, such as password' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s n -l limit -d 'Stop after N events [default: no limit]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l until -d 'Stop when event times reach TIME: 10m (ago), +10m, or as for --since [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l timeout -d 'Stop after this long [default: never]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l drain-timeout -d 'Time to write received events after a stop' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l shape -d 'JSON format of v2 events: v1, or native' -r -f -a "v1\t''
native\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l buffer -d 'Most events that wait for the output' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l buffer-bytes -d 'Most bytes that wait for the output' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l when-full -d 'When the buffer is full: block (lossless), drop-newest or drop-oldest' -r -f -a "block\t''
drop-newest\t''
drop-oldest\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l max-lag -d 'Queue warning threshold: warn while more events than this wait [default: no warning]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l progress -d 'Progress: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l metrics-listen -d 'Serve /metrics (for Prometheus) and /healthz over HTTP; a port alone listens on 127.0.0.1 [default: no server]' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s c -l collection -d 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: for more kinds add --kind commit,identity. @FILE has one a line, and tail reads it again when it changes [default: all]' -r -f -a "app.bsky.feed.post\t''
app.bsky.feed.like\t''
app.bsky.feed.repost\t''
app.bsky.feed.threadgate\t''
app.bsky.feed.postgate\t''
app.bsky.feed.generator\t''
app.bsky.graph.follow\t''
app.bsky.graph.block\t''
app.bsky.graph.list\t''
app.bsky.graph.listitem\t''
app.bsky.graph.starterpack\t''
app.bsky.graph.listblock\t''
app.bsky.actor.profile\t''
app.bsky.labeler.service\t''
chat.bsky.actor.declaration\t''
app.bsky.feed.\*\t''
app.bsky.graph.\*\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l log-format -d 'Format of log lines: text or json' -r -f -a "text\t''
json\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l color -d 'Colour: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l config -d 'Configuration file [default: skytail/config.toml]' -r -F
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l profile -d 'Use the settings under [profile.NAME] of that file' -r
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l no-measure -d 'Download nothing to measure the rate; the plan has no time then'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l markers -d 'With -c and other filters: also take what honours deletes later (account, sync, deletes of the wanted collections); see skytail scrub'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l demo -d 'Read made-up events from a server inside skytail'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l witness-hold -d 'Delay the output by one and a half windows, so that what only the witness has comes in its place'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l no-checkpoint -d 'Do not save a cursor'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l backfill-new -d 'When -d @FILE or -c @FILE gains entries: read their history before their new events, beside the live stream'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s r -l raw-output -d 'Print the strings that --jq outputs without quotes'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l json -d 'A synonym of --format ndjson'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l csv-safe -d 'Put \' in front of cells that a spreadsheet could take for a formula'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l append -d 'Append to FILE even if skytail did not write it'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s e -l exit-when-live -d 'Stop when the replay has reached the present'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s f -l follow -d 'Continue at the live stream, which is the default'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -l strict -d 'Check the whole JSON grammar of each event'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s q -l quiet -d 'Print errors only: no progress, no summary'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s v -l verbose -d 'Print more on stderr; -vv for everything'
complete -c skytail -n "__fish_skytail_using_subcommand plan" -s h -l help -d 'Print help'

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
