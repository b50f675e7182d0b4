//! The `ochre` command.
#![forbid(unsafe_code)]
fn main() {}
