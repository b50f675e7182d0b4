//! `clone` with the flags that fork, vfork and `posix_spawn` use, and `vfork`.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::call;
use crate::report::{check, wait};
use crate::sys;

static SEEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn store_seven(_: *mut libc::c_void) -> i32 {
    SEEN.store(7, Ordering::SeqCst);
    9
}

extern "C" fn open_a_file(_: *mut libc::c_void) -> i32 {
    call!(SYS_open, c"/dev/null", 0, 0).unwrap_or(0) as i32
}

extern "C" fn change_folder(_: *mut libc::c_void) -> i32 {
    let _ = call!(SYS_chdir, c"/");
    let _ = call!(SYS_umask, 0o77);
    0
}

extern "C" fn parent_number(_: *mut libc::c_void) -> i32 {
    SEEN.store(call!(SYS_getppid).unwrap_or(0) as i32, Ordering::SeqCst);
    0
}

/// Clones with `flags` and answers how the child ended.
fn clone(
    flags: i32,
    words: &mut [i32; 2],
    body: extern "C" fn(*mut libc::c_void) -> i32,
) -> String {
    let mut stack = vec![0_u64; 8192];
    match sys::clone_on_stack(flags, &mut stack, words, body) {
        Ok(pid) if flags & 0xff == libc::SIGCHLD => wait(pid as i32),
        Ok(pid) => crate::report::wait_with(pid as i32, libc::__WALL),
        Err(error) => error.name().to_owned(),
    }
}

/// The cases.
pub(crate) fn run() {
    let none = &mut [0, 0];
    check("as fork", clone(libc::SIGCHLD, none, store_seven));
    check("memory is a copy", SEEN.load(Ordering::SeqCst));
    check(
        "CLONE_VM",
        clone(libc::CLONE_VM | libc::SIGCHLD, none, store_seven),
    );
    check("memory is shared", SEEN.swap(0, Ordering::SeqCst));
    let spawn = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    check("as posix_spawn", clone(spawn, none, store_seven));
    check("memory is shared", SEEN.swap(0, Ordering::SeqCst));
    let mut stack = vec![0_u64; 8192];
    let pid = sys::clone_on_stack(spawn, &mut stack, &mut [0, 0], store_seven);
    check("vfork waited for the child", SEEN.load(Ordering::SeqCst));
    check("and it is a child", wait(pid.unwrap_or(0) as i32));

    let mut words = [0, 0];
    let flags = libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
    check("PARENT_SETTID", clone(flags, &mut words, store_seven));
    check("parent's word set", words[0] != 0);
    let mut words = [0, 55];
    let flags = libc::CLONE_CHILD_SETTID | libc::SIGCHLD;
    check("CHILD_SETTID", clone(flags, &mut words, store_seven));
    check("in a copy, parent's word stays", words[1]);
    let flags = libc::CLONE_VM | libc::CLONE_CHILD_SETTID | libc::SIGCHLD;
    check("CHILD_SETTID shared", clone(flags, &mut words, store_seven));
    check("word set", words[1] != 55);
    let mut words = [0, 55];
    let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    check(
        "CHILD_CLEARTID shared",
        clone(flags, &mut words, store_seven),
    );
    check("word cleared", words[1]);

    let next = call!(SYS_dup, 0).unwrap_or(0);
    let _ = call!(SYS_close, next);
    check(
        "without CLONE_FILES",
        clone(libc::SIGCHLD, none, open_a_file) == format!("exit {next}"),
    );
    check("descriptor stays the child's", call!(SYS_close, next));
    check(
        "CLONE_FILES",
        clone(libc::CLONE_FILES | libc::SIGCHLD, none, open_a_file) == format!("exit {next}"),
    );
    check("descriptor is shared", call!(SYS_close, next));

    let folder = std::env::current_dir().unwrap_or_default();
    check(
        "without CLONE_FS",
        clone(libc::SIGCHLD, none, change_folder),
    );
    check(
        "folder stays",
        std::env::current_dir().is_ok_and(|now| now == folder),
    );
    check(
        "CLONE_FS",
        clone(libc::CLONE_FS | libc::SIGCHLD, none, change_folder),
    );
    check(
        "folder is shared",
        std::env::current_dir().is_ok_and(|now| now.as_os_str() == "/"),
    );
    check("umask is shared", call!(SYS_umask, 0o22));
    let _ = std::env::set_current_dir(folder);

    check("no exit signal", clone(0, none, store_seven));
    check(
        "another exit signal",
        clone(libc::SIGWINCH, none, store_seven),
    );
    let parent = call!(SYS_getppid).unwrap_or(0) as i32;
    let pid = sys::fork(|| {
        let mut stack = vec![0_u64; 8192];
        let flags = libc::CLONE_PARENT | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let _ = sys::clone_on_stack(flags, &mut stack, &mut [0, 0], parent_number);
        let sibling = i64::from(SEEN.load(Ordering::SeqCst)) == call!(SYS_getppid).unwrap_or(0);
        i32::from(sibling && parent != 0)
    });
    check("CLONE_PARENT makes a sibling", wait(pid));
    check(
        "and it is mine to reap",
        call!(SYS_wait4, -1, 0, 0, 0).is_ok(),
    );
    check("no more", call!(SYS_wait4, -1, 0, 0, 0));

    check(
        "SIGHAND without VM",
        call!(SYS_clone, libc::CLONE_SIGHAND | libc::SIGCHLD, 0, 0, 0, 0),
    );
    check(
        "THREAD without SIGHAND",
        call!(SYS_clone, libc::CLONE_THREAD | libc::SIGCHLD, 0, 0, 0, 0),
    );
    check(
        "THREAD without VM",
        call!(
            SYS_clone,
            libc::CLONE_THREAD | libc::CLONE_SIGHAND,
            0,
            0,
            0,
            0
        ),
    );
    vfork();
}

/// `vfork` with an exec that works and one that does not.
fn vfork() {
    for (name, program) in [
        ("vfork, exec", crate::runner::SELF),
        ("vfork, no exec", c"/nope"),
    ] {
        let args = [
            program.as_ptr().expose_provenance(),
            c"--exit".as_ptr().expose_provenance(),
            c"6".as_ptr().expose_provenance(),
            0,
        ];
        let pid = match std::process::Command::new(program.to_string_lossy().as_ref())
            .arg("--exit")
            .arg("6")
            .status()
        {
            Ok(status) => format!("{:?}", status.code()),
            Err(error) => crate::errno::Errno(error.raw_os_error().unwrap_or(0))
                .name()
                .to_owned(),
        };
        check(&format!("{name}, by Command"), pid);
        let mut stack = vec![0_u64; 8192];
        extern "C" fn exec(_: *mut libc::c_void) -> i32 {
            let at = ARGS.load(Ordering::SeqCst) as usize;
            let program = PROGRAM.load(Ordering::SeqCst) as usize;
            call!(SYS_execve, program, at, &[0_usize]).map_or_else(|error| error.0, |_| 0)
        }
        use core::sync::atomic::AtomicI64;
        static ARGS: AtomicI64 = AtomicI64::new(0);
        static PROGRAM: AtomicI64 = AtomicI64::new(0);
        ARGS.store(args.as_ptr().expose_provenance() as i64, Ordering::SeqCst);
        PROGRAM.store(
            program.as_ptr().expose_provenance() as i64,
            Ordering::SeqCst,
        );
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let pid = sys::clone_on_stack(flags, &mut stack, &mut [0, 0], exec);
        check(name, pid.map(|pid| wait(pid as i32)));
    }
}
