//! `prctl(2)`: operations on the calling process or thread.

use ochre_abi::Errno;
use ochre_abi::credentials::pr;
use ochre_abi::signal::Signal;
use ochre_hal::memory::ADDRESS_TAG;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use super::{Call, FromArgument, Ptr, SysResult, seccomp};
use crate::device::random;
use crate::process::{Capability, Control, Credentials, LAST_CAPABILITY};

/// `prctl(2)`.
pub fn prctl(
    call: &mut Call<'_>,
    operation: i32,
    second: u64,
    third: u64,
    fourth: u64,
    fifth: u64,
) -> SysResult {
    let control = &call.process().control;
    let rest_is_zero = third == 0 && fourth == 0 && fifth == 0;
    match operation {
        pr::SET_PDEATHSIG => {
            let signal = u32::try_from(second)
                .ok()
                .filter(|signal| *signal <= Signal::MAX)
                .ok_or(Errno::EINVAL)?;
            control.parent_death_signal.store(signal, Ordering::Relaxed);
            Ok(0)
        }
        pr::GET_PDEATHSIG => {
            let signal = control.parent_death_signal.load(Ordering::Relaxed);
            write(call, second, &signal)
        }
        pr::GET_DUMPABLE => Ok(control.dumpable.load(Ordering::Relaxed) as usize),
        pr::SET_DUMPABLE => {
            control
                .dumpable
                .store(u32::from(switch(second)?), Ordering::Relaxed);
            Ok(0)
        }
        pr::SET_NAME => set_name(call, second),
        pr::GET_NAME => {
            let name = *call.thread.name.lock();
            write(call, second, &name)
        }
        pr::GET_SECCOMP => Ok(call.thread.seccomp.mode().0 as usize),
        pr::SET_SECCOMP => seccomp::set(call, second, third),
        pr::GET_SECUREBITS => Ok(0),
        pr::SET_TIMERSLACK => {
            let slack = if second.cast_signed() <= 0 {
                Control::default_slack_ns()
            } else {
                second
            };
            control.timer_slack_ns.store(slack, Ordering::Relaxed);
            Ok(0)
        }
        pr::GET_TIMERSLACK => Ok(control.timer_slack_ns.load(Ordering::Relaxed) as usize),
        pr::SET_CHILD_SUBREAPER => set(&control.is_subreaper, second != 0),
        pr::GET_CHILD_SUBREAPER => {
            let value = u32::from(control.is_subreaper.load(Ordering::Relaxed));
            write(call, second, &value)
        }
        pr::SET_PTRACER => control.attachers.set(second).map(|()| 0),
        pr::SET_NO_NEW_PRIVS if second == 1 && rest_is_zero => {
            call.thread.set_no_new_privileges();
            Ok(0)
        }
        pr::GET_NO_NEW_PRIVS if second == 0 && rest_is_zero => {
            Ok(usize::from(call.thread.has_no_new_privileges()))
        }
        pr::SET_THP_DISABLE if rest_is_zero => {
            call.space.refuse_huge_pages(second != 0);
            Ok(0)
        }
        pr::GET_THP_DISABLE if second == 0 && rest_is_zero => {
            Ok(usize::from(call.space.refuses_huge_pages()))
        }
        pr::GET_KEEPCAPS => Ok(usize::from(call.thread.credentials().keeps_capabilities)),
        pr::SET_KEEPCAPS => {
            let keeps = switch(second)?;
            change(call, |new| {
                new.keeps_capabilities = keeps;
                Ok(0)
            })
        }
        pr::CAPBSET_READ => {
            let bit = capability(second)?;
            let bounding = call.thread.credentials().capabilities.bounding;
            Ok(usize::from(bounding & bit != 0))
        }
        pr::CAPBSET_DROP => {
            if !call.thread.has(Capability::SetPcap) {
                return Err(Errno::EPERM);
            }
            let bit = capability(second)?;
            change(call, |new| {
                new.capabilities.bounding &= !bit;
                Ok(0)
            })
        }
        pr::PAC_RESET_KEYS if rest_is_zero => {
            let is_there = call.user.renew_keys(second, &mut random::word);
            if is_there { Ok(0) } else { Err(Errno::EINVAL) }
        }
        pr::PAC_SET_ENABLED_KEYS if fourth == 0 && fifth == 0 => {
            let is_there = call.user.enable_keys(second, third);
            if is_there { Ok(0) } else { Err(Errno::EINVAL) }
        }
        pr::PAC_GET_ENABLED_KEYS if second == 0 && rest_is_zero => {
            let keys = call.user.enabled_keys().ok_or(Errno::EINVAL)?;
            // CAST: four bits.
            Ok(keys as usize)
        }
        pr::SET_TAGGED_ADDR_CTRL if rest_is_zero && ADDRESS_TAG != 0 => {
            if second & !pr::TAGGED_ADDR_ENABLE != 0 {
                return Err(Errno::EINVAL);
            }
            call.thread.seccomp.set_tags(second != 0);
            Ok(0)
        }
        pr::GET_TAGGED_ADDR_CTRL if second == 0 && rest_is_zero && ADDRESS_TAG != 0 => {
            Ok(usize::from(call.thread.seccomp.accepts_tags()))
        }
        pr::CAP_AMBIENT if fourth == 0 && fifth == 0 => ambient(call, second, third),
        _ => Err(Errno::EINVAL),
    }
}

fn switch(value: u64) -> Result<bool, Errno> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}

fn set(switch: &AtomicBool, value: bool) -> SysResult {
    switch.store(value, Ordering::Relaxed);
    Ok(0)
}

fn write<T>(call: &Call<'_>, address: u64, value: &T) -> SysResult
where
    T: zerocopy::IntoBytes + zerocopy::Immutable,
{
    call.space
        .write_value(Ptr::from_argument(address), value)
        .map(|()| 0)
}

/// The name is what comes before a NUL, at most 15 bytes.
fn set_name(call: &Call<'_>, address: u64) -> SysResult {
    let mut name = [0; 16];
    for (index, place) in name.iter_mut().take(15).enumerate() {
        let at = Ptr::<u8>::from_argument(address).offset(index as u64);
        match call.space.read_value(at)? {
            0 => break,
            byte => *place = byte,
        }
    }
    *call.thread.name.lock() = name;
    Ok(0)
}

fn capability(number: u64) -> Result<u64, Errno> {
    if number <= u64::from(LAST_CAPABILITY) {
        Ok(1 << number)
    } else {
        Err(Errno::EINVAL)
    }
}

fn change(call: &Call<'_>, f: impl FnOnce(&mut Credentials) -> SysResult) -> SysResult {
    let mut new = (*call.thread.credentials()).clone();
    let result = f(&mut new)?;
    call.thread.set_credentials(new);
    Ok(result)
}

fn ambient(call: &Call<'_>, operation: u64, number: u64) -> SysResult {
    if operation == pr::CAP_AMBIENT_CLEAR_ALL {
        if number != 0 {
            return Err(Errno::EINVAL);
        }
        return change(call, |new| {
            new.capabilities.ambient = 0;
            Ok(0)
        });
    }
    let bit = capability(number)?;
    change(call, |new| {
        let sets = &mut new.capabilities;
        match operation {
            pr::CAP_AMBIENT_IS_SET => Ok(usize::from(sets.ambient & bit != 0)),
            pr::CAP_AMBIENT_RAISE if sets.permitted & sets.inheritable & bit == 0 => {
                Err(Errno::EPERM)
            }
            pr::CAP_AMBIENT_RAISE => {
                sets.ambient |= bit;
                Ok(0)
            }
            pr::CAP_AMBIENT_LOWER => {
                sets.ambient &= !bit;
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        }
    })
}
