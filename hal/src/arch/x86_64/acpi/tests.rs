//! Whole and broken tables in a made-up memory.

use super::{IoApicPlace, Override, Platform, SoftOff, Trigger, virtio};
use crate::arch::x86_64::pvh::Physical;

const RSDP: u64 = 0x100;
const XSDT: u64 = 0x200;
const MADT: u64 = 0x300;
const FADT: u64 = 0x400;
const DSDT: u64 = 0x600;

struct Memory(Vec<u8>);

impl Physical for Memory {
    fn read(&self, address: u64, to: &mut [u8]) -> Option<()> {
        let start = usize::try_from(address).ok()?;
        to.copy_from_slice(self.0.get(start..start.checked_add(to.len())?)?);
        Some(())
    }
}

impl Memory {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at).expect("a test address is small");
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Places a table with its length and checksum filled in.
    fn put_table(&mut self, at: u64, signature: &[u8; 4], body: &[u8]) {
        let mut table = vec![0; 36];
        table[..4].copy_from_slice(signature);
        table.extend_from_slice(body);
        let length = u32::try_from(table.len()).expect("a test table is small");
        table[4..8].copy_from_slice(&length.to_le_bytes());
        table[9] = table[9].wrapping_sub(table.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)));
        self.put(at, &table);
    }
}

fn machine() -> Memory {
    let mut memory = Memory(vec![0; 0x900]);
    let mut rsdp = [0_u8; 36];
    rsdp[..8].copy_from_slice(b"RSD PTR ");
    rsdp[15] = 2;
    rsdp[8] = 0_u8.wrapping_sub(
        rsdp[..20]
            .iter()
            .fold(0, |sum, byte| sum.wrapping_add(*byte)),
    );
    rsdp[20..24].copy_from_slice(&36_u32.to_le_bytes());
    rsdp[24..32].copy_from_slice(&XSDT.to_le_bytes());
    rsdp[32] = 0_u8.wrapping_sub(rsdp.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)));
    memory.put(RSDP, &rsdp);

    let entries: Vec<u8> = [0xffff_ffff_ffff_fff0, MADT, FADT]
        .iter()
        .flat_map(|address: &u64| address.to_le_bytes())
        .collect();
    memory.put_table(XSDT, b"XSDT", &entries);

    let mut madt = vec![0; 8];
    madt.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    // One in both ways, one that is not there, one only in the new way.
    madt.extend([0, 8, 1, 1, 0, 0, 0, 0]);
    madt.extend([0, 8, 2, 4, 1, 0, 0, 0]);
    madt.extend([9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    madt.extend([9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    madt.extend([9, 16, 0, 0, 7, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    madt.extend([1, 12, 0, 0, 0x00, 0x10, 0xc0, 0xfe, 24, 0, 0, 0]);
    madt.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    madt.extend([2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0]);
    memory.put_table(MADT, b"APIC", &madt);

    let mut fadt = vec![0; 244 - 36];
    fadt[40 - 36..44 - 36].copy_from_slice(&(DSDT as u32).to_le_bytes());
    fadt[64 - 36..68 - 36].copy_from_slice(&0x604_u32.to_le_bytes());
    memory.put_table(FADT, b"FACP", &fadt);

    memory.put_table(
        DSDT,
        b"DSDT",
        b"\x10\x20_S5\x08_S5_\x12\x07\x04\x0a\x05\x01\x00\x00\
          LNRO0005\0no resources, and the next is as QEMU writes it, in its order of things....\
          LNRO0005\0\x08_UID\x0a\x17\x08_CCA\x01\x08_CRS\x11\x1a\x0a\x17\
          \x86\x09\0\x01\x00\x2e\xb0\xfe\x00\x02\0\0\x89\x06\0\x01\x01\x2f\0\0\0\x79\0\
          LNRO0005\0\x86\x09\0\x01\x00\x2c\xb0\xfe\x00\x02\0\0\x89\x06\0\x01\x02\x2e\0\0\0\
          LNRO0005\0\x86\x09\0\x01\x00\x2c",
    );
    memory
}

#[test]
fn reads_what_a_pc_says() {
    let memory = machine();
    let platform = Platform::find(&memory, Some(RSDP));
    assert_eq!(
        platform.io_apics[0],
        Some(IoApicPlace {
            address: 0xfec0_1000,
            first_line: 24
        })
    );
    assert_eq!(platform.processors.ids(), [0, 4, 0x100]);
    assert_eq!(platform.io_apics[1], None);
    assert_eq!(
        platform.isa_overrides[0],
        Some(Override {
            line: 2,
            trigger: Trigger::default()
        })
    );
    assert_eq!(
        platform.isa_overrides[9],
        Some(Override {
            line: 9,
            trigger: Trigger {
                level: true,
                active_low: true
            }
        })
    );
    assert_eq!(platform.isa_overrides[4], None);
    assert_eq!(
        platform.soft_off,
        Some(SoftOff {
            control: [0x604, 0],
            sleep_types: [5, 1]
        })
    );
}

#[test]
fn virtio_devices_are_those_with_a_window_and_a_line() {
    let memory = machine();
    let platform = Platform::find(&memory, Some(RSDP));
    let device = virtio::Device {
        address: 0xfeb0_2e00,
        bytes: 0x200,
        line: 47,
    };
    assert_eq!(platform.virtio[..2], [Some(device), None]);
}

#[test]
fn a_silent_machine_has_the_usual_io_apic() {
    let memory = Memory(vec![0; 0x900]);
    for rsdp in [None, Some(RSDP), Some(0x10_0000), Some(u64::MAX)] {
        let platform = Platform::find(&memory, rsdp);
        assert_eq!(
            platform.io_apics[0].map(|place| place.address),
            Some(0xfec0_0000)
        );
        assert!(platform.processors.ids().is_empty());
        assert_eq!(platform.soft_off, None);
    }
}

#[test]
fn a_table_of_too_many_processors_is_cut() {
    let mut memory = Memory(vec![0; 0x2000]);
    memory.0[..0x900].copy_from_slice(&machine().0);
    let mut madt = vec![0; 8];
    for id in 0..200 {
        madt.extend([0, 8, 0, id, 1, 0, 0, 0]);
    }
    memory.put_table(XSDT, b"XSDT", &0x1000_u64.to_le_bytes());
    memory.put_table(0x1000, b"APIC", &madt);
    let platform = Platform::find(&memory, Some(RSDP));
    let first: Vec<u32> = (0..64).collect();
    assert_eq!(platform.processors.ids(), first);
}

#[test]
fn a_wrong_checksum_is_no_table() {
    let mut memory = machine();
    memory.0[MADT as usize + 50] ^= 1;
    let platform = Platform::find(&memory, Some(RSDP));
    assert_eq!(
        platform.io_apics[0].map(|place| place.address),
        Some(0xfec0_0000)
    );
    assert!(platform.soft_off.is_some());
}

#[test]
fn finds_the_sleep_types_wherever_they_are() {
    for shift in 0..300 {
        let mut memory = machine();
        let mut body = vec![b'_'; shift];
        body.extend(b"\x08_S5_\x12\x07\x04\x0a\x05\x01\x00\x00");
        memory.put_table(DSDT, b"DSDT", &body);
        let soft_off = Platform::find(&memory, Some(RSDP)).soft_off;
        assert_eq!(
            soft_off.map(|found| found.sleep_types),
            Some([5, 1]),
            "shifted by {shift}"
        );
    }
}

#[test]
fn ports_of_legacy_devices_are_not_power_registers() {
    let mut memory = machine();
    let mut fadt = vec![0; 244 - 36];
    fadt[64 - 36..68 - 36].copy_from_slice(&0x20_u32.to_le_bytes());
    fadt[68 - 36..72 - 36].copy_from_slice(&0x1_0604_u32.to_le_bytes());
    memory.put_table(FADT, b"FACP", &fadt);
    assert_eq!(Platform::find(&memory, Some(RSDP)).soft_off, None);
}

/// Every single-byte change and every truncation, with the checksums put
/// right again so that the damage is looked at.
#[test]
fn broken_tables_do_no_harm() {
    let whole = machine();
    for at in 0..whole.0.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut memory = Memory(whole.0.clone());
            memory.0[at] = value;
            for table in [XSDT, MADT, FADT] {
                let start = table as usize;
                let length = u32::from_le_bytes([
                    memory.0[start + 4],
                    memory.0[start + 5],
                    memory.0[start + 6],
                    memory.0[start + 7],
                ]) as usize;
                if let Some(bytes) = memory.0.get_mut(start..start + length)
                    && length > 9
                {
                    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                    bytes[9] = bytes[9].wrapping_sub(sum);
                }
            }
            let platform = Platform::find(&memory, Some(RSDP));
            assert!(platform.io_apics[0].is_some());
        }
    }
    for len in 0..whole.0.len() {
        let memory = Memory(whole.0[..len].to_vec());
        let platform = Platform::find(&memory, Some(RSDP));
        assert!(platform.io_apics[0].is_some());
    }
}
