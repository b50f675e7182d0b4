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
#[path = "platform/wires.rs"]
mod wires;

use wires::Wires;

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
    /// Its interrupt among those that processors share, where it has one.
    pub(super) interrupt: Option<u32>,
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
        let mut nodes = tree.nodes().filter(Node::is_enabled);
        let found = nodes.find_map(|node| Some((node, controller(&node)?)));
        let wires = Wires::new(found.as_ref().map(|(node, _)| node));
        platform.controller = found.map(|(_, controller)| controller);
        let console = tree.console();
        let mut has_reserved = false;
        for node in tree.nodes() {
            if node.depth() == 1 && node.name() == b"reserved-memory" {
                has_reserved = true;
            }
            if !node.is_enabled() {
                continue;
            }
            match node.base_name() {
                _ if is_memory(&node) => {
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
                _ => {
                    let is_console = console.is_some_and(|console| console.is_same_as(&node));
                    platform.device(&node, &wires, is_console);
                }
            }
        }
        platform.processors = processors;
        let nodes = has_reserved.then(|| tree.nodes()).into_iter().flatten();
        let reserved =
            nodes.filter(|node| node.parent() == b"reserved-memory" && node.depth() == 2);
        for region in tree
            .reservations()
            // As the processor sees them, whatever `ranges` there are.
            .chain(reserved.flat_map(|node| node.regions_on_bus()))
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

    /// Takes a device that is known here, by its place and interrupt.
    fn device(&mut self, node: &Node<'_>, wires: &Wires, is_console: bool) {
        let Some(kind) = Kind::of(node) else {
            return;
        };
        let mut regions = node.regions();
        match kind {
            // The loader's choice, or else the first.
            Kind::Serial if self.serial.is_none() || is_console => {
                let serial = regions.next().map(|region| Serial {
                    address: region.start,
                    interrupt: wires.shared(node),
                });
                self.serial = serial.or(self.serial);
            }
            Kind::Clock => {
                self.rtc = regions.next().map(|region| Clock {
                    address: region.start,
                    interrupt: wires.shared(node),
                });
            }
            Kind::Firmware => self.firmware = regions.next().map(|region| region.start),
            Kind::Psci => {
                self.conduit = match node.text(b"method") {
                    Some(b"hvc") => Some(Conduit::Hypervisor),
                    Some(b"smc") => Some(Conduit::Monitor),
                    _ => None,
                };
            }
            Kind::Virtio => {
                let slot = self.slots.iter_mut().find(|slot| slot.is_none());
                if let (Some(slot), Some(region), Some(interrupt)) =
                    (slot, regions.next(), wires.shared(node))
                {
                    *slot = Some(Slot {
                        address: region.start,
                        interrupt,
                    });
                }
            }
            Kind::Bus => self.bus = regions.next().and_then(|place| bus(node, wires, place)),
            Kind::Timer => self.timer = timer(node, wires).unwrap_or(self.timer),
            Kind::Serial | Kind::ControllerTwo | Kind::ControllerThree => {}
        }
    }
}

/// What is known here of what a node may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    ControllerTwo,
    ControllerThree,
    Serial,
    Clock,
    Firmware,
    Psci,
    Virtio,
    Bus,
    Timer,
}

impl Kind {
    /// The node's, by the first that it says it is like of those known.
    fn of(node: &Node<'_>) -> Option<Kind> {
        node.compatible().find_map(|name| {
            Some(match name {
                b"arm,cortex-a15-gic"
                | b"arm,gic-400"
                | b"arm,cortex-a9-gic"
                | b"arm,cortex-a7-gic" => Kind::ControllerTwo,
                b"arm,gic-v3" => Kind::ControllerThree,
                b"arm,pl011" => Kind::Serial,
                b"arm,pl031" => Kind::Clock,
                b"qemu,fw-cfg-mmio" => Kind::Firmware,
                b"arm,psci-1.0" | b"arm,psci-0.2" => Kind::Psci,
                b"virtio,mmio" => Kind::Virtio,
                b"pci-host-ecam-generic" => Kind::Bus,
                b"arm,armv8-timer" => Kind::Timer,
                _ => return None,
            })
        })
    }
}

/// Whether a node is memory: some have no name for it, some no kind.
fn is_memory(node: &Node<'_>) -> bool {
    let is_called = || node.base_name() == b"memory";
    let kind = || node.text(b"device_type");
    node.depth() == 1 && kind().map_or_else(is_called, |kind| kind == b"memory")
}

/// The interrupt controller, if the node is one that is known here.
fn controller(node: &Node<'_>) -> Option<Controller> {
    let kind = Kind::of(node)?;
    let mut regions = node.regions();
    match kind {
        Kind::ControllerTwo => {
            return Some(Controller::Two {
                distributor: regions.next()?.start,
                interface: regions.next()?.start,
            });
        }
        Kind::ControllerThree => {}
        _ => return None,
    }
    let first = regions.next()?;
    let count = node.number(b"#redistributor-regions").unwrap_or(1);
    let count = usize::try_from(count).unwrap_or(REGIONS_MAX);
    let mut redistributors = [const { None }; REGIONS_MAX];
    for (slot, region) in redistributors.iter_mut().take(count).zip(regions) {
        *slot = Some(region);
    }
    Some(Controller::Three {
        distributor: first.start,
        redistributors,
    })
}

/// The number of the virtual timer's interrupt.
fn timer(node: &Node<'_>, wires: &Wires) -> Option<u32> {
    /// Without names: secure, other, virtual, hypervisor.
    const VIRTUAL: usize = 2;
    let named = node.property(b"interrupt-names").map(|names| {
        let mut names = names.split(|byte| *byte == 0);
        names.position(|name| name == b"virt")
    });
    wires.own(node, named.unwrap_or(Some(VIRTUAL))?)
}

/// A bus with configuration at `configuration`, if it has ports.
fn bus(node: &Node<'_>, wires: &Wires, configuration: Range<u64>) -> Option<Bus> {
    /// A range: three words of the bus' address, two of the processor's, two of length.
    const RANGE_WORDS: usize = 7;
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
    for (device, number) in wires.map(node) {
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
