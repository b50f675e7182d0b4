//! Stacks that a program made up.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::mman::Protection;
use ochre_hal::ktest;
use ochre_hal::memory::USER_END;

use super::{Callers, FRAMES};
use crate::memory::{AddressSpace, AreaFlags, Limits, MapRequest, Placement};

const PAGE: u64 = 4096;

/// A stack of some pages, none of which is in memory.
fn stack(pages: u64) -> (Arc<AddressSpace>, u64) {
    let space = AddressSpace::new(Limits::default()).expect("the machine has memory");
    let at = space.map(MapRequest {
        placement: Placement::Hint(0),
        len: pages * PAGE,
        protection: Protection::READ | Protection::WRITE,
        flags: AreaFlags::empty(),
        source: None,
        privileged: false,
        refusal: None,
        may_lock: true,
    });
    (space, at.expect("there is room"))
}

/// Writes the frame at `at`: the caller's frame, and where to return to.
fn write(space: &AddressSpace, at: u64, next: u64, back: u64) {
    for (index, value) in (0..).zip([next, back]) {
        assert_eq!(space.write(at + index * 8, &value.to_le_bytes()), Ok(()));
    }
}

fn callers(space: &AddressSpace, frame: u64, lowest: u64) -> Vec<u64> {
    let callers = Callers {
        space,
        frame,
        lowest,
    };
    callers.take(FRAMES).collect()
}

#[ktest]
fn callers_are_followed_to_the_end() {
    let (space, at) = stack(4);
    write(&space, at + 16, at + 64, 0x1001);
    write(&space, at + 64, at + PAGE, 0x2001);
    write(&space, at + PAGE, 0, 0x3001);
    assert_eq!(callers(&space, at + 16, at), [0x1000, 0x2000, 0x3000]);
    // A stack deeper than what is told.
    for depth in 0..200 {
        let frame = at + depth * 16;
        write(&space, frame, frame + 16, depth + 1);
    }
    let told = callers(&space, at, at);
    assert!(told.into_iter().eq(0..FRAMES as u64));
}

#[ktest]
fn a_forged_stack_leads_nowhere() {
    let (space, at) = stack(4);
    // To itself, downwards, between words, out of the program, to what is not there.
    for wild in [
        at + 64,
        at,
        at + 72 + 1,
        USER_END - 8,
        USER_END,
        u64::MAX - 7,
        1 << 47,
        at - PAGE,
        at + 2 * PAGE,
    ] {
        write(&space, at + 64, wild, 0x1001);
        assert_eq!(callers(&space, at + 64, at), [0x1000], "{wild:#x}");
    }
    // Below the stack pointer nothing is in use.
    assert_eq!(callers(&space, at + 64, at + 72), [0; 0]);
    assert_eq!(callers(&space, at + 66, at), [0; 0]);
    // A frame whose end is missing, and none of it brought in.
    let before = space.resident_pages();
    write(&space, at + PAGE - 16, at + 2 * PAGE - 8, 0x1001);
    assert_eq!(callers(&space, at + PAGE - 16, at), [0x1000]);
    assert_eq!(space.resident_pages(), before);
    write(&space, at + 64, 0, 0);
    assert_eq!(callers(&space, at + 64, at), [0; 0]);
}
