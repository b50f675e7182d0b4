//! A case is a line: `name: outcome`.
//!
//! A line goes out with one write, so children may report too. What is printed
//! must be the same on every run: no process numbers, addresses or times, only
//! relations between them.

use crate::errno::Errno;
use crate::sys;

/// What can be the outcome of a case.
pub(crate) trait Show {
    /// The text after the colon.
    fn show(&self) -> String;
}

impl<T: Show> Show for Result<T, Errno> {
    fn show(&self) -> String {
        match self {
            Ok(value) => value.show(),
            Err(error) => error.name().to_owned(),
        }
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Show::show)
    }
}

macro_rules! show_as_display {
    ($($ty:ty),*) => { $(
        impl Show for $ty {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )* };
}
show_as_display!(i32, u32, i64, u64, usize, bool, str, String, char);

impl<T: Show + ?Sized> Show for &T {
    fn show(&self) -> String {
        (**self).show()
    }
}

impl Show for [u8] {
    fn show(&self) -> String {
        format!("\"{}\"", self.escape_ascii())
    }
}

impl<const N: usize> Show for [u8; N] {
    fn show(&self) -> String {
        self.as_slice().show()
    }
}

impl Show for () {
    fn show(&self) -> String {
        "ok".to_owned()
    }
}

macro_rules! show_tuple {
    ($($ty:ident $i:tt),*) => {
        impl<$($ty: Show),*> Show for ($($ty,)*) {
            fn show(&self) -> String {
                [$(self.$i.show()),*].join(" ")
            }
        }
    };
}
show_tuple!(A 0, B 1);
show_tuple!(A 0, B 1, C 2);
show_tuple!(A 0, B 1, C 2, D 3);
show_tuple!(A 0, B 1, C 2, D 3, E 4);
show_tuple!(A 0, B 1, C 2, D 3, E 4, F 5);

/// Reports a case.
pub(crate) fn check(name: &str, outcome: impl Show) {
    line(&format!("{name}: {}", outcome.show()));
}

/// Reports a case whose value says nothing, only that there is one.
pub(crate) fn check_ok<T>(name: &str, outcome: Result<T, Errno>) {
    check(name, outcome.map(|_| ()));
}

/// Writes one line.
pub(crate) fn line(text: &str) {
    let text = format!("{text}\n");
    let _ = crate::call!(SYS_write, 1, text.as_bytes(), text.len());
}

/// Waits for a child and says how it ended.
pub(crate) fn wait(pid: i32) -> String {
    wait_with(pid, 0)
}

/// As [`wait`], with options of `wait4`.
pub(crate) fn wait_with(pid: i32, options: i32) -> String {
    let mut status = 0_i32;
    loop {
        match crate::call!(SYS_wait4, pid, &mut status, options, 0) {
            Ok(0) => return "nothing yet".to_owned(),
            Ok(_) => return describe(status),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return error.name().to_owned(),
        }
    }
}

/// A wait status in words.
pub(crate) fn describe(status: i32) -> String {
    if libc::WIFEXITED(status) {
        format!("exit {}", libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        format!("killed by {}", signal_name(libc::WTERMSIG(status)))
    } else if libc::WIFSTOPPED(status) {
        format!("stopped by {}", signal_name(libc::WSTOPSIG(status)))
    } else if libc::WIFCONTINUED(status) {
        "continued".to_owned()
    } else {
        format!("status {status:#x}")
    }
}

/// Runs `body` in a child and reports how the child ended.
pub(crate) fn check_child(name: &str, body: impl FnOnce() -> i32) {
    let pid = sys::fork(body);
    check(name, wait(pid));
}

/// A signal's name.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "HUP",
        libc::SIGINT => "INT",
        libc::SIGQUIT => "QUIT",
        libc::SIGILL => "ILL",
        libc::SIGTRAP => "TRAP",
        libc::SIGABRT => "ABRT",
        libc::SIGBUS => "BUS",
        libc::SIGFPE => "FPE",
        libc::SIGKILL => "KILL",
        libc::SIGUSR1 => "USR1",
        libc::SIGSEGV => "SEGV",
        libc::SIGUSR2 => "USR2",
        libc::SIGPIPE => "PIPE",
        libc::SIGALRM => "ALRM",
        libc::SIGTERM => "TERM",
        libc::SIGCHLD => "CHLD",
        libc::SIGCONT => "CONT",
        libc::SIGSTOP => "STOP",
        libc::SIGTSTP => "TSTP",
        libc::SIGTTIN => "TTIN",
        libc::SIGTTOU => "TTOU",
        libc::SIGXCPU => "XCPU",
        libc::SIGXFSZ => "XFSZ",
        libc::SIGSYS => "SYS",
        other => return format!("signal {other}"),
    };
    format!("SIG{name}")
}
