//! Interrupt vectors: who has which, and what each means as an [`Event`].
//!
//! | vectors | for |
//! |---|---|
//! | 0x20..0x30 | the 8259s' spurious interrupts; masked otherwise |
//! | 0x30..0xd0 | device lines, by global number |
//! | 0xef | this processor's timer |
//! | 0xfc | another processor wants a sign of life |
//! | 0xfd | another processor wants translations forgotten |
//! | 0xfe | another processor asks to look at the queues |
//! | 0xff | the local APIC's spurious interrupt, not to be acknowledged |
//!
//! The assignment is fixed: nothing is allocated, and a vector tells its line.
//!
//! An edge or a level, a line is acknowledged at once. Who handles the event
//! must quiet the device before interrupts are next let in, or it comes again.

use ochre_sync::{Once, SpinLock};

use super::acpi::Platform;
use super::apic;
use super::ioapic::{IoApic, Trigger};
use super::{percpu, pic};
use crate::clock::alarm;
use crate::cpu::{self, CpuId};
use crate::irq::{Event, Line};
use crate::smp::watch;

/// Vector of line 0.
const VECTOR_LINE_0: u8 = 0x30;

/// One past the last line's vector.
const VECTOR_LINES_END: u8 = 0xd0;

/// Vector of the local APIC's timer.
pub(super) const VECTOR_TIMER: u8 = 0xef;

/// Vector by which a processor is asked for a sign of life.
const VECTOR_SIGN: u8 = 0xfc;

/// Vector by which a processor is made to forget translations.
const VECTOR_FLUSH: u8 = 0xfd;

/// Vector by which processors wake each other.
const VECTOR_RESCHEDULE: u8 = 0xfe;

/// Vector of the local APIC's spurious interrupt.
pub(super) const VECTOR_SPURIOUS: u8 = 0xff;

/// The legacy lines of a PC.
const ISA_LINES: usize = 16;

/// I/O APICs that are used at most.
pub(super) const IO_APICS_MAX: usize = 8;

static IO_APICS: SpinLock<[Option<IoApic>; IO_APICS_MAX]> =
    SpinLock::new([const { None }; IO_APICS_MAX]);

/// Where the legacy lines end, and how each is driven.
static ISA: Once<[(Line, Trigger); ISA_LINES]> = Once::new();

/// Sets up the controllers; every line stays masked.
pub(super) fn init(platform: &Platform) {
    pic::disable();
    percpu::current().set_apic_id(apic::init().id());
    let mut io_apics = IO_APICS.lock();
    for (slot, found) in io_apics.iter_mut().zip(platform.io_apics.iter().flatten()) {
        *slot = IoApic::new(found.address, found.first_line);
    }
    let mut isa = core::array::from_fn(|index| (Line(index as u16), Trigger::default()));
    for (entry, found) in isa.iter_mut().zip(platform.isa_overrides) {
        if let Some(found) = found {
            *entry = (Line(found.line.into()), found.trigger);
        }
    }
    let _ = ISA.set(isa);
}

/// The global line of a legacy one.
pub(super) fn line_of_isa(number: u8) -> Line {
    ISA.get()
        .and_then(|isa| isa.get(usize::from(number)))
        .map_or(Line(number.into()), |entry| entry.0)
}

/// The line with this number, if there is one: a legacy one's below 16, else
/// the global one.
pub(super) fn line_of_global(number: u32) -> Option<Line> {
    let number = u8::try_from(number).ok()?;
    let line = match usize::from(number) {
        0..ISA_LINES => line_of_isa(number),
        _ => Line(number.into()),
    };
    let io_apics = IO_APICS.lock();
    let is_served = io_apics.iter().flatten().any(|one| one.serves(line.0));
    (is_served && vector_of(line).is_some()).then_some(line)
}

/// Lets `line` interrupt the boot processor.
pub(crate) fn unmask(line: Line) {
    // The I/O APIC's destination field has eight bits, of which all ones mean everybody.
    let boot = percpu::apic_id(0).and_then(|id| u8::try_from(id).ok());
    let (Some(vector), Some(processor)) = (vector_of(line), boot.filter(|id| *id != 0xff)) else {
        return;
    };
    let trigger = trigger_of(line);
    if let Some(io_apic) = IO_APICS
        .lock()
        .iter_mut()
        .flatten()
        .find(|io_apic| io_apic.serves(line.0))
    {
        io_apic.unmask(line.0, vector, trigger, processor);
    }
}

/// Stops `line` from interrupting.
pub(crate) fn mask(line: Line) {
    if let Some(io_apic) = IO_APICS
        .lock()
        .iter_mut()
        .flatten()
        .find(|io_apic| io_apic.serves(line.0))
    {
        io_apic.mask(line.0);
    }
}

/// Raises [`Event::Reschedule`] on a processor.
pub(crate) fn kick(cpu: CpuId) {
    if let Some(apic) = apic::local() {
        if cpu == cpu::current() {
            apic.interrupt_self(VECTOR_RESCHEDULE);
        } else if let Some(id) = percpu::apic_id(cpu.index()) {
            apic.interrupt(id, VECTOR_RESCHEDULE);
        }
    }
}

/// Makes a processor leave user mode or sleep, where it then looks what to forget.
pub(crate) fn interrupt_for_flush(index: usize) {
    if let (Some(apic), Some(id)) = (apic::local(), percpu::apic_id(index)) {
        apic.interrupt(id, VECTOR_FLUSH);
    }
}

/// Asks a processor for a sign of life.
pub(crate) fn ask_for_a_sign(index: usize) {
    if let (Some(apic), Some(id)) = (apic::local(), percpu::apic_id(index)) {
        apic.interrupt(id, VECTOR_SIGN);
    }
}

/// Interrupts a processor wherever it is, even in the kernel.
pub(crate) fn interrupt_anywhere(index: usize) -> bool {
    if let (Some(apic), Some(id)) = (apic::local(), percpu::apic_id(index)) {
        apic.interrupt_anywhere(id);
        return true;
    }
    false
}

/// Takes note of the interrupt that came by `vector` (32 or more), tells its
/// controller, and says what it was.
pub(crate) fn acknowledge(vector: u8) -> Event {
    if vector == VECTOR_SPURIOUS || vector < VECTOR_LINE_0 {
        return Event::Nothing;
    }
    if let Some(apic) = apic::local() {
        apic.end_of_interrupt();
    }
    match vector {
        VECTOR_TIMER => alarm::timer_fired(),
        VECTOR_RESCHEDULE => Event::Reschedule,
        VECTOR_SIGN => watch::give_sign(),
        VECTOR_LINE_0..VECTOR_LINES_END => Event::Line(Line((vector - VECTOR_LINE_0).into())),
        _ => Event::Nothing,
    }
}

fn vector_of(line: Line) -> Option<u8> {
    VECTOR_LINE_0
        .checked_add(u8::try_from(line.0).ok()?)
        .filter(|vector| *vector < VECTOR_LINES_END)
}

/// How the line is driven: a legacy line as the tables say, else as PCI's are.
fn trigger_of(line: Line) -> Trigger {
    let isa = ISA.get().map_or(&[][..], |isa| &isa[..]);
    isa.iter().find(|entry| entry.0 == line).map_or(
        Trigger {
            level: true,
            active_low: true,
        },
        |entry| entry.1,
    )
}

#[cfg(test)]
mod tests {
    use super::{VECTOR_LINE_0, acknowledge, vector_of};
    use crate::irq::{Event, Line};

    #[test]
    fn a_line_comes_back_from_its_vector() {
        for number in 0..=u16::from(u8::MAX) + 1 {
            match vector_of(Line(number)) {
                Some(vector) => assert_eq!(acknowledge(vector), Event::Line(Line(number))),
                None => assert!(number >= 160, "line {number} has no vector"),
            }
        }
    }

    #[test]
    fn vectors_of_nobody_are_nothing() {
        for vector in [0x20, VECTOR_LINE_0 - 1, 0xd0, 0xe0, 0xff] {
            assert_eq!(acknowledge(vector), Event::Nothing);
        }
        assert_eq!(acknowledge(0xfe), Event::Reschedule);
    }
}
