//! Who asks: the identity that file permissions are checked against.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bitflags::bitflags;
use ochre_abi::Errno;
use ochre_abi::fcntl::{S_ISGID, S_ISVTX};

use super::{Kind, Permissions};

bitflags! {
    /// What is to be done with a file, with the numbers of a mode's digit.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Want: u32 {
        /// Execute, or search a directory.
        const EXECUTE = 1;
        /// Write.
        const WRITE = 2;
        /// Read.
        const READ = 4;
    }
}

/// An identity as file systems see it: `fsuid`, `fsgid`, supplementary groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Further groups.
    pub groups: Option<Arc<Vec<u32>>>,
    /// Whether permissions do not apply (`CAP_DAC_OVERRIDE`, `CAP_FOWNER`,
    /// `CAP_CHOWN` and their kin, which go together here).
    pub privileged: bool,
}

impl Access {
    /// The superuser.
    #[must_use]
    pub const fn root() -> Access {
        Access {
            uid: 0,
            gid: 0,
            groups: None,
            privileged: true,
        }
    }

    /// Whether `gid` is one of the identity's groups.
    #[must_use]
    pub fn is_member(&self, gid: u32) -> bool {
        self.gid == gid
            || self
                .groups
                .as_deref()
                .is_some_and(|groups| groups.contains(&gid))
    }

    /// Whether the identity may act as the owner of a file.
    #[inline]
    #[must_use]
    pub fn owns(&self, permissions: Permissions) -> bool {
        self.privileged || self.uid == permissions.uid
    }

    /// Checks `want` against a file's mode.
    ///
    /// # Errors
    /// EACCES.
    #[inline]
    pub fn check(&self, permissions: Permissions, kind: Kind, want: Want) -> Result<(), Errno> {
        if self.privileged {
            // A file that nobody may execute is not a program, whoever asks.
            let executable = kind == Kind::Directory || permissions.mode & 0o111 != 0;
            return if want.contains(Want::EXECUTE) && !executable {
                Err(Errno::EACCES)
            } else {
                Ok(())
            };
        }
        let digit = if self.uid == permissions.uid {
            permissions.mode >> 6
        } else if self.is_member(permissions.gid) {
            permissions.mode >> 3
        } else {
            permissions.mode
        };
        if digit & want.bits() == want.bits() {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Whether a sticky directory keeps the identity from removing a file.
    #[must_use]
    pub fn is_held_by_sticky(&self, directory: Permissions, file: Permissions) -> bool {
        directory.mode & S_ISVTX != 0
            && !self.privileged
            && self.uid != file.uid
            && self.uid != directory.uid
    }

    /// A mode as the identity may set it on a file of group `gid`: without the
    /// set-group bit where it is no member.
    #[must_use]
    pub fn settable_mode(&self, mode: u32, gid: u32) -> u32 {
        if self.privileged || self.is_member(gid) {
            mode
        } else {
            mode & !S_ISGID
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Want};
    use crate::vfs::{Kind, Permissions};
    use ochre_abi::Errno;

    fn user(uid: u32, gid: u32, groups: &[u32]) -> Access {
        Access {
            uid,
            gid,
            groups: Some(groups.to_vec().into()),
            privileged: false,
        }
    }

    const FILE: Permissions = Permissions {
        mode: 0o750,
        uid: 10,
        gid: 20,
    };

    #[test]
    fn the_first_class_that_fits_decides() {
        let owner_without = Permissions {
            mode: 0o077,
            ..FILE
        };
        let owner = user(10, 20, &[]);
        assert_eq!(
            owner.check(owner_without, Kind::Regular, Want::READ),
            Err(Errno::EACCES)
        );
        assert_eq!(owner.check(FILE, Kind::Regular, Want::WRITE), Ok(()));
        let member = user(11, 1, &[5, 20]);
        assert_eq!(
            member.check(FILE, Kind::Regular, Want::READ | Want::EXECUTE),
            Ok(())
        );
        assert_eq!(
            member.check(FILE, Kind::Regular, Want::WRITE),
            Err(Errno::EACCES)
        );
        assert_eq!(
            user(12, 1, &[]).check(FILE, Kind::Regular, Want::READ),
            Err(Errno::EACCES)
        );
    }

    #[test]
    fn root_executes_only_what_somebody_may() {
        let plain = Permissions {
            mode: 0o600,
            ..FILE
        };
        let root = Access::root();
        assert_eq!(
            root.check(plain, Kind::Regular, Want::READ | Want::WRITE),
            Ok(())
        );
        assert_eq!(
            root.check(plain, Kind::Regular, Want::EXECUTE),
            Err(Errno::EACCES)
        );
        assert_eq!(root.check(plain, Kind::Directory, Want::EXECUTE), Ok(()));
    }

    #[test]
    fn sticky_directories_protect_files_of_others() {
        let shared = Permissions {
            mode: 0o1777,
            uid: 0,
            gid: 0,
        };
        assert!(user(11, 1, &[]).is_held_by_sticky(shared, FILE));
        assert!(!user(10, 1, &[]).is_held_by_sticky(shared, FILE));
        assert!(!Access::root().is_held_by_sticky(shared, FILE));
    }
}
