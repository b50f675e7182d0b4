//! The way to the firmware's configuration: two ports.

use super::port::Port;

// SAFETY: reading it gives a signature. It is written by `ring` alone, whose
// caller sees to what the device then does with memory.
const ADDRESS_HIGH: Port<u32> = unsafe { Port::new(0x514) };
// SAFETY: as above.
const ADDRESS_LOW: Port<u32> = unsafe { Port::new(0x518) };

/// The ports by which the device is told of commands.
#[derive(Debug)]
pub(crate) struct Doorbell(());

impl Doorbell {
    /// The machine's, if it may have one.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the other machine is told whether it has one"
    )]
    pub(crate) fn find() -> Option<Doorbell> {
        Some(Doorbell(()))
    }

    /// What reading gives, in memory's order: nobody else answers like the device.
    pub(crate) fn signature(&self) -> [[u8; 4]; 2] {
        [ADDRESS_HIGH, ADDRESS_LOW].map(|port| port.read().to_le_bytes())
    }

    /// Has the device do what a command in memory says.
    ///
    /// # Safety
    /// What memory the command names, and its own, must be for the device to
    /// read and write until it has said that it is done.
    pub(crate) unsafe fn ring(&self, command: u64) {
        // CAST: the two halves.
        ADDRESS_HIGH.write(((command >> 32) as u32).to_be());
        // CAST: as above.
        ADDRESS_LOW.write((command as u32).to_be());
    }
}
