//! `/proc/cpuinfo`'s lines for a processor, from its identification.

use alloc::string::String;
use core::fmt::{self, Write};

use super::features;
use super::system::mrs;
use crate::cpu::CpuId;

/// Linux's names of the flags, a name per bit of `AT_HWCAP` from bit 0, and of
/// `AT_HWCAP2` after them.
const FLAGS: &str = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid \
                     asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm \
                     dit uscat ilrcpc flagm ssbs sb paca pacg \
                     dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm \
                     svef32mm svef64mm svebf16 i8mm bf16 dgh rng bti";

/// How many of them are of `AT_HWCAP`.
const HWCAP_NAMES: u32 = 32;

/// The lines, without the blank one that ends a processor.
pub(crate) fn describe(cpu: CpuId) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, cpu);
    out
}

fn write(out: &mut String, cpu: CpuId) -> fmt::Result {
    let identity = mrs!("midr_el1");
    let hz = crate::clock::counter_hz();
    writeln!(out, "processor\t: {}", cpu.index())?;
    writeln!(out, "BogoMIPS\t: {}.{:02}", hz / 500_000, hz / 5_000 % 100)?;
    write!(out, "Features\t:")?;
    let flags = u128::from(features::hwcap()) | u128::from(features::hwcap2()) << HWCAP_NAMES;
    for (bit, name) in FLAGS.split_ascii_whitespace().enumerate() {
        if flags >> bit & 1 != 0 {
            write!(out, " {name}")?;
        }
    }
    writeln!(out)?;
    writeln!(out, "CPU implementer\t: {:#04x}", identity >> 24 & 0xff)?;
    writeln!(out, "CPU architecture: 8")?;
    writeln!(out, "CPU variant\t: {:#x}", identity >> 20 & 0xf)?;
    writeln!(out, "CPU part\t: {:#05x}", identity >> 4 & 0xfff)?;
    writeln!(out, "CPU revision\t: {}", identity & 0xf)
}
