//! What ioctl(2) does with a terminal (ioctl_tty(2)).
//!
//! Requests that would wait until output is out (`TCSETSW`, `tcdrain`) do not
//! wait: output is processed when it is queued, so later modes cannot change
//! it, and the device takes it in order.

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_abi::termios::{Termio, Termios, Termios2, WindowSize, cc, cflag, request};

use super::file::TerminalFile;
use super::job_control::{self, Standing};
use super::screen;
use crate::process::{Capability, Pid, table};
use crate::syscall::{Call, FromArgument, Ptr};

/// Modem lines that are always on: DTR, RTS, CTS, CD, DSR.
const MODEM_LINES: i32 = 0x002 | 0x004 | 0x020 | 0x040 | 0x100;

/// Handles one request.
pub(super) fn ioctl(
    file: &TerminalFile,
    call: &mut Call<'_>,
    what: u32,
    argument: u64,
) -> Result<usize, Errno> {
    if file.terminal.lock().is_dead_for(file.generation) {
        return Err(Errno::EIO);
    }
    if changes_something(what) {
        job_control::check(&file.terminal, call.thread, Signal::SIGTTOU)?;
    }
    match what {
        request::TCGETS
        | request::TCGETS2
        | request::TCGETA
        | request::TCSETS
        | request::TCSETSW
        | request::TCSETSF
        | request::TCSETS2
        | request::TCSETSW2
        | request::TCSETSF2
        | request::TCSETA
        | request::TCSETAW
        | request::TCSETAF => modes(file, call, what, argument),
        request::TIOCSCTTY
        | request::TIOCNOTTY
        | request::TIOCGPGRP
        | request::TIOCSPGRP
        | request::TIOCGSID => session(file, call, what, argument),
        request::TCSBRK | request::TCSBRKP => {
            file.terminal.lock().transmit();
            Ok(0)
        }
        request::TCFLSH => flush(file, argument),
        request::TCXONC => flow(file, argument),
        request::TIOCSTI => {
            let byte = call.space.read_value(pointer::<u8>(argument))?;
            let mut state = file.terminal.lock();
            let state = &mut *state;
            // Faked signals would need the foreground's consent: data only.
            let _ = state.discipline.receive(byte, &mut state.output);
            file.terminal.announce();
            Ok(0)
        }
        request::TIOCGWINSZ => {
            let window = file.terminal.lock().window;
            put(call, argument, &window)
        }
        request::TIOCSWINSZ => {
            let window = call.space.read_value(pointer::<WindowSize>(argument))?;
            file.terminal.resize(window);
            Ok(0)
        }
        request::FIONREAD => {
            let len = file.terminal.lock().discipline.readable_len();
            put(call, argument, &i32::try_from(len).unwrap_or(i32::MAX))
        }
        request::TIOCOUTQ => {
            let len = file.terminal.lock().output.queue().len();
            put(call, argument, &i32::try_from(len).unwrap_or(i32::MAX))
        }
        request::TIOCGETD => put(call, argument, &0_i32),
        request::TIOCSETD => match call.space.read_value(pointer::<i32>(argument))? {
            0 => Ok(0),
            _ => Err(Errno::EINVAL),
        },
        request::TIOCMGET => put(call, argument, &MODEM_LINES),
        request::TIOCGSOFTCAR => {
            let local = file.terminal.lock().discipline.termios().cflag & cflag::CLOCAL != 0;
            put(call, argument, &i32::from(local))
        }
        request::TIOCSSOFTCAR => {
            let local = call.space.read_value(pointer::<i32>(argument))? != 0;
            let mut state = file.terminal.lock();
            let mut termios = *state.discipline.termios();
            termios.cflag &= !cflag::CLOCAL;
            if local {
                termios.cflag |= cflag::CLOCAL;
            }
            state.discipline.set_termios(termios);
            Ok(0)
        }
        request::TIOCEXCL | request::TIOCNXCL => {
            file.terminal.lock().exclusive = what == request::TIOCEXCL;
            Ok(0)
        }
        request::TIOCGEXCL => {
            let exclusive = file.terminal.lock().exclusive;
            put(call, argument, &i32::from(exclusive))
        }
        _ => screen::ioctl(&file.terminal, call, what, argument),
    }
}

/// Whether a background process has to ask by SIGTTOU first.
fn changes_something(what: u32) -> bool {
    matches!(
        what,
        request::TCSETS
            | request::TCSETSW
            | request::TCSETSF
            | request::TCSETS2
            | request::TCSETSW2
            | request::TCSETSF2
            | request::TCSETA
            | request::TCSETAW
            | request::TCSETAF
            | request::TCSBRK
            | request::TCSBRKP
            | request::TCFLSH
            | request::TCXONC
            | request::TIOCSPGRP
            | request::TIOCSETD
    )
}

fn pointer<T>(argument: u64) -> Ptr<T> {
    Ptr::from_argument(argument)
}

/// Hands a request's answer to the program.
pub(super) fn put<T: zerocopy::IntoBytes + zerocopy::Immutable>(
    call: &Call<'_>,
    argument: u64,
    value: &T,
) -> Result<usize, Errno> {
    call.space.write_value(pointer(argument), value)?;
    Ok(0)
}

/// Gets and sets the modes in their three shapes.
fn modes(
    file: &TerminalFile,
    call: &mut Call<'_>,
    what: u32,
    argument: u64,
) -> Result<usize, Errno> {
    let (old, speeds) = {
        let state = file.terminal.lock();
        (*state.discipline.termios(), state.speeds)
    };
    let (new, speeds) = match what {
        request::TCGETS => return put(call, argument, &old),
        request::TCGETS2 => {
            let old = Termios2 {
                termios: old,
                ispeed: speeds.0,
                ospeed: speeds.1,
            };
            return put(call, argument, &old);
        }
        request::TCGETA => return put(call, argument, &shorten(&old)),
        request::TCSETS | request::TCSETSW | request::TCSETSF => {
            (call.space.read_value(pointer::<Termios>(argument))?, speeds)
        }
        request::TCSETS2 | request::TCSETSW2 | request::TCSETSF2 => {
            let new = call.space.read_value(pointer::<Termios2>(argument))?;
            (new.termios, (new.ispeed, new.ospeed))
        }
        _ => {
            let short = call.space.read_value(pointer::<Termio>(argument))?;
            (lengthen(&short, &old), speeds)
        }
    };
    let drops_input = matches!(
        what,
        request::TCSETSF | request::TCSETSF2 | request::TCSETAF
    );
    let mut state = file.terminal.lock();
    if drops_input {
        state.discipline.flush_input();
    }
    // There is one line discipline, whatever the program asks for.
    state.discipline.set_termios(Termios { line: 0, ..new });
    state.speeds = new.speeds(speeds);
    drop(state);
    file.terminal.announce();
    Ok(0)
}

/// System V's structure has the low halves only.
fn shorten(termios: &Termios) -> Termio {
    let mut characters = [0; 8];
    characters.copy_from_slice(&termios.cc[..8]);
    Termio {
        flags: [termios.iflag, termios.oflag, termios.cflag, termios.lflag]
            .map(|flags| (flags & 0xffff) as u16),
        line: termios.line,
        cc: characters,
        pad: 0,
    }
}

/// The upper halves stay as they were.
fn lengthen(short: &Termio, old: &Termios) -> Termios {
    let mut new = *old;
    let flags = [
        &mut new.iflag,
        &mut new.oflag,
        &mut new.cflag,
        &mut new.lflag,
    ];
    for (flags, short) in flags.into_iter().zip(short.flags) {
        *flags = *flags & 0xffff_0000 | u32::from(short);
    }
    new.cc[..8].copy_from_slice(&short.cc);
    new
}

/// `tcflush(3)`.
fn flush(file: &TerminalFile, which: u64) -> Result<usize, Errno> {
    let (input, output) = match which {
        0 => (true, false),
        1 => (false, true),
        2 => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    let mut state = file.terminal.lock();
    if input {
        state.discipline.flush_input();
    }
    if output {
        state.output.queue_mut().clear();
    }
    drop(state);
    file.terminal.announce();
    Ok(0)
}

/// `tcflow(3)`.
fn flow(file: &TerminalFile, which: u64) -> Result<usize, Errno> {
    let mut state = file.terminal.lock();
    let characters = state.discipline.termios().cc;
    match which {
        0 => state.output_off = true,
        1 => {
            state.output_off = false;
            state.discipline.set_stopped(false);
        }
        2 | 3 => {
            let index = if which == 2 { cc::VSTOP } else { cc::VSTART };
            if characters[index] != 0 {
                state.output.queue_mut().push(characters[index]);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    drop(state);
    file.terminal.announce();
    Ok(0)
}

/// Sessions and the foreground group (tcgetpgrp(3), tcgetsid(3)).
fn session(
    file: &TerminalFile,
    call: &mut Call<'_>,
    what: u32,
    argument: u64,
) -> Result<usize, Errno> {
    let standing = Standing::of(call.thread).ok_or(Errno::ESRCH)?;
    let (session, foreground) = {
        let state = file.terminal.lock();
        (state.session, state.foreground)
    };
    if what == request::TIOCSCTTY {
        if standing.is_leader() && session == Some(standing.session) {
            return Ok(0);
        }
        if !standing.is_leader() || super::controlling(standing.session).is_some() {
            return Err(Errno::EPERM);
        }
        let credentials = call.thread.credentials();
        match session {
            None => {}
            // A privileged process may take it from another session.
            Some(_) if argument == 1 && credentials.has(Capability::SysAdmin) => {}
            Some(_) => return Err(Errno::EPERM),
        }
        file.terminal.adopt(standing.session, standing.group);
        return Ok(0);
    }
    if session != Some(standing.session) || standing.gave_up_terminal {
        return Err(Errno::ENOTTY);
    }
    match what {
        request::TIOCGPGRP => {
            let group = foreground.map_or(0, |group| group.0);
            put(call, argument, &group)
        }
        request::TIOCGSID => put(call, argument, &standing.session.0),
        request::TIOCSPGRP => {
            let group = call.space.read_value(pointer::<i32>(argument))?;
            let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
            let group = Pid(group);
            match table::lock().session_of_group(group) {
                None => return Err(Errno::ESRCH),
                Some(session) if session != standing.session => return Err(Errno::EPERM),
                Some(_) => {}
            }
            file.terminal.lock().foreground = Some(group);
            Ok(0)
        }
        // The leader gives it up for the session, others for themselves.
        request::TIOCNOTTY if standing.is_leader() => {
            file.terminal.release(false);
            Ok(0)
        }
        request::TIOCNOTTY => {
            if let Some(of) = table::lock().relations_mut(standing.pid) {
                of.gave_up_terminal = true;
            }
            Ok(0)
        }
        _ => Err(Errno::EPERM),
    }
}

#[cfg(test)]
mod tests {
    use super::{lengthen, shorten};
    use ochre_abi::termios::Termios;

    #[test]
    fn the_short_structure_keeps_the_upper_halves() {
        let mut old = Termios::initial();
        old.cflag |= 0x8000_0000;
        let mut short = shorten(&old);
        assert_eq!(lengthen(&short, &old), old);
        short.flags[2] = 0;
        short.cc[0] = 9;
        let new = lengthen(&short, &old);
        assert_eq!(new.cflag, old.cflag & 0xffff_0000);
        assert_eq!((new.cc[0], new.cc[8]), (9, old.cc[8]));
    }
}
