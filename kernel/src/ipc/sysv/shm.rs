//! Shared memory segments: shmget(2), shmat(2), shmdt(2), shmctl(2).
//!
//! A [`Segment`] is in the table from shmget on until it is removed and nobody
//! has it attached any more. Areas do not hold it themselves: they hold the one
//! `Attachment` that it has while it is mapped anywhere, whose end is the end
//! of the last area.
//!
//! ```text
//! table ---> Segment <--- Attachment <--- area, area, ...
//!               |  - - - - - ^  (weak)
//!               v
//!         SharedMemory
//! ```
//!
//! # What must hold
//! An attachment is made with the table locked, and a segment is removed for
//! good with the table locked and none alive. So nothing that is attached is
//! gone from the table.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::ipc::{
    IPC_CREAT, IPC_EXCL, IPC_PRIVATE, IpcPerm, SHM_DEST, SHM_HUGETLB, SHM_LOCKED, SHM_NORESERVE,
    ShmIdDs, ShmLimits, ShmUse,
};
use ochre_hal::memory::{PAGE_SIZE, UserFrame};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::ids::{Ids, MOST};
use super::permission::Permission;
use crate::memory::{
    AddressSpace, Backing, Identity, Mappers, Promise, SharedMemory, check_headroom,
};
use crate::process::{Capability, Credentials, Pid};
use crate::sched::account;
use crate::vfs::{self, LazyDevice};

const PAGE: u64 = PAGE_SIZE as u64;

/// What Linux has as the largest of sizes that nobody meant as a limit.
const NO_LIMIT: u64 = u64::MAX - (1 << 24);

/// A limit that can be set.
#[derive(Debug)]
pub struct Limit(AtomicU64);

impl Limit {
    /// What it is.
    #[must_use]
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed; a number by itself.
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it, for what is made from now on.
    pub fn set(&self, value: u64) {
        // ORDERING: as above.
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Bytes that a segment may have.
pub static MOST_BYTES: Limit = Limit(AtomicU64::new(NO_LIMIT));
/// Pages that all may have together.
pub static MOST_PAGES: Limit = Limit(AtomicU64::new(NO_LIMIT));
/// Segments that there may be, no more than a number has places for.
pub static MOST_SEGMENTS: Limit = Limit(AtomicU64::new(4096));

/// The most that [`MOST_SEGMENTS`] can be set to.
pub const PLACES: u64 = MOST as u64;

/// The device number that segments show in `/proc/PID/maps`.
static DEVICE: LazyDevice = LazyDevice::new();

static SEGMENTS: SpinLock<Ids<Segment>> = SpinLock::new(Ids::new());

/// A segment.
pub struct Segment {
    number: i32,
    size: u64,
    creator: Pid,
    memory: SharedMemory,
    state: SpinLock<State>,
}

/// What changes of a segment.
struct State {
    permission: Permission,
    attachment: Weak<Attachment>,
    /// Whether it goes with the last attachment.
    is_removed: bool,
    /// Who locked it.
    locked_by: Option<u32>,
    attached: i64,
    detached: i64,
    changed: i64,
    last: Pid,
}

fn seconds() -> i64 {
    vfs::now().seconds
}

/// The first thread of the process that runs, mostly: which process a thread is
/// of, the table of processes knows, and its lock comes before that of an
/// address space, which is held here. `otherwise` where no thread runs.
fn who_runs(otherwise: Pid) -> Pid {
    account::current_thread().unwrap_or(otherwise)
}

/// The segment of a key, made if the flags say so; its number.
///
/// # Errors
/// As shmget(2): EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC.
pub fn get(key: i32, size: u64, flags: u32, who: &Credentials, pid: Pid) -> Result<i32, Errno> {
    check_headroom()?;
    let mut segments = SEGMENTS.lock();
    if let Some(segment) = segments.by_key(key) {
        if flags & IPC_CREAT != 0 && flags & IPC_EXCL != 0 {
            return Err(Errno::EEXIST);
        }
        if size > segment.size {
            return Err(Errno::EINVAL);
        }
        segment.state.lock().permission.check(who, flags & 0o777)?;
        return Ok(segment.number);
    }
    if key != IPC_PRIVATE && flags & IPC_CREAT == 0 {
        return Err(Errno::ENOENT);
    }
    if size == 0 || size > MOST_BYTES.get() {
        return Err(Errno::EINVAL);
    }
    let pages = size.div_ceil(PAGE);
    let all = pages_of_all(&segments).checked_add(pages);
    if pages > u64::MAX / PAGE || all.is_none_or(|all| all > MOST_PAGES.get()) {
        return Err(Errno::ENOSPC);
    }
    if i64::try_from(size).is_err() {
        // No object is so large.
        return Err(Errno::EINVAL);
    }
    // No huge pages are kept for those who want them.
    if flags & SHM_HUGETLB != 0 {
        return Err(Errno::ENOMEM);
    }
    let promise = Promise::of_shared(pages, flags & SHM_NORESERVE == 0)?;
    let permission = Permission::new(key, flags, who);
    let limit = u32::try_from(MOST_SEGMENTS.get()).unwrap_or(u32::MAX);
    let made = segments.add(key, limit, |number| {
        let segment = Segment::new(number, size, permission, pid, promise);
        Ok(Arc::new(segment))
    })?;
    Ok(made.number)
}

fn pages_of_all(segments: &Ids<Segment>) -> u64 {
    let pages = segments.iter().map(|segment| segment.size.div_ceil(PAGE));
    pages.fold(0, u64::saturating_add)
}

/// Frames that hold segments, attached ones and others, and pages promised of
/// them.
#[must_use]
pub fn held() -> (u64, u64) {
    let segments = SEGMENTS.lock();
    let memories = || segments.iter().map(|segment| &segment.memory);
    let frames = memories().map(SharedMemory::resident);
    let promised = memories().map(SharedMemory::promised_pages);
    (frames.sum(), promised.sum())
}

/// The segment of a number.
///
/// # Errors
/// EINVAL.
pub fn find(number: i32) -> Result<Arc<Segment>, Errno> {
    SEGMENTS.lock().get(number)
}

/// The segment at the place that a number says.
///
/// # Errors
/// EINVAL.
pub fn find_at(number: i32) -> Result<Arc<Segment>, Errno> {
    SEGMENTS.lock().at(number)
}

/// The next segment from a place on, and its place.
#[must_use]
pub fn from_place(place: u32) -> Option<(u32, Arc<Segment>)> {
    SEGMENTS.lock().next_from(place)
}

/// The limits, and the highest place in use.
#[must_use]
pub fn limits() -> (ShmLimits, u32) {
    let segments = MOST_SEGMENTS.get();
    let limits = ShmLimits {
        most_bytes: MOST_BYTES.get(),
        least_bytes: 1,
        segments,
        segments_per_process: segments,
        pages: MOST_PAGES.get(),
        ..ShmLimits::default()
    };
    (limits, SEGMENTS.lock().highest())
}

/// What is in use, and the highest place.
#[must_use]
pub fn usage() -> (ShmUse, u32) {
    let segments = SEGMENTS.lock();
    let resident = segments.iter().map(|segment| segment.memory.resident());
    let sum = ShmUse {
        segments: i32::try_from(segments.len()).unwrap_or(i32::MAX),
        pages: pages_of_all(&segments),
        resident: resident.fold(0, u64::saturating_add),
        ..ShmUse::default()
    };
    (sum, segments.highest())
}

/// Bytes that a user has locked.
fn locked_by(user: u32) -> u64 {
    let segments = SEGMENTS.lock();
    let own = segments
        .iter()
        .filter(|segment| segment.state.lock().locked_by == Some(user));
    own.map(|segment| segment.size).fold(0, u64::saturating_add)
}

impl core::fmt::Debug for Segment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Segment")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Segment {
    fn new(
        number: i32,
        size: u64,
        permission: Permission,
        creator: Pid,
        promise: Promise,
    ) -> Segment {
        let identity = Identity {
            device: DEVICE.number(),
            inode: u64::from(number.unsigned_abs()),
        };
        let path = alloc::format!("/SYSV{:08x} (deleted)", permission.key);
        let pages = size.div_ceil(PAGE);
        Segment {
            number,
            size,
            creator,
            memory: SharedMemory::named(pages, identity, path.into_bytes()).promised(promise),
            state: SpinLock::new(State {
                permission,
                attachment: Weak::new(),
                is_removed: false,
                locked_by: None,
                attached: 0,
                detached: 0,
                changed: seconds(),
                last: Pid(0),
            }),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether somebody may what `wanted` says, as bits of a mode.
    ///
    /// # Errors
    /// EACCES.
    pub fn check(&self, who: &Credentials, wanted: u32) -> Result<(), Errno> {
        self.state.lock().permission.check(who, wanted)
    }

    /// What areas hold of it.
    ///
    /// # Errors
    /// EIDRM if it was removed meanwhile; ENOMEM.
    pub fn attach(self: &Arc<Self>) -> Result<Arc<dyn Backing>, Errno> {
        check_headroom()?;
        let segments = SEGMENTS.lock();
        if !segments
            .get(self.number)
            .is_ok_and(|own| Arc::ptr_eq(&own, self))
        {
            return Err(Errno::EIDRM);
        }
        let mut state = self.state.lock();
        if let Some(attachment) = state.attachment.upgrade() {
            return Ok(attachment);
        }
        let attachment = Arc::new(Attachment(Arc::clone(self)));
        state.attachment = Arc::downgrade(&attachment);
        Ok(attachment)
    }

    /// Says which process attached it just now.
    pub fn attached_by(&self, pid: Pid) {
        self.state.lock().last = pid;
    }

    /// Removes it, at once or with its last attachment.
    ///
    /// # Errors
    /// EPERM; EIDRM if it is gone.
    pub fn remove(&self, who: &Credentials) -> Result<(), Errno> {
        let mut segments = SEGMENTS.lock();
        let mut state = self.state.lock();
        state.permission.check_change(who)?;
        segments.get(self.number).map_err(|_| Errno::EIDRM)?;
        segments.forget_key(state.permission.key);
        state.permission.key = IPC_PRIVATE;
        state.is_removed = true;
        let is_attached = state.attachment.strong_count() > 0;
        drop(state);
        let gone = (!is_attached).then(|| segments.remove(self.number));
        drop(segments);
        drop(gone);
        Ok(())
    }

    /// Gives it to somebody else, with another mode.
    ///
    /// # Errors
    /// EPERM, EINVAL.
    pub fn set(&self, new: &IpcPerm, who: &Credentials) -> Result<(), Errno> {
        let mut state = self.state.lock();
        state.permission.check_change(who)?;
        state.permission.set(new)?;
        state.changed = seconds();
        Ok(())
    }

    /// Locks it in memory, where it is anyhow; `limit` in bytes.
    ///
    /// # Errors
    /// EPERM, ENOMEM.
    pub fn lock(&self, who: &Credentials, limit: u64) -> Result<(), Errno> {
        self.check_lock(who)?;
        let is_privileged = who.has(Capability::IpcLock);
        if !is_privileged && limit == 0 {
            return Err(Errno::EPERM);
        }
        let user = who.uid.real;
        let whole = |bytes: u64| bytes / PAGE;
        let locked = locked_by(user)
            .saturating_add(self.size)
            .saturating_add(PAGE - 1);
        if !is_privileged && whole(locked) > whole(limit) {
            return Err(Errno::ENOMEM);
        }
        self.state.lock().locked_by.get_or_insert(user);
        Ok(())
    }

    /// Undoes [`lock`](Segment::lock).
    ///
    /// # Errors
    /// EPERM.
    pub fn unlock(&self, who: &Credentials) -> Result<(), Errno> {
        self.check_lock(who)?;
        self.state.lock().locked_by = None;
        Ok(())
    }

    fn check_lock(&self, who: &Credentials) -> Result<(), Errno> {
        if who.has(Capability::IpcLock) || self.state.lock().permission.is_owner(who) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// What there is to know. Call it with no address space locked.
    #[must_use]
    pub fn report(&self) -> ShmIdDs {
        let attaches = self
            .memory
            .mappers()
            .map_or(0, |mappers| mappers.count(self.memory.identity()));
        let state = self.state.lock();
        let mut flags = 0;
        if state.is_removed {
            flags |= SHM_DEST;
        }
        if state.locked_by.is_some() {
            flags |= SHM_LOCKED;
        }
        ShmIdDs {
            perm: state.permission.report(flags, self.number),
            size: self.size,
            attached: state.attached,
            detached: state.detached,
            changed: state.changed,
            creator: self.creator.0.cast_signed(),
            last: state.last.0.cast_signed(),
            attaches: attaches as u64,
            ..ShmIdDs::default()
        }
    }

    /// Bytes in memory.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.memory.resident().saturating_mul(PAGE)
    }
}

/// Detaches the segment that was attached at an address, for a process.
///
/// # Errors
/// EINVAL if none was.
pub fn detach(space: &AddressSpace, address: u64, pid: Pid) -> Result<(), Errno> {
    let device = DEVICE.number();
    let which = space.unmap_object(address, |backing| {
        let identity = backing.identity();
        (identity.device == device).then(|| (identity, backing.size()))
    })?;
    let number = i32::try_from(which.inode).unwrap_or(-1);
    if let Ok(segment) = find(number) {
        segment.state.lock().last = pid;
    }
    Ok(())
}

/// What areas hold of a segment.
struct Attachment(Arc<Segment>);

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut segments = SEGMENTS.lock();
        let state = self.0.state.lock();
        // Somebody may have attached it anew meanwhile.
        let is_over = state.is_removed && state.attachment.strong_count() == 0;
        drop(state);
        let gone = is_over.then(|| segments.remove(self.0.number));
        drop(segments);
        drop(gone);
    }
}

impl Backing for Attachment {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        self.0.memory.page(index)
    }

    fn page_at_hand(&self, index: u64) -> Option<Result<UserFrame, Errno>> {
        self.0.memory.page_at_hand(index)
    }

    fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        self.0.memory.present(pages, visit);
    }

    fn size(&self) -> u64 {
        self.0.memory.size()
    }

    fn identity(&self) -> Identity {
        self.0.memory.identity()
    }

    fn path(&self) -> Vec<u8> {
        self.0.memory.path()
    }

    fn mappers(&self) -> Option<&Mappers> {
        self.0.memory.mappers()
    }

    fn mapped(&self) {
        let mut state = self.0.state.lock();
        state.attached = seconds();
        state.last = who_runs(state.last);
    }

    fn unmapped(&self) {
        let mut state = self.0.state.lock();
        state.detached = seconds();
        state.last = who_runs(state.last);
    }

    fn punch(&self, pages: Range<u64>) -> Result<u64, Errno> {
        self.0.memory.punch(pages)
    }
}
