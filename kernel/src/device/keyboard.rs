//! The keyboard: a task that takes codes from it and does what they mean.
//!
//! An interrupt wakes the task, which reads the device empty, decodes
//! (`keys`) and hands the bytes to the active virtual terminal, or to the
//! console where there is no screen. What the terminal has no room for waits
//! here (`pending`), as much as anybody pastes; when that is full too, what is
//! typed for the program is lost, counted and told on the log, as at a machine
//! that hangs. Keys for the kernel work all the same: they may be why somebody
//! types.
//!
//! Bytes that were not handed over when the terminal changes go with the old
//! one: nothing is ever typed somewhere else than where it was meant.

mod compose;
mod keys;
mod layout;
mod pending;
mod sequence;

use core::future::poll_fn;
use core::task::Poll;

use log::{info, warn};
use ochre_abi::Errno;
use ochre_hal::keyboard::{Keyboard as Device, ScanCodes};

use self::keys::{Keys, Stroke};
pub use self::layout::Layout;
use self::pending::Pending;
use super::Serviced;
use crate::tty::{self, screen};
use crate::wait::{Registration, WaitQueue};
use crate::{sched, sysrq};

/// Bytes taken from the device at a time.
const ROUND: usize = 256;

/// Rounds without a pause, of which no keyboard is able.
const ROUNDS_MAX: usize = 64;

/// What the command line says of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The characters of its keys.
    pub layout: Layout,
    /// In which form codes are asked for.
    pub codes: ScanCodes,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            layout: Layout::default(),
            codes: ScanCodes::Set2,
        }
    }
}

impl Settings {
    /// Reads `LAYOUT`, with `,nodeadkeys` and `,set1` behind it or not.
    ///
    /// # Errors
    /// What the value should be.
    pub fn parse(value: &[u8]) -> Result<Settings, &'static str> {
        let mut words = value.split(|byte| *byte == b',');
        let name = words.next().unwrap_or_default();
        let mut layout = Layout::named(name).ok_or(Layout::NAMES)?;
        let mut codes = ScanCodes::Set2;
        for word in words {
            match word {
                b"nodeadkeys" => layout = layout.without_dead_keys(),
                b"set1" => codes = ScanCodes::Set1,
                _ => return Err("may have `nodeadkeys` and `set1` behind the layout"),
            }
        }
        Ok(Settings { layout, codes })
    }
}

/// Who gets what is typed.
enum Typist {
    /// The active one of the screen's terminals.
    Screen,
    /// The console.
    Console,
}

impl Typist {
    /// Where typing goes, and what is woken when there is room again.
    fn find() -> Option<(Typist, WaitQueue)> {
        if let Some(room) = screen::room() {
            return Some((Typist::Screen, room));
        }
        let console = tty::console()?;
        Some((Typist::Console, console.attention().clone()))
    }

    fn take(&self, bytes: &[u8]) -> usize {
        match self {
            Typist::Screen => screen::input(bytes),
            Typist::Console => tty::console().map_or(bytes.len(), |tty| tty.type_in(bytes)),
        }
    }
}

struct Keyboard {
    device: Device,
    keys: Keys,
    typist: Typist,
    pending: Pending,
    lost: u64,
    /// Rounds since the device last had nothing.
    rounds: usize,
}

/// Looks for a keyboard and starts its task. A machine on which nobody could
/// be typed to is not asked.
///
/// # Errors
/// ENOMEM. A keyboard whose line is none, or another device's, is left alone.
pub fn start(settings: Settings) -> Result<(), Errno> {
    let Some((typist, room)) = Typist::find() else {
        return Ok(());
    };
    let Some(mut device) = Device::open(settings.codes) else {
        return Ok(());
    };
    let codes = device.codes();
    info!("keyboard: scan codes of {codes:?}");
    let fired = WaitQueue::new();
    if !sched::interrupt::connect(device.line(), fired.clone()) {
        warn!(
            "keyboard: its line {} is not to be had",
            device.line().number()
        );
        return Ok(());
    }
    device.set_interrupt(true);
    let mut keyboard = Keyboard {
        device,
        keys: Keys::new(codes, settings.layout),
        typist,
        pending: Pending::new(),
        lost: 0,
        rounds: 0,
    };
    let mut registered: Option<[Registration; 2]> = None;
    sched::spawn(poll_fn(move |context| {
        if registered.is_none() {
            let waker = context.waker();
            registered = fired
                .register_own(waker)
                .and_then(|line| Ok([line, room.register_own(waker)?]))
                .ok();
        }
        let more = keyboard.serve();
        if keyboard.rounds > ROUNDS_MAX {
            warn!("keyboard: it never stops and is left alone");
            keyboard.device.set_interrupt(false);
            return Poll::Ready(());
        }
        // Without its registrations (no memory) the task has to keep looking.
        if more || registered.is_none() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }))?;
    Ok(())
}

impl Keyboard {
    /// Does what can be done now; whether there may be more.
    fn serve(&mut self) -> bool {
        self.hand_over();
        let mut bytes = [0; ROUND];
        let count = self.device.read(&mut bytes);
        for byte in bytes.iter().take(count) {
            if let Some(stroke) = self.keys.byte(*byte, screen::key_modes()) {
                self.perform(stroke);
            }
        }
        let more = count == ROUND;
        self.rounds = if more {
            self.rounds.saturating_add(1)
        } else {
            0
        };
        more
    }

    fn perform(&mut self, stroke: Stroke) {
        match stroke {
            Stroke::Type(sequence) => {
                if self.pending.keep(sequence.as_bytes()) {
                    self.hand_over();
                } else {
                    self.lose(1);
                }
            }
            Stroke::Terminal(number) => {
                if number != screen::active() && screen::switch_to(number) {
                    self.lose(self.pending.len() as u64);
                    self.pending.clear();
                }
            }
            Stroke::Back => screen::scroll_back(page()),
            Stroke::Forth => screen::scroll_back(page().saturating_neg()),
            Stroke::Request(key) => sysrq::request(key),
            Stroke::Lost => self.lose(1),
        }
    }

    /// Hands bytes to the terminal, as far as it takes them.
    fn hand_over(&mut self) {
        self.pending.hand_over(|bytes| self.typist.take(bytes));
    }

    fn lose(&mut self, count: u64) {
        let before = self.lost;
        self.lost = before.saturating_add(count);
        // Told the more rarely the more there are.
        if before.checked_ilog2() != self.lost.checked_ilog2() {
            warn!("keyboard: {} keys lost so far", self.lost);
        }
    }
}

/// Lines by which a page goes: half of what is shown, as on Linux.
fn page() -> isize {
    isize::try_from(screen::lines() / 2).unwrap_or(isize::MAX)
}
