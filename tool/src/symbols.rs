//! Names for the addresses in a kernel's log.
//!
//! The kernel prints bare addresses when it dies: names would make its image
//! bigger, and the image on the host has them all. Lines that look like a
//! frame of a backtrace (`at 0xffffffff80101234`) get the function, the file
//! and the line added, inlined functions too. A kernel that is not where it is
//! linked says so before (`kernel image moved by 0x2600000`).

use std::{
    borrow::Cow,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use addr2line::Loader;

use crate::{
    bridge::Sink,
    lines::{ByLine, TakeLines},
    paths,
};

/// Where kernel code can be; nothing else is looked up.
pub(crate) const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// What a kernel says of how far it is from where it is linked.
const MOVED: &str = "kernel image moved by 0x";

/// The names of a kernel's functions.
pub struct Names {
    kernel: PathBuf,
    /// What is cut off in front of file names.
    root: String,
    loader: Option<Loader>,
}

/// Passes a log on, line by line, with names added.
pub type NamingSink = ByLine<Naming>;

/// What a [`NamingSink`] does with the lines.
pub struct Naming {
    names: Names,
    /// How far the kernel is from where the image says.
    moved_by: u64,
    sink: Sink,
}

impl core::fmt::Debug for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Names").field(&self.kernel).finish()
    }
}

impl core::fmt::Debug for Naming {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Naming").field(&self.names).finish()
    }
}

impl NamingSink {
    /// Names from this kernel's image; it is read at the first address.
    pub fn new(kernel: &Path, sink: Sink) -> Self {
        Self::to(Naming {
            names: Names::new(kernel),
            moved_by: 0,
            sink,
        })
    }
}

impl TakeLines for Naming {
    const LONGEST: usize = 4096;

    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let text = core::str::from_utf8(line).unwrap_or_default();
        if let Some(distance) = distance_in(text) {
            self.moved_by = distance;
        }
        let Some(address) = address_in(text) else {
            return self.sink.write_all(line);
        };
        let address = address.wrapping_sub(self.moved_by);
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        self.sink.write_all(text)?;
        for (depth, name) in self.names.at(address).iter().enumerate() {
            let separator = if depth == 0 { "  " } else { "\n      in " };
            write!(self.sink, "{separator}{name}")?;
        }
        self.sink.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Names {
    /// Those of this image, which is read at the first address.
    pub fn new(kernel: &Path) -> Self {
        Self {
            kernel: kernel.to_owned(),
            root: paths::workspace()
                .map_or_else(|_| String::new(), |root| format!("{}/", root.display())),
            loader: None,
        }
    }

    /// The functions at an address, the innermost first, with their places.
    pub fn at(&mut self, address: u64) -> Vec<String> {
        let mut frames = self.frames(address);
        // The last is what the others are inlined into: it has a symbol.
        match frames.last_mut() {
            Some((Some(_), _)) => {}
            Some((name, _)) => *name = self.symbol(address),
            None => frames.extend(self.symbol(address).map(|name| (Some(name), String::new()))),
        }
        frames
            .into_iter()
            .map(|(name, place)| format!("{}{place}", name.as_deref().unwrap_or("?")))
            .collect()
    }

    /// The functions at an address, the innermost first; only those that
    /// debugging information tells of.
    pub(crate) fn functions(&mut self, address: u64) -> Vec<String> {
        let frames = self.frames(address).into_iter();
        frames.filter_map(|(name, _)| name).collect()
    }

    /// The functions at an address, the innermost first; the last of them, into
    /// which the others were inlined, by its symbol, which says what it is of.
    pub(crate) fn all(&mut self, address: u64) -> Vec<String> {
        let mut names = self.functions(address);
        if let Some(symbol) = self.symbol(address) {
            names.pop();
            names.push(symbol);
        }
        names
    }

    fn symbol(&mut self, address: u64) -> Option<String> {
        self.loader()?.find_symbol(address).map(readable)
    }

    fn loader(&mut self) -> Option<&Loader> {
        if self.loader.is_none() {
            self.loader = Loader::new(&self.kernel).ok();
        }
        self.loader.as_ref()
    }

    /// The functions at an address with what is to be said of their places.
    fn frames(&mut self, address: u64) -> Vec<(Option<String>, String)> {
        let root = self.root.clone();
        let Some(loader) = self.loader() else {
            return Vec::new();
        };
        let mut names = Vec::new();
        // The kernel prints places inside the calls, not where they come back
        // to: that may be the first byte of the next line or function.
        if let Ok(mut frames) = loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame.function.as_ref();
                let function = function.and_then(|name| name.demangle().ok());
                let function = function.map(Cow::into_owned);
                let place = frame.location.map_or_else(String::new, |location| {
                    let file = location.file.unwrap_or("?");
                    let file = file.strip_prefix(&root).unwrap_or(file);
                    format!(" ({file}:{})", location.line.unwrap_or(0))
                });
                names.push((function, place));
            }
        }
        names
    }
}

/// A symbol's name as it stands in the source.
pub(crate) fn readable(symbol: &str) -> String {
    addr2line::demangle_auto(symbol.into(), None).into_owned()
}

/// The distance that a line tells as the kernel's.
fn distance_in(line: &str) -> Option<u64> {
    let (_, rest) = line.trim_end().rsplit_once(MOVED)?;
    u64::from_str_radix(rest, 16).ok()
}

/// The address that a line tells as the place of something.
fn address_in(line: &str) -> Option<u64> {
    let (_, rest) = line.trim_end().rsplit_once("at 0x")?;
    let address = u64::from_str_radix(rest, 16).ok()?;
    (address >= KERNEL_HALF).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::{env, io::Write as _};

    use super::{NamingSink, address_in, distance_in};
    use crate::bridge::Capture;

    #[test]
    fn addresses_are_found_at_the_end_of_a_line() {
        let check = |line, expected| assert_eq!(address_in(line), expected, "{line}");
        check("  at 0xffffffff80101234\n", Some(0xffff_ffff_8010_1234));
        check(
            "breakpoint in the kernel at 0xffffffff80000000",
            Some(0xffff_ffff_8000_0000),
        );
        check("  at 0x401000", None);
        check("at 0xffffffff80101234 x", None);
        check("0xffffffff80101234", None);
        check("at 0x", None);
    }

    #[test]
    fn a_kernel_may_say_that_it_moved() {
        assert_eq!(
            distance_in("kernel image moved by 0x2600000\n"),
            Some(0x260_0000)
        );
        assert_eq!(distance_in("kernel image moved by 0"), None);
        assert_eq!(distance_in("  at 0xffffffff80101234"), None);
    }

    #[test]
    fn lines_pass_whole_and_the_last_one_too() {
        let mut kept = Capture::default();
        let own = env::current_exe().unwrap();
        let mut sink = NamingSink::new(&own, Box::new(kept.clone()));
        for piece in ["a", "b\nfault at 0xffffffff80", "101234\nlast"] {
            sink.write_all(piece.as_bytes()).unwrap();
        }
        drop(sink);
        kept.flush().unwrap();
        let text = String::from_utf8(kept.take()).unwrap();
        assert_eq!(text, "ab\nfault at 0xffffffff80101234\nlast");
    }
}
