//! From an executable file to an address space that it can start in.
//!
//! Everything is built in a new address space that nobody runs in yet, so an
//! error at any point only means that it is dropped.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::arch::LANDING_PADS_PROPERTY;
use ochre_abi::auxv::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_FLAGS, AT_GID, AT_HWCAP, AT_HWCAP2,
    AT_IGNORE, AT_MINSIGSTKSZ, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_RSEQ_ALIGN,
    AT_RSEQ_FEATURE_SIZE, AT_SECURE, AT_SYSINFO_EHDR, AT_UID, CLOCK_TICKS,
};
use ochre_abi::elf::ProgramHeader;
use ochre_abi::mman::Protection;
use ochre_abi::rseq;
use ochre_hal::cpu;
use ochre_hal::memory::PAGE_SIZE;

use super::stack;
use super::{Arguments, Identity, Opener};
use crate::memory::MakeRoom;
use crate::memory::elf::{ElfError, Header, Program, properties};
use crate::memory::{
    AddressSpace, AreaFlags, Facts, Limits, MapRequest, Placement, Randomness, Source, vdso,
};
use crate::vfs::{OpenFile, read_at};

const PAGE: u64 = PAGE_SIZE as u64;

/// How much stack is there at the start besides what the strings need.
const STACK_SPARE: u64 = 128 << 10;

/// The smallest alternate signal stack that is always enough: the machine's
/// frame with the largest register state there is.
const SIGNAL_STACK: u64 = 4096;

/// A program ready to start.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) space: Arc<AddressSpace>,
    pub(super) entry: u64,
    pub(super) stack_pointer: u64,
}

/// What the loader works with.
pub(super) struct Loader<'a> {
    pub(super) file: &'a Arc<OpenFile>,
    /// The file's start.
    pub(super) start: &'a [u8],
    /// The path for `AT_EXECFN`.
    pub(super) path: &'a [u8],
    pub(super) arguments: &'a Arguments,
    pub(super) limits: Limits,
    pub(super) identity: Identity,
    pub(super) random: [u8; 16],
    pub(super) placement: Randomness,
}

/// An image in place.
struct Placed {
    bias: u64,
    entry: u64,
    end: u64,
}

impl Loader<'_> {
    /// Builds the address space.
    ///
    /// # Errors
    /// ENOEXEC for what is no program, ELIBBAD for an interpreter that is none,
    /// EINVAL, ENOMEM, E2BIG, or what opening the interpreter answers.
    pub(super) fn load(&self, opener: &mut dyn Opener) -> Result<Loaded, Errno> {
        let program = read_program(self.file, self.start).map_err(bad_program)?;
        let interpreter = match &program.interpreter {
            Some(range) => {
                let path = self.interpreter_path(range.start, range.end)?;
                let file = opener.open(&path)?;
                let mut start = [0; 64];
                let len = read_at(&**file.file(), 0, &mut start)?;
                let program = read_program(&file, start.get(..len).unwrap_or_default())
                    .map_err(bad_library)?;
                Some((file, program))
            }
            None => None,
        };
        // Who has an interpreter leaves it to that to guard the rest.
        let guarded = match &interpreter {
            Some((file, program)) => has_landing_pads(file, program)?,
            None => has_landing_pads(self.file, &program)?,
        };

        let space = AddressSpace::with(self.limits, &self.placement).map_err(|_| Errno::ENOMEM)?;
        let layout = space.layout();
        let wanted = if program.header.is_relocatable {
            Some(layout.image_base)
        } else {
            None
        };
        let guards_itself = interpreter.is_none() && guarded;
        let placed = place(&space, self.file, &program, wanted, guards_itself)?;
        let heap = if layout.heap_gap == 0 {
            placed.end
        } else {
            placed.end.next_multiple_of(PAGE) + layout.heap_gap
        };
        space.set_heap_start(heap);
        let started = match &interpreter {
            Some((file, program)) => {
                let span = program.span();
                let base = if program.header.is_relocatable {
                    Some(space.find_room(span.end - span.start, program.alignment)?)
                } else {
                    None
                };
                Some(place(&space, file, program, base, guarded)?)
            }
            None => None,
        };
        let image = vdso::map(&space)?;
        let auxiliary = self.auxiliary(&program, &placed, started.as_ref(), image);
        let stack = stack::Image::new(
            layout.stack_top,
            layout.stack_gap,
            self.arguments,
            self.path,
            &auxiliary,
            &self.random,
        )?;
        self.map_stack(&space, &program, &stack)?;
        space.set_facts(Facts {
            vdso: image,
            ..self.facts(&program, &placed, &stack)?
        });
        Ok(Loaded {
            entry: started.map_or(placed.entry, |started| started.entry),
            stack_pointer: stack.pointer,
            space,
        })
    }

    fn interpreter_path(&self, start: u64, end: u64) -> Result<Vec<u8>, Errno> {
        let mut path = Vec::new();
        // CAST: the parser allows 4096 bytes at most.
        let len = (end - start) as usize;
        path.make_room_exact(len)?;
        path.resize(len, 0);
        if read_at(&**self.file.file(), start, &mut path)? != len || path.pop() != Some(0) {
            return Err(Errno::ENOEXEC);
        }
        if let Some(end) = path.iter().position(|byte| *byte == 0) {
            path.truncate(end);
        }
        Ok(path)
    }

    fn auxiliary(
        &self,
        program: &Program,
        placed: &Placed,
        started: Option<&Placed>,
        image: u64,
    ) -> [(u64, u64); 19] {
        let identity = &self.identity;
        [
            // First, as on Linux; nothing, where there is none.
            (
                if image == 0 {
                    AT_IGNORE
                } else {
                    AT_SYSINFO_EHDR
                },
                image,
            ),
            (AT_MINSIGSTKSZ, SIGNAL_STACK),
            (AT_HWCAP, cpu::hwcap()),
            (AT_PAGESZ, PAGE),
            (AT_CLKTCK, CLOCK_TICKS),
            (
                AT_PHDR,
                program
                    .table_address
                    .map_or(0, |address| address.wrapping_add(placed.bias)),
            ),
            (AT_PHENT, size_of::<ProgramHeader>() as u64),
            (AT_PHNUM, u64::from(program.header.table_count)),
            (AT_BASE, started.map_or(0, |started| started.bias)),
            (AT_FLAGS, 0),
            (AT_ENTRY, placed.entry),
            (AT_UID, u64::from(identity.uid)),
            (AT_EUID, u64::from(identity.euid)),
            (AT_GID, u64::from(identity.gid)),
            (AT_EGID, u64::from(identity.egid)),
            (AT_SECURE, u64::from(identity.secure)),
            (AT_HWCAP2, cpu::hwcap2()),
            (AT_RSEQ_FEATURE_SIZE, u64::from(rseq::FEATURE_SIZE)),
            (AT_RSEQ_ALIGN, rseq::ALIGNMENT),
        ]
    }

    fn map_stack(
        &self,
        space: &AddressSpace,
        program: &Program,
        image: &stack::Image<'_>,
    ) -> Result<(), Errno> {
        let top = space.layout().stack_top;
        let bottom = image.pointer.checked_sub(STACK_SPARE).ok_or(Errno::E2BIG)? & !(PAGE - 1);
        let mut protection = Protection::READ | Protection::WRITE;
        protection.set(Protection::EXECUTE, program.executable_stack);
        space.map(MapRequest {
            placement: Placement::FixedNoReplace(bottom),
            len: top - bottom,
            protection,
            flags: AreaFlags::GROWS_DOWN,
            source: None,
            privileged: true,
            refusal: None,
            may_lock: true,
        })?;
        image.write(|at, bytes| space.install(at, bytes))
    }

    fn facts(
        &self,
        program: &Program,
        placed: &Placed,
        image: &stack::Image<'_>,
    ) -> Result<Facts, Errno> {
        let range_of = |wanted: Protection, without: Protection| {
            let mut range: Option<core::ops::Range<u64>> = None;
            for segment in &program.segments {
                if segment.protection.contains(wanted) && !segment.protection.intersects(without) {
                    let start = segment.address + placed.bias;
                    let end = start + segment.file_size;
                    range = Some(match range {
                        None => start..end,
                        Some(range) => range.start.min(start)..range.end.max(end),
                    });
                }
            }
            range.unwrap_or(placed.bias..placed.bias)
        };
        let mut auxiliary = Vec::new();
        let vector = image.head.get(image.auxiliary.clone()).unwrap_or_default();
        auxiliary.make_room_exact(vector.len())?;
        auxiliary.extend_from_slice(vector);
        Ok(Facts {
            arguments: image.arguments.clone(),
            environment: image.environment.clone(),
            code: range_of(Protection::EXECUTE, Protection::empty()),
            data: range_of(Protection::WRITE, Protection::EXECUTE),
            stack_start: image.pointer,
            vdso: 0,
            auxiliary,
            executable: Some(Arc::clone(self.file)),
        })
    }
}

/// Why an image is not understood.
enum Refusal {
    Elf(ElfError),
    Io(Errno),
}

fn bad_program(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::Io(errno) => errno,
        Refusal::Elf(ElfError::OutOfMemory) => Errno::ENOMEM,
        Refusal::Elf(ElfError::BadSegment) => Errno::EINVAL,
        Refusal::Elf(_) => Errno::ENOEXEC,
    }
}

fn bad_library(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::Io(errno) => errno,
        Refusal::Elf(ElfError::OutOfMemory) => Errno::ENOMEM,
        Refusal::Elf(ElfError::BadSegment) => Errno::EINVAL,
        Refusal::Elf(_) => Errno::ELIBBAD,
    }
}

fn read_program(file: &OpenFile, start: &[u8]) -> Result<Program, Refusal> {
    let header = Header::parse(start).map_err(Refusal::Elf)?;
    // Most tables follow the header at once.
    let mut short = [0; 1024];
    let mut long = Vec::new();
    let len = header.table_len();
    let table = match short.get_mut(..len) {
        Some(table) => table,
        None => {
            long.make_room_exact(len)
                .map_err(|_| Refusal::Io(Errno::ENOMEM))?;
            long.resize(len, 0);
            &mut long
        }
    };
    if read_at(&**file.file(), header.table_offset, table).map_err(Refusal::Io)? != len {
        return Err(Refusal::Elf(ElfError::BadTable));
    }
    Program::parse(header, table).map_err(Refusal::Elf)
}

/// Whether jumps through registers are to lead to landing pads in all of a
/// program's code: it says so in a note, and the machine has such.
///
/// # Errors
/// ENOEXEC for a note that contradicts itself, EIO for what is too short for
/// one, or what reading answers.
fn has_landing_pads(file: &OpenFile, program: &Program) -> Result<bool, Errno> {
    let note = program
        .properties
        .filter(|_| LANDING_PADS_PROPERTY.is_some());
    let Some((offset, len)) = note else {
        return Ok(false);
    };
    let mut note = [0; properties::LIMIT];
    let note = usize::try_from(len)
        .ok()
        .and_then(|len| note.get_mut(..len))
        .ok_or(Errno::ENOEXEC)?;
    let len = read_at(&**file.file(), offset, note)?;
    if len < properties::LEAST {
        return Err(Errno::EIO);
    }
    let note = note.get(..len).unwrap_or_default();
    let found = properties::has_landing_pads(note).map_err(|_| Errno::ENOEXEC)?;
    Ok(found && cpu::has_landing_pads())
}

/// Maps an image: where it says, or at `base`; what is code of it `guarded`.
fn place(
    space: &AddressSpace,
    file: &OpenFile,
    program: &Program,
    base: Option<u64>,
    guarded: bool,
) -> Result<Placed, Errno> {
    let backing = file.backing().ok_or(Errno::ENOEXEC)?;
    let span = program.span();
    let bias = match base {
        Some(base) => {
            let base = base
                .checked_next_multiple_of(program.alignment)
                .ok_or(Errno::ENOMEM)?;
            // An image that wants to lie higher than its base stays where it is.
            base.saturating_sub(span.start)
        }
        None => 0,
    };
    if !program.fits(bias) {
        return Err(Errno::ENOMEM);
    }
    let entry = program.entry(bias).ok_or(Errno::EINVAL)?;
    for segment in &program.segments {
        let start = segment.address + bias;
        let first_page = start & !(PAGE - 1);
        let file_end = start + segment.file_size;
        let end = segment.end() + bias;
        let mut zero_from = first_page;
        let mut protection = segment.protection;
        let is_code = protection.contains(Protection::EXECUTE);
        protection.set(Protection::GUARDED, guarded && is_code);
        if segment.file_size > 0 {
            zero_from = file_end.next_multiple_of(PAGE);
            map_fixed(
                space,
                first_page..zero_from,
                protection,
                Some(Source {
                    backing: Arc::clone(&backing),
                    first: segment.offset / PAGE,
                }),
            )?;
            let tail = zero_from.min(end.next_multiple_of(PAGE)) - file_end;
            if end > file_end && tail > 0 && segment.protection.contains(Protection::WRITE) {
                // CAST: less than a page.
                let zeroes = [0; PAGE_SIZE];
                space
                    .install(file_end, &zeroes[..tail as usize])
                    .map_err(|errno| match errno {
                        Errno::ENOMEM => Errno::ENOMEM,
                        _ => Errno::ENOEXEC,
                    })?;
            }
        }
        let zero_end = end.next_multiple_of(PAGE);
        if zero_end > zero_from {
            map_fixed(space, zero_from..zero_end, segment.protection, None)?;
        }
    }
    Ok(Placed {
        bias,
        entry,
        end: span.end + bias,
    })
}

fn map_fixed(
    space: &AddressSpace,
    range: core::ops::Range<u64>,
    protection: Protection,
    source: Option<Source>,
) -> Result<(), Errno> {
    space.map(MapRequest {
        placement: Placement::Fixed(range.start),
        len: range.end - range.start,
        protection,
        flags: AreaFlags::empty(),
        source,
        privileged: true,
        refusal: None,
        may_lock: true,
    })?;
    Ok(())
}
