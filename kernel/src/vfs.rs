//! Files: what can be opened, and what was opened.

mod file;
mod io;

pub use file::{Events, File, OpenFile, StatusFlags, Transfer};
pub use io::{Sink, Source};
