//! The two architectures: what a guest of each needs on the host.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use object::{
    Endianness,
    elf::{FileHeader64, PT_LOAD},
    read::elf::{FileHeader as _, ProgramHeader as _},
};

use crate::host::Package;
use crate::setup;

/// The processors that Ochre runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Arch {
    /// Intel's and AMD's, with 64 bits.
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    /// Arm's, with 64 bits.
    Aarch64,
}

/// The emulator of AArch64.
const QEMU_ARM: Package = Package {
    what: "QEMU for Arm, the machine that Ochre runs in",
    apt: "qemu-system-arm",
    dnf: "qemu-system-aarch64-core",
    pacman: "qemu-system-aarch64",
    brew: "brew install qemu",
};

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// What it is called, as the commands' options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The target that the kernel is built for. (AArch64: the one without
    /// floating point, whose registers are the programs'.)
    pub fn kernel_target(self) -> &'static str {
        match self {
            Self::X86_64 => setup::KERNEL_TARGET,
            Self::Aarch64 => "aarch64-unknown-none-softfloat",
        }
    }

    /// The emulator's command.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::X86_64 => setup::QEMU,
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// The environment variable that names another emulator.
    pub fn qemu_variable(self) -> &'static str {
        match self {
            Self::X86_64 => "OCHRE_QEMU",
            Self::Aarch64 => "OCHRE_QEMU_AARCH64",
        }
    }

    /// The emulator's package.
    pub fn qemu_package(self) -> Package {
        match self {
            Self::X86_64 => setup::QEMU_PACKAGE,
            Self::Aarch64 => QEMU_ARM,
        }
    }
}

/// Writes the raw image of an ELF file: its segments as they lie in memory,
/// from the first address on. This is what loaders of AArch64 want.
///
/// # Errors
/// If the file cannot be read or written, or makes no sense.
pub fn write_raw_image(elf: &Path, image: &Path) -> Result<()> {
    const LARGEST: u64 = 256 << 20;
    let bytes = fs::read(elf).with_context(|| format!("reading {}", elf.display()))?;
    let header = FileHeader64::<Endianness>::parse(&*bytes).context("the kernel's ELF header")?;
    let endian = header.endian()?;
    let mut raw = Vec::new();
    let mut first = None;
    for segment in header.program_headers(endian, &*bytes)? {
        let data = segment.data(endian, &*bytes).ok();
        let data = data.context("a segment of the kernel lies outside its file")?;
        if segment.p_type(endian) != PT_LOAD || data.is_empty() {
            continue;
        }
        let address = segment.p_vaddr(endian);
        let at = address.checked_sub(*first.get_or_insert(address));
        let at = at.filter(|at| *at >= raw.len() as u64 && *at <= LARGEST);
        let at = at.context("the kernel's segments are not in order")?;
        raw.resize(usize::try_from(at)?, 0);
        raw.extend_from_slice(data);
    }
    ensure!(!raw.is_empty(), "the kernel has no segments");
    if fs::read(image).is_ok_and(|old| old == raw) {
        return Ok(());
    }
    let fresh = image.with_extension(format!("{}", std::process::id()));
    fs::write(&fresh, raw).with_context(|| format!("writing {}", fresh.display()))?;
    fs::rename(&fresh, image).with_context(|| format!("writing {}", image.display()))
}
