//! System calls told to the host, one line of the log each (`ochre trace`).
//!
//! The kernel says what it saw and knows nothing of what it means: numbers, and
//! the bytes that pointers lead to. The words are made on the host, from the
//! same table that the dispatcher is made from. A line is
//!
//! ```text
//! trace call TID BEGIN END NUMBER A0 A1 A2 A3 A4 A5 RESULT [N=BYTES[,BYTES]...]...
//! trace signal TID TIME NUMBER
//! trace end TID TIME STATUS
//! ```
//!
//! with times in nanoseconds since boot, arguments in hexadecimal, `?` as the
//! result of a call that was cut short by its thread's end, and behind `N=` what argument N led
//! to, in hexadecimal digits, with `+` if there was more; a comma follows each
//! string of a list.
//!
//! What goes in is looked at before the call, what comes out after it, so a
//! program that changes its memory meanwhile is shown as it was then. Looking
//! faults pages in, as the call would; an address that is not the program's
//! shows nothing. A line is told when the call ends: a thread that is killed in
//! a wait drops the call's future, and its line is told then.
//!
//! A call that a filter ends is told without a result. Off, it costs nothing:
//! threads are told apart by the bound that seccomp uses.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::{self, Write};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_hal::clock;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use super::{Call, FromArgument, Outcome, Ptr, SysResult};
use crate::line::{self, Line};
use crate::memory::AddressSpace;
use crate::process::{ExitStatus, Pid};

/// Most bytes shown of what is read or written.
const DATA: usize = 32;

/// Most bytes shown of a string.
const STRING: usize = 128;

/// Most strings shown of a list.
const STRINGS: usize = 8;

/// Most bytes of a value that is shown.
const VALUE: usize = 64;

/// Room for what arguments led to, in a line.
const SEEN: usize = 1024;

/// Room for the numbers of a line.
const NUMBERS: usize = 256;

/// Room for a line.
const LINE: usize = NUMBERS + SEEN;

static ON: AtomicBool = AtomicBool::new(false);

/// Calls of all threads made from now on are told.
pub fn start() {
    // ORDERING: Relaxed, here and below; set before there is a program.
    ON.store(true, Ordering::Relaxed);
}

/// Whether calls are told.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// How to look behind an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Not,
    /// A string that goes in.
    String,
    /// A list of strings that goes in, with a null at its end.
    Strings,
    /// Bytes that go in, as many as the next argument says.
    Input,
    /// Bytes that came out, as many as the result says.
    Output,
    /// A value of this many bytes, or more, that goes in.
    Given(u8),
    /// A value that came out.
    Value(u8),
}

/// How to look behind each argument of each call.
static LOOKS: [[Look; 6]; super::dispatch::LIMIT] = looks();

macro_rules! look_table {
    ($($name:ident = $x86:tt, $arm:tt: $family:ident($($argument:ident: $type:ty),*) $status:literal;)*) => {
        const fn looks() -> [[Look; 6]; super::dispatch::LIMIT] {
            use super::Fd;
            use ochre_abi::clone::CloneArgs;
            use ochre_abi::poll::{EPOLL_EVENT_SIZE, PollFd};

            let mut table = [[Look::Not; 6]; super::dispatch::LIMIT];
            $(
                let number: Option<usize> = ochre_abi::arch_number!($x86, $arm);
                if let Some(number) = number {
                    let arguments: &[(&str, usize)] = &[
                        $((stringify!($argument), <$type as FromArgument>::POINTEE)),*
                    ];
                    let mut index = 0;
                    while index < arguments.len() {
                        let (argument, pointee) = arguments[index];
                        table[number][index] = look(stringify!($name), argument, pointee);
                        index += 1;
                    }
                }
            )*
            table
        }
    };
}

ochre_abi::syscall_table!(look_table);

const fn look(call: &str, argument: &str, pointee: usize) -> Look {
    // CAST: at most what a byte holds.
    let size = if pointee < 255 { pointee as u8 } else { 255 };
    match (call.as_bytes(), argument.as_bytes()) {
        (b"execve" | b"execveat", b"path") => Look::String,
        (b"execve" | b"execveat", b"arguments") => Look::Strings,
        (b"write" | b"pwrite64" | b"sethostname", b"from") => Look::Input,
        (b"read" | b"pread64" | b"readlink" | b"readlinkat" | b"getcwd", b"to") => Look::Output,
        (b"mincore", b"vector") => Look::Not,
        // One byte is where a string begins.
        (_, _) if pointee == 1 => Look::String,
        (_, _) if pointee == 0 => Look::Not,
        (_, b"request" | b"new" | b"set" | b"from" | b"parameter" | b"vector") => Look::Given(size),
        (_, _) => Look::Value(size),
    }
}

/// A call that has begun.
pub(super) struct Begun {
    tid: Pid,
    number: u32,
    arguments: [u64; 6],
    begin_ns: u64,
    seen: Line<SEEN>,
    space: Arc<AddressSpace>,
    is_told: bool,
}

/// Looks at a call before it is handled, if calls are told.
pub(super) fn begin(call: &Call<'_>, number: u32) -> Option<Begun> {
    if !is_on() {
        return None;
    }
    let mut begun = Begun {
        tid: call.thread.tid(),
        number,
        arguments: call.user.syscall().arguments,
        begin_ns: clock::now_ns(),
        seen: Line::new(),
        space: Arc::clone(call.space),
        is_told: false,
    };
    begun.look_before();
    Some(begun)
}

impl Begun {
    /// Tells of the call when it is over, which may be later.
    pub(super) fn end(mut self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Wait(inner) => return Outcome::wait(Traced { inner, begun: self }),
            Outcome::Done(result) => self.tell(result),
            Outcome::Yield => self.tell(Ok(0)),
            // What is in memory now may be another program's.
            Outcome::Resume => self.write(Some(Ok(0))),
        }
        outcome
    }

    fn look_before(&mut self) {
        for (index, look) in self.looks() {
            let address = self.arguments[index];
            match look {
                Look::String => {
                    self.show(index, |seen, space| string(seen, space, address));
                }
                Look::Strings => {
                    self.show(index, |seen, space| strings(seen, space, address));
                }
                Look::Input => {
                    let len = self.arguments.get(index + 1).copied().unwrap_or(0);
                    self.show(index, |seen, space| bytes(seen, space, address, len, DATA));
                }
                Look::Given(size) => {
                    self.show(index, |seen, space| {
                        bytes(seen, space, address, u64::from(size), VALUE)
                    });
                }
                Look::Not | Look::Output | Look::Value(_) => {}
            }
        }
    }

    fn look_after(&mut self, count: u64) {
        for (index, look) in self.looks() {
            let address = self.arguments[index];
            let (len, most) = match look {
                Look::Output => (count, DATA),
                Look::Value(size) => (u64::from(size), VALUE),
                Look::Not | Look::String | Look::Strings | Look::Input | Look::Given(_) => continue,
            };
            self.show(index, |seen, space| bytes(seen, space, address, len, most));
        }
    }

    /// How to look behind those arguments that are addresses of something.
    fn looks(&self) -> impl Iterator<Item = (usize, Look)> + use<> {
        let looks = LOOKS.get(self.number as usize).copied();
        let arguments = self.arguments;
        let looks = looks.unwrap_or([Look::Not; 6]).into_iter().enumerate();
        looks.filter(move |(index, _)| arguments[*index] != 0)
    }

    /// Adds what an argument leads to; nothing, if that fails half-way.
    fn show(
        &mut self,
        index: usize,
        what: impl FnOnce(&mut Line<SEEN>, &AddressSpace) -> Result<(), NotShown>,
    ) {
        let before = self.seen.len();
        let shown = write!(self.seen, " {index}=")
            .map_err(|fmt::Error| NotShown)
            .and_then(|()| what(&mut self.seen, &self.space));
        if shown.is_err() {
            self.seen.truncate(before);
        }
    }

    fn tell(&mut self, result: SysResult) {
        if let Ok(count) = result {
            self.look_after(count as u64);
        }
        self.write(Some(result));
    }

    fn write(&mut self, result: Option<SysResult>) {
        self.is_told = true;
        let mut line: Line<LINE> = Line::new();
        // The rooms are added up: it fits.
        let _ = self.put_together(&mut line, result);
        line::tell(line.bytes());
    }

    fn put_together(&self, line: &mut Line<LINE>, result: Option<SysResult>) -> fmt::Result {
        let Begun { tid, number, .. } = self;
        let end_ns = clock::now_ns();
        write!(
            line,
            "trace call {} {} {end_ns} {number}",
            tid.0, self.begin_ns
        )?;
        for argument in self.arguments {
            write!(line, " {argument:x}")?;
        }
        match result {
            None => line.write_str(" ?")?,
            Some(Ok(value)) => write!(line, " {}", value.cast_signed())?,
            Some(Err(errno)) => write!(line, " -{}", errno.number())?,
        }
        line.write_bytes(self.seen.bytes())?;
        line.write_str("\n")
    }
}

impl Drop for Begun {
    /// The thread was killed while the call waited.
    fn drop(&mut self) {
        if !self.is_told {
            self.write(None);
        }
    }
}

/// A call that waits.
struct Traced {
    inner: Pin<Box<dyn Future<Output = SysResult> + Send>>,
    begun: Begun,
}

impl Future for Traced {
    type Output = SysResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<SysResult> {
        let result = self.inner.as_mut().poll(context);
        if let Poll::Ready(result) = result {
            self.begun.tell(result);
        }
        result
    }
}

/// A thread takes a signal.
pub fn signal(tid: Pid, signal: Signal) {
    if is_on() {
        event("signal", tid, signal.number());
    }
}

/// A thread has ended.
pub fn end(tid: Pid, status: ExitStatus) {
    if is_on() {
        event("end", tid, status.raw());
    }
}

fn event(what: &str, tid: Pid, number: u32) {
    let mut line: Line<NUMBERS> = Line::new();
    // Three numbers fit.
    let _ = writeln!(line, "trace {what} {} {} {number}", tid.0, clock::now_ns());
    line::tell(line.bytes());
}

/// What was to be shown is not there, or does not fit.
struct NotShown;

impl From<Errno> for NotShown {
    fn from(_: Errno) -> NotShown {
        NotShown
    }
}

impl From<fmt::Error> for NotShown {
    fn from(_: fmt::Error) -> NotShown {
        NotShown
    }
}

/// Shows `len` bytes at `address`, at most `most`.
fn bytes(
    seen: &mut Line<SEEN>,
    space: &AddressSpace,
    address: u64,
    len: u64,
    most: usize,
) -> Result<(), NotShown> {
    let mut room = [0; STRING];
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let shown = room.get_mut(..len.min(most)).ok_or(NotShown)?;
    space.read(address, shown)?;
    digits(seen, shown, len > most)
}

/// Shows the string at `address`.
fn string(seen: &mut Line<SEEN>, space: &AddressSpace, address: u64) -> Result<(), NotShown> {
    match space.read_string(address, STRING, Errno::ENAMETOOLONG) {
        Ok(text) => digits(seen, &text, false),
        Err(Errno::ENAMETOOLONG) => bytes(seen, space, address, u64::MAX, STRING),
        Err(_) => Err(NotShown),
    }
}

/// Shows the strings whose addresses stand at `address`, one after the other.
fn strings(seen: &mut Line<SEEN>, space: &AddressSpace, address: u64) -> Result<(), NotShown> {
    for index in 0..STRINGS as u64 {
        let place = Ptr::from_argument(address.wrapping_add(index * 8));
        let text: u64 = space.read_value(place)?;
        if text == 0 {
            break;
        }
        string(seen, space, text)?;
        seen.write_str(",")?;
    }
    Ok(())
}

fn digits(seen: &mut Line<SEEN>, bytes: &[u8], is_cut: bool) -> Result<(), NotShown> {
    seen.write_digits(bytes)?;
    if is_cut {
        seen.write_str("+")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Look, look};

    #[test]
    fn strings_are_pointers_to_bytes() {
        assert_eq!(look("openat", "path", 1), Look::String);
        assert_eq!(look("execve", "arguments", 0), Look::Strings);
        assert_eq!(look("write", "from", 0), Look::Input);
        assert_eq!(look("mmap", "address", 0), Look::Not);
        assert_eq!(look("nanosleep", "request", 16), Look::Given(16));
        assert_eq!(look("fstat", "to", 144), Look::Value(144));
    }
}
