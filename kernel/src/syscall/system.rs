//! Calls about the machine as a whole.

use ochre_abi::Errno;
use ochre_abi::arch::MACHINE_NAME;
use ochre_abi::system::{ADDR_NO_RANDOMIZE, NAME_SIZE, SysInfo, UtsName};
use ochre_hal::{cpu, memory, power};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::Ordering;

use super::{Call, FromArgument, Ptr, SysResult};
use crate::audit::{self, Ordered};
use crate::process::{Capability, table};
use crate::{log_sink, time};

/// What the release says: the version of Linux whose calls these are.
pub const RELEASE: &str = "6.1.0-ochre";

/// What the version says.
pub const VERSION: &str = concat!("#1 Ochre ", env!("CARGO_PKG_VERSION"));

/// A name that can be set.
type Name = [u8; NAME_SIZE];

static HOST: SpinLock<Name> = SpinLock::new(name(b"ochre"));
static DOMAIN: SpinLock<Name> = SpinLock::new(name(b"(none)"));

/// At most 64 bytes, padded with NULs.
const fn name(text: &[u8]) -> Name {
    let mut name = [0; NAME_SIZE];
    let mut index = 0;
    while index < text.len() && index < NAME_SIZE - 1 {
        name[index] = text[index];
        index += 1;
    }
    name
}

/// Sets the machine's name; what is beyond 64 bytes is cut off.
pub fn set_host_name(text: &[u8]) {
    *HOST.lock() = name(text);
}

/// The machine's name, padded with NULs.
#[must_use]
pub fn host_name() -> [u8; NAME_SIZE] {
    *HOST.lock()
}

/// The domain's name, padded with NULs.
#[must_use]
pub fn domain_name() -> [u8; NAME_SIZE] {
    *DOMAIN.lock()
}

/// Sets the domain's name; what is beyond 64 bytes is cut off.
pub fn set_domain_name(text: &[u8]) {
    *DOMAIN.lock() = name(text);
}

/// `uname(2)`.
pub fn uname(call: &mut Call<'_>, to: Ptr<UtsName>) -> Result<(), Errno> {
    let value = UtsName {
        system: name(b"Linux"),
        node: *HOST.lock(),
        release: name(RELEASE.as_bytes()),
        version: name(VERSION.as_bytes()),
        machine: name(MACHINE_NAME.as_bytes()),
        domain: *DOMAIN.lock(),
    };
    call.space.write_value(to, &value)
}

fn read_name(call: &Call<'_>, from: u64, len: i32) -> Result<Name, Errno> {
    if !call.thread.has(Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len < NAME_SIZE)
        .ok_or(Errno::EINVAL)?;
    let mut name = [0; NAME_SIZE];
    call.space.read(from, &mut name[..len])?;
    Ok(name)
}

/// `sethostname(2)`.
pub fn sethostname(call: &mut Call<'_>, from: u64, len: i32) -> Result<(), Errno> {
    *HOST.lock() = read_name(call, from, len)?;
    Ok(())
}

/// `setdomainname(2)`.
pub fn setdomainname(call: &mut Call<'_>, from: u64, len: i32) -> Result<(), Errno> {
    *DOMAIN.lock() = read_name(call, from, len)?;
    Ok(())
}

/// `sysinfo(2)`.
pub fn sysinfo(call: &mut Call<'_>, to: Ptr<SysInfo>) -> Result<(), Errno> {
    const FRAME: u32 = 4096;
    let stats = memory::stats();
    let bytes = |frames: usize| frames as u64 * u64::from(FRAME);
    let tasks = table::lock().thread_count();
    let value = SysInfo {
        uptime: (time::monotonic_ns() / 1_000_000_000).cast_signed(),
        total: bytes(stats.total),
        free: bytes(stats.free),
        processes: u16::try_from(tasks).unwrap_or(u16::MAX),
        unit: 1,
        ..SysInfo::default()
    };
    call.space.write_value(to, &value)
}

/// `getcpu(2)`.
pub fn getcpu(
    call: &mut Call<'_>,
    cpu: Ptr<u32>,
    node: Ptr<u32>,
    _cache: u64,
) -> Result<(), Errno> {
    if !cpu.is_null() {
        let number = cpu::current().index() as u32;
        call.space.write_value(cpu, &number)?;
    }
    if !node.is_null() {
        call.space.write_value(node, &0)?;
    }
    Ok(())
}

/// `arch_prctl(2)`: the base registers of x86.
pub fn arch_prctl(call: &mut Call<'_>, operation: i32, address: u64) -> Result<(), Errno> {
    const SET_GS: i32 = 0x1001;
    const SET_FS: i32 = 0x1002;
    const GET_FS: i32 = 0x1003;
    const GET_GS: i32 = 0x1004;
    let to = Ptr::<u64>::from_argument(address);
    let is_set = match operation {
        SET_FS => call.user.set_thread_pointer(address),
        SET_GS => call.user.set_second_pointer(address),
        GET_FS => return call.space.write_value(to, &call.user.thread_pointer()),
        GET_GS => return call.space.write_value(to, &call.user.second_pointer()),
        _ => return Err(Errno::EINVAL),
    };
    if is_set { Ok(()) } else { Err(Errno::EPERM) }
}

/// `personality(2)`: Linux's own, with or without random addresses. The others,
/// and the flags that make a program believe to be elsewhere, there are not.
pub fn personality(call: &mut Call<'_>, persona: u32) -> SysResult {
    const ASK: u32 = u32::MAX;
    let current = &call.process().control.personality;
    // ORDERING: Relaxed; the word stands alone.
    let before = match persona {
        ASK => current.load(Ordering::Relaxed),
        _ if persona & !ADDR_NO_RANDOMIZE != 0 => return Err(Errno::EINVAL),
        _ => current.swap(persona, Ordering::Relaxed),
    };
    Ok(before as usize)
}

/// `reboot(2)`.
pub fn reboot(
    call: &mut Call<'_>,
    magic: u32,
    magic2: u32,
    command: u32,
    _argument: u64,
) -> Result<(), Errno> {
    const MAGIC: u32 = 0xfee1_dead;
    const MAGIC2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
    const RESTART: u32 = 0x0123_4567;
    const RESTART2: u32 = 0xa1b2_c3d4;
    const HALT: u32 = 0xcdef_0123;
    const POWER_OFF: u32 = 0x4321_fedc;
    const CAD_ON: u32 = 0x89ab_cdef;
    const CAD_OFF: u32 = 0;
    if !call.thread.has(Capability::SysBoot) {
        return Err(Errno::EPERM);
    }
    if magic != MAGIC || !MAGIC2.contains(&magic2) {
        return Err(Errno::EINVAL);
    }
    match command {
        // There is no such key here: on and off are the same.
        CAD_ON | CAD_OFF => Ok(()),
        HALT | POWER_OFF => {
            log::info!("power off");
            if audit::puts_off(Ordered::Off) {
                return Ok(());
            }
            crate::device::flush();
            power::power_off(0)
        }
        RESTART | RESTART2 => {
            log::info!("restart");
            if audit::puts_off(Ordered::Restart) {
                return Ok(());
            }
            crate::device::flush();
            power::reboot()
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `syslog(2)`: the kernel's log, as far as it is kept.
pub fn syslog(call: &mut Call<'_>, action: i32, buffer: u64, len: i32) -> SysResult {
    const CLOSE: i32 = 0;
    const OPEN: i32 = 1;
    const READ_ALL: i32 = 3;
    const SIZE_UNREAD: i32 = 9;
    const SIZE_BUFFER: i32 = 10;
    let is_open_to_all = matches!(action, READ_ALL | SIZE_BUFFER);
    if !is_open_to_all && !call.thread.has(Capability::Syslog) {
        return Err(Errno::EPERM);
    }
    match action {
        CLOSE | OPEN => Ok(0),
        READ_ALL => {
            let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
            if buffer == 0 {
                return Err(Errno::EINVAL);
            }
            let kept = log_sink::kept()?;
            // The last that fits, from the start of a line.
            let from = kept.len().saturating_sub(len);
            let start = if from == 0 {
                0
            } else {
                kept[from - 1..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(kept.len(), |newline| from + newline)
            };
            let text = kept.get(start..).unwrap_or(&[]);
            call.space.write(buffer, text)?;
            Ok(text.len())
        }
        SIZE_UNREAD | SIZE_BUFFER => Ok(log_sink::kept()?.len()),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_cut_and_end_with_nul() {
        assert_eq!(&name(b"ab")[..3], b"ab\0");
        let long = name(&[b'x'; 100]);
        assert_eq!(long[63], b'x');
        assert_eq!(long[64], 0);
    }
}
