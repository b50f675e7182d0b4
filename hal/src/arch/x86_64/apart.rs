//! Programs on tables of their own, against processors that read ahead what
//! they may not (Meltdown).
//!
//! Such a processor loads from any address that its tables map, whatever their
//! rights, and lets what follows leave traces before it refuses. So the tables
//! that it has in user mode do not map the kernel: each space has a second root
//! ([`user_view`](crate::memory::user_view)), with the program's half and one
//! window of the kernel's:
//!
//! ```text
//! base             the gates (IDT), read only
//! base + 1 page    the stubs            ┐ the image's first two pages of code:
//! base + 2 pages   the ways in and out  ┘ execute
//! base + 3 pages   the first processor's [`Own`] page: write
//! base + 4, 5 ..   the second page of code again, the second processor's page; ..
//! ```
//! The window is the same in the kernel's tables, so the code in it goes on
//! while it changes them (`entry.rs`). It is a place of its own, chosen per
//! boot: finding it says nothing of where the rest of the kernel is. Nor does
//! anything in it: the way from there into the image is read from [`Apart`],
//! which the program's view does not have, and the code there is the same in
//! every boot. Physical addresses of tables are in it.
//!
//! Translations of the kernel's must not stay either, so nothing is global
//! then. And in the kernel's own view what is the program's cannot be executed,
//! so a way out that forgot to change tables would not get far.
//!
//! # What it costs when it is off
//! Nothing on the way in and out: [`prepare`] changes the first instruction of
//! three pieces of code to a jump, where that code is still writable. No table
//! is made, no memory taken.

mod entry;
#[cfg(all(feature = "ktest", target_os = "none"))]
mod ktests;
#[cfg(all(feature = "ktest", target_os = "none"))]
pub(crate) use ktests::shown;

use core::alloc::Layout;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::NonNull;

use ochre_paging::X86;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::cpu::{MAX_CPUS, Meltdown};
use crate::memory::{OutOfMemory, PAGE_SIZE, direct, kernel_map, space};

use super::gdt::Tables;
use super::percpu::{self, PerCpu};
use super::registers::Registers;
use super::{fault, gdt, idt, layout, system, trap};

/// The root's entry that is the window's.
pub(crate) const WINDOW: usize = 448;

/// The entry in the kernel's half of a space's root that is no mapping (it is
/// not present) but says where the second root is: its address.
pub(crate) const VIEW: usize = 447;

const PAGE: u64 = PAGE_SIZE as u64;

/// Pages of code in the window, as the linker script has them.
const CODE_PAGES: u64 = 2;

/// The first processor's [`Own`] page, from the beginning of the code.
const OWN: u64 = CODE_PAGES * PAGE;

/// From one processor's pages to the next one's.
const STEP: u64 = 2 * PAGE;

const _: () = assert!(
    (1 + CODE_PAGES) * PAGE + MAX_CPUS as u64 * STEP <= 2 << 20,
    "the window is behind one table"
);

/// Whether programs have tables of their own.
///
/// ORDERING: Relaxed for this and what follows: written at boot, before there
/// is anybody else.
static ON: AtomicBool = AtomicBool::new(false);

/// Whether the processor needs it.
static NEEDED: AtomicBool = AtomicBool::new(false);

/// Where the window begins.
static BASE: AtomicU64 = AtomicU64::new(0);

/// Processors that have pages in the window.
static PROCESSORS: AtomicUsize = AtomicUsize::new(0);

/// What a processor needs on its way in and out, and shows programs.
#[repr(C, align(4096))]
struct Own {
    /// The root that user mode was entered from.
    left: u64,
    /// The system call entry's one spare place.
    scratch: u64,
    /// The kernel's own root.
    home: u64,
    tables: Tables,
    /// Where the processor pushes at a double fault, an NMI, a machine check;
    /// the entry code goes on to larger stacks.
    interrupts: [Pushed<32>; 3],
    /// Where it pushes at all other traps from user mode, and where the way
    /// out has its last words.
    traps: Pushed<64>,
}

/// A small stack.
#[repr(C, align(16))]
struct Pushed<const WORDS: usize>([u64; WORDS]);

const _: () = assert!(size_of::<Own>() == PAGE_SIZE, "one page");

/// What the code in the window needs and programs must not see.
#[repr(C)]
pub(super) struct Apart {
    /// The end of [`Own::traps`].
    stack: Cell<u64>,
    /// `ochre_leave_by_sysret` in the window.
    by_sysret: Cell<u64>,
    /// `ochre_leave_by_iret` in the window.
    by_iret: Cell<u64>,
    /// Where system calls go on in the image.
    syscall: unsafe extern "C" fn(),
    paranoid_trap: extern "C" fn(&mut Registers),
    /// The processor's [`Own`] page; 0 for none.
    own: Cell<u64>,
}

impl Apart {
    pub(super) const fn new() -> Apart {
        Apart {
            stack: Cell::new(0),
            by_sysret: Cell::new(0),
            by_iret: Cell::new(0),
            syscall: entry::after_system_call(),
            paranoid_trap: fault::paranoid_trap,
            own: Cell::new(0),
        }
    }
}

/// Whether programs have tables of their own.
#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// What there is to say of it.
pub(crate) fn meltdown() -> Meltdown {
    match (NEEDED.load(Ordering::Relaxed), is_on()) {
        (_, true) => Meltdown::Mitigated,
        (true, false) => Meltdown::Vulnerable,
        (false, false) => Meltdown::NotAffected,
    }
}

/// An entry of a space's root as the kernel's view has it.
#[inline]
pub(crate) fn in_kernel(entry: u64) -> u64 {
    entry | X86::NO_EXECUTE
}

/// Decides, and changes the ways in and out if it is to be.
///
/// # Safety
/// Once, on the boot processor, on the boot code's tables, before user mode and
/// before the processor's features are switched on.
pub(super) unsafe fn prepare(cmdline: &[u8]) {
    let needed = is_needed();
    NEEDED.store(needed, Ordering::Relaxed);
    if !wanted(cmdline, needed) {
        return;
    }
    ON.store(true, Ordering::Relaxed);
    for [from, to] in entry::detours() {
        // The distance from the end of the instruction; both are in the image.
        let distance = to.wrapping_sub(from + 5);
        let [a, b, c, d, ..] = distance.to_le_bytes();
        let code = core::ptr::with_exposed_provenance_mut::<[u8; 5]>(from as usize);
        // SAFETY: the boot code's tables let us write the code, nobody executes
        // it yet, and `detours` has as many bytes there to be replaced.
        unsafe { code.write_volatile([0xe9, a, b, c, d]) };
    }
}

/// What the command line says: `pti=on`, `off`, or `auto`; `nopti`. The last one counts.
fn wanted(cmdline: &[u8], needed: bool) -> bool {
    let words = cmdline.split(u8::is_ascii_whitespace);
    words.fold(needed, |wanted, word| match word {
        b"pti=on" => true,
        b"pti=off" | b"nopti" => false,
        b"pti=auto" => needed,
        _ => wanted,
    })
}

/// Whether the processor loads ahead what it may not.
fn is_needed() -> bool {
    let leaf0 = __cpuid(0);
    let mut vendor = [0; 12];
    for (bytes, word) in vendor
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip([leaf0.ebx, leaf0.edx, leaf0.ecx])
    {
        *bytes = word.to_le_bytes();
    }
    let capabilities = if leaf0.eax >= 7 && __cpuid_count(7, 0).edx & 1 << 29 != 0 {
        const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
        // SAFETY: CPUID says that the register exists.
        unsafe { system::read_msr(IA32_ARCH_CAPABILITIES) }
    } else {
        0
    };
    is_affected(&vendor, __cpuid(1).eax, capabilities)
}

/// By the vendor's name, leaf 1's EAX, and what the processor says it is not
/// prone to. Who does not say it is: but for two vendors whose processors never
/// did, and those of Intel's that do not execute ahead at all.
fn is_affected(vendor: &[u8; 12], signature: u32, capabilities: u64) -> bool {
    const RDCL_NO: u64 = 1;
    /// Models of Intel's family 6 that execute in order.
    const IN_ORDER: [u32; 5] = [0x1c, 0x26, 0x27, 0x35, 0x36];
    let model = signature >> 4 & 0xf | signature >> 12 & 0xf0;
    let family = signature >> 8 & 0xf;
    match vendor {
        b"AuthenticAMD" | b"HygonGenuine" => false,
        b"GenuineIntel" if family == 6 && IN_ORDER.contains(&model) => false,
        _ => capabilities & RDCL_NO == 0,
    }
}

/// Makes the window, where it is wanted, with the first processor's page.
///
/// # Safety
/// Once, on the boot processor, when memory is there and before user mode.
pub(super) unsafe fn build() -> Result<(), OutOfMemory> {
    if !is_on() {
        return Ok(());
    }
    let base = kernel_map::APART.start + layout::apart_offset();
    BASE.store(base, Ordering::Relaxed);
    let code = code();
    let gates = new_page()?;
    let table = idt::moved(code.wrapping_sub(trap::stub(0)), entry::paranoid());
    // SAFETY: a page of our own, of just the table's size.
    unsafe { gates.cast().write(table) };
    let physical = physical(gates);
    kernel_map::add(base..base + PAGE, physical, kernel_map::constants())?;
    let shown = layout::to_physical(trap::stub(0));
    kernel_map::add(code..code + OWN, shown, kernel_map::code())?;
    give_page(percpu::current())
}

/// A page of zeroes, for ever.
fn new_page() -> Result<NonNull<u8>, OutOfMemory> {
    let layout = Layout::new::<Own>();
    // SAFETY: the layout has a size, a page's, and its alignment.
    let page = unsafe { alloc::alloc::alloc_zeroed(layout) };
    NonNull::new(page).ok_or(OutOfMemory)
}

/// Where a page of the heap's is, which is in the direct map.
fn physical(page: NonNull<u8>) -> u64 {
    u64::from(direct::frame_of(page.as_ptr())) * PAGE
}

/// Where the code begins in the window.
fn code() -> u64 {
    BASE.load(Ordering::Relaxed) + PAGE
}

/// Gives a processor its pages in the window. Not two at a time.
pub(super) fn give_page(cpu: &PerCpu) -> Result<(), OutOfMemory> {
    if !is_on() {
        return Ok(());
    }
    let number = PROCESSORS.fetch_add(1, Ordering::Relaxed) as u64;
    let own = code() + OWN + number * STEP;
    if number > 0 {
        let entry = layout::to_physical(trap::stub(0)) + PAGE;
        kernel_map::add(own - PAGE..own, entry, kernel_map::code())?;
    }
    let page = physical(new_page()?);
    kernel_map::add(own..own + PAGE, page, kernel_map::data())?;
    cpu.apart.own.set(own);
    Ok(())
}

/// Has this processor take its traps in the window from now on.
///
/// # Safety
/// Once per processor, which is not in user mode and has its number, its
/// descriptor tables and its features, and the window, with interrupts off.
/// `stacks` are the ends of its interrupt stacks.
pub(super) unsafe fn arm(cpu: &'static PerCpu, stacks: [u64; 3]) {
    let address = cpu.apart.own.get();
    if address == 0 {
        return;
    }
    cpu.interrupt_stacks.set(stacks);
    let own = core::ptr::with_exposed_provenance_mut::<Own>(address as usize);
    // SAFETY: `give_page` mapped a page of zeroes there for this processor,
    // for ever, and zeroes are an `Own`; nobody has another reference.
    let own = unsafe { &mut *own };
    own.home = space::kernel_root_address();
    let end = |offset: usize, bytes: usize| address + (offset + bytes) as u64;
    let traps = end(offset_of!(Own, traps), size_of::<Pushed<64>>());
    let interrupts =
        [1, 2, 3].map(|count| end(offset_of!(Own, interrupts), count * size_of::<Pushed<32>>()));
    cpu.apart.stack.set(traps);
    let distance = code().wrapping_sub(trap::stub(0));
    let [by_sysret, by_iret] = entry::ways_out();
    cpu.apart.by_sysret.set(by_sysret.wrapping_add(distance));
    cpu.apart.by_iret.set(by_iret.wrapping_add(distance));
    // SAFETY: the tables are this processor's own and live for ever; so are
    // the stacks, which the entry code leaves before another trap can come.
    unsafe { gdt::move_to(cpu, &mut own.tables, interrupts, traps) };
    // SAFETY: `build` filled the page and the segments are loaded.
    unsafe { idt::load_from(BASE.load(Ordering::Relaxed)) };
    // The code's second page is before each processor's own.
    let syscall = entry::syscall() - (trap::stub(0) + PAGE) + (address - PAGE);
    // SAFETY: the entry code, where it finds this processor's page behind it.
    unsafe { system::write_msr(system::MSR_LSTAR, syscall) };
}

/// There is no window on a host.
#[cfg(all(feature = "ktest", not(target_os = "none")))]
pub(crate) fn shown() -> [(u64, ochre_paging::Rights); 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::{is_affected, wanted};

    #[test]
    fn the_last_word_counts() {
        for needed in [false, true] {
            assert_eq!(wanted(b"quiet init=/bin/sh", needed), needed);
            assert!(wanted(b"pti=on", needed));
            assert!(!wanted(b"pti=off", needed));
            assert!(!wanted(b"a pti=on nopti", needed));
            assert_eq!(wanted(b"pti=on pti=auto", needed), needed);
            assert_eq!(wanted(b"pti=perhaps xpti=on", needed), needed);
        }
    }

    #[test]
    fn processors_are_told_apart() {
        const SKYLAKE: u32 = 0x0005_06e3;
        const BONNELL: u32 = 0x0001_06c2;
        let intel = b"GenuineIntel";
        assert!(is_affected(intel, SKYLAKE, 0));
        assert!(!is_affected(intel, SKYLAKE, 1));
        assert!(!is_affected(intel, BONNELL, 0));
        assert!(!is_affected(b"AuthenticAMD", 0x0080_0f11, 0));
        assert!(!is_affected(b"HygonGenuine", 0x0090_0f01, 0));
        assert!(is_affected(b"  Shanghai  ", 0x0007_06e0, 0));
        assert!(is_affected(b"CentaurHauls", 0x0006_06f0, !1));
    }
}
