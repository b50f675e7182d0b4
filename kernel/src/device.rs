//! Character devices by number: what `/dev` holds and what opening it gives.
//!
//! The file system knows nodes and numbers only; everything behind a number
//! is here. Numbers are Linux's (`Documentation/admin-guide/devices.txt`).

use alloc::sync::Arc;

use ochre_abi::Errno;

use crate::process::Thread;
use crate::tty::{self, TerminalFile, screen};
use crate::vfs::File;

mod chacha;
mod channel;
pub mod keyboard;
mod line;
pub mod memory;
mod number;
pub mod random;
pub mod rtc;
mod standard;

pub use channel::Channel;
pub use line::{SerialLine, Service, Serviced, attend, serve};
pub use number::DeviceNumber;
pub use standard::{StandardFiles, flush, start};

/// A node that devtmpfs has from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name under `/dev`.
    pub name: &'static str,
    /// The device.
    pub number: DeviceNumber,
    /// Permission bits.
    pub mode: u32,
}

const fn node(name: &'static str, major: u32, minor: u32, mode: u32) -> Node {
    Node {
        name,
        number: DeviceNumber::new(major, minor),
        mode,
    }
}

/// The nodes of `/dev` on this machine.
pub fn nodes() -> impl Iterator<Item = &'static Node> {
    let rtc = rtc::exists().then_some(&RTC);
    let of_screen: &[Node] = if screen::exists() { &SCREEN } else { &[] };
    NODES.iter().chain(rtc).chain(of_screen)
}

/// The battery-backed clock, where there is one. (Linux gives it a number that
/// is free.)
pub const RTC: Node = node("rtc0", 254, 0, 0o600);

/// The screen's terminals, where there is one; the first is the active one.
pub const SCREEN: [Node; 1 + screen::TERMINALS] = [
    node("tty0", screen::MAJOR, 0, 0o620),
    node("tty1", screen::MAJOR, 1, 0o620),
    node("tty2", screen::MAJOR, 2, 0o620),
    node("tty3", screen::MAJOR, 3, 0o620),
    node("tty4", screen::MAJOR, 4, 0o620),
    node("tty5", screen::MAJOR, 5, 0o620),
    node("tty6", screen::MAJOR, 6, 0o620),
];

/// The nodes of `/dev` that every machine has.
pub const NODES: &[Node] = &[
    node("null", 1, 3, 0o666),
    node("zero", 1, 5, 0o666),
    node("full", 1, 7, 0o666),
    node("random", 1, 8, 0o666),
    node("urandom", 1, 9, 0o666),
    node("tty", 5, 0, 0o666),
    node("console", 5, 1, 0o600),
    node("ttyS0", 4, 64, 0o660),
];

/// Opens the character device `number` on behalf of `thread`. `no_terminal`
/// is `O_NOCTTY`: without it, opening a terminal may make it the session's.
///
/// # Errors
/// ENXIO where there is no such device, or no terminal behind `/dev/tty`;
/// ENODEV for a console that is not a terminal.
pub fn open(
    number: DeviceNumber,
    thread: &Arc<Thread>,
    no_terminal: bool,
) -> Result<Arc<dyn File>, Errno> {
    Ok(match (number.major(), number.minor()) {
        (1, 3) => Arc::new(memory::Null),
        (1, 5) => Arc::new(memory::Zero),
        (1, 7) => Arc::new(memory::Full),
        (1, 8 | 9) => Arc::new(random::Random),
        (5, 0) => {
            let terminal = tty::terminal_of(thread.process.pid).ok_or(Errno::ENXIO)?;
            Arc::new(TerminalFile::new(terminal, false))
        }
        (5, 1) => {
            let terminal = tty::console().ok_or(Errno::ENODEV)?;
            Arc::new(TerminalFile::new(Arc::clone(terminal), true))
        }
        (4, minor) => {
            let terminal = match minor {
                64 => tty::serial().cloned().ok_or(Errno::ENXIO)?,
                // Numbers of terminals are small.
                minor => screen::terminal(minor as usize)?,
            };
            if !no_terminal {
                tty::acquire(&terminal, thread);
            }
            Arc::new(TerminalFile::new(terminal, false))
        }
        (254, 0) => rtc::open()?,
        _ => return Err(Errno::ENXIO),
    })
}
