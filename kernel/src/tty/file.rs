//! An opened terminal.

use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_abi::termios::lflag;

use super::terminal::SURVIVOR;
use super::{Terminal, control, job_control};
use crate::process::Thread;
use crate::syscall::Call;
use crate::vfs::{Events, File, Sink, Source, Transfer};
use crate::wait::PollTable;

/// A terminal as a descriptor sees it; dead once the terminal hung up after it
/// was opened, unless it was opened as the console.
pub struct TerminalFile {
    pub(super) terminal: Arc<Terminal>,
    pub(super) generation: u64,
    /// Opened as the system console, on which job control does not stop readers.
    is_console: bool,
}

impl TerminalFile {
    /// Opens a terminal.
    #[must_use]
    pub fn new(terminal: Arc<Terminal>, is_console: bool) -> TerminalFile {
        // Who has the console from the beginning keeps it.
        let generation = if is_console {
            SURVIVOR
        } else {
            terminal.lock().generation
        };
        TerminalFile {
            terminal,
            generation,
            is_console,
        }
    }

    /// The terminal.
    #[must_use]
    pub fn terminal(&self) -> &Arc<Terminal> {
        &self.terminal
    }
}

impl File for TerminalFile {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        self.terminal.read(self.generation, sink)
    }

    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        self.terminal.write(self.generation, source)
    }

    fn admit(&self, thread: &Arc<Thread>, transfer: Transfer) -> Result<(), Errno> {
        if self.is_console {
            return Ok(());
        }
        let signal = match transfer {
            Transfer::Read => Signal::SIGTTIN,
            Transfer::Write => {
                let stops = self.terminal.lock().discipline.termios().lflag & lflag::TOSTOP != 0;
                if !stops {
                    return Ok(());
                }
                Signal::SIGTTOU
            }
        };
        job_control::check(&self.terminal, thread, signal)
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        self.terminal.poll(self.generation, table)
    }

    fn ioctl(&self, call: &mut Call<'_>, request: u32, argument: u64) -> Result<usize, Errno> {
        control::ioctl(self, call, request, argument)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
