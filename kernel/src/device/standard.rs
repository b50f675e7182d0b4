//! The serial ports as the machine's face: a console, or three plain files.

use alloc::boxed::Box;
use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::termios::WindowSize;
use ochre_hal::clock;
use ochre_hal::serial::{Early, SerialPort, Which};
use ochre_sync::Once;

use super::{Channel, DeviceNumber, Serviced, line};
use crate::config::{Config, Console, Mode, Stdio};
use crate::tty::{self, Terminal, TerminalFile, screen};
use crate::vfs::File;

/// How long the last output may make no progress before it is given up.
const FLUSH_PATIENCE_NS: u64 = 2_000_000_000;

/// `/dev/ttyS0`.
const SERIAL: DeviceNumber = DeviceNumber::new(4, 64);

/// What process 1 has as files 0, 1 and 2.
pub struct StandardFiles {
    /// Standard input; readable.
    pub input: Arc<dyn File>,
    /// Standard output; writable.
    pub output: Arc<dyn File>,
    /// Standard error; writable.
    pub error: Arc<dyn File>,
    /// The terminal behind them, if it is one: a session is to get it.
    pub terminal: Option<Arc<Terminal>>,
}

/// The channels in use, for [`flush`].
static CHANNELS: Once<[Arc<Channel>; 2]> = Once::new();

/// Opens the ports that the configuration asks for and starts their tasks.
///
/// # Errors
/// ENODEV where a port is missing; ENOMEM, ENXIO.
pub fn start(config: &Config) -> Result<StandardFiles, Errno> {
    match config.stdio {
        Stdio::Console => {
            let terminal = console(config)?;
            tty::set_console(Arc::clone(&terminal));
            // An init has the console, which outlives the sessions on it.
            let is_console = config.mode == Mode::System;
            let file = TerminalFile::new(Arc::clone(&terminal), is_console);
            let file: Arc<dyn File> = Arc::new(file);
            Ok(StandardFiles {
                input: Arc::clone(&file),
                output: Arc::clone(&file),
                error: file,
                terminal: Some(terminal),
            })
        }
        Stdio::Pipe => {
            let first = channel(Which::First)?;
            let second = channel(Which::Second)?;
            let files = StandardFiles {
                input: first.reader(),
                output: first.writer(),
                error: second.writer(),
                terminal: None,
            };
            let _ = CHANNELS.set([first, second]);
            Ok(files)
        }
    }
}

/// The terminal that the configuration wants for the console. The serial line
/// has one, too, if it is another one.
fn console(config: &Config) -> Result<Arc<Terminal>, Errno> {
    let on_screen = config.console == Console::Screen && screen::exists();
    let (rows, columns) = config.window.filter(|_| !on_screen).unwrap_or_default();
    let window = WindowSize {
        rows,
        columns,
        ..WindowSize::default()
    };
    let serial = SerialPort::open(Which::First).map(|port| {
        let irq = port.line();
        let terminal = Terminal::new(Box::new(port), window, SERIAL);
        line::serve(Arc::clone(&terminal) as Arc<dyn Serviced>, irq)?;
        tty::set_serial(Arc::clone(&terminal));
        Ok(terminal)
    });
    if on_screen {
        return screen::terminal(1);
    }
    serial.ok_or(Errno::ENODEV)?
}

fn channel(which: Which) -> Result<Arc<Channel>, Errno> {
    // What it begins with is there to be lost.
    let port = SerialPort::open_with(which, Early::Spared).ok_or(Errno::ENODEV)?;
    let irq = port.line();
    let channel = Channel::new(Box::new(port));
    line::serve(Arc::clone(&channel) as Arc<dyn Serviced>, irq)?;
    Ok(channel)
}

/// Sends what is still queued before the machine ends. Gives up on a port that
/// takes nothing for two seconds.
pub fn flush() {
    let channels = CHANNELS.get().map_or(&[][..], |channels| &channels[..]);
    let mut deadline = clock::now_ns().saturating_add(FLUSH_PATIENCE_NS);
    loop {
        let states = channels
            .iter()
            .map(|channel| channel.flush())
            .chain(tty::terminals().map(|terminal| terminal.flush()));
        let (mut empty, mut moved) = (true, false);
        for (is_empty, has_moved) in states {
            empty &= is_empty;
            moved |= has_moved;
        }
        let now = clock::now_ns();
        if moved {
            deadline = now.saturating_add(FLUSH_PATIENCE_NS);
        }
        if empty || now >= deadline {
            return;
        }
    }
}
