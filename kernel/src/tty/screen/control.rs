//! What ioctl(2) does with a virtual terminal besides (ioctl_console(2)).
//!
//! There is one way to show a terminal and one kind of keyboard, so most
//! requests tell that; those that would change it are refused.

use ochre_abi::Errno;
use ochre_abi::vt::{self, Mode, Status, request};

use super::{SCREEN, Screen, TERMINALS};
use crate::process::Capability;
use crate::syscall::{Call, FromArgument, Ptr};
use crate::tty::control::put;
use crate::tty::{Terminal, registry};

/// Handles one request; ENOTTY for a terminal that is none of the screen's.
pub(in crate::tty) fn ioctl(
    terminal: &Terminal,
    call: &Call<'_>,
    what: u32,
    argument: u64,
) -> Result<usize, Errno> {
    let screen = SCREEN.get().ok_or(Errno::ENOTTY)?;
    if !super::terminals().any(|of_screen| core::ptr::eq(&raw const **of_screen, terminal)) {
        return Err(Errno::ENOTTY);
    }
    match what {
        request::KDGKBTYPE => put(call, argument, &vt::KEYBOARD_101),
        request::KDGETMODE => put(call, argument, &vt::MODE_TEXT),
        request::KDGKBMODE => put(call, argument, &vt::KEYS_UNICODE),
        request::KDGETLED | request::KDGKBLED => put(call, argument, &0_u8),
        request::KDSETMODE => only(argument, vt::MODE_TEXT),
        request::KDSKBMODE => only(argument, vt::KEYS_UNICODE),
        // A machine without a speaker has silent bells.
        request::KIOCSOUND | request::KDMKTONE | request::KDSETLED | request::KDSKBLED => Ok(0),
        request::VT_OPENQRY => {
            let free = (1..=TERMINALS).find(|number| screen.place(*number).is_none());
            let free = free.map_or(-1, |number| i32::try_from(number).unwrap_or(-1));
            put(call, argument, &free)
        }
        request::VT_GETMODE => put(call, argument, &Mode::default()),
        request::VT_SETMODE => {
            let mode = call
                .space
                .read_value(Ptr::<Mode>::from_argument(argument))?;
            match mode.mode {
                // The kernel alone switches.
                0 => Ok(0),
                _ => Err(Errno::EINVAL),
            }
        }
        request::VT_GETSTATE => put(call, argument, &status(screen)),
        request::VT_ACTIVATE => {
            may_switch(terminal, call)?;
            let number = usize::try_from(argument).map_err(|_| Errno::ENXIO)?;
            if !super::switch_to(number) {
                return Err(Errno::ENXIO);
            }
            Ok(0)
        }
        // A switch is done at once: another terminal than this will not become
        // active by waiting here.
        request::VT_WAITACTIVE => match usize::try_from(argument) {
            Ok(number) if (1..=TERMINALS).contains(&number) => Ok(0),
            _ => Err(Errno::ENXIO),
        },
        request::VT_DISALLOCATE => Err(Errno::EBUSY),
        _ => Err(Errno::ENOTTY),
    }
}

/// Who may switch: a process whose terminal this is, or a privileged one.
fn may_switch(terminal: &Terminal, call: &Call<'_>) -> Result<(), Errno> {
    let own = registry::terminal_of(call.thread.process.pid);
    let is_own = own.is_some_and(|own| core::ptr::eq(&raw const *own, terminal));
    if is_own || call.thread.has(Capability::SysTtyConfig) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// The active terminal, and a bit for each that is in use.
fn status(screen: &Screen) -> Status {
    let in_use = (1..=TERMINALS)
        .filter(|number| screen.place(*number).is_some())
        .fold(1, |bits, number| bits | 1 << number);
    Status {
        // CAST: at most `TERMINALS`.
        active: screen.active() as u16,
        signal: 0,
        in_use,
    }
}

/// Takes the only value that there is.
fn only(argument: u64, value: i32) -> Result<usize, Errno> {
    if u64::try_from(value) == Ok(argument) {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}
