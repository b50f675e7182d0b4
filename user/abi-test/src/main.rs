//! Every system call of the Linux ABI, a case a line: the same binary runs on
//! Linux and on Ochre, and the outputs must be equal.
//!
//! `abi-test list` names the groups, `abi-test GROUP...` runs some, `abi-test`
//! runs all, and `abi-test terminal GROUP...` runs those that need a terminal,
//! with one. Each group runs in a child of its own, in a fresh folder under
//! `/tmp`, with a time limit, so that one that hangs or dies is one line.
//!
//! Groups run as an ordinary user where that is possible: started by root, the
//! child drops to user 65534 unless the group is about root's rights. So a run
//! by an ordinary user on Linux can be compared with a run on Ochre, where the
//! first process is root.
//!
//! The program is static, and nothing here may print a process number, an
//! address or a time.

#![expect(
    unsafe_code,
    reason = "system calls and wild pointers are what is tested; all of it is in sys.rs and arch/"
)]

mod abuse;
mod arch;
mod errno;
mod exhaust;
mod groups;
mod kernel_memory;
mod memory_held;
mod report;
mod runner;
mod shortage;
mod sleeper;
mod sys;

fn main() {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    if let Some(count) = std::env::var_os("ABI_TEST_COUNT") {
        // Executed without arguments, so no role could be said.
        report::check("  program", program.as_str());
        report::check("  told", count.to_string_lossy().into_owned());
        sys::exit(0);
    }
    let status = match words.first().map(String::as_str) {
        Some("list") => {
            for group in groups::ALL {
                report::line(group.name);
            }
            0
        }
        Some("terminal") => {
            forget_how_we_were_started();
            runner::run_on_terminal(&program, &words[1..])
        }
        Some(role) if role.starts_with("--") => {
            abuse::role(role, &words[1..]).unwrap_or_else(|| groups::exec::role(role, &words[1..]))
        }
        _ => {
            forget_how_we_were_started();
            runner::run(&program, &words)
        }
    };
    sys::exit(status);
}

/// A shell without job control starts what is in its background with these
/// ignored, `nohup` with the first; groups expect what a login finds.
fn forget_how_we_were_started() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        sys::set_disposition(signal, libc::SIG_DFL);
    }
}
