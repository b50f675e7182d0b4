//! The `ochre` command: everything it does is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ochre_tool::cli::main()
}
