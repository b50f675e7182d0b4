//! The tests inside the kernel, one by one.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ochre_tests::run(Vec::new())
}
