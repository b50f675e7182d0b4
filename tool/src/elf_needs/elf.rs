//! The few things of an ELF file that decide what it needs.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use object::{
    Endianness,
    elf::{
        DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, EM_AARCH64, EM_X86_64, FileHeader64,
        PT_DYNAMIC, PT_INTERP, PT_LOAD,
    },
    read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _},
};

use crate::arch::Arch;

/// What matters of one ELF file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    /// `PT_INTERP`, the dynamic linker.
    pub(super) interpreter: Option<PathBuf>,
    /// `DT_NEEDED`, in order.
    pub(super) needed: Vec<OsString>,
    /// `DT_RPATH`, as written.
    pub(super) rpath: Option<OsString>,
    /// `DT_RUNPATH`, as written.
    pub(super) runpath: Option<OsString>,
}

impl Object {
    /// Reads a file for x86-64.
    ///
    /// # Errors
    /// If it is not one, or contradicts itself.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} cannot be used", path.display()))
    }

    /// Whether the file is an ELF file for x86-64 at all.
    pub(super) fn fits(path: &Path) -> bool {
        fs::read(path).is_ok_and(|bytes| header_fits(&bytes))
    }

    /// Reads a file for any processor.
    ///
    /// # Errors
    /// If it is no ELF file, or contradicts itself.
    pub(super) fn read_any(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse_any(&bytes).with_context(|| format!("{} cannot be used", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        ensure!(
            header_fits(bytes),
            "it is neither a program for x86-64 Linux nor a script"
        );
        Self::parse_any(bytes)
    }

    /// The same, for whatever processor.
    fn parse_any(bytes: &[u8]) -> Result<Self> {
        let file = ElfFile64::<Endianness>::parse(bytes).context("its ELF header is damaged")?;
        let endian = file.endian();
        let mut object = Self::default();
        for segment in file.elf_program_headers() {
            if segment.p_type(endian) == PT_INTERP {
                let text = segment.data(endian, bytes).ok();
                let text = text.context("its interpreter's name is outside the file")?;
                let name = text.split(|&b| b == 0).next().unwrap_or_default();
                object.interpreter = Some(PathBuf::from(OsStr::from_bytes(name)));
            } else if segment.p_type(endian) == PT_DYNAMIC {
                let entries = segment.dynamic(endian, bytes)?;
                let entries = entries.context("its dynamic section is outside the file")?;
                let value = |tag| {
                    entries
                        .iter()
                        .filter(move |entry| entry.d_tag(endian) == tag)
                        .map(|entry| entry.d_val(endian))
                };
                let Some(strings_at) = value(DT_STRTAB).next() else {
                    continue;
                };
                let string = |offset: u64| string_at(&file, strings_at.checked_add(offset)?);
                let first = |tag| value(tag).next().and_then(string);
                object.needed = value(DT_NEEDED).filter_map(string).collect();
                object.rpath = first(DT_RPATH);
                object.runpath = first(DT_RUNPATH);
            }
        }
        Ok(object)
    }
}

fn header_fits(bytes: &[u8]) -> bool {
    arch_of(bytes) == Some(Arch::X86_64)
}

/// The processor that an ELF file with this beginning is for, if it is one of ours.
pub(super) fn arch_of(bytes: &[u8]) -> Option<Arch> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    match header.e_machine(endian) {
        EM_X86_64 => Some(Arch::X86_64),
        EM_AARCH64 => Some(Arch::Aarch64),
        _ => None,
    }
}

/// The string at an address of the loaded program.
fn string_at(file: &ElfFile64<'_, Endianness>, address: u64) -> Option<OsString> {
    let endian = file.endian();
    let bytes = file
        .elf_program_headers()
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
        .find_map(|segment| {
            let offset = address.checked_sub(segment.p_vaddr(endian))?;
            let data = segment.data(endian, file.data()).ok()?;
            data.get(usize::try_from(offset).ok()?..)
        })?;
    let len = bytes.iter().position(|&b| b == 0)?;
    Some(OsString::from_vec(bytes[..len].to_vec()))
}
