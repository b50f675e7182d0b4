//! ELF as executables have it: the 64-bit header and program headers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a file starts with.
pub const MAGIC: [u8; 4] = *b"\x7fELF";
/// `e_ident[4]`: 64-bit.
pub const CLASS_64: u8 = 2;
/// `e_ident[5]`: little-endian.
pub const DATA_LITTLE: u8 = 1;

/// `e_type`: at fixed addresses.
pub const TYPE_EXECUTABLE: u16 = 2;
/// `e_type`: position-independent.
pub const TYPE_SHARED: u16 = 3;

/// `p_type`: a piece of memory.
pub const SEGMENT_LOAD: u32 = 1;
/// `p_type`: the path of the interpreter.
pub const SEGMENT_INTERPRETER: u32 = 3;
/// `p_type`: whether the stack is executable.
pub const SEGMENT_STACK: u32 = 0x6474_e551;

/// `p_type`: the note with the program's properties.
pub const SEGMENT_PROPERTIES: u32 = 0x6474_e553;

/// `n_type` of that note, `NT_GNU_PROPERTY_TYPE_0`.
pub const NOTE_PROPERTIES: u32 = 5;

/// `p_flags`: executable.
pub const FLAG_EXECUTE: u32 = 1;
/// `p_flags`: writable.
pub const FLAG_WRITE: u32 = 2;
/// `p_flags`: readable.
pub const FLAG_READ: u32 = 4;

/// The file header, `Elf64_Ehdr`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileHeader {
    /// Magic, class, byte order, version, system.
    pub ident: [u8; 16],
    /// What kind of file.
    pub kind: u16,
    /// Which machine.
    pub machine: u16,
    /// Version, 1.
    pub version: u32,
    /// Where the program starts.
    pub entry: u64,
    /// Where the program headers are in the file.
    pub program_headers: u64,
    /// Where the section headers are in the file.
    pub section_headers: u64,
    /// Machine-specific flags.
    pub flags: u32,
    /// Size of this header.
    pub header_size: u16,
    /// Size of a program header.
    pub program_header_size: u16,
    /// Number of program headers.
    pub program_header_count: u16,
    /// Size of a section header.
    pub section_header_size: u16,
    /// Number of section headers.
    pub section_header_count: u16,
    /// Which section has the names.
    pub names: u16,
}

const _: () = assert!(size_of::<FileHeader>() == 64);

/// A program header, `Elf64_Phdr`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ProgramHeader {
    /// What it describes.
    pub kind: u32,
    /// Permissions.
    pub flags: u32,
    /// Where it is in the file.
    pub offset: u64,
    /// Where it goes in memory.
    pub address: u64,
    /// Physical address, unused.
    pub physical: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Alignment, a power of two.
    pub alignment: u64,
}

const _: () = assert!(size_of::<ProgramHeader>() == 56);
