//! Arguments → run → exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    skytail::cli::main(std::env::args_os())
}
