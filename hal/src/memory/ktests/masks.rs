//! Whether the pointers of copies are behind a mask, in the code as it came to be.

use ochre_macros::ktest;

use crate::arch::machine::speculation;
use crate::boot::image;
use crate::memory::{CopyFault, SpaceRef, UserFrame};

/// The first bytes of the kernel's code from `start` on, `len` at most.
pub(crate) fn code_from(start: *const u8, len: usize) -> &'static [u8] {
    let text = image::text();
    let address = start.addr() as u64;
    assert!(text.contains(&address), "{address:#x} is no code");
    let len = len.min((text.end - address) as usize);
    // SAFETY: it is in the image's code, which is mapped for ever, and not written
    // once tests run.
    unsafe { core::slice::from_raw_parts(start, len) }
}

/// The mask comes at most so many bytes behind a function's beginning.
const NEAR: usize = 256;

#[ktest]
fn pointers_of_copies_are_behind_a_mask() {
    type Copied<T> = Result<T, CopyFault>;
    let copy_in: fn(&SpaceRef, u64, &mut [u8]) -> Copied<()> = SpaceRef::copy_in;
    let copy_out: fn(&SpaceRef, u64, &[u8]) -> Copied<()> = SpaceRef::copy_out;
    type Frames = fn(&SpaceRef, u64, &UserFrame, usize, usize) -> Copied<()>;
    let copy_in_frame: Frames = SpaceRef::copy_in_frame;
    let copy_out_frame: Frames = SpaceRef::copy_out_frame;
    let zero_out: fn(&SpaceRef, u64, usize) -> Copied<()> = SpaceRef::zero_out;
    let copy_in_string: fn(&SpaceRef, u64, &mut [u8]) -> Copied<Option<usize>> =
        SpaceRef::copy_in_string;
    let load_u32: fn(&SpaceRef, u64) -> Copied<u32> = SpaceRef::load_u32;
    let compare_exchange: fn(&SpaceRef, u64, u32, u32) -> Copied<u32> =
        SpaceRef::compare_exchange_u32;
    let copies = [
        ("copy_in", copy_in as *const u8),
        ("copy_out", copy_out as *const u8),
        ("copy_in_frame", copy_in_frame as *const u8),
        ("copy_out_frame", copy_out_frame as *const u8),
        ("zero_out", zero_out as *const u8),
        ("copy_in_string", copy_in_string as *const u8),
        ("load_u32", load_u32 as *const u8),
        ("compare_exchange_u32", compare_exchange as *const u8),
    ];
    for (name, start) in copies {
        let behind = copies.iter().map(|(_, other)| other.addr());
        let next = behind.filter(|other| *other > start.addr()).min();
        let len = next.map_or(NEAR, |next| NEAR.min(next - start.addr()));
        let code = code_from(start, len);
        assert!(speculation::has_mask(code), "{name}: {code:x?}");
    }
}
