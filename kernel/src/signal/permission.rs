//! Who may send a signal to whom (kill(2)).

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::signal::Signal;

use crate::process::{Capability, Credentials, Process, Thread, table};

/// Whether credentials allow `sender` to signal `target`.
fn credentials_allow(sender: &Credentials, target: &Credentials) -> bool {
    let allowed = [target.uid.real, target.uid.saved];
    allowed.contains(&sender.uid.effective)
        || allowed.contains(&sender.uid.real)
        || sender.has(Capability::Kill)
}

/// Checks that `sender` may send `signal` (`None` asks only) to `target`, of
/// which the thread meant, or the first, is `whom`.
///
/// # Errors
/// EPERM.
pub fn may_signal(
    sender: &Thread,
    target: &Process,
    whom: &Credentials,
    signal: Option<Signal>,
) -> Result<(), Errno> {
    if core::ptr::eq(Arc::as_ptr(&sender.process), target) {
        return Ok(());
    }
    let allowed = credentials_allow(&sender.credentials(), whom);
    if allowed || (signal == Some(Signal::SIGCONT) && in_one_session(&sender.process, target)) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn in_one_session(one: &Process, other: &Process) -> bool {
    let table = table::lock();
    let session = |process: &Process| table.relations(process.pid).map(|of| of.session);
    session(one).is_some() && session(one) == session(other)
}

#[cfg(test)]
mod tests {
    use super::credentials_allow;
    use crate::process::{Credentials, Ids};

    fn user(real: u32, effective: u32, saved: u32) -> Credentials {
        let mut credentials = Credentials::root();
        credentials.drop_all_capabilities();
        credentials.uid = Ids {
            real,
            effective,
            saved,
            fs: effective,
        };
        credentials
    }

    #[test]
    fn a_real_or_effective_user_must_match_real_or_saved() {
        assert!(credentials_allow(&user(5, 9, 9), &user(5, 1, 1)));
        assert!(credentials_allow(&user(9, 5, 9), &user(1, 1, 5)));
        assert!(!credentials_allow(&user(9, 9, 5), &user(5, 5, 5)));
        assert!(!credentials_allow(&user(9, 5, 9), &user(1, 5, 1)));
        assert!(credentials_allow(&Credentials::root(), &user(1, 1, 1)));
    }
}
