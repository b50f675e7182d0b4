//! The `#[ktest]` attribute.
#![forbid(unsafe_code)]
