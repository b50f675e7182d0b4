//! What is in the kernel's code against guesses: an emulator guesses nothing, so
//! that the instructions are looked at.

use ochre_macros::ktest;

use crate::memory::ktests::masks::code_from;

unsafe extern "C" {
    safe static ochre_trap: u8;
    safe static ochre_trap_from_kernel: u8;
    safe static ochre_trap_refused: u8;
    safe static ochre_trap_paranoid: u8;
    safe static ochre_trap_apart: u8;
    safe static ochre_double_fault_apart: u8;
}

/// Whether there is the mask of an address in the code: a comparison and the
/// conditional move, of registers both.
pub(crate) fn has_mask(code: &[u8]) -> bool {
    let is_wide = |prefix: u8| prefix & 0xf8 == 0x48;
    let is_of_registers = |operands: u8| operands >= 0xc0;
    code.windows(7).any(|bytes| match *bytes {
        [wide, 0x39, compared, wide_too, 0x0f, 0x47, moved] => {
            is_wide(wide)
                && is_of_registers(compared)
                && is_wide(wide_too)
                && is_of_registers(moved)
        }
        _ => false,
    })
}

/// What the code does first: waits for what is before it, or uses GS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Waits,
    UsesGs,
}

fn first(code: &[u8]) -> Option<First> {
    code.windows(3).find_map(|bytes| match *bytes {
        // `lfence`, and a load of CR3.
        [0x0f, 0xae, 0xe8] | [0x0f, 0x22, 0xd8..=0xdf] => Some(First::Waits),
        // A prefix, and that of 64 bits or one of the operations that are used.
        [0x65, 0x48 | 0x4c, 0x89 | 0x8b] | [0x65, 0xc7 | 0xff, _] => Some(First::UsesGs),
        _ => None,
    })
}

#[ktest]
fn nothing_is_found_through_gs_before_it_is_decided_whose_it_is() {
    // As an example of what is found: the kernel's code behind the way in.
    let behind = code_from(&raw const ochre_trap_refused, 64);
    assert!(
        behind
            .windows(4)
            .any(|bytes| first(bytes) == Some(First::UsesGs)),
        "{behind:x?}"
    );
    let swap = [0x0f, 0x01, 0xf8];
    let read_base = [0x0f, 0x32];
    for (name, start, behind) in [
        ("from user mode", &raw const ochre_trap, &swap[..]),
        ("from the kernel", &raw const ochre_trap_from_kernel, &[]),
        ("refused", &raw const ochre_trap_refused, &swap),
        ("from anywhere", &raw const ochre_trap_paranoid, &read_base),
        ("apart", &raw const ochre_trap_apart, &swap),
        (
            "from anywhere, apart",
            &raw const ochre_double_fault_apart,
            &read_base,
        ),
    ] {
        let code = code_from(start, 256);
        let place = (0..code.len()).find(|place| code[*place..].starts_with(behind));
        let code = &code[place.expect("the place is there")..];
        assert_eq!(first(code), Some(First::Waits), "{name}: {code:x?}");
    }
}
