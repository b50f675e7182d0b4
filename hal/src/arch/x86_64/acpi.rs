//! The few facts that ACPI tables tell this kernel.
//!
//! Tables are hostile input: they are read field by field through a bounded
//! copy ([`Physical`]), with every length and count checked, so that there is
//! nothing to map and nothing to trust. That is why no parser crate is used:
//! those at hand view tables in place through mappings that cannot fail, by
//! the lengths which the tables themselves state. No bytecode is run: what
//! lives in bytecode, the sleep type of soft-off and the places of virtio
//! devices, has one form in practice and is looked for.
//!
//! What the tables do not tell has the default that every PC has had since
//! I/O APICs exist, and so has a machine without tables.

pub(super) mod virtio;

use super::interrupts::IO_APICS_MAX;
use super::ioapic::Trigger;
use super::pvh::Physical;
use crate::cpu::MAX_CPUS;

/// Where the first I/O APIC of every PC is.
const USUAL_IO_APIC: u64 = 0xfec0_0000;

const RSDP_BYTES: usize = 36;
const HEADER_BYTES: u64 = 36;

/// Longest table that is looked into.
const TABLE_BYTES_MAX: u64 = 1 << 20;

/// Root table entries that are looked at.
const TABLES_MAX: u64 = 64;

/// MADT entries that are looked at.
const MADT_ENTRIES_MAX: usize = 4096;

/// An I/O APIC as the tables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IoApicPlace {
    /// Its registers' physical address.
    pub(super) address: u64,
    /// The first global line that it serves.
    pub(super) first_line: u32,
}

/// A legacy line that is not where its number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Override {
    /// The global line.
    pub(super) line: u8,
    /// How it is driven.
    pub(super) trigger: Trigger,
}

/// How the machine is turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SoftOff {
    /// The two power management control ports; 0 for none.
    pub(super) control: [u16; 2],
    /// What each is to be given as the sleep type.
    pub(super) sleep_types: [u8; 2],
}

/// The local APIC numbers of the machine's processors, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processors {
    ids: [u32; MAX_CPUS],
    len: usize,
}

impl Processors {
    const NONE: Processors = Processors {
        ids: [0; MAX_CPUS],
        len: 0,
    };

    /// The numbers, in the order of the tables.
    pub(super) fn ids(&self) -> &[u32] {
        self.ids.get(..self.len).unwrap_or_default()
    }

    /// Adds a processor: not twice (a table may name it in two ways), and not
    /// more than the kernel is built for.
    fn add(&mut self, id: u32) {
        if !self.ids().contains(&id)
            && let Some(slot) = self.ids.get_mut(self.len)
        {
            *slot = id;
            self.len += 1;
        }
    }
}

/// What the tables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    /// The processors, the one that booted among them; none where nothing is said.
    pub(super) processors: Processors,
    /// The I/O APICs, at least the usual one.
    pub(super) io_apics: [Option<IoApicPlace>; IO_APICS_MAX],
    /// For each legacy line where it really ends.
    pub(super) isa_overrides: [Option<Override>; 16],
    /// How the machine is turned off.
    pub(super) soft_off: Option<SoftOff>,
    /// Where virtio devices are.
    pub(super) virtio: [Option<virtio::Device>; virtio::PLACES_MAX],
}

impl Platform {
    /// A machine that says nothing about itself.
    fn unknown() -> Platform {
        Platform {
            processors: Processors::NONE,
            io_apics: [None; IO_APICS_MAX],
            isa_overrides: [None; 16],
            soft_off: None,
            virtio: [None; virtio::PLACES_MAX],
        }
    }

    /// Reads the tables from the root pointer on.
    pub(super) fn find(memory: &dyn Physical, rsdp: Option<u64>) -> Platform {
        let mut platform = Platform::unknown();
        if let Some(rsdp) = rsdp {
            // A table that breaks off leaves what was read before it.
            let _ = platform.read_root(memory, rsdp);
        }
        if platform.io_apics.iter().all(Option::is_none) {
            platform.io_apics[0] = Some(IoApicPlace {
                address: USUAL_IO_APIC,
                first_line: 0,
            });
        }
        platform
    }

    fn read_root(&mut self, memory: &dyn Physical, rsdp: u64) -> Option<()> {
        let mut raw = [0; RSDP_BYTES];
        memory.read(rsdp, &mut raw)?;
        let sums_up =
            |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0;
        if !raw.starts_with(b"RSD PTR ") || !sums_up(&raw[..20]) {
            return None;
        }
        let extended = raw[15] >= 2 && sums_up(&raw) && u64_in(&raw, 24)? != 0;
        let (root, signature, width) = if extended {
            (u64_in(&raw, 24)?, b"XSDT", 8)
        } else {
            (u64::from(u32_in(&raw, 16)?), b"RSDT", 4)
        };
        let root = Table::open(memory, root)?;
        if root.signature != *signature {
            return None;
        }
        for index in 0..TABLES_MAX.min((root.bytes - HEADER_BYTES) / width) {
            let at = HEADER_BYTES + index * width;
            let address = match width {
                8 => root.u64(at)?,
                _ => u64::from(root.u32(at)?),
            };
            let Some(table) = Table::open(memory, address) else {
                continue;
            };
            match &table.signature {
                b"APIC" => drop(self.read_interrupts(&table)),
                b"FACP" => drop(self.read_fixed(&table)),
                _ => {}
            }
        }
        Some(())
    }

    /// The fixed description table, and the definition block that it leads to.
    fn read_fixed(&mut self, table: &Table<'_>) -> Option<()> {
        let block = table
            .u64(140)
            .filter(|address| *address != 0)
            .or_else(|| table.u32(40).map(u64::from))?;
        let block = Table::open(table.memory, block)?;
        self.soft_off = read_soft_off(table, &block);
        self.virtio = virtio::devices(&block);
        Some(())
    }

    /// The multiple APIC description table.
    fn read_interrupts(&mut self, table: &Table<'_>) -> Option<()> {
        const LOCAL_APIC: u8 = 0;
        const IO_APIC: u8 = 1;
        const OVERRIDE: u8 = 2;
        const LOCAL_X2APIC: u8 = 9;
        // Flags: the processor may be used. (Another bit says that it may be
        // plugged in later, which nothing here waits for.)
        const ENABLED: u32 = 1;
        // What a number must not be: it means all processors.
        const ALL_XAPIC: u8 = 0xff;
        const ALL_X2APIC: u32 = u32::MAX;
        let mut at = HEADER_BYTES + 8;
        for _ in 0..MADT_ENTRIES_MAX {
            let (kind, len) = (table.u8(at)?, u64::from(table.u8(at + 1)?));
            match (kind, len) {
                (_, 0..2) => return None,
                (LOCAL_APIC, 8..) => {
                    let (id, flags) = (table.u8(at + 3)?, table.u32(at + 4)?);
                    if flags & ENABLED != 0 && id != ALL_XAPIC {
                        self.processors.add(u32::from(id));
                    }
                }
                (LOCAL_X2APIC, 16..) => {
                    let (id, flags) = (table.u32(at + 4)?, table.u32(at + 8)?);
                    if flags & ENABLED != 0 && id != ALL_X2APIC {
                        self.processors.add(id);
                    }
                }
                (IO_APIC, 12..) => {
                    let place = IoApicPlace {
                        address: u64::from(table.u32(at + 4)?),
                        first_line: table.u32(at + 8)?,
                    };
                    if let Some(slot) = self.io_apics.iter_mut().find(|slot| slot.is_none()) {
                        *slot = Some(place);
                    }
                }
                (OVERRIDE, 10..) => {
                    let source = usize::from(table.u8(at + 3)?);
                    let line = u8::try_from(table.u32(at + 4)?);
                    let flags = table.u8(at + 8)?;
                    if let (Some(slot), Ok(line)) = (self.isa_overrides.get_mut(source), line) {
                        *slot = Some(Override {
                            line,
                            trigger: Trigger {
                                active_low: flags & 0b11 == 0b11,
                                level: flags >> 2 & 0b11 == 0b11,
                            },
                        });
                    }
                }
                _ => {}
            }
            at += len;
        }
        Some(())
    }
}

/// How the machine is turned off: the fixed description table's power
/// management part, and the definition block.
fn read_soft_off(table: &Table<'_>, block: &Table<'_>) -> Option<SoftOff> {
    // Ports below this belong to the legacy devices, which a wrong table must
    // not make us write to.
    const FIRST_FREE_PORT: u32 = 0x400;
    let port = |at: u64| -> Option<u16> {
        let number = table.u32(at)?;
        Some(match u16::try_from(number) {
            Ok(number) if u32::from(number) >= FIRST_FREE_PORT && number.is_multiple_of(2) => {
                number
            }
            _ => 0,
        })
    };
    let control = [port(64)?, port(68)?];
    if control == [0, 0] {
        return None;
    }
    Some(SoftOff {
        control,
        sleep_types: soft_off_types(block)?,
    })
}

/// The two sleep types of soft-off, from the definition block: a package
/// under the name `_S5_`.
fn soft_off_types(table: &Table<'_>) -> Option<[u8; 2]> {
    let mut at = 0;
    loop {
        at = table.find(b"_S5_", at)?;
        if let Some(types) = package_of_two(table, at) {
            return Some(types);
        }
    }
}

/// A package's first two elements, where both are small constants.
fn package_of_two(table: &Table<'_>, at: u64) -> Option<[u8; 2]> {
    const PACKAGE: u8 = 0x12;
    const BYTE: u8 = 0x0a;
    if table.u8(at)? != PACKAGE {
        return None;
    }
    // The length takes one to four bytes, told by the first one's top bits.
    let length_bytes = 1 + u64::from(table.u8(at + 1)? >> 6);
    let mut at = at + 1 + length_bytes;
    if table.u8(at)? < 2 {
        return None;
    }
    at += 1;
    let mut types = [0; 2];
    for slot in &mut types {
        let value = match table.u8(at)? {
            constant @ (0 | 1) => constant,
            BYTE => {
                at += 1;
                table.u8(at)?
            }
            _ => return None,
        };
        *slot = value & 0b111;
        at += 1;
    }
    Some(types)
}

/// A table in physical memory; every read stays inside its stated length,
/// which is plausible and whose bytes sum up to zero.
struct Table<'a> {
    memory: &'a dyn Physical,
    address: u64,
    bytes: u64,
    signature: [u8; 4],
}

impl<'a> Table<'a> {
    fn open(memory: &'a dyn Physical, address: u64) -> Option<Table<'a>> {
        let mut header = [0; 8];
        memory.read(address, &mut header)?;
        let table = Table {
            memory,
            address,
            bytes: u64::from(u32_in(&header, 4)?),
            signature: [header[0], header[1], header[2], header[3]],
        };
        if !(HEADER_BYTES..=TABLE_BYTES_MAX).contains(&table.bytes) {
            return None;
        }
        // The definition blocks are long and only searched on the way out.
        let summed = match &table.signature {
            b"DSDT" | b"SSDT" => 0,
            _ => table.bytes,
        };
        let mut sum = 0_u8;
        for at in 0..summed {
            sum = sum.wrapping_add(table.u8(at)?);
        }
        (sum == 0).then_some(table)
    }

    /// The end of the first occurrence of a few bytes from a place on, which is
    /// searched for piece by piece.
    fn find(&self, wanted: &[u8], from: u64) -> Option<u64> {
        const PIECE: usize = 256;
        let mut at = from.max(HEADER_BYTES);
        while at < self.bytes {
            let mut piece = [0; PIECE];
            let len = PIECE.min(usize::try_from(self.bytes - at).unwrap_or(PIECE));
            let piece = piece.get_mut(..len)?;
            self.memory.read(self.address.checked_add(at)?, piece)?;
            if let Some(index) = piece
                .windows(wanted.len())
                .position(|bytes| bytes == wanted)
            {
                return Some(at + (index + wanted.len()) as u64);
            }
            // It may straddle two pieces.
            at += (len.saturating_sub(wanted.len() - 1)).max(1) as u64;
        }
        None
    }

    fn read<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        if at.checked_add(N as u64)? > self.bytes {
            return None;
        }
        self.memory
            .read(self.address.checked_add(at)?, &mut bytes)?;
        Some(bytes)
    }

    fn u8(&self, at: u64) -> Option<u8> {
        self.read::<1>(at).map(|[byte]| byte)
    }

    fn u32(&self, at: u64) -> Option<u32> {
        self.read(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u64) -> Option<u64> {
        self.read(at).map(u64::from_le_bytes)
    }
}

fn u32_in(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn u64_in(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
