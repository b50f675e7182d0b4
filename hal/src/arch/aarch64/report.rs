//! Telling a person why the kernel dies.
//!
//! Names what happened in words, what was accessed and how, the registers, the
//! page-table walk of a fault, and the calls that led there.
//!
//! Nothing here allocates, takes a lock or trusts what it reads: a second
//! failure on the way ends the machine without a word.

use core::fmt::{self, Write};

use crate::boot::image;
use crate::debug::LastWords;
use crate::memory::stacks;
use crate::user::{Access, Trap};
use crate::{backtrace, cpu, power};

use super::exceptions::{self, class, classes};
use super::power::halt;
use super::registers::{Registers, kind};
use super::system::mrs;
use super::{layout, percpu, stop};

/// The shortest instruction: how far before the return address the call is looked for.
pub(crate) const CALL_LEN_MIN: u64 = 4;

/// Reports a trap that the kernel cannot go on from, and ends the machine.
pub(super) fn die(frame: &Registers) -> ! {
    begin();
    let mut out = LastWords;
    let _ = moved(&mut out);
    let _ = exception(&mut out, frame);
    let _ = if frame.is_user() {
        // How the kernel came to run the program; its own calls are its own.
        backtrace::print(&mut out, None, frame_pointer())
    } else {
        backtrace::print(&mut out, Some(frame.pc), frame.x[29])
    };
    let _ = processors(&mut out);
    power::fail()
}

/// An error of the memory system, or a fast interrupt, came while a program
/// ran: neither is the program's, and what is lost nobody knows.
#[cold]
pub(super) fn user_error(frame: &Registers) -> Trap {
    die(frame)
}

/// Marks this processor as dying, and stops the others; the second time ends
/// the machine at once. Where another processor dies already this one leaves
/// the report to it.
pub(crate) fn begin() {
    if percpu::current().dying.replace(true) {
        power::fail();
    }
    if !stop::others() {
        halt();
    }
}

/// Says which processor it was, and which of the others did not stop.
pub(crate) fn processors(out: &mut impl Write) -> fmt::Result {
    if cpu::online() == 1 {
        return Ok(());
    }
    let me = cpu::current();
    writeln!(out, "on processor {} of {}", me.index(), cpu::online())?;
    for other in cpu::all().filter(|other| *other != me) {
        if !stop::has_stopped(other.index()) {
            writeln!(out, "  processor {} does not stop", other.index())?;
        }
    }
    Ok(())
}

fn exception(out: &mut impl Write, frame: &Registers) -> fmt::Result {
    let what = match frame.kind & !kind::NESTED {
        kind::SYNCHRONOUS => exceptions::name(class(frame.syndrome)),
        kind::INTERRUPT => "interrupt where none may come",
        kind::FAST => "fast interrupt, of which there are none",
        _ => "error of the memory system (SError)",
    };
    writeln!(
        out,
        "kernel fault: {what} (class {:#x}, syndrome {:#x}) at {:#x}",
        class(frame.syndrome),
        frame.syndrome,
        frame.pc
    )?;
    if frame.kind & !kind::NESTED == kind::ERROR {
        writeln!(out, "{}", exceptions::damage(frame.syndrome))?;
        let when = if frame.is_user() {
            "while a program ran"
        } else {
            "in the kernel"
        };
        writeln!(
            out,
            "it was noticed {when}; what it is about was done before, by whomever"
        )?;
    }
    if frame.kind & kind::NESTED != 0 {
        writeln!(out, "it came while another exception was handled")?;
    }
    if matches!(
        class(frame.syndrome),
        classes::DATA_KERNEL | classes::FETCH_KERNEL
    ) && frame.kind & !kind::NESTED == kind::SYNCHRONOUS
    {
        explain_fault(out, frame)?;
        walk(out, frame.address)?;
    }
    registers(out, frame)
}

/// Says what was accessed, how, and why that was refused.
fn explain_fault(out: &mut impl Write, frame: &Registers) -> fmt::Result {
    let address = frame.address;
    if let Some(guard) = guard_of(address) {
        writeln!(
            out,
            "kernel stack overflow: {address:#x} is in the guard page {guard:#x}"
        )?;
    }
    let what = match exceptions::access(frame.syndrome) {
        Access::Execute => "execution",
        Access::Write => "a write",
        Access::Read => "a read",
    };
    writeln!(
        out,
        "{what} of {} at {address:#x}: {}",
        region(address),
        refusal(frame.syndrome, address)
    )
}

/// Why an access of the kernel's own was refused.
fn refusal(syndrome: u64, address: u64) -> &'static str {
    if !exceptions::is_about_rights(syndrome) {
        return exceptions::fault(syndrome);
    }
    match exceptions::access(syndrome) {
        Access::Execute if address < crate::memory::USER_END => {
            "the page is not executable for the kernel (PXN)"
        }
        Access::Execute => "the page is not executable",
        Access::Read | Access::Write if address < crate::memory::USER_END => {
            "the kernel is kept from it (PAN)"
        }
        Access::Write => "the page is read-only",
        Access::Read => exceptions::fault(syndrome),
    }
}

/// What an address belongs to.
fn region(address: u64) -> &'static str {
    if guard_of(address).is_some() {
        "a stack's guard page"
    } else if image::text().contains(&address) {
        "the kernel's code"
    } else if image::rodata().contains(&address) {
        "the kernel's constants"
    } else if image::data().contains(&address) {
        "the kernel's data"
    } else if address < 4096 {
        "a null pointer"
    } else if address < crate::memory::USER_END {
        "user memory"
    } else if layout::direct_range().contains(&address) {
        "the direct map"
    } else {
        "kernel address space"
    }
}

/// The guard page that holds `address`.
fn guard_of(address: u64) -> Option<u64> {
    let page = address & !4095;
    let of_boot = layout::guard_pages().contains(&page);
    let of_other = || stacks::contain(page) && kernel_word(page).is_none();
    (of_boot || of_other()).then_some(page)
}

/// Prints the page-table entries on the way to `address`.
fn walk(out: &mut impl Write, address: u64) -> fmt::Result {
    const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
    // Both halves' tables are halves of a root.
    let mut table = if address >> 63 == 0 {
        mrs!("ttbr0_el1") & ADDRESS
    } else {
        (mrs!("ttbr1_el1") & 0x0000_ffff_ffff_f800).wrapping_sub(2048)
    };
    write!(out, "page tables from {table:#x}:")?;
    for (level, shift) in [(0, 39), (1, 30), (2, 21), (3, 12)] {
        let index = address >> shift & 511;
        let Some(entry) = physical_word(table.wrapping_add(index * 8)) else {
            return writeln!(out, " level {level} is not in memory");
        };
        write!(out, " L{level}[{index}]={entry:#x}")?;
        if entry & 1 == 0 {
            return writeln!(out, " (not valid)");
        }
        if level == 3 || entry & 2 == 0 {
            let can =
                |forbidden: u64, yes: &'static str| if entry & forbidden == 0 { yes } else { "-" };
            let user = if entry & 1 << 6 != 0 { "u" } else { "-" };
            return writeln!(out, " (r{}{}{user})", can(1 << 7, "w"), can(1 << 53, "x"));
        }
        table = entry & ADDRESS;
    }
    Ok(())
}

/// A word of physical memory through the direct map, if it is there.
fn physical_word(address: u64) -> Option<u64> {
    let at = layout::direct_map().checked_add(address)?;
    layout::direct_range().contains(&at).then_some(())?;
    kernel_word(at)
}

/// Reads a word that may not be there.
pub(crate) fn kernel_word(address: u64) -> Option<u64> {
    if !address.is_multiple_of(8) || address < layout::KERNEL_HALF {
        return None;
    }
    let value: u64;
    let missing: u32;
    // SAFETY: an aligned load from the kernel's half of the address space: it
    // changes nothing, and where nothing is mapped it goes on at `4:` with the
    // flag still set.
    unsafe {
        core::arch::asm!(
            "mov {missing:w}, #1",
            "2: ldr {value}, [{address}]",
            "mov {missing:w}, #0",
            "4:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 4b - .",
            ".popsection",
            missing = out(reg) missing,
            value = inout(reg) 0_u64 => value,
            address = in(reg) address,
            options(nostack, readonly),
        );
    }
    (missing == 0).then_some(value)
}

/// The general registers, for a person.
pub(super) fn registers(out: &mut (impl Write + ?Sized), frame: &Registers) -> fmt::Result {
    let mode = if frame.is_user() { "user" } else { "kernel" };
    writeln!(
        out,
        "pc  {:#018x}  sp  {:#018x}  state {:#x} ({mode} mode)",
        frame.pc, frame.sp, frame.pstate
    )?;
    for (line, values) in frame.x.chunks(4).enumerate() {
        for (column, value) in values.iter().enumerate() {
            write!(out, "x{:<2} {value:#018x}  ", line * 4 + column)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Says how far the image is from where the host finds its names.
pub(crate) fn moved(out: &mut (impl Write + ?Sized)) -> fmt::Result {
    writeln!(out, "kernel image moved by {:#x}", layout::slide())
}

/// This function's caller's frame pointer.
#[inline(always)]
pub(crate) fn frame_pointer() -> u64 {
    let value;
    // SAFETY: reading a register has no effect.
    unsafe {
        core::arch::asm!("mov {}, x29", out(reg) value, options(nomem, nostack, preserves_flags))
    };
    value
}
