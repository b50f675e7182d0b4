//! Waiting for files: poll(2), select(2) and their `p` forms.
//!
//! The first look registers nowhere; only when nothing is ready and the caller
//! wants to wait are wakers put on the files' queues.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::poll::PollFd;
use ochre_abi::signal::SignalSet;
use zerocopy::IntoBytes;

use super::{Call, Fd, FromArgument, Outcome, Ptr, deadline, temporary_mask};
use crate::memory::AddressSpace;
use crate::memory::MakeRoom;
use crate::process::Thread;
use crate::signal::with_temporary_mask;
use crate::vfs::{Events, OpenFile};
use crate::wait::{self, Interrupted, PollTable};

/// Descriptors that `select` can name.
const FD_SETSIZE_LIMIT: i32 = 65536;

/// Events that poll(2) takes from a program.
const ASKABLE: Events = Events::from_bits_truncate(0xffff);

/// One descriptor to watch.
struct Watched {
    file: Option<Arc<OpenFile>>,
    wanted: Events,
    found: Events,
}

impl Watched {
    fn new(call: &Call<'_>, fd: i32, wanted: Events) -> Watched {
        let file = call.file(Fd(fd)).ok();
        Watched {
            file,
            wanted: wanted | Events::ERR | Events::HUP,
            found: Events::empty(),
        }
    }
}

/// Looks at every file; returns how many have something.
fn look(watched: &mut [Watched], mut table: Option<&mut PollTable>) -> usize {
    let mut ready = 0;
    for one in watched {
        let Some(file) = &one.file else {
            continue;
        };
        let events = file.file().poll(table.as_deref_mut());
        one.found = events & one.wanted;
        if !one.found.is_empty() {
            ready += 1;
            // Whoever has something to report does not wait for the rest.
            table = None;
        }
    }
    ready
}

/// Waits until one of the files has something, the deadline, or a signal.
async fn wait_for(
    thread: Arc<Thread>,
    watched: &mut [Watched],
    deadline_ns: Option<u64>,
) -> Result<usize, Interrupted> {
    let result = wait::until(thread, deadline_ns, |table| {
        Some(look(watched, table)).filter(|ready| *ready > 0)
    })
    .await;
    match result {
        Err(Interrupted::Timeout) => Ok(0),
        other => other,
    }
}

/// `poll(2)`.
pub fn poll(
    call: &mut Call<'_>,
    fds: Ptr<PollFd>,
    count: u32,
    timeout_ms: i32,
) -> Result<Outcome, Errno> {
    let deadline_ns = deadline::after_ms(timeout_ms);
    poll_until(call, fds, count, deadline_ns, None, None)
}

/// `ppoll(2)`.
pub fn ppoll(
    call: &mut Call<'_>,
    fds: Ptr<PollFd>,
    count: u32,
    timeout: u64,
    mask: u64,
    mask_size: usize,
) -> Result<Outcome, Errno> {
    let deadline_ns = deadline::after_timespec(call.space, timeout)?;
    let mask = temporary_mask(call, mask, mask_size)?;
    let left = Some(TimeLeft::Timespec(timeout));
    poll_until(call, fds, count, deadline_ns, left, mask)
}

fn poll_until(
    call: &mut Call<'_>,
    fds: Ptr<PollFd>,
    count: u32,
    deadline_ns: Option<u64>,
    left: Option<TimeLeft>,
    mask: Option<SignalSet>,
) -> Result<Outcome, Errno> {
    let count = count as usize;
    if count as u64 > call.open_files_limit() as u64 {
        return Err(Errno::EINVAL);
    }
    let mut given: Vec<PollFd> = Vec::new();
    given.make_room_exact(count)?;
    given.resize(
        count,
        PollFd {
            fd: -1,
            events: 0,
            revents: 0,
        },
    );
    call.space.read(fds.address(), given.as_mut_bytes())?;
    let mut watched = Vec::new();
    watched.make_room_exact(count)?;
    let mut closed = 0;
    for one in &mut given {
        one.revents = 0;
        let wanted = Events::from_bits_truncate(u32::from(one.events.cast_unsigned())) & ASKABLE;
        let watch = Watched::new(call, one.fd, wanted);
        if watch.file.is_none() && one.fd >= 0 {
            one.revents = Events::NVAL.bits() as i16;
            closed += 1;
        }
        watched.push(watch);
    }
    let ready = look(&mut watched, None) + closed;
    if ready > 0 || deadline_ns == Some(0) {
        return Ok(Outcome::Done(answer(call.space, fds, &mut given, &watched)));
    }
    let thread = Arc::clone(call.thread);
    let space = Arc::clone(call.space);
    let waiting = Arc::clone(&thread);
    let wait = async move {
        let result = wait_for(waiting, &mut watched, deadline_ns).await;
        if let Some(left) = left {
            left.write(&space, deadline_ns);
        }
        match result {
            Ok(_) => answer(&space, fds, &mut given, &watched),
            Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
            // Restarted only where no handler ran (signal(7)).
            Err(_) => Err(Errno::ERESTARTNOHAND),
        }
    };
    Ok(Outcome::wait(with_temporary_mask(thread, mask, wait)))
}

fn answer(
    space: &AddressSpace,
    fds: Ptr<PollFd>,
    given: &mut [PollFd],
    watched: &[Watched],
) -> Result<usize, Errno> {
    let mut ready = 0;
    for (one, watch) in given.iter_mut().zip(watched) {
        one.revents |= watch.found.bits() as i16;
        if one.revents != 0 {
            ready += 1;
        }
    }
    space.write(fds.address(), given.as_bytes())?;
    Ok(ready)
}

/// Where Linux writes the time that was left.
#[derive(Clone, Copy)]
enum TimeLeft {
    Timespec(u64),
    Timeval(u64),
}

impl TimeLeft {
    /// Best effort, as on Linux: a bad address is not an error here.
    fn write(self, space: &AddressSpace, deadline_ns: Option<u64>) {
        let Some(deadline_ns) = deadline_ns else {
            return;
        };
        let left = deadline_ns.saturating_sub(ochre_hal::clock::now_ns());
        let (seconds, nanoseconds) = (left / 1_000_000_000, left % 1_000_000_000);
        let (address, fraction) = match self {
            TimeLeft::Timespec(address) => (address, nanoseconds),
            TimeLeft::Timeval(address) => (address, nanoseconds / 1000),
        };
        if address != 0 {
            let value = [seconds.cast_signed(), fraction.cast_signed()];
            let _ = space.write_value(Ptr::from_argument(address), &value);
        }
    }
}

/// The three sets of select(2), read from and written to the program.
struct Sets {
    /// Addresses of the read, write and exception sets.
    addresses: [u64; 3],
    words: [Vec<u64>; 3],
}

/// What each set asks for (select(2), "Correspondence between select() and poll()").
const MEANING: [Events; 3] = [
    Events::READABLE
        .union(Events::RDBAND)
        .union(Events::HUP)
        .union(Events::ERR),
    Events::WRITABLE.union(Events::WRBAND).union(Events::ERR),
    Events::PRI,
];

impl Sets {
    fn read(space: &AddressSpace, count: usize, addresses: [u64; 3]) -> Result<Sets, Errno> {
        let mut words = [Vec::new(), Vec::new(), Vec::new()];
        for (address, words) in addresses.iter().zip(&mut words) {
            words.make_room_exact(count.div_ceil(64))?;
            words.resize(count.div_ceil(64), 0);
            if *address != 0 {
                space.read(*address, words.as_mut_slice().as_mut_bytes())?;
            }
        }
        Ok(Sets { addresses, words })
    }

    fn has(&self, set: usize, fd: usize) -> bool {
        self.words[set][fd / 64] >> (fd % 64) & 1 != 0
    }

    /// Replaces the sets by what was found; returns the sum of bits set.
    fn write(&mut self, space: &AddressSpace, found: &[(usize, Events)]) -> Result<usize, Errno> {
        let mut bits = 0;
        for (set, meaning) in MEANING.iter().enumerate() {
            let mut result: Vec<u64> = Vec::new();
            let len = self.words[set].len();
            result.make_room_exact(len)?;
            result.resize(len, 0);
            for (fd, events) in found {
                if self.has(set, *fd) && events.intersects(*meaning) {
                    result[fd / 64] |= 1 << (fd % 64);
                    bits += 1;
                }
            }
            if self.addresses[set] != 0 {
                space.write(self.addresses[set], result.as_slice().as_bytes())?;
            }
        }
        Ok(bits)
    }
}

/// `select(2)`.
pub fn select(
    call: &mut Call<'_>,
    count: i32,
    read: u64,
    write: u64,
    except: u64,
    timeout: u64,
) -> Result<Outcome, Errno> {
    let deadline_ns = deadline::after_timeval(call.space, timeout)?;
    select_until(
        call,
        count,
        [read, write, except],
        deadline_ns,
        TimeLeft::Timeval(timeout),
        None,
    )
}

/// `pselect6(2)`: the sixth argument points to the mask's address and size.
pub fn pselect6(
    call: &mut Call<'_>,
    count: i32,
    read: u64,
    write: u64,
    except: u64,
    timeout: u64,
    mask: u64,
) -> Result<Outcome, Errno> {
    let deadline_ns = deadline::after_timespec(call.space, timeout)?;
    let mask = if mask == 0 {
        None
    } else {
        let [address, size] = call
            .space
            .read_value(Ptr::<[u64; 2]>::from_argument(mask))?;
        let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
        temporary_mask(call, address, size)?
    };
    select_until(
        call,
        count,
        [read, write, except],
        deadline_ns,
        TimeLeft::Timespec(timeout),
        mask,
    )
}

fn select_until(
    call: &mut Call<'_>,
    count: i32,
    addresses: [u64; 3],
    deadline_ns: Option<u64>,
    left: TimeLeft,
    mask: Option<SignalSet>,
) -> Result<Outcome, Errno> {
    if count < 0 {
        return Err(Errno::EINVAL);
    }
    // Linux looks at no more descriptors than the table has room for.
    let count = count.min(FD_SETSIZE_LIMIT).unsigned_abs() as usize;
    let mut sets = Sets::read(call.space, count, addresses)?;
    let mut numbers = Vec::new();
    let mut watched = Vec::new();
    for fd in 0..count {
        let mut wanted = Events::empty();
        for (set, meaning) in MEANING.iter().enumerate() {
            if sets.has(set, fd) {
                wanted |= *meaning;
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let number = i32::try_from(fd).map_err(|_| Errno::EINVAL)?;
        let watch = Watched {
            file: Some(call.file(Fd(number))?),
            wanted,
            found: Events::empty(),
        };
        numbers.make_room(1)?;
        watched.make_room(1)?;
        numbers.push(fd);
        watched.push(watch);
    }
    let found = |numbers: &[usize], watched: &[Watched]| {
        numbers
            .iter()
            .copied()
            .zip(watched.iter().map(|one| one.found))
            .filter(|(_, events)| !events.is_empty())
            .collect::<Vec<_>>()
    };
    if look(&mut watched, None) > 0 || deadline_ns == Some(0) {
        left.write(call.space, deadline_ns);
        return Ok(Outcome::Done(
            sets.write(call.space, &found(&numbers, &watched)),
        ));
    }
    let thread = Arc::clone(call.thread);
    let space = Arc::clone(call.space);
    let waiting = Arc::clone(&thread);
    let wait = async move {
        let result = wait_for(waiting, &mut watched, deadline_ns).await;
        left.write(&space, deadline_ns);
        match result {
            Ok(_) => sets.write(&space, &found(&numbers, &watched)),
            Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
            Err(_) => Err(Errno::ERESTARTNOHAND),
        }
    };
    Ok(Outcome::wait(with_temporary_mask(thread, mask, wait)))
}
