//! One property, one kernel, one QEMU.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ochre_tests::run(Vec::new())
}
