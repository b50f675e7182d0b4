//! Calls about users, groups and capabilities.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::credentials::{
    CAPABILITY_VERSION_1, CAPABILITY_VERSION_2, CAPABILITY_VERSION_3, CapabilityData,
    CapabilityHeader, NGROUPS_MAX,
};

use super::{Call, Ptr, SysResult};
use crate::memory::MakeRoom;
use crate::process::{Capability, Credentials, Ids, Pid, table};

/// -1 leaves a number as it is.
fn number(raw: u32) -> Option<u32> {
    Some(raw).filter(|raw| *raw != u32::MAX)
}

/// A number that has to be one.
fn valid(raw: u32) -> Result<u32, Errno> {
    number(raw).ok_or(Errno::EINVAL)
}

fn become_these(call: &Call<'_>, new: Credentials) {
    call.thread.set_credentials(new);
}

/// `getuid(2)`.
pub fn getuid(call: &mut Call<'_>) -> SysResult {
    Ok(call.thread.with_credentials(|own| own.uid.real as usize))
}

/// `geteuid(2)`.
pub fn geteuid(call: &mut Call<'_>) -> SysResult {
    Ok(call
        .thread
        .with_credentials(|own| own.uid.effective as usize))
}

/// `getgid(2)`.
pub fn getgid(call: &mut Call<'_>) -> SysResult {
    Ok(call.thread.with_credentials(|own| own.gid.real as usize))
}

/// `getegid(2)`.
pub fn getegid(call: &mut Call<'_>) -> SysResult {
    Ok(call
        .thread
        .with_credentials(|own| own.gid.effective as usize))
}

/// `setuid(2)`.
pub fn setuid(call: &mut Call<'_>, uid: u32) -> Result<(), Errno> {
    let new = call.thread.credentials().set_uid(valid(uid)?)?;
    become_these(call, new);
    Ok(())
}

/// `setgid(2)`.
pub fn setgid(call: &mut Call<'_>, gid: u32) -> Result<(), Errno> {
    let new = call.thread.credentials().set_gid(valid(gid)?)?;
    become_these(call, new);
    Ok(())
}

/// `setreuid(2)`.
pub fn setreuid(call: &mut Call<'_>, real: u32, effective: u32) -> Result<(), Errno> {
    let old = call.thread.credentials();
    become_these(call, old.set_reuid(number(real), number(effective))?);
    Ok(())
}

/// `setregid(2)`.
pub fn setregid(call: &mut Call<'_>, real: u32, effective: u32) -> Result<(), Errno> {
    let old = call.thread.credentials();
    become_these(call, old.set_regid(number(real), number(effective))?);
    Ok(())
}

/// `setresuid(2)`.
pub fn setresuid(call: &mut Call<'_>, real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    let old = call.thread.credentials();
    become_these(call, old.set_resuid([real, effective, saved].map(number))?);
    Ok(())
}

/// `setresgid(2)`.
pub fn setresgid(call: &mut Call<'_>, real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    let old = call.thread.credentials();
    become_these(call, old.set_resgid([real, effective, saved].map(number))?);
    Ok(())
}

fn write_three(call: &Call<'_>, ids: Ids, to: [Ptr<u32>; 3]) -> Result<(), Errno> {
    for (to, id) in to.into_iter().zip([ids.real, ids.effective, ids.saved]) {
        call.space.write_value(to, &id)?;
    }
    Ok(())
}

/// `getresuid(2)`.
pub fn getresuid(
    call: &mut Call<'_>,
    real: Ptr<u32>,
    effective: Ptr<u32>,
    saved: Ptr<u32>,
) -> Result<(), Errno> {
    let ids = call.thread.credentials().uid;
    write_three(call, ids, [real, effective, saved])
}

/// `getresgid(2)`.
pub fn getresgid(
    call: &mut Call<'_>,
    real: Ptr<u32>,
    effective: Ptr<u32>,
    saved: Ptr<u32>,
) -> Result<(), Errno> {
    let ids = call.thread.credentials().gid;
    write_three(call, ids, [real, effective, saved])
}

/// `setfsuid(2)`: the old number, whether it worked or not.
pub fn setfsuid(call: &mut Call<'_>, uid: u32) -> SysResult {
    let old = call.thread.credentials();
    if let Some(new) = number(uid).and_then(|uid| old.set_fsuid(uid)) {
        become_these(call, new);
    }
    Ok(old.uid.fs as usize)
}

/// `setfsgid(2)`: the old number, whether it worked or not.
pub fn setfsgid(call: &mut Call<'_>, gid: u32) -> SysResult {
    let old = call.thread.credentials();
    if let Some(new) = number(gid).and_then(|gid| old.set_fsgid(gid)) {
        become_these(call, new);
    }
    Ok(old.gid.fs as usize)
}

/// `getgroups(2)`.
pub fn getgroups(call: &mut Call<'_>, size: i32, to: Ptr<u32>) -> SysResult {
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    let credentials = call.thread.credentials();
    let groups = credentials.groups();
    if size != 0 {
        if groups.len() > size {
            return Err(Errno::EINVAL);
        }
        for (index, group) in groups.iter().enumerate() {
            call.space.write_value(to.offset(4 * index as u64), group)?;
        }
    }
    Ok(groups.len())
}

/// `setgroups(2)`.
pub fn setgroups(call: &mut Call<'_>, size: i32, from: Ptr<u32>) -> Result<(), Errno> {
    let old = call.thread.credentials();
    if !old.has(Capability::SetGid) {
        return Err(Errno::EPERM);
    }
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= NGROUPS_MAX)
        .ok_or(Errno::EINVAL)?;
    let mut groups = Vec::new();
    groups.make_room_exact(size)?;
    for index in 0..size as u64 {
        groups.push(valid(call.space.read_value(from.offset(4 * index))?)?);
    }
    groups.sort_unstable();
    become_these(
        call,
        Credentials {
            groups: (!groups.is_empty()).then(|| Arc::new(groups)),
            ..(*old).clone()
        },
    );
    Ok(())
}

/// How many structures of 32 bits follow a header of this version.
fn data_count(version: u32) -> Option<usize> {
    match version {
        CAPABILITY_VERSION_1 => Some(1),
        CAPABILITY_VERSION_2 | CAPABILITY_VERSION_3 => Some(2),
        _ => None,
    }
}

/// Reads the header; a version that is not known is answered with the one to use.
fn read_header(
    call: &Call<'_>,
    header: Ptr<CapabilityHeader>,
) -> Result<(CapabilityHeader, Option<usize>), Errno> {
    let given = call.space.read_value(header)?;
    let count = data_count(given.version);
    if count.is_none() {
        let answer = CapabilityHeader {
            version: CAPABILITY_VERSION_3,
            ..given
        };
        call.space.write_value(header, &answer)?;
    }
    Ok((given, count))
}

/// `capget(2)`.
pub fn capget(
    call: &mut Call<'_>,
    header: Ptr<CapabilityHeader>,
    data: Ptr<CapabilityData>,
) -> Result<(), Errno> {
    let (given, count) = read_header(call, header)?;
    let count = match (count, data.is_null()) {
        (_, true) => return Ok(()),
        (None, false) => return Err(Errno::EINVAL),
        (Some(count), false) => count,
    };
    let pid = u32::try_from(given.pid).map_err(|_| Errno::EINVAL)?;
    let sets = if pid == 0 {
        call.thread.credentials().capabilities
    } else {
        let table = table::lock();
        let thread = table.thread(Pid(pid)).ok_or(Errno::ESRCH)?;
        thread.process.credentials().capabilities
    };
    for index in 0..count {
        let half = |set: u64| (set >> (32 * index)) as u32;
        let value = CapabilityData {
            effective: half(sets.effective),
            permitted: half(sets.permitted),
            inheritable: half(sets.inheritable),
        };
        call.space
            .write_value(data.offset(12 * index as u64), &value)?;
    }
    Ok(())
}

/// `capset(2)`.
pub fn capset(
    call: &mut Call<'_>,
    header: Ptr<CapabilityHeader>,
    data: Ptr<CapabilityData>,
) -> Result<(), Errno> {
    let (given, count) = read_header(call, header)?;
    let count = count.ok_or(Errno::EINVAL)?;
    let own = [0, call.thread.tid().0, call.process().pid.0];
    if !own.contains(&given.pid.cast_unsigned()) {
        return Err(Errno::EPERM);
    }
    let (mut effective, mut permitted, mut inheritable) = (0, 0, 0);
    for index in 0..count {
        let value: CapabilityData = call.space.read_value(data.offset(12 * index as u64))?;
        let half = |set: u32| u64::from(set) << (32 * index);
        effective |= half(value.effective);
        permitted |= half(value.permitted);
        inheritable |= half(value.inheritable);
    }
    let all = crate::process::ALL_CAPABILITIES;
    let old = call.thread.credentials();
    let new = old.set_capabilities(effective & all, permitted & all, inheritable & all)?;
    become_these(call, new);
    Ok(())
}
