//! ELF executables, understood and checked. Pure: bytes in, a plan out.
//!
//! Any bytes may come. What this lets through can be mapped without further
//! arithmetic checks at a bias that [`Program::fits`] allows: segments lie in
//! the user half, in ascending order, without overlap, and no sum overflows.

use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::arch::ELF_MACHINE;
use ochre_abi::elf::{
    CLASS_64, DATA_LITTLE, FLAG_EXECUTE, FLAG_READ, FLAG_WRITE, FileHeader, MAGIC, ProgramHeader,
    SEGMENT_INTERPRETER, SEGMENT_LOAD, SEGMENT_PROPERTIES, SEGMENT_STACK, TYPE_EXECUTABLE,
    TYPE_SHARED,
};
use ochre_abi::mman::Protection;
use ochre_hal::memory::USER_END;
use zerocopy::FromBytes;

use super::MakeRoom;
use super::area::PAGE;

pub mod properties;

/// The most bytes of program headers.
const TABLE_LIMIT: usize = 65_536;

/// The longest path of an interpreter, the NUL included.
const PATH_LIMIT: u64 = 4096;

/// Why a file is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// It does not start with the magic bytes.
    NotElf,
    /// It is for another machine, class or byte order.
    OtherMachine,
    /// It is no executable.
    NotExecutable,
    /// The program headers have the wrong size or number, or are cut off.
    BadTable,
    /// A segment's numbers contradict each other or leave the user half.
    BadSegment,
    /// The interpreter's path has an impossible length.
    BadInterpreter,
    /// The note with its properties contradicts itself.
    BadProperties,
    /// There is no memory for the plan.
    OutOfMemory,
}

/// The file header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it can go anywhere.
    pub is_relocatable: bool,
    /// Where it starts, before any bias.
    pub entry: u64,
    /// Where the program headers are in the file.
    pub table_offset: u64,
    /// How many there are: 1 to 1170.
    pub table_count: u16,
}

impl Header {
    /// Reads the header at the start of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Header, ElfError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(ElfError::NotElf);
        }
        let (raw, _) = FileHeader::read_from_prefix(bytes).map_err(|_| ElfError::NotExecutable)?;
        if raw.ident[4] != CLASS_64 || raw.ident[5] != DATA_LITTLE || raw.machine != ELF_MACHINE {
            return Err(ElfError::OtherMachine);
        }
        let is_relocatable = match raw.kind {
            TYPE_EXECUTABLE => false,
            TYPE_SHARED => true,
            _ => return Err(ElfError::NotExecutable),
        };
        let table_len = usize::from(raw.program_header_count) * size_of::<ProgramHeader>();
        if usize::from(raw.program_header_size) != size_of::<ProgramHeader>()
            || table_len == 0
            || table_len > TABLE_LIMIT
            || raw.program_headers.checked_add(table_len as u64).is_none()
        {
            return Err(ElfError::BadTable);
        }
        Ok(Header {
            is_relocatable,
            entry: raw.entry,
            table_offset: raw.program_headers,
            table_count: raw.program_header_count,
        })
    }

    /// Bytes of program headers.
    #[must_use]
    pub fn table_len(&self) -> usize {
        usize::from(self.table_count) * size_of::<ProgramHeader>()
    }
}

/// A piece of memory to be made, before any bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address; need not be at a page's start.
    pub address: u64,
    /// Bytes.
    pub memory_size: u64,
    /// Where its content is in the file: at the same place within a page as `address`.
    pub offset: u64,
    /// Bytes of content; zeroes follow.
    pub file_size: u64,
    /// What the program may do.
    pub protection: Protection,
}

impl Segment {
    /// One past its last address.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.memory_size
    }
}

/// An executable, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file header.
    pub header: Header,
    /// What to map, in ascending order, at least one.
    pub segments: Vec<Segment>,
    /// Where the interpreter's path is in the file, its NUL included.
    pub interpreter: Option<Range<u64>>,
    /// Where the note with its properties begins in the file, and its bytes.
    pub properties: Option<(u64, u64)>,
    /// Whether the stack is to be executable.
    pub executable_stack: bool,
    /// Where the program headers are in memory, if a segment holds them.
    pub table_address: Option<u64>,
    /// The alignment that a bias must keep.
    pub alignment: u64,
}

impl Program {
    /// Reads the program headers.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(header: Header, table: &[u8]) -> Result<Program, ElfError> {
        let table = table.get(..header.table_len()).ok_or(ElfError::BadTable)?;
        let mut program = Program {
            header,
            segments: Vec::new(),
            interpreter: None,
            properties: None,
            executable_stack: false,
            table_address: None,
            alignment: PAGE,
        };
        for raw in table.chunks_exact(size_of::<ProgramHeader>()) {
            let raw = ProgramHeader::read_from_bytes(raw).map_err(|_| ElfError::BadTable)?;
            match raw.kind {
                SEGMENT_LOAD => program.add_segment(&raw)?,
                SEGMENT_INTERPRETER if program.interpreter.is_none() => {
                    if !(2..=PATH_LIMIT).contains(&raw.file_size) {
                        return Err(ElfError::BadInterpreter);
                    }
                    let end = raw
                        .offset
                        .checked_add(raw.file_size)
                        .ok_or(ElfError::BadInterpreter)?;
                    program.interpreter = Some(raw.offset..end);
                }
                SEGMENT_PROPERTIES => program.properties = Some((raw.offset, raw.file_size)),
                SEGMENT_STACK => program.executable_stack = raw.flags & FLAG_EXECUTE != 0,
                _ => {}
            }
        }
        if program.segments.is_empty() {
            return Err(ElfError::BadSegment);
        }
        Ok(program)
    }

    fn add_segment(&mut self, raw: &ProgramHeader) -> Result<(), ElfError> {
        if raw.alignment.is_power_of_two() {
            self.alignment = self.alignment.max(raw.alignment);
        }
        if raw.memory_size == 0 {
            return if raw.file_size == 0 {
                Ok(())
            } else {
                Err(ElfError::BadSegment)
            };
        }
        let end = raw
            .address
            .checked_add(raw.memory_size)
            .filter(|end| *end <= USER_END)
            .ok_or(ElfError::BadSegment)?;
        let file_end = raw
            .offset
            .checked_add(raw.file_size)
            .filter(|end| *end <= i64::MAX as u64)
            .ok_or(ElfError::BadSegment)?;
        let aligned = raw.address % PAGE == raw.offset % PAGE;
        let ascending = self
            .segments
            .last()
            .is_none_or(|last| last.end() <= raw.address);
        if raw.file_size > raw.memory_size || !ascending || !aligned && raw.file_size != 0 {
            return Err(ElfError::BadSegment);
        }
        debug_assert!(end > raw.address);
        let mut protection = Protection::empty();
        protection.set(Protection::READ, raw.flags & FLAG_READ != 0);
        protection.set(Protection::WRITE, raw.flags & FLAG_WRITE != 0);
        protection.set(Protection::EXECUTE, raw.flags & FLAG_EXECUTE != 0);
        if (raw.offset..file_end).contains(&self.header.table_offset)
            && self.table_address.is_none()
        {
            self.table_address = (self.header.table_offset - raw.offset).checked_add(raw.address);
        }
        self.segments
            .make_room(1)
            .map_err(|_| ElfError::OutOfMemory)?;
        self.segments.push(Segment {
            address: raw.address,
            memory_size: raw.memory_size,
            offset: raw.offset,
            file_size: raw.file_size,
            protection,
        });
        Ok(())
    }

    /// The pages from its first segment to its last, holes included, before
    /// any bias.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        let first = self.segments.first().map_or(0, |segment| segment.address);
        let end = self.segments.last().map_or(0, Segment::end);
        // Ends are at most the user half's, which is a page's end.
        first & !(PAGE - 1)..end.div_ceil(PAGE) * PAGE
    }

    /// Whether everything lies in the user half with this bias added.
    #[must_use]
    pub fn fits(&self, bias: u64) -> bool {
        self.span()
            .end
            .checked_add(bias)
            .is_some_and(|end| end <= USER_END)
    }

    /// Where the program starts with this bias; `None` outside the user half.
    #[must_use]
    pub fn entry(&self, bias: u64) -> Option<u64> {
        self.header
            .entry
            .checked_add(bias)
            .filter(|entry| *entry < USER_END)
    }
}

#[cfg(test)]
mod tests;
