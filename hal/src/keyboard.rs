//! The machine's own keyboard: the codes of the keys as they are pressed and let go.
//!
//! Non-blocking like a serial port: codes are taken while there are some; the
//! interrupt line says when to come again. What is not taken stays with the
//! keyboard, which keeps a few keys and then says that it lost some.

pub(crate) mod virtio;

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::arch::machine::keyboard as machine;
use crate::irq::Line;

/// In which form keys are told. (The bytes are those of the keyboard: what
/// they mean is not known here.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanCodes {
    /// That of the first PCs, which the controller makes from the other one.
    Set1,
    /// What keyboards speak.
    Set2,
    /// Linux's numbers of keys, which virtio's keyboards use: two bytes for a
    /// key, the upper one first, with its top bit set when the key comes up.
    Events,
}

/// The keyboard; there is one at most, and so is its owner. Dropping it turns
/// its interrupts off.
#[derive(Debug)]
pub struct Keyboard(machine::Keyboard);

/// Whether somebody has it.
static TAKEN: AtomicBool = AtomicBool::new(false);

impl Keyboard {
    /// Looks for a keyboard and sets it up, interrupts off; `None` where there
    /// is none, it does not answer within a fraction of a second, or somebody
    /// has it. Codes come in the form of `wanted` if the machine can do that.
    #[must_use]
    pub fn open(wanted: ScanCodes) -> Option<Keyboard> {
        // ORDERING: Acquire pairs with the Release in `drop`: the next owner
        // finds what the last one did done.
        if TAKEN.swap(true, Ordering::Acquire) {
            return None;
        }
        let found = machine::open(wanted);
        if found.is_none() {
            // ORDERING: Relaxed; a failed look leaves nothing to publish.
            TAKEN.store(false, Ordering::Relaxed);
        }
        found.map(Keyboard)
    }

    /// The form in which codes come.
    #[must_use]
    pub fn codes(&self) -> ScanCodes {
        self.0.codes()
    }

    /// The interrupt line.
    #[must_use]
    pub fn line(&self) -> Line {
        self.0.line()
    }

    /// Takes bytes that are there now; returns how many.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        self.0.read(to)
    }

    /// Whether a key raises the line. The line may be an edge: after an event,
    /// read until nothing is left, or no further event comes.
    pub fn set_interrupt(&mut self, on: bool) {
        self.0.set_interrupt(on);
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.set_interrupt(false);
        // ORDERING: Release; see `open`.
        TAKEN.store(false, Ordering::Release);
    }
}
