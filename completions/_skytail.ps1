
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'skytail' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'skytail'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'skytail' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('cursors', 'cursors', [CompletionResultType]::ParameterValue, 'Look at and edit the saved cursors')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Serve a recording as a Jetstream server')
            [CompletionResult]::new('stats', 'stats', [CompletionResultType]::ParameterValue, 'Count what a recording holds')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Look into a segment of the archive')
            [CompletionResult]::new('dictionary', 'dictionary', [CompletionResultType]::ParameterValue, 'Install the zstd dictionary of Jetstream v1')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print or write the man pages')
            [CompletionResult]::new('tail', 'tail', [CompletionResultType]::ParameterValue, 'Print events as they happen, or from where you stopped')
            break
        }
        'skytail;cursors' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the saved cursors')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show all that is saved under a name')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Say where the next `tail --cursor auto` starts')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Forget saved cursors')
            break
        }
        'skytail;cursors;list' {
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'File of saved cursors [default: skytail/state.db in the directory for state]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object a line')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;cursors;show' {
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'File of saved cursors [default: skytail/state.db in the directory for state]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;cursors;set' {
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'The server that a sequence number belongs to [default: any]')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'File of saved cursors [default: skytail/state.db in the directory for state]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;cursors;rm' {
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'File of saved cursors [default: skytail/state.db in the directory for state]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;serve' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Where to listen; port 0 takes any free port')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'How fast events happen: `max`, a speed like `1x` or `10x`, or events per second like `500/s`. A paced recording starts when the first client connects')
            [CompletionResult]::new('--server-kind', '--server-kind', [CompletionResultType]::ParameterName, 'Which server to imitate [default: what the recording was made from]')
            [CompletionResult]::new('--zstd-dictionary', '--zstd-dictionary', [CompletionResultType]::ParameterName, 'Compress /subscribe with this dictionary for clients that ask for zstd [default: the official one where installed, else one trained from the recording]')
            [CompletionResult]::new('--v2-dictionary', '--v2-dictionary', [CompletionResultType]::ParameterName, 'Compress the v2 stream with this dictionary, and hand it out [default: one trained from the recording]')
            [CompletionResult]::new('--write-dictionary', '--write-dictionary', [CompletionResultType]::ParameterName, 'Train a dictionary from the recording, write it to this file and use it')
            [CompletionResult]::new('--retention-events', '--retention-events', [CompletionResultType]::ParameterName, 'Hold only the newest N events, rounded up to whole segments: an older cursor starts at the oldest of them, or is refused (v2 stream). 0 replays nothing [default: all]')
            [CompletionResult]::new('--archive-segment-events', '--archive-segment-events', [CompletionResultType]::ParameterName, 'Events in a segment of a v2 server''s log. The archive has all segments but the newest, which is not full yet')
            [CompletionResult]::new('--archive-block-events', '--archive-block-events', [CompletionResultType]::ParameterName, 'Events in a block of the archive')
            [CompletionResult]::new('--api-key-file', '--api-key-file', [CompletionResultType]::ParameterName, 'Demand the key in this file of the archive''s clients: Authorization: Bearer KEY')
            [CompletionResult]::new('--chaos', '--chaos', [CompletionResultType]::ParameterName, 'Break things on purpose, as listed below')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--loop', '--loop', [CompletionResultType]::ParameterName, 'Start again at the end, with later times and higher cursors. Events keep their identity, so a consumer that removes duplicates may drop a short loop''s events')
            [CompletionResult]::new('--restamp', '--restamp', [CompletionResultType]::ParameterName, 'Move all times so that the playhead is now (with `--rate max`: the last event). At speeds other than 1x, times drift from the clock as the recording plays')
            [CompletionResult]::new('--close-at-end', '--close-at-end', [CompletionResultType]::ParameterName, 'Close connections at the end of the recording instead of leaving them silent')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'skytail;stats' {
            [CompletionResult]::new('--plot', '--plot', [CompletionResultType]::ParameterName, 'Draw events a minute by collection, as SVG')
            [CompletionResult]::new('--gap-over', '--gap-over', [CompletionResultType]::ParameterName, 'Call more than this without an event a gap')
            [CompletionResult]::new('--top', '--top', [CompletionResultType]::ParameterName, 'Show the N largest collections and languages (JSON has all; the picture shows up to 8)')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;inspect' {
            [CompletionResult]::new('--shape', '--shape', [CompletionResultType]::ParameterName, 'Form of the events: v1 as on /subscribe, or native as the payload of the v2 stream')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('--events', '--events', [CompletionResultType]::ParameterName, 'Print the rows as events, one JSON object a line')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;dictionary' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Fetch the dictionary, check it and keep it in the cache directory')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show where the dictionary is and whether it is the right one')
            break
        }
        'skytail;dictionary;install' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;dictionary;show' {
            [CompletionResult]::new('--zstd-dictionary', '--zstd-dictionary', [CompletionResultType]::ParameterName, 'Look at this file instead of the installed one')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;completions' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Write to a file in DIR instead of stdout')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Write the scripts of all shells into --dir')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;man' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Write a page for each command into DIR [default: print the main page]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'skytail;tail' {
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Server to read; repeat it for servers to fall back on [default: Bluesky''s public servers]')
            [CompletionResult]::new('--prefer-first', '--prefer-first', [CompletionResultType]::ParameterName, 'Go back to the first --host once it has been well for DUR (1m where no =DUR is given)')
            [CompletionResult]::new('--protocol', '--protocol', [CompletionResultType]::ParameterName, 'Protocol: v1, v2, or auto, which is v2 where the server has it')
            [CompletionResult]::new('--compress', '--compress', [CompletionResultType]::ParameterName, 'Use zstd: on, off, or auto, which is on where there is a dictionary (v2 servers have one; v1''s must be installed), except on this machine')
            [CompletionResult]::new('--zstd-dictionary', '--zstd-dictionary', [CompletionResultType]::ParameterName, 'zstd dictionary to use, not the installed one')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'Give up an attempt after this')
            [CompletionResult]::new('--ping-after', '--ping-after', [CompletionResultType]::ParameterName, 'Ping a silent server after this')
            [CompletionResult]::new('--pong-timeout', '--pong-timeout', [CompletionResultType]::ParameterName, 'Time for the server''s answer')
            [CompletionResult]::new('--stall-timeout', '--stall-timeout', [CompletionResultType]::ParameterName, 'Reconnect after so long without an event, or never [default: 60s; with --did never]')
            [CompletionResult]::new('--max-retries', '--max-retries', [CompletionResultType]::ParameterName, 'Retries in a row, or unlimited [default: unlimited; 8 before the first event]')
            [CompletionResult]::new('--dns-server', '--dns-server', [CompletionResultType]::ParameterName, 'DNS server to ask for handles [default: the system''s]')
            [CompletionResult]::new('--max-frame-size', '--max-frame-size', [CompletionResultType]::ParameterName, 'Largest message accepted')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Only events of this account: its DID, or a handle of it (alice.bsky.social), resolved at the start [default: all]')
            [CompletionResult]::new('--did', '--did', [CompletionResultType]::ParameterName, 'Only events of this account: its DID, or a handle of it (alice.bsky.social), resolved at the start [default: all]')
            [CompletionResult]::new('-k', '-k', [CompletionResultType]::ParameterName, 'Only this kind: commit, identity, account or sync (of v2) [default: all]')
            [CompletionResult]::new('--kind', '--kind', [CompletionResultType]::ParameterName, 'Only this kind: commit, identity, account or sync (of v2) [default: all]')
            [CompletionResult]::new('--operation', '--operation', [CompletionResultType]::ParameterName, 'Only this operation: create, update or delete; implies --kind commit as -c does [default: all]')
            [CompletionResult]::new('--max-message-size', '--max-message-size', [CompletionResultType]::ParameterName, 'Only events of up to N bytes of JSON (64k) [default: all]')
            [CompletionResult]::new('--cursor', '--cursor', [CompletionResultType]::ParameterName, 'Where to start: live, auto (where this consumer stopped), oldest, a time, an age (-15m), or an integer cursor')
            [CompletionResult]::new('--consumer', '--consumer', [CompletionResultType]::ParameterName, 'Name of the saved cursor [default: from filters]')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'File of saved cursors [default: skytail/state.db in the directory for state]')
            [CompletionResult]::new('--checkpoint-every', '--checkpoint-every', [CompletionResultType]::ParameterName, 'Save the cursor this often [default: 1s; with .zst output 10s]')
            [CompletionResult]::new('--checkpoint-events', '--checkpoint-events', [CompletionResultType]::ParameterName, 'Save it after N events, too [default: no limit]')
            [CompletionResult]::new('--join', '--join', [CompletionResultType]::ParameterName, 'How a replay meets the live stream of a legacy server: auto (nothing lost), or single (as it does it)')
            [CompletionResult]::new('--on-gap', '--on-gap', [CompletionResultType]::ParameterName, 'Where events are missing: warn, or fail (exit code 4)')
            [CompletionResult]::new('--rewind', '--rewind', [CompletionResultType]::ParameterName, 'Replay this much on reconnecting, less duplicates')
            [CompletionResult]::new('--archive', '--archive', [CompletionResultType]::ParameterName, 'History from the archive of v2 servers: auto (where the cursor is older than the live stream), or off')
            [CompletionResult]::new('--archive-parallelism', '--archive-parallelism', [CompletionResultType]::ParameterName, 'Downloads at once')
            [CompletionResult]::new('--api-key-file', '--api-key-file', [CompletionResultType]::ParameterName, 'File with the archive''s key; or set SKYTAIL_API_KEY [default: no key]')
            [CompletionResult]::new('--jq', '--jq', [CompletionResultType]::ParameterName, 'Print what EXPR, in jq''s language, makes of each event')
            [CompletionResult]::new('--jq-errors', '--jq-errors', [CompletionResultType]::ParameterName, 'Where --jq raises an error: skip the event, or fail (in front of it, with exit code 1)')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Print ndjson, pretty (indented JSON), text (for eyes), csv or tsv')
            [CompletionResult]::new('--fields', '--fields', [CompletionResultType]::ParameterName, 'Columns of csv and tsv: did,commit.record.text,…')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Append to FILE, exactly once; .zst is compressed [default: - for stdout]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Append to FILE, exactly once; .zst is compressed [default: - for stdout]')
            [CompletionResult]::new('--rotate', '--rotate', [CompletionResultType]::ParameterName, 'Begin files hourly, daily, or after SIZE; FILE has event times as strftime fields (log-%FT%H.ndjson)')
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Publish exactly once to nats://HOST/SUBJECT or kafka://HOST/TOPIC (cargo features nats and kafka)')
            [CompletionResult]::new('--to-config', '--to-config', [CompletionResultType]::ParameterName, 'File of "key = value" lines for --to, as password')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Stop after N events [default: no limit]')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Stop after N events [default: no limit]')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'Stop when events reach TIME [default: never]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Stop after this long [default: never]')
            [CompletionResult]::new('--drain-timeout', '--drain-timeout', [CompletionResultType]::ParameterName, 'Time to finish the output')
            [CompletionResult]::new('--shape', '--shape', [CompletionResultType]::ParameterName, 'Shape of v2 events: as in v1, or native')
            [CompletionResult]::new('--buffer', '--buffer', [CompletionResultType]::ParameterName, 'Most events waiting for output')
            [CompletionResult]::new('--buffer-bytes', '--buffer-bytes', [CompletionResultType]::ParameterName, 'Most bytes waiting for output')
            [CompletionResult]::new('--when-full', '--when-full', [CompletionResultType]::ParameterName, 'Then block (which loses nothing), drop-newest or drop-oldest')
            [CompletionResult]::new('--max-lag', '--max-lag', [CompletionResultType]::ParameterName, 'Warn when more keep waiting [default: no warning]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress: auto, always or never')
            [CompletionResult]::new('--metrics-listen', '--metrics-listen', [CompletionResultType]::ParameterName, 'Tell /metrics (for Prometheus) and /healthz over HTTP; a port alone is one of 127.0.0.1 [default: don''t]')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: add kinds with --kind commit,identity [default: all]')
            [CompletionResult]::new('--collection', '--collection', [CompletionResultType]::ParameterName, 'Only records of this collection, or of a prefix (app.bsky.feed.*). Implies --kind commit: add kinds with --kind commit,identity [default: all]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines: text or json')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour: auto, always or never')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from FILE [default: skytail/config.toml]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Use the settings under [profile.NAME] of that file')
            [CompletionResult]::new('--demo', '--demo', [CompletionResultType]::ParameterName, 'Read made-up events from a server inside skytail')
            [CompletionResult]::new('--no-checkpoint', '--no-checkpoint', [CompletionResultType]::ParameterName, 'Save no cursor')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Print the strings that --jq makes without their quotes')
            [CompletionResult]::new('--raw-output', '--raw-output', [CompletionResultType]::ParameterName, 'Print the strings that --jq makes without their quotes')
            [CompletionResult]::new('--append', '--append', [CompletionResultType]::ParameterName, 'Take FILE as it is, and go on behind its end')
            [CompletionResult]::new('--exit-when-live', '--exit-when-live', [CompletionResultType]::ParameterName, 'Stop when the replay has reached the present')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Check the whole JSON grammar of each event')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no progress, no summary')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more on stderr; -vv for everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
