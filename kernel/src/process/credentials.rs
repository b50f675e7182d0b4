//! Who a process is: users, groups, capabilities (credentials(7)).
//!
//! Credentials are a value behind an `Arc`: whoever checks something takes a
//! handle and sees one consistent state; a change replaces the whole. Each
//! thread has its own ([`Shares`](super::Shares)); a process's are those of its
//! first thread.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::Process;
use crate::vfs::Access;

mod change;

/// The four user or group numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Who started it.
    pub real: u32,
    /// As whom it acts.
    pub effective: u32,
    /// As whom it may act again.
    pub saved: u32,
    /// As whom it uses files.
    pub fs: u32,
}

impl Ids {
    /// All four the same.
    #[must_use]
    pub const fn all(id: u32) -> Ids {
        Ids {
            real: id,
            effective: id,
            saved: id,
            fs: id,
        }
    }
}

/// Capabilities that are asked for somewhere (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the `CAP_*` of its name")]
#[repr(u8)]
pub enum Capability {
    Chown = 0,
    DacOverride = 1,
    Fowner = 3,
    Kill = 5,
    SetGid = 6,
    SetUid = 7,
    SetPcap = 8,
    IpcLock = 14,
    IpcOwner = 15,
    SysRawIo = 17,
    SysChroot = 18,
    SysPtrace = 19,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    MknodDevices = 27,
    Syslog = 34,
    WakeAlarm = 35,
}

/// The highest capability of the Linux whose calls these are.
pub const LAST_CAPABILITY: u32 = 40;

/// Every capability.
pub const ALL_CAPABILITIES: u64 = (1 << (LAST_CAPABILITY + 1)) - 1;

/// The five capability sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Kept over `execve` of a file that has them inheritable.
    pub inheritable: u64,
    /// What may become effective.
    pub permitted: u64,
    /// What counts.
    pub effective: u64,
    /// What can still be gained.
    pub bounding: u64,
    /// Kept over `execve` of any file.
    pub ambient: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Users.
    pub uid: Ids,
    /// Groups.
    pub gid: Ids,
    /// Supplementary groups.
    pub groups: Option<Arc<Vec<u32>>>,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Whether capabilities outlive the last user 0 (`PR_SET_KEEPCAPS`).
    pub keeps_capabilities: bool,
    /// The account of the real user.
    pub user: Arc<User>,
}

impl Credentials {
    /// Whether who has these may look into a process that has `target`
    /// (ptrace(2), "access mode checking"); `is_open` if it is dumpable.
    #[must_use]
    pub fn may_inspect(&self, target: &Credentials, is_open: bool) -> bool {
        let is_same = |own: u32, target: &Ids| {
            [target.real, target.effective, target.saved]
                .iter()
                .all(|id| *id == own)
        };
        let permitted = target.capabilities.permitted & !self.capabilities.effective == 0;
        self.has(Capability::SysPtrace)
            || (is_open
                && permitted
                && is_same(self.uid.fs, &target.uid)
                && is_same(self.gid.fs, &target.gid))
    }

    /// Those of process 1.
    #[must_use]
    pub fn root() -> Credentials {
        Credentials {
            uid: Ids::default(),
            gid: Ids::default(),
            groups: None,
            capabilities: Capabilities {
                inheritable: 0,
                permitted: ALL_CAPABILITIES,
                effective: ALL_CAPABILITIES,
                bounding: ALL_CAPABILITIES,
                ambient: 0,
            },
            keeps_capabilities: false,
            user: User::of(0),
        }
    }

    /// The identity that file accesses are checked with.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            uid: self.uid.fs,
            gid: self.gid.fs,
            groups: self.groups.clone(),
            privileged: self.has(Capability::DacOverride),
        }
    }

    /// Whether a capability is effective.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.effective & (1 << capability as u32) != 0
    }

    /// Gives up every capability.
    pub fn drop_all_capabilities(&mut self) {
        self.capabilities.permitted = 0;
        self.capabilities.effective = 0;
        self.capabilities.ambient = 0;
    }

    /// The supplementary groups.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        self.groups.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// A user's account: what all processes of the user have together.
#[derive(Debug)]
pub struct User {
    uid: u32,
    signals: AtomicU64,
}

static USERS: SpinLock<BTreeMap<u32, Weak<User>>> = SpinLock::new(BTreeMap::new());

impl User {
    /// The account of a user.
    #[must_use]
    pub fn of(uid: u32) -> Arc<User> {
        let mut users = USERS.lock();
        if let Some(user) = users.get(&uid).and_then(Weak::upgrade) {
            return user;
        }
        users.retain(|_, user| user.strong_count() > 0);
        let user = Arc::new(User {
            uid,
            signals: AtomicU64::new(0),
        });
        users.insert(uid, Arc::downgrade(&user));
        user
    }

    /// The user's number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Signals queued for the user's processes.
    #[must_use]
    pub fn queued_signals(&self) -> u64 {
        self.signals.load(Ordering::Relaxed)
    }

    /// Counts one more queued signal, unless that would be more than `limit`.
    #[must_use]
    pub fn charge_signal(self: &Arc<Self>, limit: u64) -> Option<SignalCharge> {
        // ORDERING: Relaxed; a count that guards nothing else.
        if self.signals.fetch_add(1, Ordering::Relaxed) >= limit {
            self.signals.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(SignalCharge(Arc::clone(self)))
    }
}

/// A queued signal's place in its user's account, given back when dropped.
#[derive(Debug)]
pub struct SignalCharge(Arc<User>);

impl Drop for SignalCharge {
    fn drop(&mut self) {
        self.0.signals.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Process {
    /// Who the process is for others: who its first thread is.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.lock())
    }

    /// Shows others who the first thread is now; gives back who it was.
    pub(super) fn show_credentials(&self, new: Arc<Credentials>) -> Arc<Credentials> {
        core::mem::replace(&mut *self.credentials.lock(), new)
    }
}

#[cfg(test)]
mod tests {
    use super::User;
    use std::sync::Arc;

    #[test]
    fn one_account_for_each_user() {
        let one = User::of(77_001);
        assert!(Arc::ptr_eq(&one, &User::of(77_001)));
        assert!(!Arc::ptr_eq(&one, &User::of(77_002)));
    }

    #[test]
    fn charges_stop_at_the_limit_and_come_back() {
        let user = User::of(77_003);
        let first = user.charge_signal(2);
        let second = user.charge_signal(2);
        assert!(first.is_some() && second.is_some());
        assert!(user.charge_signal(2).is_none());
        drop(first);
        assert!(user.charge_signal(2).is_some());
        assert_eq!(user.queued_signals(), 1);
    }
}
