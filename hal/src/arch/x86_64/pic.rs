//! The two 8259 interrupt controllers, put out of the way.
//!
//! The I/O APIC does their work. They are still moved off the exception
//! vectors first, because a masked 8259 can raise a spurious interrupt.

use super::port::Port;

/// First of the 16 vectors onto which spurious 8259 interrupts fall.
pub(super) const VECTOR_BASE: u8 = 0x20;

// SAFETY: the 8259's command and data ports choose interrupt vectors and masks
// only; every vector of the interrupt table is valid.
const MASTER_COMMAND: Port<u8> = unsafe { Port::new(0x20) };
// SAFETY: as above.
const MASTER_DATA: Port<u8> = unsafe { Port::new(0x21) };
// SAFETY: as above.
const SLAVE_COMMAND: Port<u8> = unsafe { Port::new(0xa0) };
// SAFETY: as above.
const SLAVE_DATA: Port<u8> = unsafe { Port::new(0xa1) };

const INIT_WITH_ICW4: u8 = 0x11;
const MODE_8086: u8 = 0x01;
const SLAVE_ON_LINE_2: u8 = 1 << 2;
const SLAVE_IDENTITY: u8 = 2;

/// Moves both controllers to [`VECTOR_BASE`] and masks every line. Harmless
/// where there are none.
pub(super) fn disable() {
    MASTER_COMMAND.write(INIT_WITH_ICW4);
    SLAVE_COMMAND.write(INIT_WITH_ICW4);
    MASTER_DATA.write(VECTOR_BASE);
    SLAVE_DATA.write(VECTOR_BASE + 8);
    MASTER_DATA.write(SLAVE_ON_LINE_2);
    SLAVE_DATA.write(SLAVE_IDENTITY);
    MASTER_DATA.write(MODE_8086);
    SLAVE_DATA.write(MODE_8086);
    MASTER_DATA.write(0xff);
    SLAVE_DATA.write(0xff);
}
