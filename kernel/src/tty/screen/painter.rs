//! Brings the active terminal's cells to the screen.
//!
//! It is woken by whatever changes something and paints at most once in
//! [`FRAME_NS`], and never more than a third of the time: what programs write
//! in between is painted at once, so a long text costs what fits the screen. A
//! copy of what is on the screen tells which places differ.

use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;

use ochre_abi::Errno;
use ochre_hal::clock;
use ochre_hal::screen::{Glyph, Screen as Display};
use ochre_terminal::{Cell, Emulator};

use super::{SCREEN, Screen, boot_log};
use crate::memory::MakeRoom;
use crate::sched;

/// The shortest time from one picture to the next.
const FRAME_NS: u64 = 16_000_000;

/// Parts of a painter's time that it does not paint, for one that it does.
const REST: u64 = 2;

/// Nothing, as a blank screen has it.
const NOTHING: Glyph = Glyph {
    character: ' ',
    foreground: 7,
    background: 0,
};

/// The screen and what is on it.
pub(super) struct Painter {
    display: Display,
    columns: usize,
    /// Row by row what is on the screen.
    shown: Vec<Glyph>,
    cursor: Option<(usize, usize)>,
    log: boot_log::Reader,
}

impl Painter {
    /// A painter with a blank screen.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(mut display: Display) -> Result<Painter, Errno> {
        let (rows, columns) = display.size();
        let mut shown = Vec::new();
        shown.make_room_exact(rows * columns)?;
        for place in 0..rows * columns {
            display.put(place / columns, place % columns, NOTHING);
            shown.push(NOTHING);
        }
        display.set_cursor(None);
        Ok(Painter {
            display,
            columns,
            shown,
            cursor: None,
            log: boot_log::Reader::default(),
        })
    }

    fn paint(&mut self, emulator: &mut Emulator) {
        let is_reverse = emulator.modes().reverse;
        let Painter {
            display,
            columns,
            shown,
            ..
        } = self;
        emulator.draw(|row, cells| {
            for column in 0..*columns {
                let cell = cells.get(column).copied().unwrap_or(Cell::BLANK);
                let glyph = glyph(cell, is_reverse);
                if let Some(place) = shown.get_mut(row * *columns + column)
                    && *place != glyph
                {
                    *place = glyph;
                    display.put(row, column, glyph);
                }
            }
        });
        let cursor = emulator.cursor();
        if cursor != self.cursor {
            self.cursor = cursor;
            self.display.set_cursor(cursor);
        }
    }
}

fn glyph(cell: Cell, is_reverse: bool) -> Glyph {
    let (mut front, mut back) = cell.shown();
    if is_reverse {
        (front, back) = (back, front);
    }
    Glyph {
        character: cell.character,
        foreground: front.number(),
        background: back.number(),
    }
}

/// Brings the log and the active terminal to the screen.
pub(super) fn paint(screen: &Screen) {
    let mut painter = screen.painter.lock();
    if let Some(first) = screen.place(1) {
        painter.log.pass_on(|bytes| {
            first.screen.with(|emulator| emulator.write(bytes));
        });
    }
    if let Some(active) = screen.shown() {
        active.screen.with(|emulator| painter.paint(emulator));
    }
}

/// Starts the task.
///
/// # Errors
/// ENOMEM.
pub(super) fn start() -> Result<(), Errno> {
    let screen = SCREEN.get().ok_or(Errno::ENXIO)?;
    let mut registration = None;
    let mut timer: Option<sched::Timer> = None;
    let mut not_before_ns = 0;
    sched::spawn(poll_fn(move |context| {
        if registration.is_none() {
            registration = screen.changed.register_own(context.waker()).ok();
        }
        let begun = clock::now_ns();
        if begun < not_before_ns {
            if timer.is_none() {
                timer = Some(sched::Timer::arm(not_before_ns, context.waker().clone()));
            }
            return Poll::<()>::Pending;
        }
        timer = None;
        paint(screen);
        let ended = clock::now_ns();
        let rest = ended.saturating_sub(begun).saturating_mul(REST);
        not_before_ns = ended.saturating_add(rest.max(FRAME_NS));
        // Without its registration (no memory) it has to keep looking.
        if registration.is_none() {
            timer = Some(sched::Timer::arm(not_before_ns, context.waker().clone()));
        }
        Poll::Pending
    }))?;
    Ok(())
}
