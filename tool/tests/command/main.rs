//! The `ochre` command as a person runs it: streams, statuses, signals, the terminal.
#![forbid(unsafe_code)]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ochre_tool::{
    arch::Arch,
    user_build::{build_dynamic, build_for},
};
use rustix::process::{Pid, Signal};

use support::{Terminal, ochre, run, run_with};

#[test]
fn the_programs_status_is_ours() {
    assert_eq!(run(&["sh", "-c", "exit 7"]).status, Some(7));
    assert_eq!(run(&["true"]).status, Some(0));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).status, Some(137));
}

#[test]
fn a_piped_shell_reads_its_commands_and_exits_with_their_status() {
    let script = "ls -l / | wc -l; uname -sm; exit 7\n";
    let done = run_with(ochre(&[]), script.as_bytes());
    assert_eq!(done.status, Some(7), "{}", done.stderr());
    let lines: Vec<_> = done.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].trim().parse::<u32>().is_ok_and(|count| count > 10));
    assert_eq!(lines[1], "Linux x86_64");
}

#[test]
fn every_byte_goes_in_and_comes_out() {
    let bytes: Vec<u8> = (0..=255).cycle().take(20_000).collect();
    let done = run_with(ochre(&["run", "cat"]), &bytes);
    assert!(done.stdout == bytes, "{} bytes came", done.stdout.len());
    assert_eq!(done.status, Some(0));
    // Nothing at all is an input too.
    let done = run_with(ochre(&["run", "wc", "-c"]), b"");
    assert_eq!(done.stdout().trim(), "0");
}

#[test]
fn output_and_errors_keep_apart() {
    let done = run(&["sh", "-c", "echo out; echo err >&2; echo more"]);
    assert_eq!(done.stdout(), "out\nmore\n");
    assert_eq!(done.stderr(), "err\n");
}

#[test]
fn arguments_environment_files_and_directory_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    fs::write(&file, "content").unwrap();
    let packed = format!("{}:/data/it", file.display());
    let done = run(&[
        "--env",
        "A=b  c%\n",
        "--file",
        &packed,
        "--directory",
        "/data",
        "sh",
        "-c",
        "printf '%s|' \"$A\" \"$1\" \"$2\" \"$PWD\"; cat it",
        "name",
        "x y",
        "\u{e9}\"'\\%20",
    ]);
    assert_eq!(done.stdout(), "b  c%\n|x y|\u{e9}\"'\\%20|/data|content");
}

#[test]
fn a_folder_as_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let busybox = ochre_tool::setup::ensure_busybox().unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    fs::copy(busybox, dir.path().join("bin/busybox")).unwrap();
    fs::write(dir.path().join("hello"), "from the folder\n").unwrap();
    let root = dir.path().to_str().unwrap();
    let done = run(&["--root", root, "busybox", "cat", "/hello"]);
    assert_eq!(done.stdout(), "from the folder\n", "{}", done.stderr());
    let done = run(&["--root", root, "nothing"]);
    assert_eq!(done.status, Some(127));
}

#[test]
fn what_is_not_there_or_no_program_is_said() {
    let done = run(&["no-such-program-here"]);
    assert_eq!(done.status, Some(127));
    assert!(done.stderr().contains("not in PATH"), "{}", done.stderr());

    // A program that the kernel refuses: process 1 cannot start.
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "not a program").unwrap();
    let done = run(&["--root", dir.path().to_str().unwrap(), "/text"]);
    assert!(done.status.is_some_and(|status| status != 0));
    assert!(done.stderr().contains("/text"), "{}", done.stderr());
}

/// Programs of `user/` as they are built for Linux, by their path, linked either
/// way: what they print here they print in a guest with any number of processors.
#[test]
fn our_programs_with_threads_unmodified() {
    let linked = |name| build_for(Arch::X86_64, name).unwrap();
    let threads = linked("threads");
    let [pthreads, dynamic] = [
        linked("pthreads"),
        build_dynamic(Arch::X86_64, "pthreads").unwrap(),
    ];
    for (program, what, processors) in [
        (&threads, "philosophers", "1"),
        (&threads, "tasks", "4"),
        (&pthreads, "conditions", "2"),
        (&dynamic, "cancel", "2"),
        (&dynamic, "mutexes", "4"),
    ] {
        let path = program.to_str().unwrap();
        let here = Command::new(program).arg(what).output().unwrap();
        assert!(here.status.success() && !here.stdout.is_empty(), "{what}");
        let done = run(&["--smp", processors, path, what]);
        assert_eq!(done.status, Some(0), "{path} {what}: {}", done.stderr());
        let printed = String::from_utf8_lossy(&here.stdout);
        assert_eq!(done.stdout(), printed, "{path} {what}");
    }
}

/// A program that this host cannot run itself, cross-built and linked
/// statically, is run by its path on the host.
#[test]
fn a_program_for_the_other_architecture() {
    let program = build_for(Arch::Aarch64, "hello-std").unwrap();
    let program = program.to_str().unwrap();
    let command = ["run", "--arch", "aarch64", "--timeout", "100"];
    let mut command = ochre(&command);
    command.args([program, "child", "echo"]);
    let done = run_with(command, b"hello\n");
    assert_eq!(done.stdout(), "child read Ok(6): hello\n");
    assert_eq!(done.stderr(), "child complains\n");
    assert_eq!(done.status, Some(3));
    let done = run(&["--arch", "aarch64", "uname", "-m"]);
    assert_eq!(done.stdout(), "aarch64\n", "{}", done.stderr());

    let done = run(&[program]);
    assert_eq!(done.status, Some(125), "{}", done.stdout());
    let wanted = "hello-std is a program for aarch64, which needs --arch aarch64";
    assert!(done.stderr().contains(wanted), "{}", done.stderr());
    // This test itself, which is for this host.
    let own = std::env::current_exe().unwrap();
    let done = run(&["--arch", "aarch64", own.to_str().unwrap()]);
    assert_eq!(done.status, Some(125), "{}", done.stdout());
    let wanted = " is a program for x86_64, which needs --arch x86_64";
    assert!(done.stderr().contains(wanted), "{}", done.stderr());
}

/// Libraries are not looked for: the host's are for another processor.
#[test]
fn a_program_of_the_other_architecture_without_its_libraries() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("dynamic");
    fs::write(&program, a_dynamic_program("/lib/ld-nowhere.so.1")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let done = run(&["--arch", "aarch64", program.to_str().unwrap()]);
    assert_eq!(done.status, Some(125), "{}", done.stdout());
    for wanted in ["needs /lib/ld-nowhere.so.1", "--root"] {
        assert!(done.stderr().contains(wanted), "{}", done.stderr());
    }
    let done = run(&["--arch", "aarch64", "no-such-program-here"]);
    assert_eq!(done.status, Some(127));
    assert!(done.stderr().contains("not in PATH"), "{}", done.stderr());
}

/// The headers of an ELF file for AArch64 that names this dynamic linker, and
/// nothing else.
fn a_dynamic_program(linker: &str) -> Vec<u8> {
    const HEADER: u16 = 64;
    const SEGMENT: u16 = 56;
    let name = [linker.as_bytes(), b"\0"].concat();
    let name_at = u64::from(HEADER + SEGMENT);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // A shared object, for AArch64.
    for half in [3_u16, 183] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    // The entry, the segments' place, no sections.
    for word in [0, u64::from(HEADER), 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [HEADER, SEGMENT, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_INTERP, readable.
    for half in [3_u32, 4] {
        file.extend(half.to_le_bytes());
    }
    let len = name.len() as u64;
    for word in [name_at, 0, 0, len, len, 1] {
        file.extend(word.to_le_bytes());
    }
    file.extend(name);
    file
}

/// A stand-in for QEMU for AArch64: the real one with these words besides.
fn qemu_with(dir: &Path, words: &str) -> PathBuf {
    let qemu = ochre_tool::setup::ensure_qemu(Arch::Aarch64).expect("QEMU");
    let path = dir.join("qemu");
    let script = format!("#!/bin/sh\nexec {} \"$@\" {words}\n", qemu.display());
    fs::write(&path, script).expect("a file of our own");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    path
}

/// A kernel that cannot read the device tree can only end the machine.
#[test]
fn a_machine_that_ends_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let dumped = Command::new(ochre_tool::setup::ensure_qemu(Arch::Aarch64).unwrap())
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-cpu",
            "cortex-a57",
            "-M",
        ])
        .arg(format!("virt,gic-version=2,dumpdtb={}", tree.display()))
        .output()
        .unwrap();
    assert!(tree.is_file(), "{dumped:?}");
    // QEMU makes it twice as long: longer than any that is believed.
    let mut bytes = fs::read(&tree).unwrap();
    bytes.resize(33 << 20, 0);
    let total = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&total.to_be_bytes());
    fs::write(&tree, bytes).unwrap();
    let qemu = qemu_with(dir.path(), &format!("-dtb {}", tree.display()));

    let mut command = ochre(&["run", "--arch", "aarch64", "--timeout", "100", "uname"]);
    command.env("OCHRE_QEMU_AARCH64", &qemu);
    let done = run_with(command, b"");
    assert_eq!(done.status, Some(125), "{}", done.stderr());
    assert_eq!(done.stdout(), "");
    for wanted in [
        "turned off before the kernel's first word",
        "cannot read the machine's device tree",
        "OCHRE_QEMU_AARCH64 names",
    ] {
        assert!(done.stderr().contains(wanted), "{}", done.stderr());
    }
}

#[test]
fn a_machine_that_goes_on_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    // It is never let go. It takes nothing from other guests, so it need not wait for its turn.
    let qemu = qemu_with(dir.path(), "-S");
    let mut child = ochre(&["run", "--arch", "aarch64", "uname"])
        .env("OCHRE_QEMU_AARCH64", &qemu)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let told = lines.find(|line| line.contains("has not said a word in 15 seconds"));
    let told = told.unwrap();
    assert!(told.contains("Ctrl-C ends it"), "{told}");
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(lines.any(|line| line.contains("names") && line.contains("qemu")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn time_that_is_up_ends_it() {
    let done = run_with(ochre(&["run", "--timeout", "4", "sleep", "1000"]), b"");
    assert_eq!(done.status, Some(124));
}

#[test]
fn a_profile_and_a_boot_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let mut command = ochre(&["profile", "--timeout", "100", "--output"]);
    command.arg(dir.path().join("it.svg"));
    let script = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); : < /etc/passwd; done; exit 7";
    command.args(["--rate", "10000", "sh", "-c", script]);
    let done = run_with(command, b"");
    assert_eq!(done.status, Some(7), "{}", done.stderr());
    assert!(done.stderr().contains(" samples, drawn in "));
    assert!(drawn("it.svg").contains("[kernel] openat"));

    let mut command = ochre(&["boot-chart", "--output"]);
    command.arg(dir.path().join("boot.svg"));
    let done = run_with(command, b"");
    assert_eq!(done.status, Some(0), "{}", done.stderr());
    assert!(
        done.stdout().contains("a shell's prompt"),
        "{}",
        done.stdout()
    );
    assert!(drawn("boot.svg").ends_with("</svg>\n"));
}

#[test]
fn a_reader_that_goes_ends_it() {
    let mut command = ochre(&["run", "--timeout", "60", "yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut stdout, &mut start).unwrap();
    assert_eq!(&start, b"y\ny\n");
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(141));
}

#[test]
fn an_interrupt_ends_it_and_qemu_too() {
    let mut command = ochre(&["run", "--timeout", "60", "sh", "-c", "echo up; sleep 1000"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 3];
    let stdout = child.stdout.as_mut().unwrap();
    std::io::Read::read_exact(stdout, &mut start).unwrap();
    let children = children_of(child.id());
    assert!(!children.is_empty());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    for id in children {
        assert!(
            !fs::exists(format!("/proc/{id}")).unwrap(),
            "QEMU {id} is left"
        );
    }
}

/// Process ids, from the host's `/proc`.
fn children_of(id: u32) -> Vec<String> {
    let path = format!("/proc/{id}/task/{id}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_terminal_is_one_in_the_guest_and_is_itself_again_afterwards() {
    let mut terminal = Terminal::new(30, 100);
    let before = terminal.mode();
    let mut child = terminal.start(ochre(&["--timeout", "90"]));
    terminal.expect("# ");
    terminal.send("stty size; tty\r");
    terminal.expect("30 100");
    // Ctrl-C ends what runs in front and leaves the shell.
    // What is typed is echoed, so what is waited for is spelled otherwise.
    terminal.send("sh -c 'echo st\"\"arted; sleep 1000'\r");
    terminal.expect("started");
    terminal.send("\x03");
    terminal.expect("# ");
    terminal.send("echo $((40 + 2)); exit 3\r");
    terminal.expect("42");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(terminal.mode(), before);
}

#[test]
fn the_key_to_leave_leaves() {
    let mut terminal = Terminal::new(24, 80);
    let before = terminal.mode();
    let mut child = terminal.start(ochre(&["--timeout", "90"]));
    terminal.expect("# ");
    terminal.send("\x01x");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(terminal.mode(), before);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let mut terminal = Terminal::new(24, 80);
    let before = terminal.mode();
    let mut child = terminal.start(ochre(&["--timeout", "90"]));
    terminal.expect("# ");
    assert_ne!(terminal.mode(), before);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(terminal.mode(), before);
}

#[test]
fn doctor_knows_what_is_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_ochre"))
        .arg("doctor")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for what in ["QEMU", "busybox", "x86_64-unknown-none"] {
        assert!(text.contains(what), "{text}");
    }
}
