//! Interrupt numbers: who has which, and what each means as an [`Event`].
//!
//! | numbers | for |
//! |---|---|
//! | 0 | another processor asks to look at the queues |
//! | 1 | another processor wants translations forgotten |
//! | 2 | another processor wants a sign of life |
//! | 16..32 | this processor's own devices: the timer (27 as a rule) |
//! | 32..1020 | device lines |
//! | 1020.. | nothing is pending |
//!
//! Device lines are edges to the controller, also where the device holds its
//! line until it is content: who handles the event looks until there is
//! nothing left, and the next event is the next rise.

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::gic::{Gic, LINES, NONE};
use super::platform::Platform;
use super::{clock, percpu};
use crate::clock::alarm;
use crate::cpu::CpuId;
use crate::irq::{Event, Line};
use crate::smp::watch;

/// Number by which processors wake each other.
const RESCHEDULE: u32 = 0;

/// Number by which a processor is made to forget translations.
const FLUSH: u32 = 1;

/// Number by which a processor is asked for a sign of life.
const SIGN: u32 = 2;

/// The controller.
static GIC: Once<Gic> = Once::new();

/// The timer's number.
///
/// ORDERING: Relaxed; set before interrupts are looked for.
static TIMER: AtomicU32 = AtomicU32::new(27);

/// Sets up the controller; every device's line stays masked. Without one there
/// is no timer, and nothing that waits would ever go on.
pub(super) fn init(platform: &Platform) {
    TIMER.store(platform.timer, Ordering::Relaxed);
    let gic = Gic::new(platform);
    let gic = gic.unwrap_or_else(|| {
        panic!(
            "the machine is unusable: its device tree names no interrupt controller \
             that is known here (GICv2 or GICv3)"
        )
    });
    let _ = GIC.set(gic);
    assert!(
        init_here(),
        "the machine is unusable: its interrupt controller has no part for the boot processor"
    );
}

/// Sets up the controller's part of this processor; whether it has one.
pub(super) fn init_here() -> bool {
    let Some(gic) = GIC.get() else {
        return false;
    };
    let Some(target) = gic.init_here() else {
        return false;
    };
    percpu::current().set_target(target);
    gic.unmask_own(TIMER.load(Ordering::Relaxed));
    for number in [RESCHEDULE, FLUSH, SIGN] {
        gic.unmask_own(number);
    }
    true
}

/// The line of a device tree's shared interrupt, where it is one.
pub(super) fn line_of_shared(number: u32) -> Option<Line> {
    let number = number.checked_add(LINES).filter(|line| *line < NONE)?;
    u16::try_from(number).ok().map(Line)
}

/// Lets `line` interrupt the boot processor.
pub(crate) fn unmask(line: Line) {
    if let (Some(gic), true) = (GIC.get(), u32::from(line.0) >= LINES) {
        gic.unmask(u32::from(line.0));
    }
}

/// Stops `line` from interrupting.
pub(crate) fn mask(line: Line) {
    if let (Some(gic), true) = (GIC.get(), u32::from(line.0) >= LINES) {
        gic.mask(u32::from(line.0));
    }
}

/// Raises [`Event::Reschedule`] on a processor.
pub(crate) fn kick(cpu: CpuId) {
    send(cpu.index(), RESCHEDULE);
}

/// Makes a processor leave user mode or sleep, where it then looks what to forget.
pub(crate) fn interrupt_for_flush(index: usize) {
    send(index, FLUSH);
}

/// Asks a processor for a sign of life.
pub(crate) fn ask_for_a_sign(index: usize) {
    send(index, SIGN);
}

/// Interrupts a processor. Never where it is in the kernel: that is only noticed
/// when it looks.
pub(crate) fn interrupt_anywhere(index: usize) -> bool {
    send(index, SIGN);
    false
}

fn send(index: usize, number: u32) {
    if let (Some(gic), Some(target)) = (GIC.get(), percpu::target(index)) {
        gic.send(target, number);
    }
}

/// Takes the interrupt that is pending, tells the controller, and says what it was.
pub(crate) fn acknowledge() -> Event {
    let Some(number) = GIC.get().and_then(Gic::take) else {
        return Event::Nothing;
    };
    match number {
        RESCHEDULE => Event::Reschedule,
        SIGN => {
            super::stop::stop_if_asked();
            watch::tell_if_asked(|out, what| writeln!(out, "{what}; now it goes on"));
            watch::give_sign()
        }
        _ if number == TIMER.load(Ordering::Relaxed) => {
            clock::stop_timer();
            alarm::timer_fired()
        }
        LINES.. => u16::try_from(number).map_or(Event::Nothing, |line| Event::Line(Line(line))),
        _ => Event::Nothing,
    }
}
