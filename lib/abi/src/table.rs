//! The table of system calls: number, name, arity, argument types, handler, coverage.
//!
//! [`syscall_table!`](crate::syscall_table) hands its rows to a callback macro:
//! the kernel makes the dispatch table of them, `cargo xtask syscalls` the
//! documentation. A row reads
//!
//! ```text
//! name = x86_64 number, aarch64 number: family(argument: Type, ...) "coverage";
//! ```
//!
//! with `-` where the machine has no such call. The handler is
//! `kernel::syscall::family::name`. The coverage is `complete`, or says what
//! is missing. A call without a row answers ENOSYS and is counted.

/// Hands every row of the table to `$callback!`.
#[macro_export]
macro_rules! syscall_table {
    ($callback:path) => {
        $callback! {
            sched_yield = 24, 124: sched() "complete";
            getpid = 39, 172: process() "complete";
            exit = 60, 93: process(status: i32) "complete";
            getppid = 110, 173: process() "complete";
            exit_group = 231, 94: process(status: i32) "complete";
        }
    };
}
