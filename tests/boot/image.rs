//! The kernel's file for AArch64 is what loaders take: the 64 bytes at its
//! beginning are Linux's boot protocol's (Documentation/arch/arm64/booting),
//! and what they say of the image is so.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, kernel, prefix};

const ARM: Arch = Arch::Aarch64;

/// Bytes of the header.
const BYTES: usize = 64;

/// "ARM" and 64.
const MAGIC: u32 = 0x644d_5241;

/// Images begin at multiples of this.
const ALIGN: u64 = 2 << 20;

pub(super) fn case() -> Case {
    Case::new(format!("{}header of the image", prefix(ARM)), header)
}

fn header() -> Result<()> {
    let elf = kernel(ARM)?;
    let image = fs::read(elf.with_extension("img"))?;
    let head = image.get(..BYTES).context("no header")?;
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    ensure!(word(56) == MAGIC, "magic {:#x}", word(56));
    // The first instruction is a branch forward, into the image and past the header.
    let first = word(0);
    ensure!(first >> 26 == 0b00_0101, "first instruction {first:#x}");
    let target = u64::from(first & 0x1ff_ffff) * 4;
    ensure!(
        (BYTES as u64..image.len() as u64).contains(&target),
        "branch to {target:#x}"
    );
    // With a size that is not 0 this is so many bytes behind a multiple of 2 MiB.
    ensure!(long(8) == 0, "offset {:#x}", long(8));
    let memory = memory_of(&fs::read(elf)?)?;
    let size = long(16);
    ensure!(
        size >= memory && size < memory + ALIGN && memory > image.len() as u64,
        "image of {size:#x} bytes; its segments take {memory:#x}, its file {:#x}",
        image.len()
    );
    // Little-endian; pages of 4 KiB; anywhere in memory; all else is to be 0.
    ensure!(long(24) == 0b1010, "flags {:#b}", long(24));
    ensure!(
        [32, 40, 48].iter().all(|at| long(*at) == 0) && word(60) == 0,
        "what is reserved: {head:x?}"
    );
    Ok(())
}

/// How much memory the segments of a program take, with what its file does not
/// hold, from the first one's beginning to the last one's end.
fn memory_of(elf: &[u8]) -> Result<u64> {
    const LOADED: u64 = 1;
    let field = |at: usize, bytes: usize| {
        let field = elf
            .get(at..at + bytes)
            .context("a program that is cut short")?;
        let value = field
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        anyhow::Ok(value)
    };
    let (table, entry, count) = (field(32, 8)?, field(54, 2)?, field(56, 2)?);
    let (mut start, mut end) = (u64::MAX, 0);
    for index in 0..count {
        let at = usize::try_from(table + index * entry)?;
        if field(at, 4)? == LOADED {
            let address = field(at + 16, 8)?;
            start = start.min(address);
            end = end.max(address + field(at + 40, 8)?);
        }
    }
    ensure!(start < end, "a program without segments");
    Ok(end - start)
}
