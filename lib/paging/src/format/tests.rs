//! Both formats: what is written is read back, and the bits are the manuals'.

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{Attributes, Entry, Format, Memory, Rights};
use crate::{Arm, X86, span};

fn attributes() -> impl Strategy<Value = Attributes> {
    (0_u8..16, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(rights, device, accessed, dirty)| Attributes {
            rights: Rights::from_bits_truncate(rights),
            memory: if device {
                Memory::Device
            } else {
                Memory::Normal
            },
            accessed,
            dirty,
        },
    )
}

fn reads_back<F: Format>(address: u64, level: u32, attributes: Attributes) {
    let address = address & F::ADDRESS_MASK & !(span(level) - 1);
    let leaf = Entry::Leaf {
        address,
        attributes,
    };
    assert_eq!(F::decode(F::leaf(address, level, attributes), level), leaf);
    let page = address & !(span(0) - 1);
    let kept = Entry::Kept {
        address: page,
        attributes,
    };
    assert_eq!(F::decode(F::kept(page, attributes), 0), kept);
    for user in [false, true] {
        let table = F::table(page, user);
        assert_eq!(F::decode(table, level + 1), Entry::Table(page));
    }
    assert_eq!(F::decode(0, level), Entry::Empty);
}

fn names<F: Format>(entry: u64, level: u32) -> String {
    F::flags(entry, level).collect::<Vec<_>>().join(" ")
}

#[test]
fn bits_have_names() {
    let page = Attributes {
        rights: Rights::USER | Rights::WRITE,
        accessed: true,
        ..Attributes::default()
    };
    let device = Attributes {
        rights: Rights::EXECUTE | Rights::GLOBAL,
        memory: Memory::Device,
        dirty: true,
        ..Attributes::default()
    };
    let address = 0x1234_5000;
    assert_eq!(
        names::<X86>(X86::leaf(address, 0, page), 0),
        "present writable user accessed no-execute"
    );
    assert_eq!(
        names::<X86>(X86::leaf(0, 1, device), 1),
        "present write-through uncached dirty global"
    );
    assert_eq!(
        names::<X86>(X86::kept(address, page), 0),
        "writable user accessed kept no-execute"
    );
    assert_eq!(
        names::<X86>(X86::table(address, true), 3),
        "present writable user"
    );
    assert_eq!(
        names::<Arm>(Arm::leaf(address, 0, page), 0),
        "valid el0 inner-shareable accessed not-global never-el1 never-el0"
    );
    assert_eq!(
        names::<Arm>(Arm::leaf(0, 1, device), 1),
        "valid device read-only inner-shareable never-el0 dirty"
    );
    assert_eq!(names::<Arm>(Arm::table(address, true), 3), "valid");
    // Addresses have no names, and nothing has none.
    assert_eq!(names::<X86>(X86::ADDRESS_MASK, 0), "");
    assert_eq!(names::<X86>(0, 0), "");
    assert_eq!(names::<Arm>(0, 0), "");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn entries_read_back(address in any::<u64>(), level in 0_u32..3, attributes in attributes()) {
        reads_back::<X86>(address, level, attributes);
        reads_back::<Arm>(address, level, attributes);
    }

    #[test]
    fn any_entry_decodes_to_an_address_the_machine_has(entry in any::<u64>(), level in 0_u32..4) {
        for (decoded, mask) in [
            (X86::decode(entry, level), X86::ADDRESS_MASK),
            (Arm::decode(entry, level), Arm::ADDRESS_MASK),
        ] {
            match decoded {
                Entry::Empty => {}
                Entry::Kept { address, .. } | Entry::Table(address) | Entry::Leaf { address, .. } => {
                    prop_assert_eq!(address & !mask, 0);
                }
            }
            if level == 3 {
                let is_leaf = matches!(decoded, Entry::Leaf { .. });
                prop_assert!(!is_leaf, "a leaf in the root");
            }
        }
    }
}

#[test]
fn x86_bits_are_the_manuals() {
    let check = |rights, memory, expected| {
        let attributes = Attributes {
            rights,
            memory,
            ..Attributes::default()
        };
        assert_eq!(X86::leaf(0x1234_5000, 0, attributes), expected);
    };
    check(Rights::empty(), Memory::Normal, 0x8000_0000_1234_5001);
    check(Rights::EXECUTE, Memory::Normal, 0x1234_5001);
    check(
        Rights::USER | Rights::WRITE,
        Memory::Normal,
        0x8000_0000_1234_5007,
    );
    check(
        Rights::GLOBAL | Rights::WRITE,
        Memory::Device,
        0x8000_0000_1234_511b,
    );
    let block = X86::leaf(0x4000_0000, 1, Attributes::default());
    assert_eq!(block, 0x8000_0000_4000_0081);
    assert_eq!(X86::table(0x5000, true), 0x5007);
    assert_eq!(X86::table(0x5000, false), 0x5003);
}

#[test]
fn arm_bits_are_the_manuals() {
    let kernel_code = Attributes {
        rights: Rights::EXECUTE | Rights::GLOBAL,
        accessed: true,
        ..Attributes::default()
    };
    // UXN, AF, SH inner, read-only, page.
    assert_eq!(
        Arm::leaf(0x4008_0000, 0, kernel_code),
        0x0040_0000_4008_0783
    );
    let user_data = Attributes {
        rights: Rights::USER | Rights::WRITE,
        accessed: true,
        ..Attributes::default()
    };
    // UXN, PXN, nG, AF, SH inner, EL0, page.
    assert_eq!(Arm::leaf(0x4008_0000, 0, user_data), 0x0060_0000_4008_0f43);
    let device = Attributes {
        rights: Rights::WRITE | Rights::GLOBAL,
        memory: Memory::Device,
        accessed: true,
        ..Attributes::default()
    };
    assert_eq!(Arm::leaf(0x0900_0000, 0, device), 0x0060_0000_0900_0707);
    assert_eq!(Arm::table(0x5000, true), 0x5003);
    // Reserved at level 0: valid but neither page nor block.
    assert_eq!(Arm::decode(0x1001, 0), Entry::Empty);
}
