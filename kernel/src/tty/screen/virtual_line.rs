//! A virtual terminal's line: what programs send goes to an emulator, what
//! arrives was typed, or is the emulator's answer.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};
use ochre_sync::{Once, SpinLock};
use ochre_terminal::Emulator;

use super::{KeyModes, SCREEN};
use crate::device::SerialLine;
use crate::memory;
use crate::tty::ByteQueue;
use crate::wait::WaitQueue;

/// Typed bytes that a program has not read yet, at most; the terminal has room
/// for more behind this.
const TYPED: usize = 256;

/// Lines that can be scrolled back.
const HISTORY: usize = 400;

/// What a virtual terminal's line shares with keyboard and painter.
pub(super) struct Virtual {
    /// From 1.
    number: usize,
    emulator: SpinLock<Emulator>,
    typed: SpinLock<ByteQueue>,
    /// Wakes the terminal's service.
    attention: Once<WaitQueue>,
    /// Whether the terminal's service was started.
    served: AtomicBool,
}

impl Virtual {
    /// A blank one.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(number: usize, rows: usize, columns: usize) -> Result<Arc<Virtual>, Errno> {
        memory::check_headroom()?;
        let emulator = Emulator::new(rows, columns, HISTORY).map_err(|_| Errno::ENOMEM)?;
        Ok(Arc::new(Virtual {
            number,
            emulator: SpinLock::new(emulator),
            typed: SpinLock::new(ByteQueue::new(TYPED)),
            attention: Once::new(),
            served: AtomicBool::new(false),
        }))
    }

    /// Says what to wake when there is something to read.
    pub(super) fn connect(&self, attention: &WaitQueue) {
        let _ = self.attention.set(attention.clone());
    }

    /// Whether the service is still to be started; true once.
    pub(super) fn begin_service(&self) -> bool {
        // ORDERING: Relaxed; nothing is published by it.
        !self.served.swap(true, Ordering::Relaxed)
    }

    /// Does something with the emulator.
    pub(super) fn with<R>(&self, use_it: impl FnOnce(&mut Emulator) -> R) -> R {
        use_it(&mut self.emulator.lock())
    }

    /// Takes typed bytes, as many as there is room for.
    pub(super) fn type_in(&self, bytes: &[u8]) -> usize {
        let count = self.typed.lock().extend(bytes);
        self.with(|emulator| emulator.scroll_back(isize::MIN));
        self.wake();
        if self.with(|emulator| emulator.is_dirty()) {
            self.changed();
        }
        count
    }

    /// Has all painted anew.
    pub(super) fn touch(&self) {
        self.with(Emulator::touch);
    }

    /// See [`scroll_back`](super::scroll_back).
    pub(super) fn scroll_back(&self, lines: isize) {
        self.with(|emulator| emulator.scroll_back(lines));
    }

    /// See [`key_modes`](super::key_modes).
    pub(super) fn key_modes(&self) -> KeyModes {
        let modes = self.with(|emulator| emulator.modes());
        KeyModes {
            application_cursor: modes.application_cursor,
            application_keypad: modes.application_keypad,
        }
    }

    fn wake(&self) {
        if let Some(attention) = self.attention.get() {
            attention.wake();
        }
    }

    /// Tells the painter, if this terminal is shown.
    fn changed(&self) {
        if let Some(screen) = SCREEN.get()
            && screen.active() == self.number
        {
            screen.changed.wake();
        }
    }
}

/// See the module.
pub(super) struct VirtualLine(Arc<Virtual>);

impl VirtualLine {
    pub(super) fn new(screen: Arc<Virtual>) -> VirtualLine {
        VirtualLine(screen)
    }
}

impl SerialLine for VirtualLine {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let answered = self.0.with(|emulator| emulator.take_replies(to));
        if answered > 0 {
            return answered;
        }
        let mut typed = self.0.typed.lock();
        let was_full = typed.free() == 0;
        let front = typed.front();
        let count = front.len().min(to.len());
        to[..count].copy_from_slice(&front[..count]);
        typed.consume(count);
        drop(typed);
        if was_full
            && count > 0
            && let Some(screen) = SCREEN.get()
        {
            screen.room.wake();
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let (was_dirty, asks) = self.0.with(|emulator| {
            let was_dirty = emulator.is_dirty();
            emulator.write(from);
            (was_dirty, emulator.has_replies())
        });
        // A painter that was told and has not painted knows.
        if !was_dirty {
            self.0.changed();
        }
        if asks {
            self.0.wake();
        }
        from.len()
    }

    // Neither direction has interrupts: whoever types wakes the service.
    fn listen(&mut self, _receive: bool, _transmit: bool) {}
}
