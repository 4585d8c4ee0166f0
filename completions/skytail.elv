
use builtin;
use str;

set edit:completion:arg-completer[skytail] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'skytail'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'skytail'= {
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand cursors 'Look at and edit the saved cursors'
            cand serve 'Serve a recording as a Jetstream server'
            cand dictionary 'Install the zstd dictionary of Jetstream v1'
            cand completions 'Print a completion script for a shell'
            cand man 'Print or write the man pages'
            cand tail 'Print events as they happen, or from where you stopped'
        }
        &'skytail;cursors'= {
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'skytail;serve'= {
            cand --listen 'Where to listen; port 0 takes any free port'
            cand --rate 'How fast events happen: `max`, a speed like `1x` or `10x`, or events per second like `500/s`. A paced recording starts when the first client connects'
            cand --server-kind 'Which server to imitate [default: what the recording was made from]'
            cand --zstd-dictionary 'Compress with this dictionary for clients that ask for zstd [default: the official one where installed, else one trained from the recording]'
            cand --write-dictionary 'Train a dictionary from the recording, write it to this file and use it'
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand --loop 'Start again at the end, with later times and higher cursors. Events keep their identity, so a consumer that removes duplicates may drop a short loop''s events'
            cand --restamp 'Move all times so that the playhead is now (with `--rate max`: the last event). At speeds other than 1x, times drift from the clock as the recording plays'
            cand --close-at-end 'Close connections at the end of the recording instead of leaving them silent'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'skytail;dictionary'= {
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand install 'Fetch the dictionary, check it and keep it in the cache directory'
            cand show 'Show where the dictionary is and whether it is the right one'
        }
        &'skytail;dictionary;install'= {
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'skytail;dictionary;show'= {
            cand --zstd-dictionary 'Look at this file instead of the installed one'
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'skytail;completions'= {
            cand --dir 'Write to a file in DIR instead of stdout'
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand --all 'Write the scripts of all shells into --dir'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'skytail;man'= {
            cand --dir 'Write a page for each command into DIR [default: print the main page]'
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'skytail;tail'= {
            cand --host 'Server to read; repeat it for servers to fall back on [default: Bluesky''s public servers]'
            cand --compress 'Use zstd: on, off, or auto, which is on where the dictionary is installed, except on this machine'
            cand --zstd-dictionary 'zstd dictionary to use, not the installed one'
            cand --connect-timeout 'Give up an attempt after this'
            cand --ping-after 'Ping a silent server after this'
            cand --pong-timeout 'Time for the server''s answer'
            cand --stall-timeout 'Reconnect after so long without an event, or never [default: 60s; with --did never]'
            cand --max-retries 'Retries in a row, or unlimited [default: unlimited; 8 before the first event]'
            cand --max-frame-size 'Largest message accepted'
            cand -d 'Only events of this account [default: all]'
            cand --did 'Only events of this account [default: all]'
            cand -k 'Only this kind: commit, identity or account [default: all]'
            cand --kind 'Only this kind: commit, identity or account [default: all]'
            cand --operation 'Only this operation: create, update or delete; implies --kind commit as -c does [default: all]'
            cand --max-message-size 'Only events of up to N bytes of JSON (64k) [default: all]'
            cand --cursor 'Where to start: live, auto (where this consumer stopped), oldest, a time, an age (-15m), or an integer cursor'
            cand --consumer 'Name of the saved cursor [default: from filters]'
            cand --state 'File of saved cursors [default: skytail/state.db in the directory for state]'
            cand --checkpoint-every 'Save the cursor this often'
            cand --checkpoint-events 'Save it after N events, too [default: no limit]'
            cand --rewind 'Replay this much on reconnecting, less duplicates'
            cand -n 'Stop after N events [default: no limit]'
            cand --limit 'Stop after N events [default: no limit]'
            cand --until 'Stop when events reach TIME [default: never]'
            cand --timeout 'Stop after this long [default: never]'
            cand --drain-timeout 'Time to finish the output'
            cand --buffer 'Most events waiting for output'
            cand --buffer-bytes 'Most bytes waiting for output'
            cand --when-full 'Then block (which loses nothing), drop-newest or drop-oldest'
            cand --max-lag 'Warn when more keep waiting [default: no warning]'
            cand --progress 'Progress: auto, always or never'
            cand -c 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: add kinds with --kind commit,identity [default: all]'
            cand --collection 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: add kinds with --kind commit,identity [default: all]'
            cand --log-format 'Form of log lines: text or json'
            cand --color 'Colour: auto, always or never'
            cand --config 'Read settings from FILE [default: skytail/config.toml]'
            cand --profile 'Use the settings under [profile.NAME] of that file'
            cand --demo 'Read made-up events from a server inside skytail'
            cand --no-checkpoint 'Save no cursor'
            cand --exit-when-live 'Stop when the replay has reached the present'
            cand --strict 'Check the whole JSON grammar of each event'
            cand -q 'Print errors only: no progress, no summary'
            cand --quiet 'Print errors only: no progress, no summary'
            cand -v 'Print more on stderr; -vv for everything'
            cand --verbose 'Print more on stderr; -vv for everything'
            cand -h 'Print help'
            cand --help 'Print help'
        }
    ]
    $completions[$command]
}
