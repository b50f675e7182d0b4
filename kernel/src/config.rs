//! The kernel command line.
//!
//! Words separated by white space. Values are percent-encoded, so that any
//! byte but NUL can be carried. Words of other kernels (`quiet`, `console=`,
//! ...) are passed over and remembered; an `ochre.` word that is not known, or
//! a value that cannot be read, is an error: a machine that ignores what it
//! was told is worse than one that does not start.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZero;

use log::LevelFilter;

use crate::device::keyboard;
use crate::memory::huge::HugePolicy;

/// The most samples a second: more would leave no time between them.
const MAX_RATE: u64 = 10_000;

/// Where process 1's standard files lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// The console, a terminal.
    Console,
    /// Plain byte channels: serial 1 in and out, serial 2 for errors.
    Pipe,
}

/// Which terminal is the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// The first serial line.
    Serial,
    /// The screen's first one; the serial line where there is no screen.
    Screen,
}

/// What process 1 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An ordinary program: signals kill it, its orphans are reaped for it.
    Program,
    /// An init: protected from signals it has no handler for, reaps itself.
    System,
}

/// Which in-kernel tests to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestSelection {
    /// Name them on the log.
    List,
    /// Run all.
    All,
    /// Run the one with this name.
    One(String),
}

/// The command line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Standard files of process 1.
    pub stdio: Stdio,
    /// Which terminal that is.
    pub console: Console,
    /// What process 1 is.
    pub mode: Mode,
    /// Port of the kernel log.
    pub log_port: Option<u16>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// Port that takes the exit status.
    pub status_port: Option<u16>,
    /// Port that ends the machine.
    pub exit_port: Option<u16>,
    /// Whether the machine stays when the kernel panics, for a person to read why.
    pub stays_after_panic: bool,
    /// Program to run, where named.
    pub init: Option<Vec<u8>>,
    /// Its arguments, `argv[0]` first; empty if none were given.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment, `K=V`.
    pub environment: Vec<Vec<u8>>,
    /// Its working directory.
    pub directory: Vec<u8>,
    /// The keyboard.
    pub keyboard: keyboard::Settings,
    /// Rows and columns of the console.
    pub window: Option<(u16, u16)>,
    /// The machine's name.
    pub hostname: Vec<u8>,
    /// In-kernel tests to run instead of a program.
    pub tests: Option<TestSelection>,
    /// Whether system calls are told on the log.
    pub trace: bool,
    /// Whether the machine says at its end what was not given back.
    pub audit: bool,
    /// How often a second programs are looked at, if at all.
    pub profile_hz: Option<NonZero<u32>>,
    /// The file that has the names of the kernel's functions, where there is one.
    pub symbols: Option<Vec<u8>>,
    /// Whether addresses of programs are random.
    pub randomise: bool,
    /// Which areas may have huge pages.
    pub huge_pages: HugePolicy,
    /// Words that were not for Ochre.
    pub passed_over: Vec<Vec<u8>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            stdio: Stdio::Console,
            console: Console::Serial,
            mode: Mode::Program,
            log_port: None,
            log_level: LevelFilter::Info,
            status_port: None,
            exit_port: None,
            stays_after_panic: false,
            init: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: b"/".to_vec(),
            keyboard: keyboard::Settings::default(),
            window: None,
            hostname: b"ochre".to_vec(),
            tests: None,
            trace: false,
            audit: false,
            profile_hz: None,
            symbols: None,
            randomise: true,
            huge_pages: HugePolicy::now(),
            passed_over: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a command line. Every word is looked at, also after an error: the
    /// configuration is what could be understood, the list what could not, so
    /// that the log port is known when the errors are told.
    #[must_use]
    pub fn parse(line: &[u8]) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let mut errors = Vec::new();
        for word in line.split(|byte| byte.is_ascii_whitespace()) {
            if word.is_empty() {
                continue;
            }
            if let Err(reason) = config.word(word) {
                errors.push(format!(
                    "command line word `{}`: {reason}",
                    String::from_utf8_lossy(word)
                ));
            }
        }
        (config, errors)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), &'static str> {
        let (key, raw) = match word.iter().position(|byte| *byte == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        let value = || decode(raw.ok_or("wants a value: key=value")?);
        match key {
            b"ochre.stdio" => {
                self.stdio = match value()?.as_slice() {
                    b"console" => Stdio::Console,
                    b"pipe" => Stdio::Pipe,
                    _ => return Err("is `console` or `pipe`"),
                }
            }
            b"ochre.console" => {
                self.console = match value()?.as_slice() {
                    b"serial" => Console::Serial,
                    b"screen" => Console::Screen,
                    _ => return Err("is `serial` or `screen`"),
                }
            }
            b"ochre.mode" => {
                self.mode = match value()?.as_slice() {
                    b"program" => Mode::Program,
                    b"system" => Mode::System,
                    _ => return Err("is `program` or `system`"),
                }
            }
            b"ochre.log" => self.log_port = Some(port(&value()?)?),
            b"ochre.loglevel" => self.log_level = level(&value()?)?,
            b"ochre.status" => self.status_port = Some(port(&value()?)?),
            b"ochre.exit" => self.exit_port = Some(port(&value()?)?),
            b"ochre.panic" => {
                self.stays_after_panic = match value()?.as_slice() {
                    b"stay" => true,
                    b"end" => false,
                    _ => return Err("is `stay` or `end`"),
                }
            }
            b"ochre.trace" => self.trace = true,
            b"ochre.audit" => self.audit = true,
            b"ochre.profile" => self.profile_hz = Some(rate(&value()?)?),
            b"ochre.symbols" => self.symbols = Some(value()?),
            // As on Linux, for runs that repeat exactly.
            b"norandmaps" => self.randomise = false,
            b"transparent_hugepage" => {
                let policy = HugePolicy::named(&value()?);
                self.huge_pages = policy.ok_or("is `always`, `madvise` or `never`")?;
            }
            b"init" => self.init = Some(value()?),
            b"ochre.arg" => self.arguments.push(value()?),
            b"ochre.env" => self.environment.push(value()?),
            b"ochre.cwd" => self.directory = value()?,
            b"ochre.keyboard" => self.keyboard = keyboard::Settings::parse(&value()?)?,
            b"ochre.winsize" => self.window = Some(window(&value()?)?),
            b"ochre.hostname" => self.hostname = value()?,
            b"ochre.ktest" => {
                self.tests = Some(match value()?.as_slice() {
                    b"list" => TestSelection::List,
                    b"all" => TestSelection::All,
                    name => TestSelection::One(
                        String::from_utf8(name.to_vec()).map_err(|_| "is not a test's name")?,
                    ),
                })
            }
            // Read by the one-property kernels, where the kernel is moved to its
            // place, and where programs get tables of their own, before this.
            b"ochre.boottest" | b"nokaslr" | b"nopti" | b"pti" => {}
            _ if key.starts_with(b"ochre.") => return Err("is not known to this kernel"),
            _ => self.passed_over.push(word.to_vec()),
        }
        Ok(())
    }
}

/// Undoes percent-encoding.
fn decode(raw: &[u8]) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "has a % that is not followed by two hexadecimal digits";
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .ok_or(WRONG)
    };
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let high = digit(rest.next())?;
            let low = digit(rest.next())?;
            let byte = u8::try_from(high * 16 + low).map_err(|_| WRONG)?;
            if byte == 0 {
                return Err("has a NUL byte, which no program can be given");
            }
            value.push(byte);
        } else {
            value.push(*byte);
        }
    }
    Ok(value)
}

fn number(value: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(value).ok()?;
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn port(value: &[u8]) -> Result<u16, &'static str> {
    number(value)
        .and_then(|number| u16::try_from(number).ok())
        .ok_or("is not a port number, like 0x402")
}

fn rate(value: &[u8]) -> Result<NonZero<u32>, &'static str> {
    number(value)
        .filter(|rate| *rate <= MAX_RATE)
        .and_then(|rate| u32::try_from(rate).ok())
        .and_then(NonZero::new)
        .ok_or("is a number of samples a second, 1 to 10000")
}

fn level(value: &[u8]) -> Result<LevelFilter, &'static str> {
    core::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or("is one of off, error, warn, info, debug, trace")
}

fn window(value: &[u8]) -> Result<(u16, u16), &'static str> {
    const WRONG: &str = "is ROWSxCOLUMNS, like 24x80";
    let at = value.iter().position(|byte| *byte == b'x').ok_or(WRONG)?;
    let part = |part: &[u8]| {
        number(part)
            .and_then(|number| u16::try_from(number).ok())
            .ok_or(WRONG)
    };
    Ok((part(&value[..at])?, part(&value[at + 1..])?))
}

#[cfg(test)]
mod tests {
    use core::num::NonZero;

    use super::{Config, Console, Mode, Stdio, TestSelection};
    use crate::device::keyboard::Layout;
    use ochre_hal::keyboard::ScanCodes;

    fn good(line: &str) -> Config {
        let (config, errors) = Config::parse(line.as_bytes());
        assert!(errors.is_empty(), "{errors:?}");
        config
    }

    #[test]
    fn an_empty_line_is_the_default() {
        assert_eq!(good(""), Config::default());
        assert_eq!(good("  \n "), Config::default());
    }

    #[test]
    fn reads_every_word() {
        let config = good(
            "ochre.stdio=pipe ochre.console=screen ochre.mode=system ochre.log=0x402 ochre.loglevel=debug \
             ochre.status=1027 ochre.exit=0xf4 init=/bin/sh ochre.arg=sh ochre.arg=-c \
             ochre.arg=echo%20a%25b ochre.env=A=b%0Ac ochre.cwd=/tmp ochre.winsize=50x132 \
             ochre.keyboard=de,set1 ochre.hostname=box ochre.ktest=list ochre.trace ochre.panic=stay \
             ochre.profile=99 ochre.symbols=/s ochre.audit quiet console=ttyS0",
        );
        assert!(config.trace && config.stays_after_panic && config.audit);
        assert_eq!(config.profile_hz.map(NonZero::get), Some(99));
        assert_eq!(config.stdio, Stdio::Pipe);
        assert_eq!(config.console, Console::Screen);
        assert_eq!(config.mode, Mode::System);
        assert_eq!(config.log_port, Some(0x402));
        assert_eq!(config.log_level, log::LevelFilter::Debug);
        assert_eq!(config.status_port, Some(0x403));
        assert_eq!(config.exit_port, Some(0xf4));
        assert_eq!(config.init.as_deref(), Some(&b"/bin/sh"[..]));
        assert_eq!(config.arguments, [&b"sh"[..], &b"-c"[..], &b"echo a%b"[..]]);
        assert_eq!(config.environment, [&b"A=b\nc"[..]]);
        assert_eq!(config.directory, b"/tmp");
        assert_eq!(config.window, Some((50, 132)));
        assert_eq!(config.keyboard.codes, ScanCodes::Set1);
        assert_eq!(Some(config.keyboard.layout), Layout::named(b"de"));
        assert_eq!(config.hostname, b"box");
        assert_eq!(config.symbols.as_deref(), Some(&b"/s"[..]));
        assert_eq!(config.tests, Some(TestSelection::List));
        assert_eq!(config.passed_over, [&b"quiet"[..], &b"console=ttyS0"[..]]);
    }

    #[test]
    fn says_what_is_wrong_and_goes_on() {
        for bad in [
            "ochre.typo=1",
            "ochre.stdio=both",
            "ochre.console=both",
            "ochre.log=99999",
            "ochre.arg=%4",
            "ochre.arg=%zz",
            "ochre.arg=%00",
            "ochre.arg",
            "ochre.winsize=24",
            "ochre.loglevel=loud",
            "ochre.keyboard=xx",
            "ochre.panic=wait",
            "ochre.keyboard=de,set3",
            "ochre.keyboard=set1,de",
            "ochre.profile=0",
            "ochre.profile=10001",
        ] {
            let (config, errors) = Config::parse(format!("{bad} init=/x").as_bytes());
            assert_eq!(errors.len(), 1, "{bad}");
            assert!(errors[0].contains(bad), "{errors:?}");
            assert_eq!(config.init.as_deref(), Some(&b"/x"[..]));
        }
    }
}
