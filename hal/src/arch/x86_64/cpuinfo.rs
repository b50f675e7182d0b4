//! `/proc/cpuinfo`'s lines for a processor, from CPUID.

use alloc::string::String;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt::{self, Write};

use crate::cpu::CpuId;

/// Linux's names of the flags, by leaf and register: a name per bit from bit
/// 0, `-` for a bit without one.
const LEAF1_EDX: &str = "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov \
    pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe";
const EXTENDED_EDX: &str = "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - \
    fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow";
const LEAF1_ECX: &str = "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg \
    fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes \
    xsave - avx f16c rdrand hypervisor";
const EXTENDED_ECX: &str = "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse \
    3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext";
const LEAF7_EBX: &str = "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm \
    cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt \
    avx512pf avx512er avx512cd sha_ni avx512bw avx512vl";
const LEAF7_ECX: &str = "- avx512vbmi umip - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq \
    avx512_vnni avx512_bitalg - avx512_vpopcntdq - la57 - - - - - rdpid";

/// Flags that this kernel leaves off, whatever the processor has.
const LEFT_OFF: [&str; 6] = ["fsgsbase", "la57", "mpx", "pcid", "vme", "waitpkg"];

/// The lines, without the blank one that ends a processor.
pub(crate) fn describe(cpu: CpuId) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, cpu);
    out
}

fn write(out: &mut String, cpu: CpuId) -> fmt::Result {
    let leaf0 = __cpuid(0);
    let leaf1 = __cpuid(1);
    let signature = leaf1.eax;
    let (base_family, base_model) = (signature >> 8 & 0xf, signature >> 4 & 0xf);
    let family = if base_family == 0xf {
        base_family + (signature >> 20 & 0xff)
    } else {
        base_family
    };
    let model = if base_family == 0xf || base_family == 6 {
        base_model | (signature >> 16 & 0xf) << 4
    } else {
        base_model
    };
    let megahertz = crate::clock::counter_hz() / 1000;
    writeln!(out, "processor\t: {}", cpu.index())?;
    writeln!(
        out,
        "vendor_id\t: {}",
        Text(&[leaf0.ebx, leaf0.edx, leaf0.ecx])
    )?;
    writeln!(out, "cpu family\t: {family}")?;
    writeln!(out, "model\t\t: {model}")?;
    writeln!(out, "model name\t: {}", Text(&brand()))?;
    writeln!(out, "stepping\t: {}", signature & 0xf)?;
    writeln!(
        out,
        "cpu MHz\t\t: {}.{:03}",
        megahertz / 1000,
        megahertz % 1000
    )?;
    writeln!(out, "physical id\t: 0")?;
    writeln!(out, "siblings\t: {}", crate::cpu::online())?;
    writeln!(out, "core id\t\t: {}", cpu.index())?;
    writeln!(out, "cpu cores\t: {}", crate::cpu::online())?;
    writeln!(out, "apicid\t\t: {}", leaf1.ebx >> 24)?;
    writeln!(out, "fpu\t\t: yes")?;
    writeln!(out, "fpu_exception\t: yes")?;
    writeln!(out, "cpuid level\t: {}", leaf0.eax)?;
    writeln!(out, "wp\t\t: yes")?;
    write!(out, "flags\t\t:")?;
    flags(out, leaf0.eax, leaf1.edx, leaf1.ecx)?;
    writeln!(out)?;
    writeln!(
        out,
        "bogomips\t: {}.{:02}",
        megahertz * 2 / 1000,
        megahertz * 2 % 1000 / 10
    )?;
    writeln!(out, "clflush size\t: {}", (leaf1.ebx >> 8 & 0xff) * 8)?;
    writeln!(out, "cache_alignment\t: {}", (leaf1.ebx >> 8 & 0xff) * 8)?;
    let sizes = if __cpuid(0x8000_0000).eax >= 0x8000_0008 {
        __cpuid(0x8000_0008).eax
    } else {
        36 | 48 << 8
    };
    writeln!(
        out,
        "address sizes\t: {} bits physical, {} bits virtual",
        sizes & 0xff,
        sizes >> 8 & 0xff
    )?;
    writeln!(out, "power management:")
}

/// The processor's name for people; empty where it has none.
fn brand() -> [u32; 12] {
    let mut words = [0; 12];
    if __cpuid(0x8000_0000).eax >= 0x8000_0004 {
        for (chunk, leaf) in words.chunks_exact_mut(4).zip(0x8000_0002..) {
            let part = __cpuid(leaf);
            chunk.copy_from_slice(&[part.eax, part.ebx, part.ecx, part.edx]);
        }
    }
    words
}

fn flags(out: &mut String, highest: u32, leaf1_edx: u32, leaf1_ecx: u32) -> fmt::Result {
    let extended = __cpuid(0x8000_0001);
    names(out, leaf1_edx, LEAF1_EDX)?;
    names(out, extended.edx, EXTENDED_EDX)?;
    names(out, leaf1_ecx, LEAF1_ECX)?;
    names(out, extended.ecx, EXTENDED_ECX)?;
    if highest >= 7 {
        let leaf7 = __cpuid_count(7, 0);
        names(out, leaf7.ebx, LEAF7_EBX)?;
        names(out, leaf7.ecx, LEAF7_ECX)?;
    }
    Ok(())
}

/// Writes the names of the bits that are set.
fn names(out: &mut String, bits: u32, list: &str) -> fmt::Result {
    for (bit, name) in list.split_ascii_whitespace().enumerate() {
        if bits >> bit & 1 != 0 && name != "-" && !LEFT_OFF.contains(&name) {
            write!(out, " {name}")?;
        }
    }
    Ok(())
}

/// Registers as text, without the padding.
struct Text<'a>(&'a [u32]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.iter().flat_map(|word| word.to_le_bytes());
        let printable = bytes.filter(|byte| (b' '..=b'~').contains(byte));
        let mut pending = 0_usize;
        let mut started = false;
        for byte in printable {
            if byte == b' ' {
                pending += 1;
                continue;
            }
            for _ in 0..if started { pending } else { 0 } {
                f.write_char(' ')?;
            }
            pending = 0;
            started = true;
            f.write_char(char::from(byte))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        EXTENDED_ECX, EXTENDED_EDX, LEAF1_ECX, LEAF1_EDX, LEAF7_EBX, LEAF7_ECX, Text, names,
    };

    #[test]
    fn every_name_is_at_its_bit() {
        for (list, bit, name) in [
            (LEAF1_EDX, 31, "pbe"),
            (LEAF1_EDX, 24, "fxsr"),
            (LEAF1_ECX, 31, "hypervisor"),
            (LEAF1_ECX, 28, "avx"),
            (EXTENDED_EDX, 29, "lm"),
            (EXTENDED_EDX, 11, "syscall"),
            (EXTENDED_EDX, 20, "nx"),
            (EXTENDED_ECX, 22, "topoext"),
            (LEAF7_EBX, 20, "smap"),
            (LEAF7_EBX, 31, "avx512vl"),
            (LEAF7_ECX, 22, "rdpid"),
        ] {
            let mut out = String::new();
            names(&mut out, 1 << bit, list).expect("a string");
            assert_eq!(out.trim(), name);
        }
    }

    #[test]
    fn text_has_no_padding() {
        let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
        let text = Text(&[word(b"  a "), word(b" b\0\0"), word(b"   \0")]);
        assert_eq!(text.to_string(), "a  b");
    }
}
