//! The evil that the one-property kernels do.
//!
//! Only with feature `boottest`, which no kernel that runs programs has. Each
//! function breaks a rule of the machine in a way that must be caught; none of
//! them is sound, which is why they are here and not in the kernel.

use core::fmt::Write as _;

use crate::arch::machine::{boottest as machine, layout};
use crate::boot::{image, places};
use crate::debug::LastWords;
use crate::memory::{SpaceRef, mmio};

/// Where the kernel is this time: a place in its image, in the direct map, and
/// among its stacks.
#[must_use]
pub fn places() -> [u64; 3] {
    let [stacks, _] = places::window_offsets();
    [image::whole().start, layout::direct_map(), stacks]
}

/// Says what a dying kernel says, where it says it.
pub fn last_words(text: &str) {
    let _ = LastWords.write_str(text);
}

/// Maps a PC's text screen where it was not, and writes its first characters
/// there, white on blue.
///
/// # Panics
/// If there is no memory for tables.
pub fn write_by_new_mapping(text: &str) {
    const TEXT: u64 = 0xb_8000;
    const BYTES: usize = 160;
    let place = mmio::map(TEXT, BYTES)
        .expect("memory at boot")
        .cast::<u16>();
    for (at, byte) in text.bytes().take(BYTES / size_of::<u16>()).enumerate() {
        // SAFETY: inside of what was just mapped.
        let place = unsafe { place.add(at) };
        // SAFETY: mapped and aligned; what shows there is nobody's memory.
        unsafe { place.write_volatile(0x1f00 | u16::from(byte)) };
    }
}

/// Executes a breakpoint.
pub fn breakpoint() {
    machine::breakpoint();
}

/// Reads an address of the kernel's half where nothing is.
pub fn read_unmapped() {
    machine::read(0xffff_fe00_0000_0000);
}

/// Reads the null pointer.
pub fn read_null() {
    machine::read(0);
}

/// Writes to the kernel's code.
pub fn write_text() {
    machine::write(image::text().start);
}

/// Writes to the kernel's constants.
pub fn write_constants() {
    machine::write(image::rodata().start);
}

/// Calls into the kernel's data.
pub fn execute_data() {
    machine::execute(image::data().start);
}

/// Calls the kernel's code through the direct map.
pub fn execute_direct_map() {
    machine::execute(layout::direct_map() + image::physical().end);
}

/// Reads user memory without asking for the right.
pub fn read_user(space: &SpaceRef, address: u64) {
    space.activate();
    machine::read(address);
}

/// Calls into user memory.
pub fn execute_user(space: &SpaceRef, address: u64) {
    space.activate();
    machine::execute(address);
}

/// Executes an instruction that does not exist.
pub fn invalid_instruction() {
    machine::invalid_instruction();
}

/// Writes behind an object of the heap, and gives the object back. What is hit
/// is no object: the heap of this kernel keeps something of its own there.
pub fn overrun_heap() {
    let object = alloc::vec![0_u64; 3];
    machine::write(object.as_ptr_range().end.addr() as u64);
    drop(object);
}

/// A program that does nothing for ever.
pub const ENDLESS: &[u8] = machine::ENDLESS;

/// Has the machine tell of an error of its memory system: now, or (AArch64, if
/// started at EL2) from now on until somebody looks.
pub fn memory_error() {
    machine::memory_error();
}

/// Divides by zero, past the compiler's check: a fault, or zero.
#[must_use]
pub fn divide_by_zero() -> u64 {
    machine::divide_by_zero()
}
