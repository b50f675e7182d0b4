//! The interrupt controller: GICv2 by its registers, GICv3 by the processor's.
//!
//! Every interrupt has the same priority. Device lines go to the boot
//! processor. An interrupt is acknowledged and ended at once ([`Gic::take`]):
//! who takes it must quiet its device before it looks again, or it comes again.

use crate::cpu::MAX_CPUS;
use crate::memory::registers::Registers;

use super::platform::{Controller, Platform};
use super::system::{self, mrs, msr};

/// The distributor's registers.
mod distributor {
    pub(super) const BYTES: usize = 0x1_0000;
    pub(super) const CONTROL: usize = 0x000;
    pub(super) const TYPE: usize = 0x004;
    pub(super) const GROUP: usize = 0x080;
    pub(super) const ENABLE: usize = 0x100;
    pub(super) const DISABLE: usize = 0x180;
    pub(super) const PRIORITY: usize = 0x400;
    pub(super) const TARGETS: usize = 0x800;
    pub(super) const CONFIGURE: usize = 0xc00;
    pub(super) const SEND: usize = 0xf00;
    pub(super) const ROUTE: usize = 0x6000;
}

/// The interface of a GICv2 to each processor.
mod interface {
    pub(super) const BYTES: usize = 0x1000;
    pub(super) const CONTROL: usize = 0x00;
    pub(super) const MASK: usize = 0x04;
    pub(super) const ACKNOWLEDGE: usize = 0x0c;
    pub(super) const END: usize = 0x10;
}

/// A GICv3's redistributor: two frames for each processor.
mod redistributor {
    pub(super) const BYTES: u64 = 0x2_0000;
    pub(super) const TYPE: usize = 0x08;
    pub(super) const AFFINITY: usize = 0x0c;
    pub(super) const WAKE: usize = 0x14;
    /// The second frame: registers as the distributor's.
    pub(super) const OWN: usize = 0x1_0000;
    pub(super) const LAST: u32 = 1 << 4;
    pub(super) const SLEEP: u32 = 1 << 1;
    pub(super) const ASLEEP: u32 = 1 << 2;
}

/// The middle of the priorities.
const PRIORITIES: u32 = 0xa0a0_a0a0;

/// No interrupt is pending from this number on.
pub(super) const NONE: u32 = 1020;

/// The first of the devices' lines.
pub(super) const LINES: u32 = 32;

/// Looks at a redistributor before it is taken for awake.
const PATIENCE: u32 = 1_000_000;

/// A controller.
pub(super) struct Gic {
    distributor: Registers,
    kind: Kind,
    /// A GICv3's redistributors, each with its processor's affinity.
    redistributors: [Option<(u32, Registers)>; MAX_CPUS],
}

enum Kind {
    /// The interface's registers show each processor its own.
    Two(Registers),
    /// Each processor has a redistributor, and registers of its own.
    Three,
}

impl Gic {
    /// Maps the controller and sets up what all processors share.
    pub(super) fn new(platform: &Platform) -> Option<Gic> {
        let controller = platform.controller.as_ref()?;
        // SAFETY: the device tree says that an interrupt controller is there,
        // and `map` that memory is not. What the kernel writes to it leads to
        // interrupts that it can take.
        let map = |address, bytes| unsafe { Registers::map(address, bytes) };
        let gic = match *controller {
            Controller::Two {
                distributor,
                interface,
            } => Gic {
                distributor: map(distributor, interface::BYTES)?,
                kind: Kind::Two(map(interface, interface::BYTES)?),
                redistributors: [const { None }; MAX_CPUS],
            },
            Controller::Three {
                distributor,
                ref redistributors,
            } => {
                let mut found = [const { None }; MAX_CPUS];
                let mut slots = found.iter_mut();
                'regions: for region in redistributors.iter().flatten() {
                    let mut at = region.start;
                    while at
                        .checked_add(redistributor::BYTES)
                        .is_some_and(|end| end <= region.end)
                    {
                        let Some(slot) = slots.next() else {
                            break 'regions;
                        };
                        let registers = map(at, redistributor::BYTES as usize)?;
                        let last = registers.read(redistributor::TYPE) & redistributor::LAST != 0;
                        *slot = Some((registers.read(redistributor::AFFINITY), registers));
                        if last {
                            break;
                        }
                        at += redistributor::BYTES;
                    }
                }
                Gic {
                    distributor: map(distributor, distributor::BYTES)?,
                    kind: Kind::Three,
                    redistributors: found,
                }
            }
        };
        gic.init();
        Some(gic)
    }

    /// Every device's line masked, an edge, and for the boot processor.
    fn init(&self) {
        let shared = &self.distributor;
        shared.write(distributor::CONTROL, 0);
        let lines = ((shared.read(distributor::TYPE) & 31) + 1) * 32;
        let three = matches!(self.kind, Kind::Three);
        for first in (LINES..lines.min(NONE)).step_by(32) {
            let word = (first / 8) as usize;
            shared.write(distributor::DISABLE + word, u32::MAX);
            if three {
                shared.write(distributor::GROUP + word, u32::MAX);
            }
            for line in (first..first + 32).step_by(16) {
                shared.write(distributor::CONFIGURE + (line / 4) as usize, 0xaaaa_aaaa);
            }
            for line in (first..first + 32).step_by(4) {
                shared.write(distributor::PRIORITY + line as usize, PRIORITIES);
            }
        }
        // Affinity routing and the second group, or the one group that there is.
        shared.write(
            distributor::CONTROL,
            if three { 1 << 4 | 1 << 1 } else { 1 },
        );
    }

    /// Sets up this processor's part; by what the processor is interrupted
    /// ([`Gic::send`]), if it has one.
    pub(super) fn init_here(&self) -> Option<u64> {
        match &self.kind {
            Kind::Two(interface) => {
                own_priorities(&self.distributor, 0);
                interface.write(interface::MASK, 0xff);
                interface.write(interface::CONTROL, 1);
                // Where its own interrupts go is itself; with one processor
                // nothing is there.
                let own = self.distributor.read(distributor::TARGETS) & 0xff;
                Some(u64::from(own.max(1)))
            }
            Kind::Three => {
                let own = self.redistributor()?;
                own.write(
                    redistributor::WAKE,
                    own.read(redistributor::WAKE) & !redistributor::SLEEP,
                );
                for _ in 0..PATIENCE {
                    if own.read(redistributor::WAKE) & redistributor::ASLEEP == 0 {
                        break;
                    }
                }
                own.write(redistributor::OWN + distributor::GROUP, u32::MAX);
                own_priorities(own, redistributor::OWN);
                let enable = mrs!("s3_0_c12_c12_5") | 1;
                // SAFETY: the interface's registers are for EL1 to use, as the boot code saw to.
                unsafe { msr!("s3_0_c12_c12_5", enable) };
                // SAFETY: every priority is let through.
                unsafe { msr!("s3_0_c4_c6_0", 0xff) };
                // SAFETY: an interrupt is ended by one write.
                unsafe { msr!("s3_0_c12_c12_4", 0) };
                // SAFETY: interrupts of the second group come; the kernel can take them.
                unsafe { msr!("s3_0_c12_c12_7", 1) };
                Some(system::affinity())
            }
        }
    }

    /// Lets one of this processor's own interrupts come.
    pub(super) fn unmask_own(&self, number: u32) {
        let bit = 1 << (number % 32);
        match &self.kind {
            Kind::Two(_) => self.distributor.write(distributor::ENABLE, bit),
            Kind::Three => {
                if let Some(own) = self.redistributor() {
                    own.write(redistributor::OWN + distributor::ENABLE, bit);
                }
            }
        }
    }

    /// Lets a device's line come, to the boot processor.
    pub(super) fn unmask(&self, line: u32) {
        let place = line as usize;
        match &self.kind {
            Kind::Two(_) => {
                // Four lines to a word, a bit for each processor.
                let boot = super::percpu::target(0).unwrap_or(1);
                let at = distributor::TARGETS + place / 4 * 4;
                let shift = line % 4 * 8;
                let others = self.distributor.read(at) & !(0xff << shift);
                // CAST: eight bits.
                self.distributor.write(at, others | (boot as u32) << shift);
            }
            Kind::Three => {
                let affinity = super::percpu::target(0).unwrap_or(0);
                let at = distributor::ROUTE + place * 8;
                // CAST: the two halves of a register of 64 bits.
                self.distributor.write(at, affinity as u32);
                self.distributor.write(at + 4, (affinity >> 32) as u32);
            }
        }
        self.distributor
            .write(distributor::ENABLE + place / 32 * 4, 1 << (line % 32));
    }

    /// Masks a device's line.
    pub(super) fn mask(&self, line: u32) {
        let place = line as usize;
        self.distributor
            .write(distributor::DISABLE + place / 32 * 4, 1 << (line % 32));
    }

    /// Interrupts a processor with one of the numbers below 16.
    pub(super) fn send(&self, target: u64, number: u32) {
        // What was stored before is seen by whoever takes the interrupt.
        // SAFETY: a barrier.
        unsafe { core::arch::asm!("dsb ish", options(nostack, preserves_flags)) };
        match &self.kind {
            // CAST: eight bits, this controller's processors.
            Kind::Two(_) => {
                self.distributor
                    .write(distributor::SEND, (target as u32) << 16 | number);
            }
            Kind::Three => {
                let last = target & 0xff;
                let word = (target >> 32 & 0xff) << 48
                    | (target >> 16 & 0xff) << 32
                    | (last / 16) << 44
                    | u64::from(number) << 24
                    | (target >> 8 & 0xff) << 16
                    | 1 << (last % 16);
                // SAFETY: an interrupt for a processor of ours.
                unsafe { msr!("s3_0_c12_c11_5", word) };
            }
        }
    }

    /// Takes the pending interrupt with the highest priority and ends it.
    pub(super) fn take(&self) -> Option<u32> {
        match &self.kind {
            Kind::Two(interface) => {
                let word = interface.read(interface::ACKNOWLEDGE);
                // What the sender stored before it interrupted (`send`) is to be
                // loaded after the number was: nothing else orders a load of
                // memory behind that of a register.
                // SAFETY: a barrier.
                unsafe { core::arch::asm!("dmb ishld", options(nostack, preserves_flags)) };
                let number = word & 0x3ff;
                (number < NONE).then(|| {
                    interface.write(interface::END, word);
                    number
                })
            }
            Kind::Three => {
                let word = mrs!("s3_0_c12_c12_0");
                // Reading this register acknowledges, which is sure to have
                // happened only after a barrier that waits (GICv3 and v4, "Observability
                // of the effects of accesses to the GIC registers"); before it,
                // ending the interrupt and loading what the sender stored could
                // both come too early. It is no memory: a `dmb` does not order it.
                // SAFETY: a barrier.
                unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) };
                // CAST: 24 bits.
                let number = word as u32 & 0xff_ffff;
                (number < NONE).then(|| {
                    // SAFETY: ends what was just acknowledged.
                    unsafe { msr!("s3_0_c12_c12_1", word) };
                    number
                })
            }
        }
    }

    /// This processor's redistributor.
    fn redistributor(&self) -> Option<&Registers> {
        let affinity = system::affinity();
        // CAST: affinity 3 moves next to the others: 32 bits.
        let wanted = (affinity & 0xff_ffff | affinity >> 8 & 0xff00_0000) as u32;
        let mut all = self.redistributors.iter().flatten();
        all.find(|(affinity, _)| *affinity == wanted)
            .map(|(_, registers)| registers)
    }
}

/// The priorities of a processor's own 32 interrupts.
fn own_priorities(registers: &Registers, base: usize) {
    for number in (0..LINES as usize).step_by(4) {
        registers.write(base + distributor::PRIORITY + number, PRIORITIES);
    }
}
