//! Developers' commands: everything CI runs is one of them, and each runs on a laptop.
fn main() {}
