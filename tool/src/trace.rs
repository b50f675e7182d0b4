//! `ochre trace`: system calls in words, as strace(1) shows them.
//!
//! The kernel, told `ochre.trace`, says of each call on its log what it saw:
//! numbers, and the bytes that pointers led to (`kernel/src/syscall/trace.rs`
//! has the form). All knowledge of what they mean is here, made from the table
//! of system calls that the kernel's dispatcher is made from.
//!
//! | module | what |
//! |---|---|
//! | `record` | the kernel's line, read |
//! | `table` | names, arguments and types of calls by number |
//! | `names` | the numbers that stand for words, by call and argument |
//! | `show` | a record as a line |
//! | `summary` | calls counted, for `--count` |
//! | `output` | takes the lines out of the log and puts them where they belong |

mod names;
mod output;
mod record;
mod show;
mod summary;
mod table;

pub use output::{Branch, Options, Splitter};

use crate::arch::Arch;

/// The name of a call.
pub(crate) fn call_name(arch: Arch, number: u64) -> String {
    show::name(arch, number)
}
