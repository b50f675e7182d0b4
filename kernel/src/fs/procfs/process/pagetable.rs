//! `/proc/ochre/pagetable`: how the processor finds what is at an address.
//!
//! | name | what |
//! |---|---|
//! | `PID/` | a process; lists where its areas begin |
//! | `PID/ADDRESS` | the walk to an address, in hexadecimal, listed or not |
//! | `self` | the reader's |
//! | `kernel` | what the kernel has mapped for itself |
//!
//! Who may look is as for `/proc/PID/pagemap`: whoever may look into the
//! process, but frames, raw entries and the kernel's addresses are for those
//! who had `CAP_SYS_ADMIN` when they opened the file.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Write;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::{self, Rights, Step, Target as Leads, USER_END};

use super::maps::{Names, space_of, write_area};
use super::{PAGE_TABLE, Subject, named};
use crate::fs::procfs::node::{
    Arrow, Content, Generated, Identity, Listing, Target, may_see_memory,
};
use crate::fs::procfs::root::{list_processes, own_directory};
use crate::fs::procfs::text::{Made, Text};
use crate::memory::{AddressSpace, Area, AreaFlags, MakeRoom, PageView};
use crate::vfs::{Entry as Listed, Inode, Kind, Link, Metadata, Open, Opened, Permissions, now};

/// Numbers of the fixed names come after the directory's, which is a multiple
/// of something larger.
const NUMBERS: u64 = 64;

/// The fixed names, and what they are.
const FIXED: [(&str, Kind); 2] = [("self", Kind::Symlink), ("kernel", Kind::Regular)];

/// The directory, with this number.
pub(in crate::fs::procfs) fn directory(number: u64) -> Arc<dyn Inode> {
    Arc::new(Top { number })
}

struct Top {
    number: u64,
}

impl Top {
    fn identity(&self) -> Identity {
        Identity::of_root(self.number, 0o555)
    }

    fn number_of(&self, index: usize) -> u64 {
        self.number * NUMBERS + index as u64
    }
}

impl Inode for Top {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.identity().metadata(Kind::Directory, 2, 0, now())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        match name {
            b"self" => Ok(Arrow::inode(Own(self.number_of(0)))),
            b"kernel" => Ok(Arc::new(Place {
                about: About::Kernel(self.number_of(1)),
            })),
            _ => Ok(Arc::new(Directory {
                subject: named(name)?,
            })),
        }
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (index, (name, kind)) in FIXED.iter().enumerate().skip(start) {
            let listed = Listed {
                inode: self.number_of(index),
                next: index as u64 + 1,
                kind: *kind,
                name: name.as_bytes(),
            };
            if !visit(&listed) {
                return Ok(());
            }
        }
        list_processes(cursor, PAGE_TABLE, visit);
        Ok(())
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Ok(Opened::File(Arc::new(Listing)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `self`.
struct Own(u64);

impl Target for Own {
    fn identity(&self) -> Identity {
        Identity::of_root(self.0, 0o777)
    }

    fn target(&self) -> Result<Link, Errno> {
        Ok(Link::Text(own_directory()?.into()))
    }
}

/// A process.
struct Directory {
    subject: Subject,
}

impl Directory {
    fn identity(&self) -> Identity {
        self.subject.identity(PAGE_TABLE, 0o500, false)
    }
}

/// The number of an inode about an address: most differ.
fn number_of(address: u64) -> u64 {
    PAGE_TABLE + 1 + (address / 4096) % (PAGE_TABLE - 1)
}

/// The address that a name says.
fn parse(name: &[u8]) -> Option<u64> {
    let name = core::str::from_utf8(name).ok()?;
    let digits = name.strip_prefix("0x").unwrap_or(name);
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

impl Inode for Directory {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.identity().metadata(Kind::Directory, 2, 0, now())
    }

    fn is_stale(&self) -> bool {
        self.subject.is_gone()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let address = parse(name).ok_or(Errno::ENOENT)?;
        if self.subject.is_gone() {
            return Err(Errno::ENOENT);
        }
        Ok(Arc::new(Place {
            about: About::Address(self.subject.clone(), address),
        }))
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let space = space_of(&self.subject).map_err(|_| Errno::ENOENT)?;
        for area in space.areas() {
            if area.start < cursor {
                continue;
            }
            let mut name = Text::default();
            write!(name, "{:x}", area.start).map_err(|_| Errno::ENOMEM)?;
            let listed = Listed {
                inode: self.subject.base() + number_of(area.start),
                next: area.start + 1,
                kind: Kind::Regular,
                name: &name.into_bytes(),
            };
            if !visit(&listed) {
                break;
            }
        }
        Ok(())
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        self.subject.check_inspection()?;
        Ok(Opened::File(Arc::new(Listing)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What a file is about.
#[derive(Clone)]
enum About {
    /// An address of a process.
    Address(Subject, u64),
    /// The kernel's half; the number of the inode.
    Kernel(u64),
}

impl About {
    fn identity(&self) -> Identity {
        match self {
            About::Address(subject, address) => subject.identity(number_of(*address), 0o400, false),
            About::Kernel(number) => Identity::of_root(*number, 0o400),
        }
    }
}

/// A file.
struct Place {
    about: About,
}

impl Inode for Place {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn permissions(&self) -> Permissions {
        self.about.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.about.identity().metadata(Kind::Regular, 1, 0, now())
    }

    fn is_stale(&self) -> bool {
        match &self.about {
            About::Address(subject, _) => subject.is_gone(),
            About::Kernel(_) => false,
        }
    }

    fn open(self: Arc<Self>, open: &Open<'_>) -> Result<Opened, Errno> {
        let shows_frames = may_see_memory(open);
        let mut space = Weak::new();
        match &self.about {
            About::Address(subject, address) => {
                subject.check_inspection()?;
                if *address >= USER_END && !shows_frames {
                    return Err(Errno::EPERM);
                }
                space = Arc::downgrade(&space_of(subject)?);
            }
            About::Kernel(_) if !shows_frames => return Err(Errno::EPERM),
            About::Kernel(_) => {}
        }
        Ok(Generated::opened(Arc::new(Walk {
            about: self.about.clone(),
            space,
            shows_frames,
        })))
    }

    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open file: about the program that the process ran then.
struct Walk {
    about: About,
    space: Weak<AddressSpace>,
    shows_frames: bool,
}

impl Content for Walk {
    fn identity(&self) -> Identity {
        self.about.identity()
    }

    fn render(&self, text: &mut Text) -> Made {
        match self.about {
            About::Kernel(_) => write_kernel(text),
            About::Address(_, address) => {
                let space = self.space.upgrade().ok_or(Errno::ESRCH)?;
                self.write_walk(text, &space, address)
            }
        }
    }
}

/// Steps of a walk at most.
const LEVELS: usize = 4;

impl Walk {
    fn write_walk(&self, text: &mut Text, space: &AddressSpace, address: u64) -> Made {
        let mut steps = Vec::new();
        steps.make_room(LEVELS)?;
        let mut note = |step: &Step| {
            if steps.len() < LEVELS {
                steps.push(*step);
            }
        };
        writeln!(text, "address      {address:016x}")?;
        if address >= USER_END {
            memory::walk_kernel(address, note);
            writeln!(text, "area         the kernel's")?;
            for step in &steps {
                self.write_step(text, step)?;
            }
            return self.write_memory(text, steps.last(), None);
        }
        let (area, page) = space.walk(address, &mut note);
        text.push(b"area         ")?;
        match &area {
            Some(area) => write_area(text, area, &Names::of(space))?,
            None => text.push(b"none\n")?,
        }
        for step in &steps {
            self.write_step(text, step)?;
        }
        self.write_memory(text, steps.last(), page.as_ref())?;
        let (load, store) = consequences(area.as_ref(), page.as_ref());
        writeln!(text, "load         {load}")?;
        writeln!(text, "store        {store}")?;
        Ok(())
    }

    fn write_step(&self, text: &mut Text, step: &Step) -> Made {
        write!(text, "level {} [{:3}]", step.level, step.index)?;
        if self.shows_frames {
            write!(text, " in {:x}: {:016x}", step.table, step.raw)?;
        }
        let what = match step.target {
            Leads::Nothing => " nothing",
            Leads::Table(_) => " -> table:",
            Leads::Memory { len, .. } if len > 4096 => " -> huge page:",
            Leads::Memory { .. } => " -> page:",
        };
        text.push(what.as_bytes())?;
        for flag in step.flags() {
            write!(text, " {flag}")?;
        }
        text.push(b"\n")
    }

    /// What is at the end of the walk.
    fn write_memory(&self, text: &mut Text, last: Option<&Step>, page: Option<&PageView>) -> Made {
        let Some(Leads::Memory { frame, len, .. }) = last.map(|step| step.target) else {
            return Ok(());
        };
        text.push(b"memory       ")?;
        write_size(text, len)?;
        if self.shows_frames {
            write!(text, " from frame {frame:x} on")?;
        }
        if let Some(page) = page {
            if page.is_zero {
                text.push(b", the zeroes that all share")?;
            } else {
                let whose = if page.is_of_object {
                    "the object's"
                } else {
                    "the program's"
                };
                let (count, s) = (page.mappings, if page.mappings == 1 { "" } else { "s" });
                write!(text, ", {whose}, in {count} page table{s}")?;
            }
        }
        text.push(b"\n")
    }
}

/// A number of bytes that is a power of two, mostly.
fn write_size(text: &mut Text, bytes: u64) -> Made {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            write!(text, "{} {name}", bytes / unit)?;
            return Ok(());
        }
    }
    write!(text, "{bytes} B")?;
    Ok(())
}

/// What a load and a store would come to.
fn consequences(area: Option<&Area>, page: Option<&PageView>) -> (&'static str, &'static str) {
    let Some(area) = area else {
        return (
            "SIGSEGV, unless a stack grows",
            "SIGSEGV, unless a stack grows",
        );
    };
    let may_store = area.protection.contains(Protection::WRITE);
    let is_shared = area.flags.contains(AreaFlags::SHARED);
    let load = match (!area.protection.allows_access(), page) {
        (true, _) => "SIGSEGV: the area forbids it",
        (_, Some(_)) => "from the page",
        (_, None) if area.source.is_some() => "faults: the object's page comes",
        (_, None) => "faults: the shared zeroes come",
    };
    let store = match page {
        _ if !may_store => "SIGSEGV: the area forbids it",
        Some(page) if page.rights.contains(Rights::WRITE) => "to the page",
        Some(_) if is_shared => "faults: the right comes",
        Some(page) if page.is_zero => "faults: a fresh page comes",
        Some(page) if page.is_of_object || page.mappings > 1 => "faults: a copy of the page comes",
        Some(_) => "faults: nobody else has the page any more, so the right comes",
        None if is_shared => "faults: the object's page comes",
        None if area.source.is_some() => "faults: a copy of the object's page comes",
        None => "faults: a fresh page comes",
    };
    (load, store)
}

/// `kernel`.
fn write_kernel(text: &mut Text) -> Made {
    let mut made = Ok(());
    memory::visit_kernel(|block| {
        if made.is_err() {
            return;
        }
        made = (|| {
            let (start, end) = (block.range.start, block.range.end);
            write!(text, "{start:016x}-{end:016x} ")?;
            write_size(text, end.wrapping_sub(start))?;
            text.push(b" by ")?;
            write_size(text, block.entry)?;
            text.push(b":")?;
            for flag in block.flags() {
                write!(text, " {flag}")?;
            }
            text.push(b"\n")
        })();
    });
    made
}
