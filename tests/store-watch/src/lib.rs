//! A plugin for QEMU: which words of memory each processor of a guest's kernel writes.
//!
//! `tests/boot/writes.rs` builds and loads it. QEMU calls it for each store of each
//! processor; those of kernel code are kept while a *window* of that processor is
//! open. The guest's program (`user/hot-paths`) opens and closes windows by storing
//! to a page that means nothing else: [`MARKS`] and 16 times a number opens the
//! window of that number, 8 bytes after it closes it.
//!
//! A word is told by where it is in the machine's memory, so that two addresses of
//! one word are one. Devices are no memory. A compare-exchange that fails counts:
//! it takes the word's line from others all the same.
//!
//! When QEMU ends, `out=FILE` gets a line for each: the window's number, the
//! processor, the word's place, the address it was written by, the store's
//! instruction, how often it was made; and `NUMBER PROCESSOR closed` for each window that was closed.
//!
//! The interface is that of `qemu-plugin.h`, versions 1 and 2, which for the calls
//! used here do not differ.
#![expect(unsafe_code, reason = "QEMU calls it, and is called, as C")]

use core::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    fmt::Write as _,
};
use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, OnceLock, PoisonError},
};

/// Where the guest's program stores to mark windows, and how far that goes.
const MARKS: core::ops::Range<u64> = 0x4f43_0000_0000..0x4f43_0000_1000;

/// Kernel code and kernel addresses are above this, on either machine.
const KERNEL_HALF: u64 = 0xffff_0000_0000_0000;

/// What is kept apart: words. Which of them are on one line, who reads knows.
const WORD: u64 = 8;

/// More processors are not looked at.
const PROCESSORS: usize = 8;

/// Told to QEMU: the version of its interface that this is written for.
#[unsafe(export_name = "qemu_plugin_version")]
pub static VERSION: c_int = if cfg!(feature = "version-2") { 2 } else { 1 };

/// QEMU's name for a plugin.
type Id = u64;

/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_int = 0;

/// `QEMU_PLUGIN_MEM_W`; what is read and written is meant too.
const STORES: c_int = 2;

// What only QEMU knows the inside of.
#[repr(C)]
struct Block([u8; 0]);
#[repr(C)]
struct Instruction([u8; 0]);
#[repr(C)]
struct Place([u8; 0]);

type Translated = extern "C" fn(Id, *mut Block);
type Stored = extern "C" fn(c_uint, u32, u64, *mut c_void);
type Ended = extern "C" fn(Id, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, call: Translated);
    fn qemu_plugin_register_atexit_cb(id: Id, call: Ended, data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        call: Stored,
        flags: c_int,
        which: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_mem_is_store(info: u32) -> bool;
    fn qemu_plugin_get_hwaddr(info: u32, address: u64) -> *mut Place;
    fn qemu_plugin_hwaddr_is_io(place: *const Place) -> bool;
    fn qemu_plugin_hwaddr_phys_addr(place: *const Place) -> u64;
}

/// What was written in a window: the instruction of each word's stores, and of
/// those of one instruction the last address, and how many there were.
type Words = BTreeMap<u64, BTreeMap<u64, (u64, u64)>>;

/// What is kept of a processor.
struct Processor {
    open: Option<u64>,
    windows: BTreeMap<u64, Words>,
    closed: Vec<u64>,
}

static ALL: [Mutex<Processor>; PROCESSORS] = [const {
    Mutex::new(Processor {
        open: None,
        windows: BTreeMap::new(),
        closed: Vec::new(),
    })
}; PROCESSORS];

static OUT: OnceLock<String> = OnceLock::new();

/// QEMU begins; not 0 if the arguments are wrong.
///
/// # Safety
/// Only for QEMU, which gives `count` arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: there are as many.
        let argument = unsafe { arguments.add(index) };
        // SAFETY: it is one of them.
        let argument = unsafe { *argument };
        // SAFETY: each is a text that ends with a zero.
        let text = unsafe { CStr::from_ptr(argument) };
        if let Some(path) = text
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("out="))
        {
            let _ = OUT.set(path.to_owned());
        }
    }
    if OUT.get().is_none() {
        return 1;
    }
    // SAFETY: the id is the one QEMU gave; the function has the form it wants.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    // SAFETY: as above.
    unsafe { qemu_plugin_register_atexit_cb(id, ended, core::ptr::null_mut()) };
    0
}

/// A block of the guest's code was translated: each of its stores is to be told.
extern "C" fn translated(_: Id, block: *mut Block) {
    // SAFETY: QEMU's block, while it calls this.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..count {
        // SAFETY: the block has so many.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: it is one of the block's.
        let place = unsafe { qemu_plugin_insn_vaddr(instruction) };
        let place = core::ptr::without_provenance_mut(usize::try_from(place).unwrap_or(0));
        // SAFETY: as above; what is given along is a number.
        unsafe {
            qemu_plugin_register_vcpu_mem_cb(instruction, stored, NO_REGISTERS, STORES, place)
        };
    }
}

/// A processor stores.
extern "C" fn stored(processor: c_uint, info: u32, address: u64, instruction: *mut c_void) {
    // QEMU 7.2 tells of loads too, whatever was asked for.
    // SAFETY: it looks at the number only.
    if !unsafe { qemu_plugin_mem_is_store(info) } {
        return;
    }
    let Some(processor) = ALL.get(processor as usize) else {
        return;
    };
    if MARKS.contains(&address) {
        let offset = address - MARKS.start;
        let mut processor = processor.lock().unwrap_or_else(PoisonError::into_inner);
        if offset.is_multiple_of(16) {
            processor.open = Some(offset / 16);
        } else if let Some(window) = processor.open.take() {
            processor.closed.push(window);
        }
        return;
    }
    if address < KERNEL_HALF {
        return;
    }
    let mut processor = processor.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(window) = processor.open else {
        return;
    };
    // SAFETY: asked within the call that told of this very store.
    let place = unsafe { qemu_plugin_get_hwaddr(info, address) };
    // SAFETY: as above.
    if place.is_null() || unsafe { qemu_plugin_hwaddr_is_io(place) } {
        return;
    }
    // SAFETY: as above.
    let word = unsafe { qemu_plugin_hwaddr_phys_addr(place) } / WORD * WORD;
    let words = processor.windows.entry(window).or_default();
    let stores = words.entry(word).or_default();
    let store = stores.entry(instruction.addr() as u64).or_default();
    *store = (address, store.1 + 1);
}

/// QEMU ends: tells.
extern "C" fn ended(_: Id, _: *mut c_void) {
    let mut text = String::new();
    for (number, processor) in ALL.iter().enumerate() {
        let processor = processor.lock().unwrap_or_else(PoisonError::into_inner);
        for window in &processor.closed {
            let _ = writeln!(text, "{window} {number} closed");
        }
        for (window, words) in &processor.windows {
            for (word, stores) in words {
                for (instruction, (address, count)) in stores {
                    let _ = writeln!(
                        text,
                        "{window} {number} {word:x} {address:x} {instruction:x} {count}"
                    );
                }
            }
        }
    }
    // The suite says what is missing.
    let _ = fs::write(OUT.get().map_or("", String::as_str), text);
}
