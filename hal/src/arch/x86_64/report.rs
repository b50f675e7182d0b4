//! Telling a person why the kernel dies.
//!
//! Names what happened in words, what was accessed and how, the registers, the
//! page-table walk of a page fault, and the calls that led there.
//!
//! Nothing here allocates, takes a lock or trusts what it reads: a second
//! failure on the way ends the machine without a word.

use core::fmt::{self, Write};

use crate::boot::image;
use crate::debug::LastWords;
use crate::memory::stacks;
use crate::{backtrace, cpu, power};

use super::exceptions::{self, page_fault};
use super::power::halt;
use super::registers::{Registers, flags};
use super::{gdt, layout, percpu, stop, system};

/// The shortest instruction: how far before the return address the call is looked for.
pub(crate) const CALL_LEN_MIN: u64 = 1;

/// Reports a trap that the kernel cannot go on from, and ends the machine.
pub(super) fn die(frame: &Registers) -> ! {
    begin();
    let mut out = LastWords;
    let _ = moved(&mut out);
    let _ = exception(&mut out, frame);
    let _ = backtrace::print(&mut out, Some(frame.rip), frame.rbp);
    let _ = processors(&mut out);
    power::fail()
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

/// Tells of a processor that goes on, `what` it is first.
pub(super) fn where_it_is(
    out: &mut dyn Write,
    frame: &Registers,
    what: fmt::Arguments<'_>,
) -> fmt::Result {
    writeln!(out, "{what}")?;
    registers(out, frame)?;
    if frame.cs & 3 == 0 {
        moved(out)?;
        backtrace::print(out, Some(frame.rip), frame.rbp)?;
    }
    Ok(())
}

/// Says which processor it was, and where the others were.
pub(crate) fn processors(out: &mut impl Write) -> fmt::Result {
    if cpu::online() == 1 {
        return Ok(());
    }
    let me = cpu::current();
    writeln!(out, "on processor {}; the others were", me.index())?;
    for other in cpu::all().filter(|other| *other != me) {
        match stop::stopped_at(other.index()) {
            Some(rip) => writeln!(out, "  at {rip:#x} (processor {})", other.index())?,
            None => writeln!(out, "  nowhere (processor {})", other.index())?,
        }
    }
    Ok(())
}

fn exception(out: &mut impl Write, frame: &Registers) -> fmt::Result {
    let address = system::fault_address();
    writeln!(
        out,
        "kernel fault: {} (exception {}, error code {:#x}) at {:#x}",
        exceptions::name(frame.vector),
        frame.vector,
        frame.error,
        frame.rip
    )?;
    match frame.vector {
        8 => {
            // The push that failed left its address in CR2.
            if let Some(guard) = guard_of(address).or_else(|| guard_of(frame.rsp)) {
                writeln!(
                    out,
                    "kernel stack overflow: {address:#x} is in the guard page {guard:#x}"
                )?;
            }
        }
        14 => {
            explain_page_fault(out, frame, address)?;
            walk(out, address)?;
        }
        _ => {}
    }
    registers(out, frame)
}

/// Says what was accessed, how, and why that was refused.
fn explain_page_fault(out: &mut impl Write, frame: &Registers, address: u64) -> fmt::Result {
    let code = frame.error;
    let what = if code & page_fault::FETCH != 0 {
        "execution"
    } else if code & page_fault::WRITE != 0 {
        "a write"
    } else {
        "a read"
    };
    let mode = if code & page_fault::USER != 0 {
        "user"
    } else {
        "kernel"
    };
    write!(
        out,
        "{what} of {} at {address:#x} in {mode} mode: ",
        region(address)
    )?;
    let user = address < crate::memory::USER_END;
    writeln!(
        out,
        "{}",
        if code & page_fault::PRESENT == 0 {
            "the page is not mapped"
        } else if code & page_fault::RESERVED != 0 {
            "a page-table entry has reserved bits set"
        } else if user && code & page_fault::FETCH != 0 {
            "the kernel must not execute user memory (SMEP)"
        } else if user && frame.rflags & flags::ALIGNMENT == 0 && code & page_fault::USER == 0 {
            "the kernel must not touch user memory without lifting SMAP"
        } else if code & page_fault::FETCH != 0 {
            "the page is not executable"
        } else if code & page_fault::WRITE != 0 {
            "the page is read-only"
        } else {
            "the page's rights forbid it"
        }
    )
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
    let of_boot = gdt::guard_pages().contains(&page);
    let of_other = || stacks::contain(page) && kernel_word(page).is_none();
    (of_boot || of_other()).then_some(page)
}

/// Prints the page-table entries on the way to `address`.
fn walk(out: &mut impl Write, address: u64) -> fmt::Result {
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    let mut table = system::read_cr3() & ADDRESS;
    write!(out, "page tables from {table:#x}:")?;
    for (level, shift) in [(4, 39), (3, 30), (2, 21), (1, 12)] {
        let index = address >> shift & 511;
        let Some(entry) = physical_word(table + index * 8) else {
            return writeln!(out, " level {level} is not in memory");
        };
        write!(out, " L{level}[{index}]={entry:#x}")?;
        let large = level != 1 && entry & 1 << 7 != 0;
        if entry & 1 == 0 {
            return writeln!(out, " (not present)");
        }
        if level == 1 || large {
            let can = |bit: u64, yes: &'static str| if entry & bit != 0 { yes } else { "-" };
            return writeln!(
                out,
                " (r{}{}{})",
                can(2, "w"),
                if entry >> 63 == 0 { "x" } else { "-" },
                can(4, "u"),
            );
        }
        table = entry & ADDRESS;
    }
    Ok(())
}

/// A word of physical memory through the direct map, if it is there.
fn physical_word(address: u64) -> Option<u64> {
    let direct = layout::direct_range();
    let at = direct.start.checked_add(address)?;
    direct.contains(&at).then_some(())?;
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
            "mov {missing:e}, 1",
            "2: mov {value}, [{address}]",
            "xor {missing:e}, {missing:e}",
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
    writeln!(
        out,
        "rip {:#018x}  rsp {:#018x}  flags {:#x}",
        frame.rip, frame.rsp, frame.rflags
    )?;
    for line in [
        [
            ("rax", frame.rax),
            ("rbx", frame.rbx),
            ("rcx", frame.rcx),
            ("rdx", frame.rdx),
        ],
        [
            ("rsi", frame.rsi),
            ("rdi", frame.rdi),
            ("rbp", frame.rbp),
            ("r8 ", frame.r8),
        ],
        [
            ("r9 ", frame.r9),
            ("r10", frame.r10),
            ("r11", frame.r11),
            ("r12", frame.r12),
        ],
    ] {
        for (name, value) in line {
            write!(out, "{name} {value:#018x}  ")?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "r13 {:#018x}  r14 {:#018x}  r15 {:#018x}  cs {:#x} ss {:#x}",
        frame.r13, frame.r14, frame.r15, frame.cs, frame.ss
    )
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
        core::arch::asm!("mov {}, rbp", out(reg) value, options(nomem, nostack, preserves_flags))
    };
    value
}
