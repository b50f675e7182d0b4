//! What the device tree says of the machine, copied and checked.
//!
//! The tree is the loader's and hostile input (`ochre_device_tree` reads it
//! with bounds); what it names as devices is only believed where there is no
//! memory. Nothing of it is kept: its pages become free memory.
//!
//! There is nothing of the machine's in here, so tests on any host read trees too.

use core::ops::Range;

use ochre_device_tree::{DeviceTree, Node};

use crate::boot::memory_map::Ranges;
use crate::cpu::MAX_CPUS;

#[cfg(test)]
#[path = "platform/tests.rs"]
mod tests;

/// Command line bytes that are kept.
const CMDLINE_MAX: usize = 4096;

/// Regions of redistributors that are read at most.
const REGIONS_MAX: usize = 4;

/// Where the interrupt controller is.
#[derive(Debug)]
pub(super) enum Controller {
    /// GICv2.
    Two {
        /// The distributor's address.
        distributor: u64,
        /// The processors' interface's.
        interface: u64,
    },
    /// GICv3.
    Three {
        /// The distributor's address.
        distributor: u64,
        /// The redistributors'.
        redistributors: [Option<Range<u64>>; REGIONS_MAX],
    },
}

/// A PL011.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serial {
    pub(super) address: u64,
    /// Its interrupt among those that processors share.
    pub(super) interrupt: u32,
}

/// A PL031.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) address: u64,
    /// Its interrupt among those that processors share, where it has one.
    pub(super) interrupt: Option<u32>,
}

/// Places of virtio devices that are kept.
pub(super) const SLOTS_MAX: usize = 32;

/// Where a virtio device may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) address: u64,
    /// Its interrupt among those that processors share.
    pub(super) interrupt: u32,
}

/// A PCI bus.
#[derive(Debug)]
pub(super) struct Bus {
    /// The configuration of the cards on it.
    pub(super) configuration: Range<u64>,
    /// Where ports are seen as memory.
    pub(super) ports: Range<u64>,
    /// Which lines the devices' first pins are on: by the two lowest bits of
    /// the device's number.
    interrupts: [Option<u32>; 4],
}

impl Bus {
    /// The first pin's interrupt of a device, among those that processors share.
    pub(super) fn interrupt(&self, device: u32) -> Option<u32> {
        *self.interrupts.get(device as usize % 4)?
    }
}

/// How the firmware is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduit {
    /// The hypervisor's call.
    Hypervisor,
    /// The secure monitor's call.
    Monitor,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Platform {
    cmdline: [u8; CMDLINE_MAX],
    cmdline_len: usize,
    /// Every page of memory that the machine has and nobody reserved.
    pub(super) ram: Ranges,
    /// The initial archive's place; inside `ram`.
    pub(super) initramfs: Option<Range<u64>>,
    pub(super) controller: Option<Controller>,
    pub(super) serial: Option<Serial>,
    pub(super) rtc: Option<Clock>,
    /// Registers of the firmware's configuration.
    pub(super) firmware: Option<u64>,
    pub(super) conduit: Option<Conduit>,
    pub(super) bus: Option<Bus>,
    pub(super) slots: [Option<Slot>; SLOTS_MAX],
    /// The number of the virtual timer's interrupt.
    pub(super) timer: u32,
    /// The processors' affinities; the boot processor's among them.
    pub(super) processors: [Option<u64>; MAX_CPUS],
}

impl Platform {
    /// Reads a tree; `image` is the kernel's place.
    pub(super) fn read(tree: &DeviceTree<'_>, image: &Range<u64>) -> Platform {
        let mut platform = Platform {
            cmdline: [0; CMDLINE_MAX],
            cmdline_len: 0,
            ram: Ranges::new(),
            initramfs: None,
            controller: None,
            serial: None,
            rtc: None,
            firmware: None,
            conduit: None,
            bus: None,
            slots: [None; SLOTS_MAX],
            timer: 27,
            processors: [None; MAX_CPUS],
        };
        let mut archive = (None, None);
        let mut processors = [None; MAX_CPUS];
        let mut slots = processors.iter_mut();
        for node in tree.nodes().filter(Node::is_enabled) {
            match node.base_name() {
                b"memory" if node.depth() == 1 => {
                    for region in node.regions() {
                        platform.ram.add(region);
                    }
                }
                b"chosen" if node.depth() == 1 => {
                    let line = node.text(b"bootargs").unwrap_or_default();
                    for (to, from) in platform.cmdline.iter_mut().zip(line) {
                        *to = *from;
                        platform.cmdline_len += 1;
                    }
                    archive = (
                        node.number(b"linux,initrd-start"),
                        node.number(b"linux,initrd-end"),
                    );
                }
                b"cpu" if node.parent() == b"cpus" => {
                    if let (Some(slot), Some(region)) = (slots.next(), node.property(b"reg")) {
                        let number = region
                            .iter()
                            .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
                        *slot = Some(number & 0xff_00ff_ffff);
                    }
                }
                _ => platform.device(&node),
            }
        }
        platform.processors = processors;
        let reserved = tree
            .nodes()
            .filter(|node| node.parent() == b"reserved-memory" && node.depth() == 2);
        for region in tree
            .reservations()
            .chain(reserved.flat_map(|node| node.regions()))
        {
            platform.ram.remove(region);
        }
        if let (Some(start), Some(end)) = archive {
            // Only whole pages of memory, and not the kernel's, can become
            // frames; the map ends on pages too.
            let pages = start / 4096 * 4096..end;
            let apart = end <= image.start || image.end <= pages.start;
            platform.initramfs =
                (start < end && apart && platform.ram.contains(&pages)).then_some(start..end);
        }
        platform
    }

    /// The command line.
    pub(super) fn cmdline(&self) -> &[u8] {
        self.cmdline.get(..self.cmdline_len).unwrap_or_default()
    }

    fn device(&mut self, node: &Node<'_>) {
        let is = |names: &[&[u8]]| names.iter().any(|name| node.is_compatible(name));
        let mut regions = node.regions();
        if is(&[b"arm,cortex-a15-gic", b"arm,gic-400", b"arm,cortex-a9-gic"]) {
            if let (Some(first), Some(second)) = (regions.next(), regions.next()) {
                self.controller = Some(Controller::Two {
                    distributor: first.start,
                    interface: second.start,
                });
            }
        } else if is(&[b"arm,gic-v3"]) {
            if let Some(first) = regions.next() {
                let count = node.number(b"#redistributor-regions").unwrap_or(1);
                let count = usize::try_from(count)
                    .unwrap_or(REGIONS_MAX)
                    .min(REGIONS_MAX);
                let mut redistributors = [const { None }; REGIONS_MAX];
                for (slot, region) in redistributors.iter_mut().take(count).zip(regions) {
                    *slot = Some(region);
                }
                self.controller = Some(Controller::Three {
                    distributor: first.start,
                    redistributors,
                });
            }
        } else if is(&[b"arm,pl011"]) && self.serial.is_none() {
            if let (Some(region), Some(interrupt)) = (regions.next(), shared_interrupt(node)) {
                self.serial = Some(Serial {
                    address: region.start,
                    interrupt,
                });
            }
        } else if is(&[b"arm,pl031"]) {
            self.rtc = regions.next().map(|region| Clock {
                address: region.start,
                interrupt: shared_interrupt(node),
            });
        } else if is(&[b"qemu,fw-cfg-mmio"]) {
            self.firmware = regions.next().map(|region| region.start);
        } else if is(&[b"arm,psci-1.0", b"arm,psci-0.2"]) {
            self.conduit = match node.text(b"method") {
                Some(b"hvc") => Some(Conduit::Hypervisor),
                Some(b"smc") => Some(Conduit::Monitor),
                _ => None,
            };
        } else if is(&[b"virtio,mmio"]) {
            let slot = self.slots.iter_mut().find(|slot| slot.is_none());
            if let (Some(slot), Some(region), Some(interrupt)) =
                (slot, regions.next(), shared_interrupt(node))
            {
                *slot = Some(Slot {
                    address: region.start,
                    interrupt,
                });
            }
        } else if is(&[b"pci-host-ecam-generic"]) {
            self.bus = regions.next().and_then(|place| bus(node, place));
        } else if is(&[b"arm,armv8-timer"]) {
            // Secure, other, virtual, hypervisor: three words each, of which
            // the second is the number among the processor's own.
            let number = node
                .words(b"interrupts")
                .nth(7)
                .filter(|number| *number < 16);
            self.timer = number.map_or(self.timer, |number| number + 16);
        }
    }
}

/// A device's first interrupt, if it is one that processors share.
fn shared_interrupt(node: &Node<'_>) -> Option<u32> {
    // Kind (0: shared), number, how it is driven.
    let mut words = node.words(b"interrupts");
    (words.next() == Some(0)).then(|| words.next()).flatten()
}

/// A bus with configuration at `configuration`, if it has ports.
fn bus(node: &Node<'_>, configuration: Range<u64>) -> Option<Bus> {
    /// A range: three words of the bus' address, two of the processor's, two of length.
    const RANGE_WORDS: usize = 7;
    /// A line: the device in three words, its pin, the controller, what that
    /// wants in two words and three.
    const LINE_WORDS: usize = 10;
    /// The bus' address is a port's.
    const PORTS: u32 = 1 << 24;
    const SPACE: u32 = 3 << 24;
    /// A device's number in the first word.
    const DEVICE_SHIFT: u32 = 11;

    let words = |name: &[u8], first: usize| {
        let mut words = node.words(name).skip(first);
        move || words.next()
    };
    let mut ports = None;
    for first in (0..16 * RANGE_WORDS).step_by(RANGE_WORDS) {
        let mut next = words(b"ranges", first);
        let mut pair = || Some(u64::from(next()?) << 32 | u64::from(next()?));
        let (Some(head), Some(middle), Some(tail)) = (pair(), pair(), pair()) else {
            break;
        };
        // Two and two words: the kind, the bus' address (here 0), the
        // processor's, the upper half of the length.
        // CAST: halves of words.
        if (head >> 32) as u32 & SPACE == PORTS && head as u32 == 0 && middle >> 32 == 0 {
            let start = (middle & 0xffff_ffff) << 32 | tail >> 32;
            ports = Some(start..start.checked_add(0x1_0000)?);
        }
    }
    let mut interrupts = [None; 4];
    for first in (0..64 * LINE_WORDS).step_by(LINE_WORDS) {
        let mut line = node.words(b"interrupt-map").skip(first);
        let (Some(device), Some(1), Some(0), Some(number)) =
            (line.next(), line.nth(2), line.nth(3), line.next())
        else {
            continue;
        };
        if let Some(slot) = interrupts.get_mut((device >> DEVICE_SHIFT) as usize & 3) {
            *slot = Some(number);
        }
    }
    Some(Bus {
        configuration,
        ports: ports?,
        interrupts,
    })
}
