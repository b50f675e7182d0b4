//! The screen's virtual terminals, as the keyboard and the kernel's keys see them.
//!
//! One of the terminals is active: it is shown, and what is typed goes to it.
//! Each is an ordinary [`Terminal`] over a `VirtualLine`, made when somebody
//! first opens it or switches to it. On a machine without a screen there is
//! none; then what is typed goes nowhere and every other request is refused.
//!
//! ```text
//!  program ── Terminal ── VirtualLine ── Emulator ─┐
//!  log ring ───────────── first terminal's ────────┤ the active one's cells
//!  keyboard ── input ── VirtualLine ── Terminal    └── painter ── hal's Screen
//! ```
//!
//! # Lock protocol
//! A terminal's lock, then its emulator's; the painter's, then an emulator's.
//! Queues are woken with neither emulator nor painter locked. The log takes no
//! lock here: it sets a flag that the executor looks at.
//!
//! # Invariants
//! Nothing here waits. [`input`] takes what there is room for: who has more
//! waits for [`room`].

mod boot_log;
mod control;
mod painter;
mod virtual_line;

use alloc::boxed::Box;
use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::termios::WindowSize;
use ochre_hal::screen::Screen as Display;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use ochre_sync::{Once, SpinLock};

use super::Terminal;
use crate::device::{self, DeviceNumber, Serviced};
use crate::memory;
use crate::wait::WaitQueue;

pub(super) use control::ioctl;
use painter::Painter;
use virtual_line::{Virtual, VirtualLine};

/// How many virtual terminals there are.
pub const TERMINALS: usize = 6;

/// Their major device number; the minor ones are 1 and up, and 0 is the active one.
pub const MAJOR: u32 = 4;

/// What programs asked of the keys that send sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyModes {
    /// Cursor keys send `ESC O A`, not `ESC [ A` (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends sequences, not digits (DECKPAM).
    pub application_keypad: bool,
}

/// One virtual terminal.
struct Place {
    screen: Arc<Virtual>,
    terminal: Arc<Terminal>,
}

/// All that a machine with a screen has.
struct Screen {
    size: (usize, usize),
    places: [Once<Place>; TERMINALS],
    /// Held while a place is made.
    making: SpinLock<()>,
    /// The number of the active one, from 1.
    ///
    /// ORDERING: Relaxed; whoever finds another one finds it in `places`.
    active: AtomicUsize,
    painter: SpinLock<Painter>,
    /// Woken when there is something to paint.
    changed: WaitQueue,
    /// Woken when the active terminal takes input again.
    room: WaitQueue,
}

static SCREEN: Once<Screen> = Once::new();

/// There may be something to paint that nobody was woken for.
///
/// ORDERING: Relaxed; whoever sees it set looks behind locks.
static NOTED: AtomicBool = AtomicBool::new(false);

/// Whether the machine has a screen. From [`start`] on.
#[must_use]
pub fn exists() -> bool {
    SCREEN.get().is_some()
}

/// Takes the machine's screen, if it has one.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<(), Errno> {
    let Some(display) = Display::open() else {
        return Ok(());
    };
    let size = display.size();
    let screen = Screen {
        size,
        places: [const { Once::new() }; TERMINALS],
        making: SpinLock::new(()),
        active: AtomicUsize::new(1),
        painter: SpinLock::new(Painter::new(display)?),
        changed: WaitQueue::new(),
        room: WaitQueue::new(),
    };
    if SCREEN.set(screen).is_err() {
        return Ok(());
    }
    terminal(1)?;
    painter::start()?;
    note();
    Ok(())
}

impl Screen {
    fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// The active terminal; there is always one.
    fn shown(&self) -> Option<&Place> {
        self.place(self.active())
    }

    fn place(&self, number: usize) -> Option<&Place> {
        self.places.get(number.checked_sub(1)?)?.get()
    }

    /// The terminal of a number, made if it was not there.
    fn make(&self, number: usize) -> Result<&Place, Errno> {
        let index = number.checked_sub(1).ok_or(Errno::ENXIO)?;
        let place = self.places.get(index).ok_or(Errno::ENXIO)?;
        if let Some(place) = place.get() {
            return Ok(place);
        }
        memory::check_headroom()?;
        let (rows, columns) = self.size;
        let screen = Virtual::new(number, rows, columns)?;
        let side = |count| u16::try_from(count).unwrap_or(u16::MAX);
        let window = WindowSize {
            rows: side(rows),
            columns: side(columns),
            ..WindowSize::default()
        };
        // CAST: at most `TERMINALS`.
        let device = DeviceNumber::new(MAJOR, number as u32);
        let line = Box::new(VirtualLine::new(Arc::clone(&screen)));
        let terminal = Terminal::new(line, window, device);
        let making = self.making.lock();
        if place.get().is_none() {
            screen.connect(terminal.attention());
            let _ = place.set(Place { screen, terminal });
        }
        drop(making);
        let place = place.get().ok_or(Errno::ENOMEM)?;
        if place.screen.begin_service() {
            device::attend(Arc::clone(&place.terminal) as Arc<dyn Serviced>)?;
        }
        Ok(place)
    }
}

/// The terminal of a number from 1, or the active one for 0.
///
/// # Errors
/// ENXIO where there is none; ENOMEM.
pub fn terminal(number: usize) -> Result<Arc<Terminal>, Errno> {
    let screen = SCREEN.get().ok_or(Errno::ENXIO)?;
    let number = match number {
        0 => screen.active(),
        number => number,
    };
    Ok(Arc::clone(&screen.make(number)?.terminal))
}

/// All virtual terminals that somebody used.
pub fn terminals() -> impl Iterator<Item = &'static Arc<Terminal>> {
    let places = SCREEN.get().map_or(&[][..], |screen| &screen.places[..]);
    places
        .iter()
        .filter_map(|place| place.get().map(|place| &place.terminal))
}

/// Gives bytes to the active terminal as typed there; returns how many it took.
/// The rest is for the caller to keep until [`room`] is woken.
pub fn input(bytes: &[u8]) -> usize {
    let Some(place) = SCREEN.get().and_then(Screen::shown) else {
        return bytes.len();
    };
    place.screen.type_in(bytes)
}

/// Woken when the active terminal takes input again; `None` without a screen.
#[must_use]
pub fn room() -> Option<WaitQueue> {
    SCREEN.get().map(|screen| screen.room.clone())
}

/// Shows terminal `number` (from 1) and gives it the keyboard; false if there is
/// no such terminal.
pub fn switch_to(number: usize) -> bool {
    let Some(screen) = SCREEN.get() else {
        return false;
    };
    let Ok(place) = screen.make(number) else {
        return false;
    };
    screen.active.store(number, Ordering::Relaxed);
    place.screen.touch();
    screen.changed.wake();
    // Who waited for the other terminal's room may have room here.
    screen.room.wake();
    true
}

/// The number of the active terminal; 0 without a screen.
#[must_use]
pub fn active() -> usize {
    SCREEN.get().map_or(0, Screen::active)
}

/// Moves what is shown by so many lines towards older ones (or, negative,
/// newer ones), as far as they are kept. Output and input go back to the newest.
pub fn scroll_back(lines: isize) {
    if let Some(screen) = SCREEN.get()
        && let Some(place) = screen.shown()
    {
        place.screen.scroll_back(lines);
        screen.changed.wake();
    }
}

/// Lines shown at a time, for scrolling by pages; 0 without a screen.
#[must_use]
pub fn lines() -> usize {
    SCREEN.get().map_or(0, |screen| screen.size.0)
}

/// How the active terminal's program wants its keys.
#[must_use]
pub fn key_modes() -> KeyModes {
    let place = SCREEN.get().and_then(Screen::shown);
    place.map_or_else(KeyModes::default, |place| place.screen.key_modes())
}

/// Has the screen painted soon. From anywhere: takes no lock and wakes nobody.
pub fn note() {
    // ORDERING: Release: who takes the note paints what was there to be noted. A
    // swap, not a store: what an earlier note released stays released.
    NOTED.swap(true, Ordering::Release);
}

/// Wakes the painter if there was something to [`note`]: what the executor does
/// between two tasks.
#[inline]
pub fn look() {
    // ORDERING: Relaxed for a look between any two tasks; Acquire for who takes
    // the note, see `note`.
    if NOTED.load(Ordering::Relaxed)
        && NOTED.swap(false, Ordering::Acquire)
        && let Some(screen) = SCREEN.get()
    {
        screen.changed.wake();
    }
}

/// Programs have the screen from now on: what was logged until now is painted,
/// of the rest only what matters to people.
pub fn begin_programs() {
    paint_now();
    boot_log::programs_run();
}

/// Paints now, for a machine that is about to end.
pub fn paint_now() {
    if let Some(screen) = SCREEN.get() {
        painter::paint(screen);
    }
}
