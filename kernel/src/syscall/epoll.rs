//! epoll_create(2), epoll_ctl(2), epoll_wait(2), eventfd(2), pipe(2).

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::poll::{EPOLL_EVENT_SIZE, EpollEvent};
use ochre_abi::signal::SignalSet;

use super::{Call, Fd, Outcome, Ptr, SysResult, deadline, temporary_mask};
use crate::ipc::epoll::{EPOLLEXCLUSIVE, EPOLLONESHOT, Epoll, Report};
use crate::memory::{self, AddressSpace};
use crate::signal::with_temporary_mask;
use crate::vfs::{OpenFile, StatusFlags};
use crate::wait::{self, Interrupted};

const EPOLL_CLOEXEC: i32 = 0o2000000;
const CTL_ADD: i32 = 1;
const CTL_DEL: i32 = 2;
const CTL_MOD: i32 = 3;

/// Events that one call takes at most (`EP_MAX_EVENTS`).
const MAX_EVENTS: usize = i32::MAX as usize / 12;

/// Reports collected in one go.
const BATCH: usize = 1024;

/// `epoll_create(2)`; the size is only checked.
pub fn epoll_create(call: &mut Call<'_>, size: i32) -> SysResult {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(call, 0)
}

/// `epoll_create1(2)`.
pub fn epoll_create1(call: &mut Call<'_>, flags: i32) -> SysResult {
    if flags & !EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    memory::check_headroom()?;
    let file = OpenFile::new(Arc::new(Epoll::new()), true, true, StatusFlags::empty());
    call.install(file, flags & EPOLL_CLOEXEC != 0)
}

/// The instance behind a description.
fn epoll_of(file: &OpenFile) -> Result<&Epoll, Errno> {
    file.file()
        .as_any()
        .downcast_ref::<Epoll>()
        .ok_or(Errno::EINVAL)
}

/// `epoll_ctl(2)`.
pub fn epoll_ctl(
    call: &mut Call<'_>,
    instance: Fd,
    operation: i32,
    fd: Fd,
    event: Ptr<[u8; EPOLL_EVENT_SIZE]>,
) -> SysResult {
    let event = if operation == CTL_DEL {
        None
    } else {
        Some(EpollEvent::from_bytes(&call.space.read_value(event)?))
    };
    let instance = call.file(instance)?;
    let file = call.file(fd)?;
    // Files with positions never wait; Linux does not watch them.
    if file.is_seekable() {
        return Err(Errno::EPERM);
    }
    let epoll = epoll_of(&instance)?;
    if Arc::ptr_eq(&instance, &file) {
        return Err(Errno::EINVAL);
    }
    match (operation, event) {
        (CTL_ADD, Some(event)) => {
            let exclusive = event.events & EPOLLEXCLUSIVE != 0;
            if exclusive && (event.events & EPOLLONESHOT != 0 || epoll_of(&file).is_ok()) {
                return Err(Errno::EINVAL);
            }
            epoll.add(fd.0, &file, event.events, event.data)
        }
        (CTL_MOD, Some(event)) => {
            if event.events & EPOLLEXCLUSIVE != 0 {
                return Err(Errno::EINVAL);
            }
            epoll.modify(fd.0, &file, event.events, event.data)
        }
        (CTL_DEL, None) => epoll.remove(fd.0, &file),
        _ => Err(Errno::EINVAL),
    }
    .map(|()| 0)
}

/// `epoll_wait(2)`.
pub fn epoll_wait(
    call: &mut Call<'_>,
    instance: Fd,
    events: u64,
    limit: i32,
    timeout_ms: i32,
) -> Result<Outcome, Errno> {
    wait_for(
        call,
        instance,
        events,
        limit,
        deadline::after_ms(timeout_ms),
        None,
    )
}

/// `epoll_pwait(2)`.
pub fn epoll_pwait(
    call: &mut Call<'_>,
    instance: Fd,
    events: u64,
    limit: i32,
    timeout_ms: i32,
    mask: u64,
    mask_size: usize,
) -> Result<Outcome, Errno> {
    let mask = temporary_mask(call, mask, mask_size)?;
    wait_for(
        call,
        instance,
        events,
        limit,
        deadline::after_ms(timeout_ms),
        mask,
    )
}

/// `epoll_pwait2(2)`.
pub fn epoll_pwait2(
    call: &mut Call<'_>,
    instance: Fd,
    events: u64,
    limit: i32,
    timeout: u64,
    mask: u64,
    mask_size: usize,
) -> Result<Outcome, Errno> {
    let deadline_ns = deadline::after_timespec(call.space, timeout)?;
    let mask = temporary_mask(call, mask, mask_size)?;
    wait_for(call, instance, events, limit, deadline_ns, mask)
}

fn wait_for(
    call: &mut Call<'_>,
    instance: Fd,
    events: u64,
    limit: i32,
    deadline_ns: Option<u64>,
    mask: Option<SignalSet>,
) -> Result<Outcome, Errno> {
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=MAX_EVENTS).contains(limit))
        .ok_or(Errno::EINVAL)?
        .min(BATCH);
    let instance = call.file(instance)?;
    let reports = epoll_of(&instance)?.collect(limit, None);
    if !reports.is_empty() || deadline_ns == Some(0) {
        return Ok(Outcome::Done(tell(call.space, events, &reports)));
    }
    let thread = Arc::clone(call.thread);
    let space = Arc::clone(call.space);
    let waiting = Arc::clone(&thread);
    let wait = async move {
        let epoll = epoll_of(&instance)?;
        let found = wait::until(waiting, deadline_ns, |table| {
            Some(epoll.collect(limit, table)).filter(|reports| !reports.is_empty())
        })
        .await;
        match found {
            Ok(reports) => tell(&space, events, &reports),
            Err(Interrupted::Timeout) => Ok(0),
            Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
            // Never restarted after a handler (signal(7)).
            Err(Interrupted::Signal) => Err(Errno::EINTR),
        }
    };
    Ok(Outcome::wait(with_temporary_mask(thread, mask, wait)))
}

fn tell(space: &AddressSpace, events: u64, reports: &[Report]) -> SysResult {
    for (index, report) in reports.iter().enumerate() {
        let event = EpollEvent {
            events: report.events,
            data: report.data,
        };
        let at = events.wrapping_add((index * EPOLL_EVENT_SIZE) as u64);
        match space.write(at, &event.to_bytes()) {
            Ok(()) => {}
            Err(_) if index > 0 => return Ok(index),
            Err(errno) => return Err(errno),
        }
    }
    Ok(reports.len())
}
