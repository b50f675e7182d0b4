//! Which terminals there are, and which session has which: the one of the
//! first serial line, and those of the screen. One of them is the console.

use alloc::sync::Arc;

use ochre_sync::Once;

use super::job_control::Standing;
use super::{Terminal, screen};
use crate::process::{Pid, Thread, table};

static CONSOLE: Once<Arc<Terminal>> = Once::new();

static SERIAL: Once<Arc<Terminal>> = Once::new();

/// Names the console; a second call changes nothing.
pub fn set_console(terminal: Arc<Terminal>) {
    let _ = CONSOLE.set(terminal);
}

/// The system console, where that is a terminal.
#[must_use]
pub fn console() -> Option<&'static Arc<Terminal>> {
    CONSOLE.get()
}

/// Names the terminal of the first serial line; a second call changes nothing.
pub fn set_serial(terminal: Arc<Terminal>) {
    let _ = SERIAL.set(terminal);
}

/// The terminal of the first serial line, unless that is no terminal.
#[must_use]
pub fn serial() -> Option<&'static Arc<Terminal>> {
    SERIAL.get()
}

/// Every terminal that there is.
pub fn terminals() -> impl Iterator<Item = &'static Arc<Terminal>> {
    serial().into_iter().chain(screen::terminals())
}

/// The controlling terminal of a session (`/dev/tty`).
#[must_use]
pub fn controlling(session: Pid) -> Option<Arc<Terminal>> {
    terminals()
        .find(|terminal| terminal.session() == Some(session))
        .cloned()
}

/// The controlling terminal of a process: its session's, unless the process
/// gave that up for itself.
#[must_use]
pub fn terminal_of(pid: Pid) -> Option<Arc<Terminal>> {
    let session = {
        let table = table::lock();
        let of = table.relations(pid)?;
        if of.gave_up_terminal {
            return None;
        }
        of.session
    };
    controlling(session)
}

/// After opening `terminal` without `O_NOCTTY`: makes it the controlling
/// terminal of the caller's session, if the caller leads one that has none and
/// the terminal is free.
pub fn acquire(terminal: &Terminal, thread: &Thread) {
    let Some(standing) = Standing::of(thread) else {
        return;
    };
    if standing.is_leader()
        && controlling(standing.session).is_none()
        && terminal.session().is_none()
    {
        terminal.adopt(standing.session, standing.group);
    }
}

/// The leader of `session` ended: its terminal hangs up.
pub fn leader_exited(session: Pid) {
    if let Some(terminal) = controlling(session) {
        terminal.release(true);
    }
}
