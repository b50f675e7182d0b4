//! The start info against good, odd and hostile loaders.

use super::{BadHandover, Handover, Physical, read};

/// Memory from address 0, as long as the vector.
struct Fake(Vec<u8>);

impl Physical for Fake {
    fn read(&self, address: u64, to: &mut [u8]) -> Option<()> {
        let at = usize::try_from(address).ok()?;
        let from = self.0.get(at..at.checked_add(to.len())?)?;
        to.copy_from_slice(from);
        Some(())
    }
}

impl Fake {
    /// Start info at 0x100, map at 0x200, module list at 0x400, command line at 0x500.
    fn new(map: &[(u64, u64, u32)], module: Option<(u64, u64)>, cmdline: &[u8]) -> Fake {
        let mut fake = Fake(vec![0; 0x2000]);
        fake.put(0x100, &0x336e_c578_u32.to_le_bytes());
        fake.put(0x104, &1_u32.to_le_bytes());
        fake.put(0x10c, &u32::from(module.is_some()).to_le_bytes());
        fake.put(0x110, &0x400_u64.to_le_bytes());
        fake.put(0x118, &0x500_u64.to_le_bytes());
        fake.put(0x128, &0x200_u64.to_le_bytes());
        let count = u32::try_from(map.len()).expect("a short map");
        fake.put(0x130, &count.to_le_bytes());
        for (index, entry) in map.iter().enumerate() {
            let at = 0x200 + index * 24;
            fake.put(at, &entry.0.to_le_bytes());
            fake.put(at + 8, &entry.1.to_le_bytes());
            fake.put(at + 16, &entry.2.to_le_bytes());
        }
        if let Some((start, len)) = module {
            fake.put(0x400, &start.to_le_bytes());
            fake.put(0x408, &len.to_le_bytes());
        }
        fake.put(0x500, cmdline);
        fake
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn read(&self) -> Result<Handover, BadHandover> {
        read(self, 0x100, &IMAGE)
    }
}

/// Where the kernel is.
const IMAGE: core::ops::Range<u64> = 0x20_0000..0x40_0000;

const MEMORY: (u64, u64, u32) = (0x10_0000, 0x1f0_0000, 1);

#[test]
fn reads_a_good_one() {
    let map = [(0, 0x9fc00, 1), (0xf_0000, 0x1_0000, 2), MEMORY];
    let handover = Fake::new(&map, Some((0x1f0_0123, 0x1234)), b"quiet a=b\0junk")
        .read()
        .expect("a good start info");
    assert_eq!(handover.cmdline(), b"quiet a=b");
    assert_eq!(handover.initramfs, Some(0x1f0_0123..0x1f0_1357));
    let ram: Vec<_> = handover.ram.iter().collect();
    assert_eq!(ram, [0x1_0000..0x9_f000, 0x10_0000..0x200_0000]);
    assert_eq!(handover.rsdp, None);
}

#[test]
fn what_is_not_memory_wins() {
    let map = [(0x80_0000, 0x1000, 2), MEMORY, MEMORY];
    let handover = Fake::new(&map, None, b"\0").read().expect("good");
    let ram: Vec<_> = handover.ram.iter().collect();
    assert_eq!(ram, [0x10_0000..0x80_0000, 0x80_1000..0x200_0000]);
}

#[test]
fn refuses_what_is_not_a_start_info() {
    let mut fake = Fake::new(&[MEMORY], None, b"\0");
    assert_eq!(
        read(&fake, 0x1fff, &IMAGE).err(),
        Some(BadHandover::Unreadable)
    );
    assert_eq!(
        read(&fake, u64::MAX, &IMAGE).err(),
        Some(BadHandover::Unreadable)
    );
    fake.put(0x104, &[0]);
    assert_eq!(fake.read().err(), Some(BadHandover::Version));
    fake.put(0x100, &[0]);
    assert_eq!(fake.read().err(), Some(BadHandover::Magic));
    assert_eq!(
        Fake::new(&[], None, b"\0").read().err(),
        Some(BadHandover::NoMemory)
    );
}

#[test]
fn a_wild_map_is_an_error() {
    let mut fake = Fake::new(&[MEMORY], None, b"\0");
    fake.put(0x130, &u32::MAX.to_le_bytes());
    assert_eq!(fake.read().err(), Some(BadHandover::Unreadable));
    fake.put(0x128, &(u64::MAX - 3).to_le_bytes());
    assert_eq!(fake.read().err(), Some(BadHandover::Unreadable));
}

#[test]
fn a_wild_module_is_none() {
    for module in [
        (0x1f0_0000, 0x10_0001),
        (0x1f0_0000, u64::MAX),
        (0x1f0_0000, 0),
        (u64::MAX, 2),
        (0, 0x1000),
        (0x3f_f000, 0x1001),
        (0x1f_0000, 0x1_0001),
        (0x30_0000, 0x1000),
    ] {
        let handover = Fake::new(&[MEMORY], Some(module), b"\0").read();
        assert_eq!(handover.expect("good").initramfs, None, "{module:x?}");
    }
}

#[test]
fn an_endless_command_line_is_cut() {
    let mut fake = Fake::new(&[MEMORY], None, b"\0");
    fake.put(0x500, &[b'x'; 0x1b00]);
    assert_eq!(fake.read().expect("good").cmdline().len(), 4096);
    fake.put(0x118, &0x1ffe_u64.to_le_bytes());
    assert_eq!(fake.read().expect("good").cmdline(), b"xx");
}

#[test]
fn every_byte_of_the_start_info_may_lie() {
    for at in 0x100..0x138 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut fake = Fake::new(&[MEMORY], Some((0x1f0_0000, 0x1000)), b"x\0");
            fake.put(at, &[value]);
            // Only that it ends, with an answer inside what it may say.
            if let Ok(handover) = fake.read() {
                assert!(handover.ram.iter().all(|range| range.start < range.end));
            }
        }
    }
}
