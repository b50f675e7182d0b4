//! The way to the firmware's configuration: registers that the device tree
//! names.

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::memory::registers::Registers;

/// Bytes of registers.
const BYTES: usize = 24;

/// A command's address, upper and lower half; reading them gives a signature.
const ADDRESS: [usize; 2] = [16, 20];

/// Where the registers are; 0 where there are none.
///
/// ORDERING: Relaxed; set and read once each, on the boot processor.
static PLACE: AtomicU64 = AtomicU64::new(0);

/// Says where the device tree has them.
pub(super) fn init(place: Option<u64>) {
    PLACE.store(place.unwrap_or(0), Ordering::Relaxed);
}

/// The registers by which the device is told of commands.
#[derive(Debug)]
pub(crate) struct Doorbell(Registers);

impl Doorbell {
    /// The machine's, if it may have one.
    pub(crate) fn find() -> Option<Doorbell> {
        let place = Some(PLACE.load(Ordering::Relaxed)).filter(|place| *place != 0)?;
        // SAFETY: the device tree says that they are there, and `map` that
        // memory is not; the device touches memory only as commands say, which
        // `ring`'s caller sees to.
        unsafe { Registers::map(place, BYTES) }.map(Doorbell)
    }

    /// What reading gives, in memory's order: nobody else answers like the device.
    pub(crate) fn signature(&self) -> [[u8; 4]; 2] {
        ADDRESS.map(|half| self.0.read(half).to_le_bytes())
    }

    /// Has the device do what a command in memory says.
    ///
    /// # Safety
    /// What memory the command names, and its own, must be for the device to
    /// read and write until it has said that it is done.
    pub(crate) unsafe fn ring(&self, command: u64) {
        // CAST: the two halves.
        let halves = [(command >> 32) as u32, command as u32];
        for (register, half) in ADDRESS.into_iter().zip(halves) {
            self.0.write(register, half.to_be());
        }
    }
}
