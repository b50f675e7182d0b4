//! `execve` and `execveat`: errors, arguments, `#!`, what stays and what goes.
//!
//! The program executes itself in roles, which begin with two dashes.

use core::ffi::CStr;
use std::ffi::CString;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use crate::call;
use crate::report::{check, check_child, line};
use crate::runner::SELF;
use crate::sys::{self, BAD};

/// What the program does when a case executes it.
pub(crate) fn role(role: &str, words: &[String]) -> i32 {
    match role.split(' ').next().unwrap_or_default() {
        "--exit" => words
            .first()
            .and_then(|word| word.parse().ok())
            .unwrap_or(0),
        "--args" => {
            for (at, word) in std::env::args_os().enumerate() {
                line(&format!(
                    "  argv[{at}] {}",
                    shorten(&word.to_string_lossy())
                ));
            }
            let mut env: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
            env.sort();
            for word in env {
                line(&format!("  env {}", shorten(&word)));
            }
            0
        }
        "--memory-limits" => super::memory_limits::role(),
        "--places" => super::placement::role(),
        "--keys" => super::landing::role(),
        "--rseq" => super::rseq::role(),
        "--seccomp" => super::seccomp::role(),
        "--leader" => {
            let alone = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
            check("  alone", alone == 1);
            i32::from(call!(SYS_getpid) == call!(SYS_gettid))
        }
        "--count" => {
            line(&format!("  {} words", words.len()));
            0
        }
        "--sleep" => {
            let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGSTOP);
            let _ = call!(SYS_pause);
            0
        }
        "--descriptors" => {
            for fd in 100..104 {
                check(
                    &format!("  descriptor {fd} flags"),
                    call!(SYS_fcntl, fd, libc::F_GETFD, 0),
                );
            }
            0
        }
        "--ids" => {
            let mut ids = [0_u32; 3];
            let [real, effective, saved] = &mut ids;
            let _ = call!(SYS_getresuid, real, effective, saved);
            check("  real, effective, saved", (ids[0], ids[1], ids[2]));
            check("  AT_SECURE", sys::auxv(libc::AT_SECURE));
            0
        }
        "--state" => {
            print_state();
            0
        }
        "--auxv" => {
            print_auxv();
            0
        }
        _ => 99,
    }
}

/// Temporary paths hold a process number; only their last part is printed.
fn shorten(word: &str) -> &str {
    if word.starts_with("/tmp/") {
        word.rsplit('/').next().unwrap_or(word)
    } else {
        word
    }
}

/// Executes `program`; answers the error number if that fails.
pub(crate) fn exec(program: &CStr, args: &[&CStr], env: &[&CStr]) -> i32 {
    let pointers = |words: &[&CStr]| -> Vec<usize> {
        words
            .iter()
            .map(|word| word.as_ptr().expose_provenance())
            .chain([0])
            .collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    let answer = call!(SYS_execve, program, args.as_slice(), env.as_slice());
    check("execve", answer);
    98
}

fn file(name: &str, mode: u32, content: &[u8]) {
    let mut file = std::fs::File::create(name).expect("the group's folder is ours");
    file.write_all(content).expect("the group's folder is ours");
    file.set_permissions(std::fs::Permissions::from_mode(mode))
        .expect("the file is ours");
}

/// Arguments and errors.
pub(crate) fn run() {
    check_child("exit 42", || exec(SELF, &[SELF, c"--exit", c"42"], &[]));
    check_child("arguments", || {
        exec(
            SELF,
            &[c"zero", c"--args", c"", c"a b", c"c\n"],
            &[c"B=2", c"A=", c"ODD"],
        )
    });
    check_child("no arguments at all", || {
        exec(SELF, &[], &[c"ABI_TEST_COUNT=1"])
    });
    check_child("missing", || exec(c"/nope/nope", &[], &[]));
    check_child("empty path", || exec(c"", &[], &[]));
    check_child("a folder", || exec(c".", &[], &[]));
    file("plain", 0o644, b"\x7fELF");
    check_child("not executable", || exec(c"plain", &[], &[]));
    check_child("component is a file", || exec(c"plain/x", &[], &[]));
    for (name, content) in [
        ("empty", b"".as_slice()),
        ("text", b"hello, I am text\n"),
        ("only magic", b"\x7fELF"),
        (
            "magic and zeroes",
            &[&b"\x7fELF\x02\x01\x01"[..], &[0; 60]].concat(),
        ),
        ("32-bit", &[&b"\x7fELF\x01\x01\x01"[..], &[0; 60]].concat()),
        (
            "wrong magic",
            &[&b"\x7fELG\x02\x01\x01"[..], &[0; 60]].concat(),
        ),
    ] {
        file("bad", 0o755, content);
        check_child(name, || exec(c"bad", &[c"bad"], &[]));
    }
    let _ = call!(SYS_symlink, c"loop", c"loop");
    check_child("symlink loop", || exec(c"loop", &[], &[]));
    let _ = call!(SYS_symlink, SELF, c"link");
    check_child("through a symlink", || {
        exec(c"link", &[c"link", c"--exit", c"4"], &[])
    });
    check_child("long name", || {
        let name = CString::new("x".repeat(300)).expect("no NUL");
        exec(&name, &[], &[])
    });
    check_child("bad path pointer", || {
        check("execve", call!(SYS_execve, BAD, 0, 0));
        0
    });
    check_child("bad argv pointer", || {
        check("execve", call!(SYS_execve, SELF, BAD, 0));
        0
    });
    check_child("bad argv[0]", || {
        check("execve", call!(SYS_execve, SELF, &[BAD, 0], 0));
        0
    });
    check_child("bad envp pointer", || {
        check("execve", call!(SYS_execve, SELF, &[0_usize], BAD));
        0
    });
    sizes();
    execveat();
    check_child("a file being written", || {
        let _ = std::fs::copy("../self", "writing");
        let fd = call!(SYS_open, c"writing", libc::O_WRONLY, 0);
        check("open for writing", fd.is_ok());
        exec(c"writing", &[c"writing", c"--exit", c"1"], &[])
    });
}

/// How much `execve` takes.
fn sizes() {
    check_child("1,000 arguments", || {
        let mut args = vec![SELF, c"--count"];
        args.resize(1002, c"x");
        exec(SELF, &args, &[])
    });
    let big = CString::new(vec![b'y'; 131_071]).expect("no NUL");
    check_child("an argument of 131,071 bytes", || {
        exec(SELF, &[SELF, c"--count", &big], &[])
    });
    let big = CString::new(vec![b'y'; 131_072]).expect("no NUL");
    check_child("an argument of 131,072 bytes", || {
        exec(SELF, &[SELF, c"--count", &big], &[])
    });
    let half = CString::new(vec![b'y'; 100_000]).expect("no NUL");
    check_child("1 MB of arguments", || {
        let mut args = vec![SELF, c"--count"];
        args.resize(12, half.as_c_str());
        exec(SELF, &args, &[])
    });
    check_child("8 MB of arguments", || {
        let mut args = vec![SELF, c"--count"];
        args.resize(82, half.as_c_str());
        exec(SELF, &args, &[])
    });
}

fn execveat() {
    let args = [
        c"self".as_ptr().expose_provenance(),
        c"--exit".as_ptr().expose_provenance(),
        c"11".as_ptr().expose_provenance(),
        0,
    ];
    let folder = call!(SYS_open, c"..", libc::O_RDONLY | libc::O_DIRECTORY, 0).unwrap_or(-1);
    let path = call!(SYS_open, SELF, libc::O_PATH, 0).unwrap_or(-1);
    let none = [0_usize];
    let empty = libc::AT_EMPTY_PATH;
    let case = |name: &str, fd: i64, path: &CStr, flags: i32| {
        check_child(name, || {
            check(
                "execveat",
                call!(SYS_execveat, fd, path, &args, &none, flags),
            );
            98
        });
    };
    case("execveat relative", folder, c"self", 0);
    case("execveat an open file", path, c"", empty);
    case("execveat without AT_EMPTY_PATH", path, c"", 0);
    case("execveat bad folder", 999, c"self", 0);
    case("execveat bad flags", folder, c"self", 0x4000);
    case("execveat not a folder", path, c"self", 0);
    let _ = call!(SYS_symlink, SELF, c"link2");
    case("execveat AT_FDCWD", libc::AT_FDCWD.into(), c"link2", 0);
    case(
        "execveat no symlinks",
        libc::AT_FDCWD.into(),
        c"link2",
        libc::AT_SYMLINK_NOFOLLOW,
    );
    let _ = call!(SYS_close, folder);
    let _ = call!(SYS_close, path);
}

/// `#!`.
pub(crate) fn scripts() {
    let base = std::env::current_dir().unwrap_or_default();
    let program = base
        .parent()
        .map(|base| base.join("self"))
        .unwrap_or_default();
    let program = program.display();
    let script = |name: &str, text: String| file(name, 0o755, text.as_bytes());
    let run = |name: &str, path: &CStr| {
        check_child(name, || {
            exec(path, &[c"script-argv0", c"one", c"two"], &[c"E=1"])
        });
    };
    script("s1", format!("#!{program} --args\n"));
    run("interpreter and a word", c"./s1");
    script("s2", format!("#! \t {program}   --args  x y \t \nrest\n"));
    run("white space", c"./s2");
    script("s3", format!("#!{program} --exit\n"));
    check_child("its exit", || exec(c"./s3", &[], &[]));
    script("s4", format!("#!{}/s1 --x\n", base.display()));
    run("a script as interpreter", c"./s4");
    script("s5", format!("#!{}/s5\n", base.display()));
    run("itself as interpreter", c"./s5");
    script("s6", "#!/nope/interpreter\n".to_owned());
    run("missing interpreter", c"./s6");
    script("s7", "#!\n".to_owned());
    run("no interpreter", c"./s7");
    script("s8", "#!   \n".to_owned());
    run("only spaces", c"./s8");
    script("s9", format!("#!{program} --args"));
    run("no newline", c"./s9");
    script("s10", format!("#!/{}\n", "x".repeat(300)));
    run("longer than a line may be", c"./s10");
    script("s11", format!("#!{}\n", base.display()));
    run("a folder as interpreter", c"./s11");
    for depth in 1..=6 {
        let text = if depth == 1 {
            format!("#!{program} --args\n")
        } else {
            format!("#!{}/n{}\n", base.display(), depth - 1)
        };
        script(&format!("n{depth}"), text);
        let path = CString::new(format!("./n{depth}")).expect("no NUL");
        check_child(&format!("nested {depth}"), || exec(&path, &[c"n"], &[]));
    }
    file("s12", 0o644, format!("#!{program} --args\n").as_bytes());
    run("script not executable", c"./s12");
}

/// What survives an exec.
pub(crate) fn state() {
    check_child("descriptors", || {
        for fd in 100..104 {
            let _ = call!(SYS_dup2, 0, fd);
        }
        let _ = call!(SYS_fcntl, 101, libc::F_SETFD, libc::FD_CLOEXEC);
        let _ = call!(SYS_dup3, 0, 102, libc::O_CLOEXEC);
        exec(SELF, &[SELF, c"--descriptors"], &[])
    });
    check_child("signals, umask, folder, group", || {
        extern "C" fn handler(_: i32, _: &libc::siginfo_t, _: usize) {}
        sys::set_disposition(libc::SIGUSR1, libc::SIG_IGN);
        sys::on_signal(libc::SIGUSR2, 0, handler);
        let mask = 1_u64 << (libc::SIGTERM - 1);
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_SETMASK, &mask, 0, 8);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGTERM);
        let _ = call!(SYS_umask, 0o27);
        let _ = call!(SYS_mkdir, c"sub", 0o755);
        let _ = call!(SYS_chdir, c"sub");
        let _ = call!(SYS_setpgid, 0, 0);
        exec(c"../../self", &[SELF, c"--state"], &[])
    });
    check_child("name", || {
        let _ = call!(SYS_prctl, libc::PR_SET_NAME, c"before", 0, 0, 0);
        exec(SELF, &[c"argv-zero", c"--state"], &[])
    });
    check_child("alarm goes on", || {
        let _ = call!(SYS_alarm, 100);
        check("left", call!(SYS_alarm, 100).is_ok_and(|left| left > 90));
        exec(SELF, &[SELF, c"--state"], &[])
    });
}

fn print_state() {
    let mut old = 0_u64;
    let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut old, 8);
    check("  mask", format!("{old:#x}"));
    let mut pending = 0_u64;
    let _ = call!(SYS_rt_sigpending, &mut pending, 8);
    check("  pending", format!("{pending:#x}"));
    for signal in [libc::SIGUSR1, libc::SIGUSR2] {
        let mut action = [0_u64; 4];
        let _ = call!(SYS_rt_sigaction, signal, 0, &mut action, 8);
        check("  handler", action[0]);
    }
    check(
        "  umask",
        format!("{:o}", call!(SYS_umask, 0).unwrap_or(-1)),
    );
    let folder = std::env::current_dir().unwrap_or_default();
    check(
        "  folder",
        folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    );
    check("  leads its group", call!(SYS_getpgrp) == call!(SYS_getpid));
    let mut name = [0_u8; 16];
    let _ = call!(SYS_prctl, libc::PR_GET_NAME, &mut name, 0, 0, 0);
    check(
        "  name",
        String::from_utf8_lossy(&name)
            .trim_end_matches('\0')
            .to_owned(),
    );
    check("  alarm", call!(SYS_alarm, 0).is_ok_and(|left| left > 0));
}

/// The auxiliary vector.
pub(crate) fn auxv() {
    check_child("auxv", || exec(SELF, &[SELF, c"--auxv"], &[]));
}

fn print_auxv() {
    check("  AT_PAGESZ", sys::auxv(libc::AT_PAGESZ));
    check("  AT_CLKTCK", sys::auxv(libc::AT_CLKTCK));
    check("  AT_PHENT", sys::auxv(libc::AT_PHENT));
    check("  AT_PHNUM", sys::auxv(libc::AT_PHNUM));
    check("  AT_PHDR", sys::auxv(libc::AT_PHDR) != 0);
    check("  AT_ENTRY", sys::auxv(libc::AT_ENTRY) != 0);
    check("  AT_BASE", sys::auxv(libc::AT_BASE));
    check("  AT_FLAGS", sys::auxv(libc::AT_FLAGS));
    check("  AT_SECURE", sys::auxv(libc::AT_SECURE));
    check(
        "  AT_UID",
        call!(SYS_getuid) == Ok(sys::auxv(libc::AT_UID) as i64),
    );
    check(
        "  AT_EUID",
        call!(SYS_geteuid) == Ok(sys::auxv(libc::AT_EUID) as i64),
    );
    check(
        "  AT_GID",
        call!(SYS_getgid) == Ok(sys::auxv(libc::AT_GID) as i64),
    );
    check(
        "  AT_EGID",
        call!(SYS_getegid) == Ok(sys::auxv(libc::AT_EGID) as i64),
    );
    let random = sys::auxv(libc::AT_RANDOM) as usize;
    check(
        "  AT_RANDOM",
        random != 0 && (0..16).any(|i| sys::peek(random + i) != 0),
    );
    check("  AT_EXECFN", sys::string_at(sys::auxv(libc::AT_EXECFN)));
    check(
        "  AT_PLATFORM",
        sys::string_at(sys::auxv(libc::AT_PLATFORM)),
    );
}
