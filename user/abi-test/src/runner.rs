//! Runs groups, each in a child with its own folder, session and time limit.

use core::time::Duration;
use std::time::Instant;

use crate::call;
use crate::groups::{self, Group};
use crate::report::{describe, line};
use crate::sys;

/// How long a group may take; generous, as emulated machines are slow.
const LIMIT: Duration = Duration::from_secs(60);

/// Whom a group runs as if it needs no rights.
const NOBODY: u32 = 65534;

/// Runs the groups named, or all; answers 2 if a name is unknown.
pub(crate) fn run(program: &str, names: &[String]) -> i32 {
    if let Some(unknown) = names
        .iter()
        .find(|name| !groups::ALL.iter().any(|group| group.name == **name))
    {
        line(&format!(
            "abi-test: no group `{unknown}`; see `abi-test list`"
        ));
        return 2;
    }
    let base = format!("/tmp/abi-test-{}", std::process::id());
    if let Err(error) = prepare(program, &base) {
        line(&format!("abi-test: {base}: {error}"));
        return 2;
    }
    for group in groups::ALL {
        if names.is_empty() || names.iter().any(|name| name == group.name) {
            line(&format!("== {}", group.name));
            run_group(group, &base);
        }
    }
    let _ = std::fs::remove_dir_all(&base);
    0
}

/// As [`run`], for groups about the terminal on standard input, which is given
/// up first where it is this session's. The last line says that all is done.
pub(crate) fn run_on_terminal(program: &str, names: &[String]) -> i32 {
    sys::set_disposition(libc::SIGHUP, libc::SIG_IGN);
    let _ = call!(SYS_ioctl, 0, libc::TIOCNOTTY);
    let status = run(program, names);
    line("== end");
    status
}

/// Makes the base folder with a copy of this program, which groups execute.
fn prepare(program: &str, base: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(base)?;
    std::fs::set_permissions(base, std::fs::Permissions::from_mode(0o755))?;
    std::fs::copy(program, format!("{base}/self"))?;
    std::fs::set_permissions(
        format!("{base}/self"),
        std::fs::Permissions::from_mode(0o755),
    )
}

fn run_group(group: &Group, base: &str) {
    let folder = format!("{base}/{}", group.name);
    let pid = sys::fork(|| child(group, &folder));
    let start = Instant::now();
    loop {
        let mut status = 0_i32;
        match call!(SYS_wait4, pid, &mut status, libc::WNOHANG, 0) {
            Ok(0) if start.elapsed() > LIMIT => {
                line(&format!("{}: TIMEOUT", group.name));
                let _ = call!(SYS_kill, -pid, libc::SIGKILL);
                let _ = call!(SYS_kill, pid, libc::SIGKILL);
                let _ = call!(SYS_wait4, pid, &mut status, 0, 0);
                return;
            }
            Ok(0) => std::thread::sleep(Duration::from_millis(2)),
            Ok(_) if status == 0 => return,
            Ok(_) => {
                line(&format!("{}: {}", group.name, describe(status)));
                let _ = call!(SYS_kill, -pid, libc::SIGKILL);
                return;
            }
            Err(error) => {
                line(&format!("{}: wait4 {error}", group.name));
                return;
            }
        }
    }
}

fn child(group: &Group, folder: &str) -> i32 {
    // Rust's start-up took these, and [`run_on_terminal`] the last.
    for signal in [libc::SIGPIPE, libc::SIGSEGV, libc::SIGBUS, libc::SIGHUP] {
        sys::set_disposition(signal, libc::SIG_DFL);
    }
    // Results that depend on limits must not depend on the caller's.
    let stack = libc::rlimit {
        rlim_cur: 8 << 20,
        rlim_max: libc::RLIM_INFINITY,
    };
    if call!(SYS_setrlimit, libc::RLIMIT_STACK, &stack).is_err() {
        let stack = libc::rlimit {
            rlim_cur: 8 << 20,
            rlim_max: 8 << 20,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_STACK, &stack);
    }
    for (resource, value) in [(libc::RLIMIT_CORE, 0), (libc::RLIMIT_NICE, 0)] {
        let limit = libc::rlimit {
            rlim_cur: value,
            rlim_max: value,
        };
        let _ = call!(SYS_setrlimit, resource, &limit);
    }
    let _ = call!(SYS_setsid);
    let _ = call!(SYS_umask, 0o22);
    if std::fs::create_dir(folder).is_err() || std::env::set_current_dir(folder).is_err() {
        line(&format!("{}: no folder {folder}", group.name));
        return 2;
    }
    if !group.as_root && call!(SYS_geteuid) == Ok(0) {
        let path = std::ffi::CString::new(folder).expect("a path of ours has no NUL");
        let _ = call!(SYS_chown, path.as_c_str(), NOBODY, NOBODY);
        let _ = call!(SYS_setgroups, 0, 0);
        let _ = call!(SYS_setresgid, NOBODY, NOBODY, NOBODY);
        let _ = call!(SYS_setresuid, NOBODY, NOBODY, NOBODY);
        // Changing users makes a process undumpable, which hides its /proc
        // entry; an ordinary user's process is not so.
        let _ = call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
    (group.run)();
    0
}

/// The path of the copy that groups execute, from inside a group's folder.
pub(crate) const SELF: &core::ffi::CStr = c"../self";
