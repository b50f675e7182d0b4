//! The hardware that a guest gets, as QEMU's arguments.
//!
//! Whatever the machine, the guest sees the same few devices at fixed places:
//!
//! | device | where | carries |
//! | --- | --- | --- |
//! | 16550 serial | port 0x3f8, irq 4 | the terminal, or standard input and output |
//! | 16550 serial | port 0x2f8, irq 3 | standard error (not with a terminal) |
//! | debug console | port 0x402 (0xe9 with a BIOS) | the kernel's log |
//! | debug console | port 0x403 | the status of process 1, one byte |
//! | debug exit | port 0xf4 | the end of the machine |
//!
//! AArch64 has no ports: its own PL011 is the first serial line, a PCI card of
//! four 16550 has standard error, log and status on its first three, and the
//! firmware (PSCI) ends the machine.

use std::{ffi::OsString, path::Path};

use crate::{arch::Arch, display::Frontend, host, size::Size};

/// The port of the status byte.
pub const STATUS_PORT: &str = "0x403";
/// The port that ends the machine.
pub const EXIT_PORT: &str = "0xf4";

/// The kinds of machines that Ochre boots on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Machine {
    /// The smallest and fastest: no PCI, no BIOS to speak of.
    #[default]
    Microvm,
    /// A PC with PCI Express.
    Q35,
    /// A PC of the nineties.
    Pc,
    /// AArch64: no board that exists, but a device tree that tells of it.
    Virt,
}

impl Machine {
    /// All of x86_64.
    pub const ALL: [Self; 3] = [Self::Microvm, Self::Q35, Self::Pc];

    /// The one that guests of an architecture have unless told otherwise.
    pub fn usual(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => Self::default(),
            Arch::Aarch64 => Self::Virt,
        }
    }

    /// What its processors are.
    pub fn arch(self) -> Arch {
        match self {
            Self::Microvm | Self::Q35 | Self::Pc => Arch::X86_64,
            Self::Virt => Arch::Aarch64,
        }
    }

    /// The port of the kernel's log. Where there is a BIOS it is another one,
    /// because SeaBIOS writes its own story, at length, to port 0x402.
    pub fn log_port(self) -> &'static str {
        match self {
            Self::Microvm | Self::Virt => "0x402",
            Self::Q35 | Self::Pc => "0xe9",
        }
    }

    /// Whether it can be started in a window. QEMU (7.2) gives a microVM's
    /// firmware a piece of its own stack as the kernel's first bytes; what opens
    /// a window has written over it by then, and the firmware stops.
    pub fn starts_in_window(self) -> bool {
        self != Self::Microvm
    }

    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Microvm => "microvm",
            Self::Q35 => "q35",
            Self::Pc => "pc",
            Self::Virt => "virt",
        }
    }
}

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's translator.
    Tcg,
    /// QEMU's translator with time counted in instructions: one processor, and
    /// two runs with the same input are the same to the instruction.
    Counted,
}

impl Accelerator {
    /// The fastest one that works here.
    pub fn best() -> Self {
        if host::kvm_is_usable() {
            Self::Kvm
        } else {
            Self::Tcg
        }
    }
}

/// The hardware of one guest.
#[derive(Clone, Copy, Debug)]
pub struct Hardware {
    /// The kind of machine.
    pub machine: Machine,
    /// What executes its instructions.
    pub accelerator: Accelerator,
    /// How much memory it has.
    pub memory: Size,
    /// How many processors it has.
    pub processors: u32,
    /// Another model of processor than the usual one (QEMU's name).
    pub model: Option<&'static str>,
    /// More properties of the machine (QEMU's `-M`), like `virtualization=on`.
    pub properties: Option<&'static str>,
    /// Whether it has a screen and a keyboard.
    pub screen: Screen,
}

/// Whether a machine has a screen and a keyboard, and where they are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// It has neither.
    #[default]
    None,
    /// They are reached over the control line ([`crate::qmp`]).
    Hidden,
    /// A person sees them.
    Shown(Frontend),
}

/// The files and sockets that QEMU opens.
#[derive(Clone, Copy, Debug)]
pub struct Wiring<'a> {
    /// The kernel: an ELF file with a PVH note, or a Linux bzImage.
    pub kernel: &'a Path,
    /// The initial file system.
    pub initrd: Option<&'a Path>,
    /// The device tree, in place of the machine's own (AArch64).
    pub device_tree: Option<&'a Path>,
    /// The kernel's command line.
    pub command_line: &'a str,
    /// The socket of the first serial line.
    pub com1: &'a Path,
    /// The socket of the second serial line, if there is one.
    pub com2: Option<&'a Path>,
    /// The socket of the kernel's log.
    pub log: &'a Path,
    /// The file that the status byte is written to.
    pub status: &'a Path,
    /// The socket at which a debugger is waited for, before the first
    /// instruction.
    pub debugger: Option<&'a Path>,
    /// The socket of the control line, if there is one.
    pub control: Option<&'a Path>,
}

impl Hardware {
    /// QEMU's arguments.
    pub fn arguments(&self, wiring: &Wiring<'_>) -> Vec<OsString> {
        let mut arguments = Arguments::default();
        arguments.flags("-nodefaults -no-user-config -no-reboot");
        let display = match self.screen {
            Screen::None | Screen::Hidden => "none".to_owned(),
            Screen::Shown(frontend) => frontend.argument(),
        };
        arguments.pair("-display", display);
        if self.machine == Machine::Virt {
            self.virt(wiring, &mut arguments);
            return arguments.0;
        }
        let machine = match (self.machine, self.accelerator) {
            // Under KVM this machine has no battery-backed clock unless asked.
            (Machine::Microvm, Accelerator::Kvm) => "microvm,rtc=on",
            (machine, _) => machine.name(),
        };
        arguments.pair("-M", self.with_properties(machine.to_owned()));
        let model = match self.accelerator {
            Accelerator::Kvm => "host",
            Accelerator::Tcg | Accelerator::Counted => "max",
        };
        self.processor(model, &mut arguments);
        self.common(wiring, &mut arguments);
        self.screen_and_keyboard(wiring, &mut arguments);
        arguments.pair("-device", "isa-serial,iobase=0x3f8,irq=4,chardev=com1");
        if let Some(com2) = wiring.com2 {
            arguments.socket("com2", com2);
            arguments.pair("-device", "isa-serial,iobase=0x2f8,irq=3,chardev=com2");
        }
        arguments.socket("log", wiring.log);
        arguments.pair(
            "-device",
            format!(
                "isa-debugcon,iobase={},chardev=log",
                self.machine.log_port()
            ),
        );
        arguments.chardev("file,id=status,path=", wiring.status);
        arguments.pair(
            "-device",
            format!("isa-debugcon,iobase={STATUS_PORT},chardev=status"),
        );
        arguments.pair(
            "-device",
            format!("isa-debug-exit,iobase={EXIT_PORT},iosize=4"),
        );
        arguments.0
    }

    fn with_properties(&self, mut machine: String) -> String {
        if let Some(properties) = self.properties {
            machine.push(',');
            machine.push_str(properties);
        }
        machine
    }

    /// What executes instructions, and which; `usual` unless told otherwise.
    fn processor(&self, usual: &str, arguments: &mut Arguments) {
        arguments.flags(match self.accelerator {
            Accelerator::Kvm => "-accel kvm",
            Accelerator::Tcg => "-accel tcg",
            Accelerator::Counted => {
                "-accel tcg -icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01,clock=vm"
            }
        });
        arguments.pair("-cpu", self.model.unwrap_or(usual));
    }

    /// What all machines have.
    fn common(&self, wiring: &Wiring<'_>, arguments: &mut Arguments) {
        arguments.pair("-m", format!("{}k", self.memory.kib_rounded_up()));
        arguments.pair("-smp", self.processors.to_string());
        arguments.pair("-kernel", wiring.kernel);
        if let Some(initrd) = wiring.initrd {
            arguments.pair("-initrd", initrd);
        }
        if let Some(tree) = wiring.device_tree {
            arguments.pair("-dtb", tree);
        }
        arguments.pair("-append", wiring.command_line);
        if let Some(debugger) = wiring.debugger {
            arguments.flags("-S");
            arguments.chardev("socket,id=debugger,server=on,wait=off,path=", debugger);
            arguments.pair("-gdb", "chardev:debugger");
        }
        arguments.socket("com1", wiring.com1);
        if let Some(control) = wiring.control {
            arguments.socket("control", control);
            arguments.pair("-mon", "chardev=control,mode=control");
        }
    }

    /// A PC has text mode, if it is given the adapter, and a keyboard anyway.
    /// The other machines have a picture in memory and a keyboard of virtio's;
    /// so has one whose keys are pressed over the control line alone.
    fn screen_and_keyboard(&self, wiring: &Wiring<'_>, arguments: &mut Arguments) {
        let has_screen = self.screen != Screen::None;
        match self.machine {
            Machine::Q35 | Machine::Pc => {
                if has_screen {
                    arguments.pair("-vga", "std");
                }
            }
            Machine::Microvm | Machine::Virt => {
                if has_screen {
                    arguments.pair("-device", "ramfb");
                }
                if has_screen || wiring.control.is_some() {
                    arguments.pair("-global", "virtio-mmio.force-legacy=false");
                    arguments.pair("-device", "virtio-keyboard-device");
                }
            }
        }
    }

    /// The machine for AArch64: one serial port of its own, and a card with
    /// standard error, the log and the status.
    fn virt(&self, wiring: &Wiring<'_>, arguments: &mut Arguments) {
        // The older interrupt controller has eight processors at most.
        let controller = if self.processors > 8 { 3 } else { 2 };
        let machine = format!("virt,gic-version={controller}");
        arguments.pair("-M", self.with_properties(machine));
        // The host's processor could run it only if it were one of these.
        let accelerator = match self.accelerator {
            Accelerator::Kvm => Accelerator::Tcg,
            other => other,
        };
        let hardware = Self {
            accelerator,
            ..*self
        };
        hardware.processor("cortex-a57", arguments);
        self.common(wiring, arguments);
        self.screen_and_keyboard(wiring, arguments);
        arguments.pair("-serial", "chardev:com1");
        match wiring.com2 {
            Some(com2) => arguments.socket("com2", com2),
            None => arguments.pair("-chardev", "null,id=com2"),
        }
        arguments.socket("log", wiring.log);
        arguments.chardev("file,id=status,path=", wiring.status);
        arguments.pair("-chardev", "null,id=unused");
        arguments.pair(
            "-device",
            "pci-serial-4x,chardev1=com2,chardev2=log,chardev3=status,chardev4=unused",
        );
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flags(&mut self, words: &str) {
        self.0.extend(words.split_whitespace().map(OsString::from));
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.push(name.into());
        self.0.push(value.into());
    }

    fn socket(&mut self, id: &str, path: &Path) {
        self.chardev(&format!("socket,id={id},path="), path);
    }

    /// A comma in a path would end the value; QEMU reads two as one.
    fn chardev(&mut self, start: &str, path: &Path) {
        let path = path.to_string_lossy().replace(',', ",,");
        self.pair("-chardev", format!("{start}{path}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Accelerator, Hardware, Machine, Screen, Wiring};
    use crate::size::Size;

    #[test]
    fn arguments_name_every_device() {
        let arguments = arguments_of(Machine::Q35);
        let has = |name: &str, value: &str| has(&arguments, name, value);
        assert!(has("-M", "q35") && has("-m", "65536k") && has("-smp", "2"));
        assert!(has("-chardev", "socket,id=com1,path=/s,,1"));
        assert!(has("-append", "a=b c"));
        assert!(has("-display", "none") && has("-vga", "std"));
        assert!(has("-mon", "chardev=control,mode=control"));
        assert!(has("-device", "isa-debug-exit,iobase=0xf4,iosize=4"));
        for absent in ["-initrd", "-S", "ramfb", "virtio-keyboard-device"] {
            assert!(!arguments.iter().any(|argument| argument == absent));
        }
        assert!(!arguments.iter().any(|argument| argument.contains("com2")));
    }

    #[test]
    fn machines_without_an_adapter_have_a_picture() {
        for machine in [Machine::Microvm, Machine::Virt] {
            let arguments = arguments_of(machine);
            assert!(has(&arguments, "-device", "ramfb"));
            assert!(has(&arguments, "-device", "virtio-keyboard-device"));
            assert!(!arguments.iter().any(|argument| argument == "-vga"));
        }
    }

    fn has(arguments: &[String], name: &str, value: &str) -> bool {
        arguments.windows(2).any(|pair| pair == [name, value])
    }

    fn arguments_of(machine: Machine) -> Vec<String> {
        let hardware = Hardware {
            machine,
            accelerator: Accelerator::Tcg,
            memory: Size::from_mib(64),
            processors: 2,
            model: None,
            properties: None,
            screen: Screen::Hidden,
        };
        let arguments = hardware.arguments(&Wiring {
            kernel: Path::new("/k"),
            initrd: None,
            device_tree: None,
            command_line: "a=b c",
            com1: Path::new("/s,1"),
            com2: None,
            log: Path::new("/l"),
            status: Path::new("/st"),
            debugger: None,
            control: Some(Path::new("/c")),
        });
        let texts = arguments.into_iter().map(|word| word.into_string());
        texts.collect::<Result<_, _>>().unwrap()
    }
}
