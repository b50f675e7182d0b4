//! Restartable sequences (rseq(2)): a thread's processor number in its own
//! memory, and short sections of its code that are run from the start again
//! when they were interrupted.
//!
//! The program registers an area. From then on, before the thread goes on in
//! user mode after it was taken off its processor, its processor's number is
//! written there, and if it was inside the section that the area names it goes
//! on at the section's abort address instead. A signal's handler does the same
//! before its frame is written. Nothing of it happens after a call that did not
//! wait, or a fault that was resolved: the thread kept its processor.
//!
//! Everything in the area is the program's; what makes no sense is SIGSEGV.

use ochre_abi::Errno;
use ochre_abi::rseq::{CPU_UNINITIALIZED, CRITICAL_SECTION, Numbers, Section};
use ochre_abi::signal::Signal;
use ochre_hal::cpu::{self, CpuId};
use ochre_hal::memory::USER_END;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Thread, ThreadState, Work};
use crate::memory::AddressSpace;
use crate::signal::{self, Info};
use crate::syscall::{FromArgument, Ptr};

/// What a thread registered; its own poll's alone, so all accesses are Relaxed.
#[derive(Debug, Default)]
pub struct Registration {
    /// Where the area is; 0 for none.
    area: AtomicU64,
    len: AtomicU32,
    /// What must stand in front of an abort address.
    signature: AtomicU32,
    /// The processor that the thread ran on last.
    cpu: AtomicU32,
}

/// An area as `rseq(2)` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Where it is.
    pub address: u64,
    /// Its length as given.
    pub len: u32,
    /// What must stand in front of an abort address.
    pub signature: u32,
}

impl Registration {
    /// What is registered.
    #[must_use]
    pub fn get(&self) -> Option<Area> {
        let address = self.area.load(Ordering::Relaxed);
        (address != 0).then(|| Area {
            address,
            len: self.len.load(Ordering::Relaxed),
            signature: self.signature.load(Ordering::Relaxed),
        })
    }

    /// Registers an area, or none.
    pub fn set(&self, area: Option<Area>) {
        let area = area.unwrap_or(Area {
            address: 0,
            len: 0,
            signature: 0,
        });
        self.len.store(area.len, Ordering::Relaxed);
        self.signature.store(area.signature, Ordering::Relaxed);
        self.area.store(area.address, Ordering::Relaxed);
    }

    /// Whether the thread came to another processor than it was on.
    #[inline]
    pub(super) fn arrive(&self, cpu: CpuId) -> bool {
        // CAST: below `MAX_CPUS`.
        let here = cpu.index() as u32;
        if self.cpu.load(Ordering::Relaxed) == here {
            return false;
        }
        self.cpu.store(here, Ordering::Relaxed);
        true
    }
}

/// Writes where the thread runs into its area and leaves an interrupted
/// section. What the area does not allow becomes a SIGSEGV.
///
/// # Errors
/// ENOMEM: to be tried again.
pub(super) fn settle(thread: &Thread, state: &mut ThreadState) -> Result<(), Errno> {
    thread.clear_work(Work::RSEQ);
    let Some(area) = thread.rseq.get() else {
        return Ok(());
    };
    let result = write_numbers(&state.space, area).and_then(|()| abort_section(state, area));
    match result {
        Err(Errno::ENOMEM) => {
            thread.add_work(Work::RSEQ);
            Err(Errno::ENOMEM)
        }
        Err(_) => {
            signal::force(thread, Signal::SIGSEGV, Info::KERNEL);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Leaves an interrupted section before a handler's frame is written.
///
/// # Errors
/// EFAULT, EINVAL for a section that makes no sense; ENOMEM.
pub fn interrupt(thread: &Thread, state: &mut ThreadState) -> Result<(), Errno> {
    match thread.rseq.get() {
        Some(area) => abort_section(state, area),
        None => Ok(()),
    }
}

/// The numbers of the processor that runs the caller. Memory has one node, and
/// a processor's number is one that no other thread running has.
fn write_numbers(space: &AddressSpace, area: Area) -> Result<(), Errno> {
    // CAST: below `MAX_CPUS`.
    let cpu = cpu::current().index() as u32;
    Numbers {
        cpu_start: cpu,
        cpu,
        node: 0,
        concurrency: cpu,
    }
    .parts()
    .iter()
    .try_for_each(|(offset, value)| {
        space.write_value(
            Ptr::from_argument(area.address.wrapping_add(*offset)),
            value,
        )
    })
}

/// The numbers of a thread that is not registered any more.
///
/// # Errors
/// EFAULT; ENOMEM.
pub fn reset_numbers(space: &AddressSpace, area: Area) -> Result<(), Errno> {
    Numbers {
        cpu_start: 0,
        cpu: CPU_UNINITIALIZED,
        node: 0,
        concurrency: 0,
    }
    .parts()
    .iter()
    .try_for_each(|(offset, value)| {
        space.write_value(
            Ptr::from_argument(area.address.wrapping_add(*offset)),
            value,
        )
    })
}

fn abort_section(state: &mut ThreadState, area: Area) -> Result<(), Errno> {
    let space = &state.space;
    let named: Ptr<u64> = Ptr::from_argument(area.address.wrapping_add(CRITICAL_SECTION));
    let at = space.read_value(named)?;
    if at == 0 {
        return Ok(());
    }
    let section: Section = space.read_value(Ptr::from_argument(at))?;
    let end = check(&section)?;
    let mark: u32 = space.read_value(Ptr::from_argument(section.abort.wrapping_sub(4)))?;
    if mark != area.signature {
        return Err(Errno::EINVAL);
    }
    let at = state.user.instruction_pointer();
    // A program may leave the name of a section that it is out of.
    space.write_value(named, &0)?;
    if (section.start..end).contains(&at) {
        if section.flags != 0 {
            return Err(Errno::EINVAL);
        }
        state.user.set_instruction_pointer(section.abort);
    }
    Ok(())
}

/// Where a section ends, if it makes sense.
fn check(section: &Section) -> Result<u64, Errno> {
    let end = section.start.checked_add(section.len);
    match end {
        Some(end)
            if section.version == 0
                && section.start < USER_END
                && section.abort < USER_END
                && end < USER_END
                && !(section.start..end).contains(&section.abort) =>
        {
            Ok(end)
        }
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use ochre_abi::Errno;
    use ochre_abi::rseq::Section;

    #[test]
    fn sections_that_make_no_sense() {
        let good = Section {
            version: 0,
            flags: 0,
            start: 0x1000,
            len: 0x20,
            abort: 0x2000,
        };
        assert_eq!(check(&good), Ok(0x1020));
        let bad = [
            Section { version: 1, ..good },
            Section {
                abort: 0x1000,
                ..good
            },
            Section {
                abort: 0x101f,
                ..good
            },
            Section {
                len: u64::MAX,
                ..good
            },
            Section {
                start: 1 << 63,
                ..good
            },
            Section {
                abort: 1 << 63,
                ..good
            },
        ];
        for section in bad {
            assert_eq!(check(&section), Err(Errno::EINVAL), "{section:?}");
        }
        assert_eq!(
            check(&Section {
                abort: 0x1020,
                ..good
            }),
            Ok(0x1020)
        );
    }
}
