//! Who an object belongs to, and who may do what with it.

use ochre_abi::Errno;
use ochre_abi::ipc::IpcPerm;

use super::ids;
use crate::process::{Capability, Credentials};

/// What a mode says of everybody.
const MODE: u32 = 0o777;

/// Owner, creator and mode of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permission {
    pub(super) key: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) creator_uid: u32,
    pub(super) creator_gid: u32,
    /// What reading and writing ask for, and nothing else.
    pub(super) mode: u32,
}

impl Permission {
    /// That of something new.
    pub(super) fn new(key: i32, flags: u32, creator: &Credentials) -> Permission {
        let (uid, gid) = (creator.uid.effective, creator.gid.effective);
        Permission {
            key,
            uid,
            gid,
            creator_uid: uid,
            creator_gid: gid,
            mode: flags & MODE,
        }
    }

    /// Whether somebody may what `wanted` says, in the bits of any of the three
    /// classes of a mode.
    ///
    /// # Errors
    /// EACCES.
    pub(super) fn check(&self, who: &Credentials, wanted: u32) -> Result<(), Errno> {
        let wanted = wanted >> 6 | wanted >> 3 | wanted;
        let is_member = |gid: u32| who.gid.fs == gid || who.groups().contains(&gid);
        let granted = if self.is_owner(who) {
            self.mode >> 6
        } else if is_member(self.creator_gid) || is_member(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted & 7 == 0 || who.has(Capability::IpcOwner) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Whether somebody owns it or made it.
    pub(super) fn is_owner(&self, who: &Credentials) -> bool {
        let uid = who.uid.effective;
        uid == self.uid || uid == self.creator_uid
    }

    /// Whether somebody may change or remove it.
    ///
    /// # Errors
    /// EPERM.
    pub(super) fn check_change(&self, who: &Credentials) -> Result<(), Errno> {
        if self.is_owner(who) || who.has(Capability::SysAdmin) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// Gives it to somebody else, with another mode.
    ///
    /// # Errors
    /// EINVAL for nobody.
    pub(super) fn set(&mut self, new: &IpcPerm) -> Result<(), Errno> {
        if new.uid == u32::MAX || new.gid == u32::MAX {
            return Err(Errno::EINVAL);
        }
        self.uid = new.uid;
        self.gid = new.gid;
        self.mode = new.mode & MODE;
        Ok(())
    }

    /// For a program: with these flags in the mode, of the object of a number.
    pub(super) fn report(&self, flags: u32, number: i32) -> IpcPerm {
        IpcPerm {
            key: self.key,
            uid: self.uid,
            gid: self.gid,
            cuid: self.creator_uid,
            cgid: self.creator_gid,
            mode: self.mode | flags,
            seq: ids::sequence(number),
            ..IpcPerm::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Permission;
    use crate::process::{Credentials, Ids};
    use ochre_abi::Errno;

    fn user(uid: u32, gid: u32) -> Credentials {
        let mut credentials = Credentials::root();
        credentials.drop_all_capabilities();
        credentials.uid = Ids::all(uid);
        credentials.gid = Ids::all(gid);
        credentials
    }

    #[test]
    fn the_class_decides_even_if_others_may_more() {
        let object = Permission {
            uid: 5,
            gid: 50,
            ..Permission::new(1, 0o47, &user(4, 40))
        };
        for owner in [user(4, 0), user(5, 0)] {
            assert_eq!(object.check(&owner, 0o444), Err(Errno::EACCES));
            assert_eq!(object.check_change(&owner), Ok(()));
        }
        for member in [user(6, 40), user(6, 50)] {
            assert_eq!(object.check(&member, 0o444), Ok(()));
            assert_eq!(object.check(&member, 0o222), Err(Errno::EACCES));
        }
        assert_eq!(object.check(&user(6, 60), 0o777), Ok(()));
        assert_eq!(object.check_change(&user(6, 40)), Err(Errno::EPERM));
        assert_eq!(object.check(&Credentials::root(), 0o777), Ok(()));
        assert_eq!(object.check_change(&Credentials::root()), Ok(()));
    }

    #[test]
    fn nobody_owns_nothing() {
        let mut object = Permission::new(1, 0o600, &user(4, 40));
        let mut new = object.report(0, 0);
        new.mode = 0o7640;
        new.uid = 9;
        assert_eq!(object.set(&new), Ok(()));
        assert_eq!((object.uid, object.mode, object.creator_uid), (9, 0o640, 4));
        new.gid = u32::MAX;
        assert_eq!(object.set(&new), Err(Errno::EINVAL));
    }
}
