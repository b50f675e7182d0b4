//! Resource limits (getrlimit(2)).
//!
//! What a limit limits looks at [`LimitTable::soft`]. The four that an address
//! space needs in a fault are kept there too (`memory::Limits`); setting one
//! passes it on.

use ochre_abi::Errno;
use ochre_abi::resource::{RLIM_INFINITY, RLimit};
use ochre_hal::cpu;
use ochre_sync::SpinLock;

use crate::memory;

/// A limited resource, with the numbers of `RLIMIT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the `RLIMIT_*` of its name")]
#[repr(u8)]
pub enum Resource {
    Cpu = 0,
    FileSize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    Rss = 5,
    Processes = 6,
    OpenFiles = 7,
    MemLock = 8,
    AddressSpace = 9,
    Locks = 10,
    SigPending = 11,
    MsgQueue = 12,
    Nice = 13,
    RtPriority = 14,
    RtTime = 15,
}

impl Resource {
    /// All of them, in order of their numbers.
    pub const ALL: [Resource; 16] = [
        Resource::Cpu,
        Resource::FileSize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Processes,
        Resource::OpenFiles,
        Resource::MemLock,
        Resource::AddressSpace,
        Resource::Locks,
        Resource::SigPending,
        Resource::MsgQueue,
        Resource::Nice,
        Resource::RtPriority,
        Resource::RtTime,
    ];

    /// The resource of a number.
    #[must_use]
    pub fn new(number: u32) -> Option<Resource> {
        // What comes of it is an index, too.
        cpu::lookup(&Resource::ALL, number as usize).copied()
    }

    /// What `/proc/PID/limits` calls it, and the unit.
    #[must_use]
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Resource::Cpu => ("Max cpu time", "seconds"),
            Resource::FileSize => ("Max file size", "bytes"),
            Resource::Data => ("Max data size", "bytes"),
            Resource::Stack => ("Max stack size", "bytes"),
            Resource::Core => ("Max core file size", "bytes"),
            Resource::Rss => ("Max resident set", "bytes"),
            Resource::Processes => ("Max processes", "processes"),
            Resource::OpenFiles => ("Max open files", "files"),
            Resource::MemLock => ("Max locked memory", "bytes"),
            Resource::AddressSpace => ("Max address space", "bytes"),
            Resource::Locks => ("Max file locks", "locks"),
            Resource::SigPending => ("Max pending signals", "signals"),
            Resource::MsgQueue => ("Max msgqueue size", "bytes"),
            Resource::Nice => ("Max nice priority", ""),
            Resource::RtPriority => ("Max realtime priority", ""),
            Resource::RtTime => ("Max realtime timeout", "us"),
        }
    }
}

/// The most open files that any process may be allowed.
pub const OPEN_FILES_MAX: u64 = 1 << 20;

/// The limits of a process.
#[derive(Debug)]
pub struct LimitTable {
    table: SpinLock<[RLimit; 16]>,
}

const UNLIMITED: RLimit = RLimit {
    soft: RLIM_INFINITY,
    hard: RLIM_INFINITY,
};

const fn limit(soft: u64, hard: u64) -> RLimit {
    RLimit { soft, hard }
}

impl LimitTable {
    /// Those of process 1, on a machine for so many tasks.
    #[must_use]
    pub fn first(tasks: u64) -> LimitTable {
        let mut table = [UNLIMITED; 16];
        table[Resource::Stack as usize] = limit(8 << 20, RLIM_INFINITY);
        table[Resource::Core as usize] = limit(0, RLIM_INFINITY);
        table[Resource::Processes as usize] = limit(tasks, tasks);
        table[Resource::OpenFiles as usize] = limit(1024, 4096);
        table[Resource::MemLock as usize] = limit(8 << 20, 8 << 20);
        table[Resource::SigPending as usize] = limit(tasks, tasks);
        table[Resource::MsgQueue as usize] = limit(819_200, 819_200);
        table[Resource::Nice as usize] = limit(0, 0);
        table[Resource::RtPriority as usize] = limit(0, 0);
        LimitTable {
            table: SpinLock::new(table),
        }
    }

    /// A copy for a new process.
    #[must_use]
    pub fn for_child(&self) -> LimitTable {
        LimitTable {
            table: SpinLock::new(*self.table.lock()),
        }
    }

    /// Both limits.
    #[must_use]
    pub fn get(&self, resource: Resource) -> RLimit {
        self.table.lock()[resource as usize]
    }

    /// The limit that counts.
    #[inline]
    #[must_use]
    pub fn soft(&self, resource: Resource) -> u64 {
        self.get(resource).soft
    }

    /// Sets both limits; gives the old ones.
    ///
    /// # Errors
    /// EINVAL for a soft limit above the hard one; EPERM for a raise of the
    /// hard one without privilege, or of open files over what the kernel takes.
    pub fn set(
        &self,
        resource: Resource,
        new: RLimit,
        is_privileged: bool,
    ) -> Result<RLimit, Errno> {
        if new.soft > new.hard {
            return Err(Errno::EINVAL);
        }
        if resource == Resource::OpenFiles && new.hard > OPEN_FILES_MAX {
            return Err(Errno::EPERM);
        }
        let mut table = self.table.lock();
        let old = table[resource as usize];
        if new.hard > old.hard && !is_privileged {
            return Err(Errno::EPERM);
        }
        table[resource as usize] = new;
        Ok(old)
    }

    /// Gives a resource another soft limit, whatever the hard one.
    pub fn raise_soft(&self, resource: Resource, soft: u64) {
        self.table.lock()[resource as usize].soft = soft;
    }

    /// Those that an address space keeps.
    #[must_use]
    pub fn of_memory(&self) -> memory::Limits {
        let table = self.table.lock();
        let data = table[Resource::Data as usize];
        memory::Limits {
            stack: table[Resource::Stack as usize].soft,
            data: data.soft,
            mapped_data: if data.soft == 0 { data.hard } else { data.soft },
            address_space: table[Resource::AddressSpace as usize].soft,
            locked: table[Resource::MemLock as usize].soft,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitTable, RLIM_INFINITY, Resource, limit};
    use ochre_abi::Errno;

    #[test]
    fn numbers_are_in_order() {
        for (number, resource) in Resource::ALL.iter().enumerate() {
            assert_eq!(*resource as usize, number);
        }
        assert_eq!(Resource::new(16), None);
    }

    #[test]
    fn only_privilege_raises_a_hard_limit() {
        let limits = LimitTable::first(100);
        assert_eq!(
            limits.set(Resource::OpenFiles, limit(5, 4), true),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            limits.set(Resource::OpenFiles, limit(5, 5000), false),
            Err(Errno::EPERM)
        );
        assert_eq!(
            limits.set(Resource::OpenFiles, limit(5, RLIM_INFINITY), true),
            Err(Errno::EPERM)
        );
        assert_eq!(
            limits.set(Resource::OpenFiles, limit(5, 50), false),
            Ok(limit(1024, 4096))
        );
        assert_eq!(limits.soft(Resource::OpenFiles), 5);
        assert_eq!(limits.for_child().get(Resource::OpenFiles), limit(5, 50));
        assert_eq!(limits.of_memory().stack, 8 << 20);
    }
}
