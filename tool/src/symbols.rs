//! Names for the addresses in a kernel's log, and the table of names that a
//! kernel can be given.
//!
//! The kernel prints bare addresses when it dies: names would make its image
//! bigger, and the image on the host has them all. Lines that look like a
//! frame of a backtrace (`at 0xffffffff80101234`) get the function, the file
//! and the line added, inlined functions too. A kernel that is not where it is
//! linked says so before (`kernel image moved by 0x2600000`). Where nobody
//! reads the log through us the kernel gets a [`table`] and says functions
//! itself; from us whoever reads both still gets more.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use addr2line::Loader;
use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

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
        let Some((address, end)) = address_in(text) else {
            return self.sink.write_all(line);
        };
        let names = self.names.at(address.wrapping_sub(self.moved_by));
        if names.is_empty() {
            return self.sink.write_all(line);
        }
        // In place of what the kernel may have said itself, which is less.
        self.sink.write_all(line.get(..end).unwrap_or(line))?;
        for (depth, name) in names.iter().enumerate() {
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

/// The address that a line tells as the place of something, and where it ends
/// in the line. Behind it there is nothing, or the kernel's own name for it.
fn address_in(line: &str) -> Option<(u64, usize)> {
    const BEFORE: &str = "at 0x";
    let line = line.trim_end();
    let start = line.rfind(BEFORE)? + BEFORE.len();
    let (digits, name) = line[start..]
        .split_once(' ')
        .unwrap_or((&line[start..], "+0x0"));
    let address = u64::from_str_radix(digits, 16).ok()?;
    let is_named = name
        .rsplit_once("+0x")
        .is_some_and(|(_, offset)| u64::from_str_radix(offset, 16).is_ok());
    (is_named && address >= KERNEL_HALF).then_some((address, start + digits.len()))
}

/// The table of a kernel's functions, for the kernel itself (`lib/symbols`).
///
/// # Errors
/// If the file cannot be read, or is no kernel that can be given one.
pub fn table(kernel: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(kernel).with_context(|| format!("reading {}", kernel.display()))?;
    let file = object::File::parse(&*bytes).context("the kernel's ELF file")?;
    let id = file.build_id()?.and_then(|id| id.try_into().ok());
    let id = id.context("the kernel has no build id")?;
    let text = file.section_by_name(".text");
    let text = text.context("the kernel has no code")?;
    let mut functions = BTreeMap::new();
    for symbol in file.symbols() {
        let (Ok(name), true) = (symbol.name(), symbol.section_index() == Some(text.index())) else {
            continue;
        };
        // Marks of assembly and of the linker are no names.
        if name.is_empty() || name.starts_with(['.', '$']) || name.starts_with("__ochre_") {
            continue;
        }
        let start = symbol.address().checked_sub(text.address());
        let start = start.and_then(|start| u32::try_from(start).ok());
        let start = start.context("a function outside of the kernel's code")?;
        // Of several names for a place the one that is a function's.
        let is_function = symbol.kind() == object::SymbolKind::Text;
        if is_function || !functions.contains_key(&start) {
            functions.insert(start, readable(name));
        }
    }
    let functions = functions
        .iter()
        .map(|(start, name)| (*start, name.as_str()));
    ochre_symbols::write(id, functions).context("the kernel's table of symbols")
}

#[cfg(test)]
mod tests {
    use std::{env, io::Write as _};

    use super::{NamingSink, address_in, distance_in};
    use crate::bridge::Capture;

    #[test]
    fn addresses_are_found_at_the_end_of_a_line() {
        let check = |line: &str, expected| {
            let found = address_in(line).map(|(address, end)| {
                assert!(line[..end].ends_with("1234") || line[..end].ends_with("0000"));
                address
            });
            assert_eq!(found, expected, "{line}");
        };
        check("  at 0xffffffff80101234\n", Some(0xffff_ffff_8010_1234));
        check("  at 0xffffffff80101234 <a as b>::at 0x+0x1c", None);
        check(
            "  at 0xffffffff80101234 <a as b>::c+0x1c\n",
            Some(0xffff_ffff_8010_1234),
        );
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
