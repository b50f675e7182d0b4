//! The rules of changing users, groups and capabilities.
//!
//! Pure: each takes credentials and gives new ones or an error. An argument of
//! `None` (-1 in the calls) leaves a number as it is.

use ochre_abi::Errno;

use super::{ALL_CAPABILITIES, Capabilities, Capability, Credentials, Ids, User};

/// Capabilities that go with file access as user 0.
const FILE_CAPABILITIES: u64 = 0b1_1111 | 1 << 9 | 1 << 27 | 1 << 32;

impl Credentials {
    /// `setuid(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_uid(&self, uid: u32) -> Result<Credentials, Errno> {
        let ids = set_one(self.uid, uid, self.has(Capability::SetUid))?;
        Ok(self.with_uid(ids))
    }

    /// `setgid(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_gid(&self, gid: u32) -> Result<Credentials, Errno> {
        Ok(self.with_gid(set_one(self.gid, gid, self.has(Capability::SetGid))?))
    }

    /// `setreuid(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_reuid(
        &self,
        real: Option<u32>,
        effective: Option<u32>,
    ) -> Result<Credentials, Errno> {
        let ids = set_two(self.uid, real, effective, self.has(Capability::SetUid))?;
        Ok(self.with_uid(ids))
    }

    /// `setregid(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_regid(
        &self,
        real: Option<u32>,
        effective: Option<u32>,
    ) -> Result<Credentials, Errno> {
        let ids = set_two(self.gid, real, effective, self.has(Capability::SetGid))?;
        Ok(self.with_gid(ids))
    }

    /// `setresuid(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_resuid(&self, new: [Option<u32>; 3]) -> Result<Credentials, Errno> {
        let ids = set_three(self.uid, new, self.has(Capability::SetUid))?;
        Ok(self.with_uid(ids))
    }

    /// `setresgid(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_resgid(&self, new: [Option<u32>; 3]) -> Result<Credentials, Errno> {
        let ids = set_three(self.gid, new, self.has(Capability::SetGid))?;
        Ok(self.with_gid(ids))
    }

    /// `setfsuid(2)`; `None` if that is not allowed.
    #[must_use]
    pub fn set_fsuid(&self, uid: u32) -> Option<Credentials> {
        if !may_become(self.uid, uid, self.has(Capability::SetUid)) {
            return None;
        }
        let mut new = self.clone();
        new.uid.fs = uid;
        let files = new.capabilities.permitted & FILE_CAPABILITIES;
        match (self.uid.fs, uid) {
            (0, 1..) => new.capabilities.effective &= !FILE_CAPABILITIES,
            (1.., 0) => new.capabilities.effective |= files,
            _ => {}
        }
        Some(new)
    }

    /// `setfsgid(2)`; `None` if that is not allowed.
    #[must_use]
    pub fn set_fsgid(&self, gid: u32) -> Option<Credentials> {
        if !may_become(self.gid, gid, self.has(Capability::SetGid)) {
            return None;
        }
        let mut new = self.clone();
        new.gid.fs = gid;
        Some(new)
    }

    fn with_gid(&self, gid: Ids) -> Credentials {
        Credentials {
            gid,
            ..self.clone()
        }
    }

    /// New users, and what follows for capabilities ("Effect of user ID
    /// changes on capabilities" of capabilities(7)).
    fn with_uid(&self, uid: Ids) -> Credentials {
        let mut new = Credentials {
            uid,
            ..self.clone()
        };
        if uid.real != self.uid.real {
            new.user = User::of(uid.real);
        }
        let has_root = |ids: Ids| ids.real == 0 || ids.effective == 0 || ids.saved == 0;
        let sets = &mut new.capabilities;
        if has_root(self.uid) && !has_root(uid) {
            if !self.keeps_capabilities {
                sets.permitted = 0;
                sets.effective = 0;
            }
            sets.ambient = 0;
        }
        match (self.uid.effective, uid.effective) {
            (0, 1..) => sets.effective = 0,
            (1.., 0) => sets.effective = sets.permitted,
            _ => {}
        }
        new
    }

    /// `capset(2)`.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_capabilities(
        &self,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    ) -> Result<Credentials, Errno> {
        let old = self.capabilities;
        let within = |set: u64, allowed: u64| set & !allowed == 0;
        let allowed_inheritable = if self.has(Capability::SetPcap) {
            u64::MAX
        } else {
            old.inheritable | old.permitted
        };
        let allowed = within(inheritable, allowed_inheritable)
            && within(inheritable, old.inheritable | old.bounding)
            && within(permitted, old.permitted)
            && within(effective, permitted);
        if !allowed {
            return Err(Errno::EPERM);
        }
        Ok(Credentials {
            capabilities: Capabilities {
                inheritable,
                permitted,
                effective,
                ambient: old.ambient & permitted & inheritable,
                ..old
            },
            ..self.clone()
        })
    }

    /// What `execve` makes of the credentials: `owner` and `group` are those
    /// of a file with the set-user or set-group bit. Answers also whether the
    /// program must not trust its environment (`AT_SECURE`).
    #[must_use]
    pub fn for_exec(&self, owner: Option<u32>, group: Option<u32>) -> (Credentials, bool) {
        let mut new = self.clone();
        new.uid.effective = owner.unwrap_or(self.uid.effective);
        new.gid.effective = group.unwrap_or(self.gid.effective);
        new.uid.saved = new.uid.effective;
        new.uid.fs = new.uid.effective;
        new.gid.saved = new.gid.effective;
        new.gid.fs = new.gid.effective;
        new.keeps_capabilities = false;
        let changes =
            new.uid.effective != self.uid.effective || new.gid.effective != self.gid.effective;
        let sets = &mut new.capabilities;
        if changes {
            sets.ambient = 0;
        }
        let is_root = new.uid.real == 0 || new.uid.effective == 0;
        sets.permitted = if is_root {
            (sets.inheritable | ALL_CAPABILITIES) & (sets.bounding | sets.inheritable)
        } else {
            sets.ambient
        };
        sets.effective = if new.uid.effective == 0 {
            sets.permitted
        } else {
            sets.ambient
        };
        let secure = new.uid.real != new.uid.effective || new.gid.real != new.gid.effective;
        (new, secure || changes)
    }
}

fn may_become(ids: Ids, id: u32, privileged: bool) -> bool {
    privileged || [ids.real, ids.effective, ids.saved, ids.fs].contains(&id)
}

/// `setuid` and `setgid`.
fn set_one(ids: Ids, id: u32, privileged: bool) -> Result<Ids, Errno> {
    if privileged {
        Ok(Ids::all(id))
    } else if id == ids.real || id == ids.saved {
        Ok(Ids {
            effective: id,
            fs: id,
            ..ids
        })
    } else {
        Err(Errno::EPERM)
    }
}

/// `setreuid` and `setregid`.
fn set_two(
    ids: Ids,
    real: Option<u32>,
    effective: Option<u32>,
    privileged: bool,
) -> Result<Ids, Errno> {
    let real_allowed = real.is_none_or(|id| privileged || id == ids.real || id == ids.effective);
    let effective_allowed = effective
        .is_none_or(|id| privileged || id == ids.real || id == ids.effective || id == ids.saved);
    if !real_allowed || !effective_allowed {
        return Err(Errno::EPERM);
    }
    let mut new = ids;
    new.real = real.unwrap_or(ids.real);
    new.effective = effective.unwrap_or(ids.effective);
    if real.is_some() || effective.is_some_and(|id| id != ids.real) {
        new.saved = new.effective;
    }
    new.fs = new.effective;
    Ok(new)
}

/// `setresuid` and `setresgid`.
fn set_three(ids: Ids, new: [Option<u32>; 3], privileged: bool) -> Result<Ids, Errno> {
    let old = [ids.real, ids.effective, ids.saved];
    if !privileged && new.iter().flatten().any(|id| !old.contains(id)) {
        return Err(Errno::EPERM);
    }
    let [real, effective, saved] = new;
    let effective = effective.unwrap_or(ids.effective);
    Ok(Ids {
        real: real.unwrap_or(ids.real),
        effective,
        saved: saved.unwrap_or(ids.saved),
        fs: effective,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ALL_CAPABILITIES, Credentials, Ids};
    use ochre_abi::Errno;

    fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids {
            real,
            effective,
            saved,
            fs: effective,
        }
    }

    fn user(uid: Ids) -> Credentials {
        let mut credentials = Credentials::root();
        credentials.drop_all_capabilities();
        credentials.uid = uid;
        credentials
    }

    fn uid_of(result: Result<Credentials, Errno>) -> Result<Ids, Errno> {
        result.map(|credentials| credentials.uid)
    }

    #[test]
    fn root_becomes_anybody_for_good() {
        let new = Credentials::root().set_uid(5).expect("root may");
        assert_eq!(new.uid, Ids::all(5));
        assert_eq!(new.capabilities.permitted, 0);
        assert_eq!(new.user.uid(), 5);
        assert_eq!(uid_of(new.set_uid(0)), Err(Errno::EPERM));
    }

    #[test]
    fn a_user_moves_between_real_and_saved() {
        let old = user(ids(1, 2, 3));
        assert_eq!(uid_of(old.set_uid(1)), Ok(ids(1, 1, 3)));
        assert_eq!(uid_of(old.set_uid(3)), Ok(ids(1, 3, 3)));
        assert_eq!(uid_of(old.set_uid(2)), Err(Errno::EPERM));
    }

    #[test]
    fn setreuid_moves_the_saved_user_along() {
        let old = user(ids(1, 2, 3));
        assert_eq!(uid_of(old.set_reuid(None, Some(3))), Ok(ids(1, 3, 3)));
        assert_eq!(uid_of(old.set_reuid(None, Some(1))), Ok(ids(1, 1, 3)));
        assert_eq!(uid_of(old.set_reuid(Some(2), Some(1))), Ok(ids(2, 1, 1)));
        assert_eq!(uid_of(old.set_reuid(Some(3), None)), Err(Errno::EPERM));
        assert_eq!(uid_of(old.set_reuid(None, None)), Ok(ids(1, 2, 3)));
    }

    #[test]
    fn setresuid_takes_any_of_the_three() {
        let old = user(ids(1, 2, 3));
        assert_eq!(
            uid_of(old.set_resuid([Some(3), Some(1), Some(2)])),
            Ok(ids(3, 1, 2))
        );
        assert_eq!(
            uid_of(old.set_resuid([None, None, Some(4)])),
            Err(Errno::EPERM)
        );
    }

    #[test]
    fn effective_capabilities_follow_the_effective_user() {
        let away = Credentials::root()
            .set_resuid([None, Some(9), None])
            .expect("root may");
        assert_eq!(away.capabilities.effective, 0);
        assert_eq!(away.capabilities.permitted, ALL_CAPABILITIES);
        let back = away.set_resuid([None, Some(0), None]).expect("saved is 0");
        assert_eq!(back.capabilities.effective, ALL_CAPABILITIES);
        let mut keeping = Credentials::root();
        keeping.keeps_capabilities = true;
        let kept = keeping.set_uid(9).expect("root may");
        assert_eq!(kept.capabilities.permitted, ALL_CAPABILITIES);
        assert_eq!(kept.capabilities.effective, 0);
    }

    #[test]
    fn capset_only_lowers() {
        let root = Credentials::root();
        let less = root.set_capabilities(1, 3, 0).expect("less is allowed");
        assert_eq!(less.capabilities.effective, 1);
        assert!(less.set_capabilities(4, 4, 0).is_err());
        assert!(less.set_capabilities(3, 1, 0).is_err());
        assert!(less.set_capabilities(1, 1, 8).is_err());
        assert!(less.set_capabilities(1, 3, 2).is_ok());
    }

    #[test]
    fn exec_of_a_set_user_file_is_secure() {
        let (new, secure) = user(Ids::all(7)).for_exec(Some(0), None);
        assert_eq!(new.uid, ids(7, 0, 0));
        assert!(secure);
        assert_eq!(new.capabilities.effective, ALL_CAPABILITIES);
        let (same, secure) = user(Ids::all(7)).for_exec(None, None);
        assert!(!secure);
        assert_eq!(same.capabilities.permitted, 0);
        let (root, secure) = Credentials::root().for_exec(None, None);
        assert!(!secure);
        assert_eq!(root.capabilities.effective, ALL_CAPABILITIES);
    }

    #[test]
    fn the_file_user_moves_alone() {
        let root = Credentials::root();
        let moved = root.set_fsuid(9).expect("root may");
        assert_eq!((moved.uid.fs, moved.uid.effective), (9, 0));
        assert_eq!(moved.capabilities.effective & 2, 0);
        let back = moved.set_fsuid(0).expect("effective is 0");
        assert_eq!(back.capabilities.effective, ALL_CAPABILITIES);
        assert!(user(Ids::all(3)).set_fsuid(0).is_none());
    }
}
