//! Runs the in-kernel tests that the command line names.
//!
//! | word | what happens |
//! |---|---|
//! | `ochre.ktest=list` | a line `ktest NAME` for each, then the machine ends |
//! | `ochre.ktest=NAME,..` | these tests |
//! | `ochre.ktest=all` | every test, in one machine |
//!
//! Around a test the log says `ktest NAME: runs` and `ktest NAME: ok`. A test
//! fails by a panic, which ends the machine with a failure. They run before
//! anything of the safe kernel is set up, on the first processor; the others,
//! where there are any, wait for what tests give them.

use core::fmt::{self, Write};

use ochre_hal::boot::BootInfo;
use ochre_hal::ktest::{self, KernelTest};
use ochre_hal::{debug, power, smp};

/// The log, without the logger that is not set up yet.
struct Log;

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        debug::write(text.as_bytes());
        Ok(())
    }
}

/// Runs what the command line asks for and ends the machine; comes back where
/// it asks for nothing.
pub(crate) fn run(boot: &BootInfo) {
    let selected = boot
        .cmdline
        .split(u8::is_ascii_whitespace)
        .find_map(|word| word.strip_prefix(b"ochre.ktest="))
        .and_then(|name| str::from_utf8(name).ok());
    let Some(selected) = selected else {
        return;
    };
    crate::end_by_the_tools_ports();
    smp::start_for_tests();
    match selected {
        "list" => {
            for test in ktest::all() {
                let _ = writeln!(Log, "ktest {}", test.name);
            }
        }
        "all" => ktest::all().iter().for_each(one),
        names => {
            for name in names.split(',') {
                match ktest::all().iter().find(|test| test.name == name) {
                    Some(test) => one(test),
                    None => panic!("no such ktest: {name}"),
                }
            }
        }
    }
    power::power_off(0)
}

// ANCHOR: one
fn one(test: &KernelTest) {
    let _ = writeln!(Log, "ktest {}: runs", test.name);
    (test.run)();
    let _ = writeln!(Log, "ktest {}: ok", test.name);
}
// ANCHOR_END: one
