//! Options that several commands share, and how their values are read.

use core::{convert::Infallible, str::FromStr, time::Duration};
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{arch::Arch, display::Display, guest::DEFAULT_MEMORY, machine::Machine, size::Size};

/// The layouts that the kernel knows (`kernel/src/device/keyboard/layout.rs`).
const LAYOUTS: [&str; 11] = [
    "us", "uk", "de", "fr", "no", "fi", "se", "jp", "dvorak", "dvp", "colemak",
];

/// The machine that a guest gets.
#[derive(Clone, Debug, Args)]
pub(super) struct MachineOptions {
    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(super) smp: u32,
    /// Memory, like 64M or 2G
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub(super) memory: Size,
    /// Kind of machine [default: microvm, with a display q35]
    #[arg(long, value_enum)]
    machine: Option<Machine>,
    /// Architecture: x86_64, or aarch64 (which is the machine `virt`)
    #[arg(long, value_enum, conflicts_with = "machine")]
    arch: Option<Arch>,
    /// Give the machine a screen and a keyboard, in a window of their own (a microvm: =vnc)
    ///
    /// Alt-F1 to Alt-F6 are its terminals. The first one's program has the
    /// machine, which ends with it; with `ochre shell` the others have shells too,
    /// after Enter. A kernel that dies leaves its report on the screen until
    /// the window is closed.
    #[arg(long, value_enum, value_name = "KIND", num_args = 0..=1,
          require_equals = true, default_missing_value = "window")]
    pub(super) display: Option<Display>,
    /// Layout of the display's keyboard
    #[arg(long, value_name = "LAYOUT", requires = "display", value_parser = LAYOUTS)]
    pub(super) keyboard: Option<String>,
    /// Give the kernel the names of its functions, for what it says itself when
    /// it dies [default with a display]
    #[arg(long)]
    pub(super) symbols: bool,
    /// End the guest after so many seconds, with exit status 124
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
    /// Show the kernel's log on standard error
    #[arg(short, long)]
    pub(super) verbose: bool,
}

impl MachineOptions {
    /// The kind of machine.
    pub(super) fn machine(&self) -> Machine {
        match (self.arch, self.machine, self.display) {
            (_, Some(machine), _) => machine,
            (None | Some(Arch::X86_64), None, Some(_)) => Machine::Q35,
            (arch, None, _) => arch.map_or(Machine::default(), Machine::usual),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "a number of seconds is wanted, like 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// An environment variable for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// `None` if this host has no such variable.
    pub(super) value: Option<OsString>,
}

impl FromStr for Variable {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, value)) => Self {
                name: name.to_owned(),
                value: Some(value.into()),
            },
            None => Self {
                name: text.to_owned(),
                value: env::var_os(text),
            },
        })
    }
}

/// A file or folder to pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileToPack {
    pub(super) host: PathBuf,
    pub(super) guest: PathBuf,
}

impl FromStr for FileToPack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, guest) = text.split_once(':').unwrap_or((text, ""));
        let host = std::path::absolute(host).map_err(|error| format!("{host}: {error}"))?;
        let guest = if guest.is_empty() {
            host.clone()
        } else {
            Path::new("/").join(guest)
        };
        Ok(Self { host, guest })
    }
}

const _: () = assert!(
    DEFAULT_MEMORY.bytes() == 512 << 20,
    "the default in MachineOptions is a text"
);

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{FileToPack, LAYOUTS, Variable, seconds};
    use crate::paths;

    #[test]
    fn the_layouts_are_the_kernels() {
        let place = "kernel/src/device/keyboard/layout.rs";
        let path = paths::workspace().expect("the checkout").join(place);
        let kernel = std::fs::read_to_string(path).expect(place);
        // A test there compares this with the kernel's table.
        let told = format!("\"is one of {}\"", LAYOUTS.join(", "));
        assert!(kernel.contains(&told), "{place} has no {told}");
    }

    #[test]
    fn values() {
        let variable: Variable = "A=b=c".parse().unwrap();
        assert_eq!(variable.name, "A");
        assert_eq!(variable.value.unwrap(), "b=c");
        let variable: Variable = "NO_SUCH_VARIABLE_HERE".parse().unwrap();
        assert_eq!(variable.value, None);
        let file: FileToPack = "/a/b:c".parse().unwrap();
        assert_eq!((file.host, file.guest), ("/a/b".into(), "/c".into()));
        let file: FileToPack = "/a/b".parse().unwrap();
        assert_eq!(file.host, file.guest);
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err() && seconds("x").is_err() && seconds("inf").is_err());
    }
}
