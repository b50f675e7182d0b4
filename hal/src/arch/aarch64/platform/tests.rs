//! Whole, odd and hostile trees, read on the host: whatever a loader hands over,
//! what comes out keeps the promises that the rest relies on.

use core::ops::Range;

use ochre_device_tree::{DeviceTree, total_bytes};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use super::{CMDLINE_MAX, Conduit, Controller, Platform, SLOTS_MAX};

/// Where the kernel would be.
const IMAGE: Range<u64> = 0x4020_0000..0x4060_0000;

const BEGIN: u32 = 1;
const END: u32 = 2;
const PROPERTY: u32 = 3;
const LAST: u32 = 9;

/// The number that the interrupt controller is known by.
const GIC: u32 = 0x8002;

/// A tree in the making.
#[derive(Default)]
struct Maker {
    structure: Vec<u8>,
    strings: Vec<u8>,
    reservations: Vec<u8>,
}

impl Maker {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        let whole = self.structure.len().next_multiple_of(4);
        self.structure.resize(whole, 0);
    }

    fn begin(&mut self, name: &str) -> &mut Self {
        self.word(BEGIN);
        self.padded(format!("{name}\0").as_bytes());
        self
    }

    fn end(&mut self) -> &mut Self {
        self.word(END);
        self
    }

    fn property(&mut self, name: &str, value: &[u8]) -> &mut Self {
        let at = self.strings.len() as u32;
        self.strings.extend(format!("{name}\0").as_bytes());
        self.word(PROPERTY);
        self.word(value.len() as u32);
        self.word(at);
        self.padded(value);
        self
    }

    fn words(&mut self, name: &str, words: &[u32]) -> &mut Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.property(name, &bytes)
    }

    fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.property(name, format!("{text}\0").as_bytes())
    }

    /// A node without children: its name, what it is like, its `reg`.
    fn device(&mut self, name: &str, like: &str, reg: &[u32], interrupts: &[u32]) -> &mut Self {
        self.begin(name).text("compatible", like).words("reg", reg);
        self.words("interrupts", interrupts).end()
    }

    /// An interrupt controller, whose interrupts have so many words.
    fn controller(&mut self, like: &str, words: u32) -> &mut Self {
        let reg = [0, 0x800_0000, 0, 0x1_0000, 0, 0x801_0000, 0, 0x1_0000];
        self.begin("intc@8000000").text("compatible", like);
        self.words("reg", &reg).words("phandle", &[GIC]);
        self.words("#address-cells", &[2])
            .words("#interrupt-cells", &[words]);
        self.end()
    }

    fn blob(&self) -> Vec<u8> {
        const HEADER: u32 = 40;
        let mut reservations = self.reservations.clone();
        reservations.extend([0; 16]);
        let (first, structure) = (reservations.len() as u32, self.structure.len() as u32);
        let strings = self.strings.len() as u32;
        let total = HEADER + first + structure + strings;
        let mut blob = Vec::new();
        for word in [
            0xd00d_feed,
            total,
            HEADER + first,
            HEADER + first + structure,
            HEADER,
            17,
            16,
            0,
            strings,
            structure,
        ] {
            blob.extend(u32::to_be_bytes(word));
        }
        [
            blob,
            reservations,
            self.structure.clone(),
            self.strings.clone(),
        ]
        .concat()
    }
}

/// What QEMU's machine says, shortened.
fn machine() -> Maker {
    let mut maker = Maker::default();
    for word in [0x4700_0000_u64, 0x1800] {
        maker.reservations.extend(word.to_be_bytes());
    }
    maker.begin("");
    maker
        .words("#address-cells", &[2])
        .words("#size-cells", &[2])
        .words("interrupt-parent", &[GIC]);
    maker.begin("psci").text("compatible", "arm,psci-1.0");
    maker.text("method", "hvc").end();
    maker
        .begin("memory@40000000")
        .words("reg", &[0, 0x4000_0000, 0, 0x1000_0000])
        .end();
    maker
        .begin("cpus")
        .words("#address-cells", &[1])
        .words("#size-cells", &[0]);
    for number in 0..2 {
        maker
            .begin(&format!("cpu@{number}"))
            .words("reg", &[number])
            .end();
    }
    maker.end();
    maker.begin("timer").text("compatible", "arm,armv8-timer");
    maker
        .words("interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4])
        .end();
    maker.controller("arm,cortex-a15-gic", 3);
    maker.device(
        "pl011@9000000",
        "arm,pl011\0arm,primecell",
        &[0, 0x900_0000, 0, 0x1000],
        &[0, 1, 4],
    );
    maker.device(
        "pl031@9010000",
        "arm,pl031",
        &[0, 0x901_0000, 0, 0x1000],
        &[0, 2, 4],
    );
    maker.device(
        "fw-cfg@9020000",
        "qemu,fw-cfg-mmio",
        &[0, 0x902_0000, 0, 0x18],
        &[],
    );
    maker.device(
        "virtio_mmio@a000000",
        "virtio,mmio",
        &[0, 0xa00_0000, 0, 0x200],
        &[0, 16, 1],
    );
    maker
        .begin("pcie@10000000")
        .text("compatible", "pci-host-ecam-generic");
    maker.words("reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]);
    maker.words("ranges", &[0x100_0000, 0, 0, 0, 0x3eff_0000, 0, 0x1_0000]);
    let lines: Vec<u32> = (0..4)
        .flat_map(|device| [device << 11, 0, 0, 1, GIC, 0, 0, 0, 3 + device, 4])
        .collect();
    maker.words("interrupt-map", &lines).end();
    maker
        .begin("reserved-memory")
        .words("#address-cells", &[2])
        .words("#size-cells", &[2]);
    maker
        .begin("hole")
        .words("reg", &[0, 0x4800_0800, 0, 0x1000])
        .end()
        .end();
    maker.begin("chosen").text("bootargs", "a=b c");
    maker.words("linux,initrd-start", &[0x4400_0010]);
    maker.words("linux,initrd-end", &[0, 0x4401_0000]).end();
    maker.end();
    maker.word(LAST);
    maker
}

/// Reads what may be a tree as the entry does, and checks what is promised.
fn read(blob: &[u8]) -> Option<Platform> {
    let len = total_bytes(blob).ok()?;
    let tree = DeviceTree::new(blob.get(..len)?).ok()?;
    let platform = Platform::read(&tree, &IMAGE);
    let pieces: Vec<Range<u64>> = platform.ram.iter().collect();
    for piece in &pieces {
        assert!(piece.start < piece.end && piece.start % 4096 == 0 && piece.end % 4096 == 0);
        assert!(
            tree.reservations().all(|gone| {
                gone.is_empty() || gone.end <= piece.start || piece.end <= gone.start
            })
        );
    }
    assert!(pieces.windows(2).all(|pair| pair[0].end < pair[1].start));
    if let Some(archive) = &platform.initramfs {
        assert!(archive.start < archive.end);
        assert!(
            platform
                .ram
                .contains(&(archive.start / 4096 * 4096..archive.end))
        );
        assert!(archive.end <= IMAGE.start || IMAGE.end <= archive.start / 4096 * 4096);
    }
    assert!(platform.cmdline().len() <= CMDLINE_MAX);
    assert!((16..32).contains(&platform.timer));
    let known = |affinity: &u64| affinity & !0xff_00ff_ffff == 0;
    assert!(platform.processors.iter().flatten().all(known));
    if let Some(bus) = &platform.bus {
        assert!(bus.ports.start < bus.ports.end);
        assert_eq!(bus.interrupt(1), bus.interrupt(5));
    }
    Some(platform)
}

#[test]
fn a_whole_machine_is_read() {
    let platform = read(&machine().blob()).expect("a tree");
    assert_eq!(platform.cmdline(), b"a=b c");
    let ram: Vec<_> = platform.ram.iter().collect();
    assert_eq!(
        ram,
        [
            0x4000_0000..0x4700_0000,
            0x4700_2000..0x4800_0000,
            0x4800_2000..0x5000_0000
        ]
    );
    assert_eq!(platform.initramfs, Some(0x4400_0010..0x4401_0000));
    let Some(Controller::Two {
        distributor,
        interface,
    }) = platform.controller
    else {
        panic!("the controller is of the second kind");
    };
    assert_eq!((distributor, interface), (0x800_0000, 0x801_0000));
    let serial = platform.serial.expect("a serial port");
    assert_eq!((serial.address, serial.interrupt), (0x900_0000, Some(1)));
    let clock = platform.rtc.expect("a clock");
    assert_eq!((clock.address, clock.interrupt), (0x901_0000, Some(2)));
    assert_eq!(platform.firmware, Some(0x902_0000));
    assert_eq!(platform.conduit, Some(Conduit::Hypervisor));
    let slots: Vec<_> = platform.slots.iter().flatten().collect();
    assert_eq!(slots.len(), 1);
    assert_eq!((slots[0].address, slots[0].interrupt), (0xa00_0000, 16));
    let bus = platform.bus.expect("a bus");
    assert_eq!(bus.configuration, 0x40_1000_0000..0x40_2000_0000);
    assert_eq!(bus.ports, 0x3eff_0000..0x3f00_0000);
    assert_eq!(
        [0, 1, 6, 7].map(|device| bus.interrupt(device)),
        [3, 4, 5, 6].map(Some)
    );
    assert_eq!(platform.timer, 27);
    assert_eq!(platform.processors.iter().flatten().count(), 2);
}

#[test]
fn a_controller_of_the_third_kind_has_regions() {
    let mut maker = Maker::default();
    maker
        .begin("")
        .words("#address-cells", &[1])
        .words("#size-cells", &[1]);
    maker.begin("intc").text("compatible", "arm,gic-v3");
    maker.words("#redistributor-regions", &[u32::MAX]);
    let reg: Vec<u32> = (1..9).flat_map(|at| [at << 20, 0x1000]).collect();
    maker.words("reg", &reg).end().end();
    maker.word(LAST);
    let platform = read(&maker.blob()).expect("a tree");
    let Some(Controller::Three {
        distributor,
        redistributors,
    }) = platform.controller
    else {
        panic!("the controller is of the third kind");
    };
    assert_eq!(distributor, 1 << 20);
    assert!(redistributors.iter().all(Option::is_some));
}

#[test]
fn an_archive_elsewhere_is_not_believed() {
    for (start, end) in [
        (0x4400_0000, 0x4400_0000),
        (0x4401_0000, 0x4400_0000),
        (0x3fff_f000, 0x4001_0000),
        (0x4fff_f000, 0x5000_0001),
        (0x46ff_f000, 0x4700_0001),
        (0x4100_0000, 0x4fff_0000),
        // Over the kernel, and in its last page.
        (0x4000_0000, 0x4030_0000),
        (0x405f_ffff, 0x4080_0000),
        (0, u32::MAX),
    ] {
        let mut maker = machine();
        let tail = maker.structure.len() - 8;
        maker.structure.truncate(tail);
        maker.begin("chosen").words("linux,initrd-start", &[start]);
        maker.words("linux,initrd-end", &[end]).end().end();
        maker.word(LAST);
        let platform = read(&maker.blob()).expect("a tree");
        assert_eq!(platform.initramfs, None, "{start:#x} to {end:#x}");
    }
}

#[test]
fn more_than_fits_is_survived() {
    let mut maker = Maker::default();
    maker
        .begin("")
        .words("#address-cells", &[1])
        .words("#size-cells", &[1]);
    for number in 0..4_000 {
        maker.device("v", "virtio,mmio", &[number << 12, 0x200], &[0, number, 1]);
        maker
            .begin("memory")
            .words("reg", &[number << 16, 0x8000])
            .end();
    }
    maker
        .begin("cpus")
        .words("#address-cells", &[1])
        .words("#size-cells", &[0]);
    for number in 0..4_000 {
        maker.begin("cpu").words("reg", &[number]).end();
    }
    maker
        .end()
        .begin("chosen")
        .text("bootargs", &"x".repeat(3 * CMDLINE_MAX))
        .end()
        .end();
    maker.word(LAST);
    let platform = read(&maker.blob()).expect("a tree");
    assert_eq!(platform.cmdline().len(), CMDLINE_MAX);
    assert_eq!(platform.slots.iter().flatten().count(), SLOTS_MAX);
    assert!(platform.processors.iter().all(Option::is_some));
}

/// A million bytes of names, and properties that all begin in the first: who
/// looks for the end of each name would be at it for hours.
#[test]
fn names_without_end_are_survived() {
    let mut maker = Maker::default();
    maker.begin("").begin("memory");
    for at in 0..20_000 {
        for word in [PROPERTY, 0, at] {
            maker.word(word);
        }
    }
    maker.end().end();
    maker.word(LAST);
    maker.strings = vec![b'x'; 1 << 20];
    maker.strings.push(0);
    let _ = read(&maker.blob());
}

#[test]
fn every_cut_and_every_changed_byte_is_survived() {
    let blob = machine().blob();
    let ends = if cfg!(miri) { 0..40 } else { 0..blob.len() };
    for at in ends {
        let mut short = blob[..at].to_vec();
        let _ = read(&short);
        // The same where the header knows of it.
        if let Some(total) = short.get_mut(4..8) {
            total.copy_from_slice(&(at as u32).to_be_bytes());
        }
        let _ = read(&short);
        for value in [0, 1, 2, 3, 9, 0x7f, 0xff] {
            let mut changed = blob.clone();
            changed[at] = value;
            let _ = read(&changed);
        }
    }
}

/// A cell that means trouble, or any.
fn cell() -> impl Strategy<Value = u32> {
    const ODD: &[u32] = &[
        0,
        1,
        2,
        3,
        4,
        7,
        15,
        0x1000,
        0x4000_0000,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
    ];
    prop_oneof![prop::sample::select(ODD), any::<u32>()]
}

fn name() -> impl Strategy<Value = &'static str> {
    const NAMES: &[&str] = &[
        "memory",
        "chosen",
        "cpus",
        "cpu@1",
        "cpu",
        "reserved-memory",
        "hole",
        "timer",
        "intc",
        "x",
    ];
    prop::sample::select(NAMES)
}

/// A property that is looked at, with cells that it may not have.
fn property() -> impl Strategy<Value = (&'static str, Vec<u32>)> {
    const NAMES: &[&str] = &[
        "reg",
        "ranges",
        "interrupt-map",
        "interrupts",
        "interrupts-extended",
        "interrupt-parent",
        "interrupt-names",
        "phandle",
        "#interrupt-cells",
        "stdout-path",
        "device_type",
        "#address-cells",
        "#size-cells",
        "#redistributor-regions",
        "linux,initrd-start",
        "linux,initrd-end",
        "bootargs",
        "method",
        "status",
        "compatible",
    ];
    (
        prop::sample::select(NAMES),
        prop::collection::vec(cell(), 0..24),
    )
}

fn like() -> impl Strategy<Value = &'static str> {
    const KNOWN: &[&str] = &[
        "arm,gic-400",
        "arm,gic-v3",
        "arm,pl011",
        "arm,pl031",
        "qemu,fw-cfg-mmio",
        "arm,psci-0.2",
        "virtio,mmio",
        "pci-host-ecam-generic",
        "arm,armv8-timer",
        "nobody",
    ];
    prop::sample::select(KNOWN)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Nodes that the kernel knows, with properties of any length and sense, at
    /// any depth, not all of them closed.
    #[test]
    fn any_machine_is_survived(
        nodes in prop::collection::vec(
            (name(), like(), prop::collection::vec(property(), 0..6), 0..3_usize),
            0..40,
        ),
        reservations in prop::collection::vec((any::<u64>(), any::<u64>()), 0..6),
    ) {
        let mut maker = Maker::default();
        for (start, len) in reservations {
            maker.reservations.extend(start.to_be_bytes());
            maker.reservations.extend(len.to_be_bytes());
        }
        maker.begin("");
        for (name, like, properties, ends) in &nodes {
            maker.begin(name).text("compatible", like);
            for (name, cells) in properties {
                maker.words(name, cells);
            }
            for _ in 0..*ends {
                maker.end();
            }
        }
        maker.word(LAST);
        let _ = read(&maker.blob());
    }

    #[test]
    fn any_changes_are_survived(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![Just(0_u8), Just(0xff), any::<u8>()]),
            1..30,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut blob = machine().blob();
        for (at, value) in changes {
            let at = at.index(blob.len());
            blob[at] = value;
        }
        let _ = read(&blob);
        let cut = cut.index(blob.len());
        let _ = read(&blob[..cut]);
    }
}

/// A machine with this in it, and what is read of it.
fn machine_with(fill: impl FnOnce(&mut Maker)) -> Platform {
    let mut maker = Maker::default();
    maker.begin("");
    maker
        .words("#address-cells", &[2])
        .words("#size-cells", &[2])
        .words("interrupt-parent", &[GIC]);
    fill(&mut maker);
    maker.end();
    maker.word(LAST);
    read(&maker.blob()).expect("a tree")
}

/// A bus whose children have addresses of one word, without its end.
fn bus(maker: &mut Maker, ranges: Option<&[u32]>) {
    maker
        .begin("bus")
        .words("#address-cells", &[1])
        .words("#size-cells", &[1]);
    if let Some(ranges) = ranges {
        maker.words("ranges", ranges);
    }
}

#[test]
fn a_bus_moves_addresses() {
    const PORT: [u32; 2] = [0x7e20_1000, 0x1000];
    let place = |outer: Option<&[u32]>, inner: Option<&[u32]>| {
        let platform = machine_with(|maker| {
            bus(maker, outer);
            bus(maker, inner);
            maker.device("serial", "arm,pl011", &PORT, &[0, 1, 4]);
            maker.end().end();
        });
        platform.serial.map(|serial| serial.address)
    };
    let all: &[u32] = &[];
    let moved: &[u32] = &[
        0x4000_0000,
        0x8,
        0,
        0x100,
        0x7e00_0000,
        1,
        0xfe00_0000,
        0x180_0000,
    ];
    assert_eq!(place(Some(all), Some(all)), Some(0x7e20_1000));
    assert_eq!(place(Some(moved), Some(all)), Some(0x1_fe20_1000));
    // The inner one's are the outer one's words: one.
    let inner = [0x7e20_0000, 0x7e40_0000, 0x2000];
    assert_eq!(place(Some(moved), Some(&inner)), Some(0x1_fe40_1000));
    // Not seen: from the outside, from the bus, and not all of it.
    assert_eq!(place(None, Some(all)), None);
    assert_eq!(place(Some(all), None), None);
    let short = [0x7e20_0000, 0, 0, 0x1fff];
    assert_eq!(place(Some(&short), Some(all)), None);
    let past_the_end = [0x7e20_0000, u32::MAX, u32::MAX, 0x2000];
    assert_eq!(place(Some(&past_the_end), Some(all)), None);
}

/// The interrupt of a serial port with these properties, and the timer's.
fn interrupts(words: u32, fill: impl Fn(&mut Maker), timer: &[u32]) -> (Option<u32>, u32) {
    let platform = machine_with(|maker| {
        maker.controller("arm,gic-v3", words);
        maker.begin("serial").text("compatible", "arm,pl011");
        maker.words("reg", &[0, 0x900_0000, 0, 0x1000]);
        fill(maker);
        maker.end();
        maker.begin("timer").text("compatible", "arm,armv8-timer");
        maker.words("interrupts", timer).end();
    });
    let serial = platform.serial.expect("a port, with or without interrupt");
    (serial.interrupt, platform.timer)
}

#[test]
fn an_interrupt_is_the_controllers_or_nobodys() {
    const TIMER: [u32; 12] = [1, 13, 4, 1, 14, 4, 1, 5, 4, 1, 10, 4];
    let one = |fill: &dyn Fn(&mut Maker)| interrupts(3, fill, &TIMER);
    let at_another = one(&|maker| {
        maker.words("interrupt-parent", &[7]);
        maker.words("interrupts", &[0, 300, 4]);
    });
    assert_eq!(at_another, (None, 21));
    let far = one(&|maker| {
        maker.words("interrupts", &[0, 300, 4]);
    });
    assert_eq!(far, (Some(300), 21));
    let own = one(&|maker| {
        maker.words("interrupts", &[1, 3, 4]);
    });
    assert_eq!(own, (None, 21));
    let extended = one(&|maker| {
        maker.words("interrupts-extended", &[GIC, 0, 18, 4]);
        maker.words("interrupts", &[0, 19, 4]);
    });
    assert_eq!(extended, (Some(18), 21));
    let extended = one(&|maker| {
        maker.words("interrupts-extended", &[7, 0, GIC, 0, 18, 4]);
    });
    assert_eq!(extended, (None, 21));
    // A fourth word: for which processors a timer's is.
    let long = [1, 13, 4, 0, 1, 14, 4, 0, 1, 6, 4, 0, 1, 10, 4, 0];
    let four = interrupts(
        4,
        |maker| {
            maker.words("interrupts", &[0, 18, 4, 0]);
        },
        &long,
    );
    assert_eq!(four, (Some(18), 22));
    // Cut short, and no number of a processor's own.
    for wrong in [&TIMER[..8], &[1, 13, 4, 1, 14, 4, 1, 16, 4]] {
        let (_, timer) = interrupts(3, |_| (), wrong);
        assert_eq!(timer, 27);
    }
}

#[test]
fn a_bus_may_have_the_interrupts() {
    let platform = machine_with(|maker| {
        maker.controller("arm,gic-v3", 3);
        bus(maker, Some(&[]));
        maker.words("#interrupt-cells", &[1]);
        maker.device("serial", "arm,pl011", &[0x900_0000, 0x1000], &[0, 1, 4]);
        maker.end();
        // Who says nothing of it asks the next one outside.
        bus(maker, Some(&[]));
        maker.device("rtc", "arm,pl031", &[0x901_0000, 0x1000], &[0, 2, 4]);
        maker.end();
    });
    assert_eq!(platform.serial.expect("a port").interrupt, None);
    assert_eq!(platform.rtc.expect("a clock").interrupt, Some(2));
}

#[test]
fn a_timers_interrupts_may_have_names() {
    let timer = |names: &str| {
        let platform = machine_with(|maker| {
            maker.controller("arm,gic-v3", 3);
            maker.begin("timer").text("compatible", "arm,armv8-timer");
            maker.text("interrupt-names", names);
            maker
                .words("interrupts", &[1, 1, 4, 1, 2, 4, 1, 3, 4])
                .end();
        });
        platform.timer
    };
    assert_eq!(timer("virt\0phys\0hyp-phys"), 17);
    assert_eq!(timer("phys\0virt"), 18);
    assert_eq!(timer("phys\0hyp-phys"), 27);
}

#[test]
fn the_console_is_where_the_loader_wants_it() {
    let console = |path: &str| {
        let platform = machine_with(|maker| {
            maker.begin("other").end();
            bus(maker, Some(&[]));
            for (name, at) in [("serial@1", 1), ("serial@2", 2), ("serial@3", 3)] {
                maker.begin(name).text("compatible", "arm,pl011");
                maker.words("reg", &[at << 12, 0x1000]);
                if at == 3 {
                    maker
                        .text("status", "disabled")
                        .text("secure-status", "okay");
                }
                maker.end();
            }
            maker.end();
            maker.begin("aliases").text("serial7", "/bus/serial@2");
            maker.text("loop", "loop").end();
            maker.begin("chosen").text("stdout-path", path).end();
        });
        platform.serial.expect("a port").address >> 12
    };
    assert_eq!(console("/bus/serial@2"), 2);
    assert_eq!(console("/bus/serial@2:115200n8"), 2);
    assert_eq!(console("serial7:9600"), 2);
    assert_eq!(console("/bus/serial@1"), 1);
    // Not there, or not for us.
    for path in ["", "/", "/bus", "serial@2", "/serial@2", "serial8", "loop"] {
        assert_eq!(console(path), 1, "{path}");
    }
    assert_eq!(console("/other/serial@2"), 1);
    assert_eq!(console("/bus/serial@3"), 1);
}

#[test]
fn what_is_in_a_bus_that_is_off_is_off() {
    let platform = machine_with(|maker| {
        bus(maker, Some(&[]));
        maker.text("status", "disabled");
        maker.device("serial", "arm,pl011", &[0x900_0000, 0x1000], &[0, 1, 4]);
        maker.end();
        maker.begin("memory@0").text("status", "disabled");
        maker.words("reg", &[0, 0, 0, 0x10_0000]).end();
    });
    assert!(platform.serial.is_none() && platform.ram.is_empty());
}

#[test]
fn memory_comes_in_banks() {
    let platform = machine_with(|maker| {
        for (name, kind, reg) in [
            ("memory@0", "memory", &[0, 0, 0, 0x10_0000][..]),
            ("ddr", "memory", &[8, 0, 0, 0x1000, 9, 0, 0, 0x2000]),
            ("memory@1", "mtd", &[1, 0, 0, 0x1000]),
        ] {
            maker.begin(name).text("device_type", kind);
            maker.words("reg", reg).end();
        }
    });
    let ram: Vec<_> = platform.ram.iter().collect();
    let banks = [
        0..0x10_0000,
        0x8_0000_0000..0x8_0000_1000,
        0x9_0000_0000..0x9_0000_2000,
    ];
    assert_eq!(ram, banks);
}
