//! Terminal modes and control characters (termios(3), ioctl_tty(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Control characters in the kernel's structure.
pub const NCCS: usize = 19;

/// `struct termios` as the kernel has it (the C library's is longer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Termios {
    /// Input modes, [`iflag`].
    pub iflag: u32,
    /// Output modes, [`oflag`].
    pub oflag: u32,
    /// Control modes.
    pub cflag: u32,
    /// Local modes, [`lflag`].
    pub lflag: u32,
    /// Line discipline.
    pub line: u8,
    /// Control characters by [`cc`] index.
    pub cc: [u8; NCCS],
}

/// `struct termios2`: with speeds of any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Termios2 {
    /// What `struct termios` has.
    pub termios: Termios,
    /// Input speed in bits per second.
    pub ispeed: u32,
    /// Output speed in bits per second.
    pub ospeed: u32,
}

/// `struct termio`, of System V.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Termio {
    /// The low halves of the four modes: input, output, control, local.
    pub flags: [u16; 4],
    /// Line discipline.
    pub line: u8,
    /// The first control characters.
    pub cc: [u8; 8],
    /// Unused.
    pub pad: u8,
}

/// `struct winsize`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WindowSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub columns: u16,
    /// Pixels across.
    pub x_pixels: u16,
    /// Pixels down.
    pub y_pixels: u16,
}

const _: () = assert!(size_of::<Termios>() == 36);
const _: () = assert!(size_of::<Termios2>() == 44);
const _: () = assert!(size_of::<Termio>() == 18);
const _: () = assert!(size_of::<WindowSize>() == 8);

/// Input modes.
pub mod iflag {
    /// Ignore breaks.
    pub const IGNBRK: u32 = 0o1;
    /// A break interrupts.
    pub const BRKINT: u32 = 0o2;
    /// Ignore parity errors.
    pub const IGNPAR: u32 = 0o4;
    /// Mark parity errors.
    pub const PARMRK: u32 = 0o10;
    /// Check parity.
    pub const INPCK: u32 = 0o20;
    /// Strip the eighth bit.
    pub const ISTRIP: u32 = 0o40;
    /// Newline becomes carriage return.
    pub const INLCR: u32 = 0o100;
    /// Ignore carriage returns.
    pub const IGNCR: u32 = 0o200;
    /// Carriage return becomes newline.
    pub const ICRNL: u32 = 0o400;
    /// Capitals become small.
    pub const IUCLC: u32 = 0o1000;
    /// Stop and start characters control output.
    pub const IXON: u32 = 0o2000;
    /// Any character starts stopped output.
    pub const IXANY: u32 = 0o4000;
    /// Stop and start characters are sent to control input.
    pub const IXOFF: u32 = 0o10000;
    /// Ring the bell when the line is full.
    pub const IMAXBEL: u32 = 0o20000;
    /// Input is UTF-8: erase whole characters.
    pub const IUTF8: u32 = 0o40000;
}

/// Output modes.
pub mod oflag {
    /// Process output at all.
    pub const OPOST: u32 = 0o1;
    /// Small letters become capitals.
    pub const OLCUC: u32 = 0o2;
    /// Newline becomes carriage return, newline.
    pub const ONLCR: u32 = 0o4;
    /// Carriage return becomes newline.
    pub const OCRNL: u32 = 0o10;
    /// No carriage return at column 0.
    pub const ONOCR: u32 = 0o20;
    /// Newline returns the carriage.
    pub const ONLRET: u32 = 0o40;
    /// Tab delay's mask.
    pub const TABDLY: u32 = 0o14000;
    /// Tabs become spaces.
    pub const XTABS: u32 = 0o14000;
}

/// Control modes.
pub mod cflag {
    /// Speed's mask; 0 hangs up.
    pub const CBAUD: u32 = 0o10017;
    /// Where the mask of the input's speed is, counted from [`CBAUD`].
    pub const IBSHIFT: u32 = 16;
    /// A speed that has no number of its own: it is in [`Termios2`](super::Termios2).
    pub const BOTHER: u32 = 0o10000;
    /// 38400 bits per second.
    pub const B38400: u32 = 0o17;
    /// 115200 bits per second.
    pub const B115200: u32 = 0o10002;
    /// Eight-bit characters.
    pub const CS8: u32 = 0o60;
    /// Receive at all.
    pub const CREAD: u32 = 0o200;
    /// Hang up on the last close.
    pub const HUPCL: u32 = 0o2000;
    /// Ignore modem lines.
    pub const CLOCAL: u32 = 0o4000;
}

/// Local modes.
pub mod lflag {
    /// Characters make signals.
    pub const ISIG: u32 = 0o1;
    /// Line by line.
    pub const ICANON: u32 = 0o2;
    /// Echo.
    pub const ECHO: u32 = 0o10;
    /// Erase shows.
    pub const ECHOE: u32 = 0o20;
    /// Kill starts a new line.
    pub const ECHOK: u32 = 0o40;
    /// Echo newline even without [`ECHO`].
    pub const ECHONL: u32 = 0o100;
    /// Keep the queues when a signal is made.
    pub const NOFLSH: u32 = 0o200;
    /// Background writers are stopped.
    pub const TOSTOP: u32 = 0o400;
    /// Control characters echo as `^X`.
    pub const ECHOCTL: u32 = 0o1000;
    /// Erased characters are printed.
    pub const ECHOPRT: u32 = 0o2000;
    /// Kill erases the line on the screen.
    pub const ECHOKE: u32 = 0o4000;
    /// Output is being discarded.
    pub const FLUSHO: u32 = 0o10000;
    /// Input is to be typed again.
    pub const PENDIN: u32 = 0o40000;
    /// Implementation's own editing characters.
    pub const IEXTEN: u32 = 0o100000;
}

/// Indexes of control characters.
pub mod cc {
    /// Interrupt.
    pub const VINTR: usize = 0;
    /// Quit.
    pub const VQUIT: usize = 1;
    /// Erase a character.
    pub const VERASE: usize = 2;
    /// Erase the line.
    pub const VKILL: usize = 3;
    /// End of file.
    pub const VEOF: usize = 4;
    /// Tenths of a second to wait.
    pub const VTIME: usize = 5;
    /// Bytes to wait for.
    pub const VMIN: usize = 6;
    /// Start output.
    pub const VSTART: usize = 8;
    /// Stop output.
    pub const VSTOP: usize = 9;
    /// Suspend.
    pub const VSUSP: usize = 10;
    /// Another end of line.
    pub const VEOL: usize = 11;
    /// Show the line again.
    pub const VREPRINT: usize = 12;
    /// Drop output; without effect.
    pub const VDISCARD: usize = 13;
    /// Erase a word.
    pub const VWERASE: usize = 14;
    /// Take the next character as it is.
    pub const VLNEXT: usize = 15;
    /// Yet another end of line.
    pub const VEOL2: usize = 16;
}

impl Termios {
    /// Input and output speed in bits per second. `other` has them where the
    /// modes say that they have no number ([`cflag::BOTHER`]).
    #[must_use]
    pub fn speeds(&self, other: (u32, u32)) -> (u32, u32) {
        let output = match self.cflag & cflag::CBAUD {
            cflag::BOTHER => other.1,
            code => speed_of(code),
        };
        let input = match self.cflag >> cflag::IBSHIFT & cflag::CBAUD {
            // As the output.
            0 => output,
            cflag::BOTHER => other.0,
            code => speed_of(code),
        };
        (input, output)
    }

    /// What a terminal starts with (`stty sane`, at 115200 bits per second).
    #[must_use]
    pub const fn initial() -> Termios {
        let mut characters = [0; NCCS];
        characters[cc::VINTR] = 0x03;
        characters[cc::VQUIT] = 0x1c;
        characters[cc::VERASE] = 0x7f;
        characters[cc::VKILL] = 0x15;
        characters[cc::VEOF] = 0x04;
        characters[cc::VMIN] = 1;
        characters[cc::VSTART] = 0x11;
        characters[cc::VSTOP] = 0x13;
        characters[cc::VSUSP] = 0x1a;
        characters[cc::VREPRINT] = 0x12;
        characters[cc::VDISCARD] = 0x0f;
        characters[cc::VWERASE] = 0x17;
        characters[cc::VLNEXT] = 0x16;
        Termios {
            iflag: iflag::ICRNL | iflag::IXON,
            oflag: oflag::OPOST | oflag::ONLCR,
            cflag: cflag::B115200 | cflag::CS8 | cflag::CREAD | cflag::HUPCL | cflag::CLOCAL,
            lflag: lflag::ISIG
                | lflag::ICANON
                | lflag::ECHO
                | lflag::ECHOE
                | lflag::ECHOK
                | lflag::ECHOCTL
                | lflag::ECHOKE
                | lflag::IEXTEN,
            line: 0,
            cc: characters,
        }
    }
}

/// The speed that a code under [`cflag::CBAUD`] stands for.
fn speed_of(code: u32) -> u32 {
    const SPEEDS: [u32; 31] = [
        0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400,
        57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000,
        1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
    ];
    // The upper half begins at 1: its 0 is BOTHER.
    let upper = if code & cflag::BOTHER == 0 { 0 } else { 15 };
    let at = (code & 0o17) as usize + upper;
    SPEEDS.get(at).copied().unwrap_or(0)
}

/// Requests of ioctl(2) that terminals answer.
pub mod request {
    /// Get the modes.
    pub const TCGETS: u32 = 0x5401;
    /// Set the modes now.
    pub const TCSETS: u32 = 0x5402;
    /// Set the modes when output is out.
    pub const TCSETSW: u32 = 0x5403;
    /// The same, and drop input.
    pub const TCSETSF: u32 = 0x5404;
    /// Get System V's modes.
    pub const TCGETA: u32 = 0x5405;
    /// Set System V's modes now.
    pub const TCSETA: u32 = 0x5406;
    /// When output is out.
    pub const TCSETAW: u32 = 0x5407;
    /// The same, and drop input.
    pub const TCSETAF: u32 = 0x5408;
    /// Send a break, or wait until output is out.
    pub const TCSBRK: u32 = 0x5409;
    /// Suspend or resume one direction.
    pub const TCXONC: u32 = 0x540a;
    /// Drop what is queued.
    pub const TCFLSH: u32 = 0x540b;
    /// Exclusive use.
    pub const TIOCEXCL: u32 = 0x540c;
    /// No exclusive use.
    pub const TIOCNXCL: u32 = 0x540d;
    /// Make it the controlling terminal.
    pub const TIOCSCTTY: u32 = 0x540e;
    /// Get the foreground group.
    pub const TIOCGPGRP: u32 = 0x540f;
    /// Set the foreground group.
    pub const TIOCSPGRP: u32 = 0x5410;
    /// Bytes of output queued.
    pub const TIOCOUTQ: u32 = 0x5411;
    /// Fake input.
    pub const TIOCSTI: u32 = 0x5412;
    /// Get the window size.
    pub const TIOCGWINSZ: u32 = 0x5413;
    /// Set the window size.
    pub const TIOCSWINSZ: u32 = 0x5414;
    /// Get the modem lines.
    pub const TIOCMGET: u32 = 0x5415;
    /// Get whether modem lines are ignored.
    pub const TIOCGSOFTCAR: u32 = 0x5419;
    /// Set whether modem lines are ignored.
    pub const TIOCSSOFTCAR: u32 = 0x541a;
    /// Bytes of input queued.
    pub const FIONREAD: u32 = 0x541b;
    /// Give up the controlling terminal.
    pub const TIOCNOTTY: u32 = 0x5422;
    /// Set the line discipline.
    pub const TIOCSETD: u32 = 0x5423;
    /// Get the line discipline.
    pub const TIOCGETD: u32 = 0x5424;
    /// POSIX's break.
    pub const TCSBRKP: u32 = 0x5425;
    /// Get the session.
    pub const TIOCGSID: u32 = 0x5429;
    /// Get the modes with speeds.
    pub const TCGETS2: u32 = 0x802c_542a;
    /// Set the modes with speeds now.
    pub const TCSETS2: u32 = 0x402c_542b;
    /// When output is out.
    pub const TCSETSW2: u32 = 0x402c_542c;
    /// The same, and drop input.
    pub const TCSETSF2: u32 = 0x402c_542d;
    /// Get exclusive use.
    pub const TIOCGEXCL: u32 = 0x8004_5440;
}

#[cfg(test)]
mod tests {
    use super::{Termios, cflag};

    #[test]
    fn speeds_have_numbers() {
        let check = |cflag: u32, speeds| {
            let termios = Termios {
                cflag,
                ..Termios::initial()
            };
            assert_eq!(termios.speeds((7, 8)), speeds, "{cflag:#o}");
        };
        check(0, (0, 0));
        check(0o15, (9600, 9600));
        check(cflag::B38400, (38_400, 38_400));
        check(0o10001, (57_600, 57_600));
        check(cflag::B115200, (115_200, 115_200));
        check(0o10017, (4_000_000, 4_000_000));
        check(cflag::BOTHER, (8, 8));
        check(cflag::BOTHER << cflag::IBSHIFT | 0o15, (7, 9600));
        check(0o15 << cflag::IBSHIFT | cflag::BOTHER, (9600, 8));
    }
}
