//! Tests inside the kernel, where tables and faults are real.

mod bytes;
mod heap;
pub(crate) mod masks;
mod numbers;
mod rights;
mod translate;
mod views;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arch::machine::ktests::{SOME_MEMORY, SOME_REGISTER};
use crate::ktest;
use crate::memory::{
    self, CopyFault, PAGE_SIZE, PageTable, Rights, Sharing, USER_END, UserFrame, frames, mmio,
    stacks,
};

const PAGE: u64 = PAGE_SIZE as u64;
const AT: u64 = 0x40_0000;

fn rw() -> Rights {
    Rights::READ | Rights::WRITE
}

/// A space with pages of zeroes at `AT..AT + pages * PAGE`.
fn space(pages: u64, rights: Rights) -> PageTable {
    let mut table = PageTable::new().expect("the machine has memory");
    for page in 0..pages {
        let frame = UserFrame::zeroed().expect("the machine has memory");
        table
            .map(AT + page * PAGE, frame, rights)
            .expect("the machine has memory");
    }
    table
}

/// Frames that are free, or the heap's: it keeps some of what it had.
fn available() -> usize {
    let stats = memory::stats();
    stats.free + stats.heap
}

fn fault(copied: usize, address: u64) -> Result<(), CopyFault> {
    Err(CopyFault { copied, address })
}

#[ktest]
fn frames_come_and_go() {
    let before = memory::stats();
    assert!(before.total > before.free && before.free > before.reserve);
    let frames: Vec<UserFrame> = (0..1000).filter_map(|_| UserFrame::zeroed().ok()).collect();
    assert_eq!(frames.len(), 1000);
    assert!(memory::stats().free <= before.free - 1000);
    drop(frames);
    assert_eq!(available(), before.free + before.heap);
}

#[ktest]
fn each_frame_is_handed_out_once_until_only_the_reserve_is_left() {
    let before = available();
    if before > 1 << 19 {
        // Above 2 GiB the host would have to find all of it; the path is the same.
        return;
    }
    // In small pieces: one list of all frames would want a large block itself.
    let mut held: Vec<Vec<UserFrame>> = Vec::new();
    // A bit for each frame of the lowest 4 GiB, where all of this memory is.
    let mut seen = alloc::vec![0_u64; 1 << 14];
    loop {
        let some: Vec<UserFrame> = (0..256).map_while(|_| UserFrame::zeroed().ok()).collect();
        let last = some.len() < 256;
        for frame in &some {
            let number = frame.number() as usize;
            let bit = 1 << (number % 64);
            assert_eq!(seen[number / 64] & bit, 0, "frame {number} twice");
            seen[number / 64] |= bit;
        }
        held.push(some);
        // What the heap kept ready is given back by the question.
        if last && !memory::has_headroom(0) {
            break;
        }
    }
    assert!(UserFrame::zeroed().is_err());
    // The kernel still has its reserve.
    let more = Box::new([1_u8; 1000]);
    assert_eq!(more[999], 1);
    drop((held, seen));
    assert_eq!(available(), before);
}

#[ktest]
fn a_heap_request_beyond_memory_is_an_error() {
    let mut huge: Vec<u8> = Vec::new();
    assert!(huge.try_reserve(1 << 40).is_err());
    assert!(huge.try_reserve(64 << 20).is_err());
    assert!(huge.try_reserve(1 << 20).is_ok());
}

#[ktest]
fn copies_go_where_the_tables_say() {
    let table = space(3, rw());
    let space = table.space();
    let data: Vec<u8> = (0..9000).map(|n: u32| n.to_le_bytes()[0] ^ 0x5a).collect();
    assert_eq!(space.copy_out(AT + 100, &data), Ok(()));
    let mut back = alloc::vec![0; 9000];
    assert_eq!(space.copy_in(AT + 100, &mut back), Ok(()));
    assert_eq!(back, data);
    let second = table.query(AT + PAGE).expect("mapped");
    assert!(second.accessed && second.dirty);
    let mut seen = [0; 16];
    second.frame.read(0, &mut seen);
    assert_eq!(seen, data[3996..4012]);
    assert_eq!(space.zero_out(AT + 200, 8000), Ok(()));
    assert_eq!(space.copy_in(AT + 100, &mut back), Ok(()));
    assert_eq!(back[..100], data[..100]);
    assert!(back[100..8100].iter().all(|&byte| byte == 0));
    assert_eq!(back[8100..], data[8100..]);
}

#[ktest]
fn a_copy_counts_to_the_byte_where_it_stops() {
    let table = space(2, rw());
    let space = table.space();
    let end = AT + 2 * PAGE;
    for before in [
        0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 100, 128, 200, 4096, 5000,
    ] {
        for after in [1, 2, 3, 4, 8, 9, 40, 300] {
            let start = end - before as u64;
            let mut buffer = alloc::vec![0xee; before + after];
            assert_eq!(space.copy_out(start, &buffer), fault(before, end));
            buffer.fill(0);
            assert_eq!(space.copy_in(start, &mut buffer), fault(before, end));
            assert!(buffer[..before].iter().all(|&byte| byte == 0xee));
            assert!(buffer[before..].iter().all(|&byte| byte == 0));
            assert_eq!(space.zero_out(start, before + after), fault(before, end));
        }
    }
}

#[ktest]
fn rights_hold_for_the_kernel_too() {
    let mut table = space(1, Rights::READ);
    let space = table.space().clone();
    assert_eq!(space.copy_in(AT, &mut [0; 8]), Ok(()));
    assert_eq!(space.copy_out(AT, &[0; 8]), fault(0, AT));
    assert!(space.compare_exchange_u32(AT, 0, 1).is_err());
    assert_eq!(space.load_u32(AT), Ok(0));
    table.protect(AT..AT + PAGE, rw()).expect("room").flush();
    assert_eq!(space.copy_out(AT, &[7; 8]), Ok(()));
    assert_eq!(
        space.compare_exchange_u32(AT, 0x0707_0707, 9),
        Ok(0x0707_0707)
    );
    assert_eq!(space.compare_exchange_u32(AT, 0x0707_0707, 9), Ok(9));
    table
        .protect(AT..AT + PAGE, Rights::empty())
        .expect("room")
        .flush();
    assert_eq!(space.copy_in(AT, &mut [0; 8]), fault(0, AT));
    table
        .protect(AT..AT + PAGE, Rights::READ)
        .expect("room")
        .flush();
    assert_eq!(space.load_u32(AT), Ok(9));
    assert!(space.load_u32(AT + 2).is_err());
    assert!(space.load_u32(AT + PAGE).is_err());
}

#[ktest]
fn ranges_beyond_the_user_half_never_work() {
    let table = space(1, rw());
    let space = table.space();
    let mut byte = [0];
    for start in [USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX] {
        assert_eq!(space.copy_in(start, &mut byte), fault(0, start));
        assert_eq!(space.copy_out(start, &byte), fault(0, start));
        assert_eq!(space.zero_out(start, usize::MAX), fault(0, start));
        assert!(space.copy_in_string(start, &mut byte).is_err());
        assert!(space.load_u32(start & !3).is_err());
        assert!(space.compare_exchange_u32(start & !3, 0, 0).is_err());
    }
    assert_eq!(space.zero_out(AT, usize::MAX), fault(0, USER_END));
    // The range may touch the end, and then it is the tables that say no.
    let last = USER_END - 1;
    assert_eq!(space.copy_in(last, &mut byte), fault(0, last));
}

#[ktest]
fn strings_end_at_nul_or_at_the_page() {
    let table = space(1, rw());
    let space = table.space();
    let end = AT + PAGE;
    let mut to = [0; 64];
    for len in 0..40_usize {
        let start = end - len as u64 - 1;
        let text = [b'x'; 40];
        assert_eq!(space.copy_out(start, &text[..len]), Ok(()));
        assert_eq!(space.copy_out(end - 1, &[0]), Ok(()));
        assert_eq!(space.copy_in_string(start, &mut to), Ok(Some(len)));
        assert_eq!(to[..len], text[..len]);
        assert_eq!(space.copy_in_string(start, &mut to[..len]), Ok(None));
        assert_eq!(space.copy_out(end - 1, b"x"), Ok(()));
        let stopped = space.copy_in_string(start, &mut to);
        let expected = CopyFault {
            copied: len + 1,
            address: end,
        };
        assert_eq!(stopped, Err(expected));
    }
}

#[ktest]
fn a_flush_makes_the_processor_forget() {
    let mut table = space(40, rw());
    let space = table.space().clone();
    // Load the translations, then take the pages away: few and many.
    let mut all = alloc::vec![0; 40 * PAGE_SIZE];
    assert_eq!(space.copy_in(AT, &mut all), Ok(()));
    table.unmap(AT..AT + 3 * PAGE).expect("room").flush();
    assert_eq!(space.copy_in(AT, &mut all), fault(0, AT));
    table
        .write_protect(AT + 3 * PAGE..AT + 40 * PAGE)
        .expect("room")
        .flush();
    assert_eq!(space.copy_out(AT + 3 * PAGE, &[1]), fault(0, AT + 3 * PAGE));
    let frame = UserFrame::zeroed().expect("the machine has memory");
    frame.write(0, b"new");
    let flush = table.replace(AT + 3 * PAGE, frame, rw());
    flush.expect("the machine has memory").flush();
    let mut three = [0; 3];
    assert_eq!(space.copy_in(AT + 3 * PAGE, &mut three), Ok(()));
    assert_eq!(&three, b"new");
    table.unmap(AT..AT + 40 * PAGE).expect("room").flush();
    assert_eq!(
        space.copy_in(AT + 3 * PAGE, &mut three),
        fault(0, AT + 3 * PAGE)
    );
}

#[ktest]
fn spaces_are_apart_and_outlive_their_tables() {
    let before = available();
    let one = space(1, rw());
    let two = space(1, rw());
    assert_eq!(one.space().copy_out(AT, b"one"), Ok(()));
    assert_eq!(two.space().copy_out(AT, b"two"), Ok(()));
    let mut three = [0; 3];
    assert_eq!(one.space().copy_in(AT, &mut three), Ok(()));
    assert_eq!(&three, b"one");
    let left = one.space().clone();
    drop(one);
    assert_eq!(left.copy_in(AT, &mut three), fault(0, AT));
    drop(two);
    drop(left);
    // The kernel's own root again: nothing keeps the last one.
    let other = PageTable::new().expect("the machine has memory");
    other.space().activate();
    drop(other);
    assert_eq!(available(), before);
}

#[ktest]
fn a_fork_shares_until_somebody_writes() {
    let mut parent = space(100, rw());
    assert_eq!(parent.space().copy_out(AT, b"parent"), Ok(()));
    let mut child = PageTable::new().expect("the machine has memory");
    let flush = parent.share_into(&mut child, 0..USER_END, Sharing::CopyOnWrite);
    flush.expect("the machine has memory").flush();
    assert_eq!(child.resident_pages(), 100);
    let mut six = [0; 6];
    assert_eq!(child.space().copy_in(AT, &mut six), Ok(()));
    assert_eq!(&six, b"parent");
    assert_eq!(parent.space().copy_out(AT, b"again"), fault(0, AT));
    let mine = parent
        .query(AT)
        .and_then(|page| page.frame.duplicate().ok());
    let flush = parent.replace(AT, mine.expect("the machine has memory"), rw());
    flush.expect("the machine has memory").flush();
    assert_eq!(parent.space().copy_out(AT, b"father"), Ok(()));
    assert_eq!(child.space().copy_in(AT, &mut six), Ok(()));
    assert_eq!(&six, b"parent");
}

#[ktest]
fn device_registers_are_never_memory() {
    assert!(mmio::map(SOME_MEMORY, 4).is_err());
    assert!(mmio::map(u64::MAX - 3, 8).is_err());
    assert!(mmio::map(1 << 46, 4).is_err());
    let one = mmio::map(SOME_REGISTER, 4).expect("a device is no memory");
    assert_eq!(one.addr().get() as u64 % PAGE, SOME_REGISTER % PAGE);
    // SAFETY: the machine says that reading it has no effect.
    let value = unsafe { one.cast::<u32>().read_volatile() };
    assert_ne!(value & 0xff, 0);
}

#[ktest]
fn stacks_are_memory() {
    let stack = stacks::allocate(2).expect("the machine has memory");
    assert_eq!(stack.top - stack.bottom, 2 * PAGE);
    assert_eq!(stack.bottom - stack.guard, PAGE);
    let top = core::ptr::with_exposed_provenance_mut::<u64>(stack.top as usize);
    // SAFETY: the stack's highest word, which nobody else uses.
    let word = unsafe { top.sub(1) };
    // SAFETY: as above.
    unsafe { word.write_volatile(5) };
    // SAFETY: as above.
    assert_eq!(unsafe { word.read_volatile() }, 5);
    let next = stacks::allocate(1).expect("the machine has memory");
    assert_eq!(next.guard, stack.top);
}

#[ktest]
fn the_zero_frame_is_zero_and_stays() {
    let zero = UserFrame::shared_zero();
    let mut table = PageTable::new().expect("the machine has memory");
    for page in 0..200 {
        let mapped = table.map(AT + page * PAGE, zero.clone(), Rights::READ);
        mapped.expect("the machine has memory");
    }
    drop(table);
    let mut all = [1; PAGE_SIZE];
    zero.read(0, &mut all);
    assert!(all.iter().all(|&byte| byte == 0));
    assert_eq!(zero.number(), u64::from(frames::zero_frame()));
}
