//! sysfs: the processors, and huge pages, where C libraries and load generators
//! look for them.
//!
//! Files are those of procfs, in a tree of their own; there is no more in it
//! than what has something to say. Each processor is a core by itself.

use alloc::sync::Arc;
use core::any::Any;
use core::fmt::Write;

use ochre_abi::Errno;
use ochre_hal::cpu::{self, MAX_CPUS, Meltdown};
use ochre_hal::memory::HUGE_SIZE;

use super::node::{Content, Identity, Leaf, Listing};
use super::root::{Digits, parse_number};
use super::text::{Made, Text};
use super::tree::Tree;
use crate::memory::huge::HugePolicy;
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::{Entry as Listed, Inode, Kind, Metadata, Open, Opened, Permissions, now};

/// What `statfs` shows.
const SUPER_MAGIC: i64 = 0x6265_6572;

/// Numbers of inodes in one directory.
const SPAN: u64 = 16;

/// Numbers of the processors' directories are from here on.
const PROCESSORS: u64 = 1 << 20;

/// Cursors of the processors are from here on.
const AFTER_TABLE: u64 = 1 << 8;

/// A directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Top,
    Devices,
    System,
    /// All processors; has one directory for each beside its table.
    Processors,
    Vulnerabilities,
    Processor(u32),
    Topology(u32),
    Kernel,
    Memory,
    HugePages,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum What {
    Directory(fn(u32) -> Place),
    Text(fn(u32, &mut Text) -> Made),
    Setting(fn(&mut Text) -> Made, fn(&[u8]) -> Result<(), Errno>),
}

type Table = &'static [(&'static str, What)];

const TOP: Table = &[
    ("devices", What::Directory(|_| Place::Devices)),
    ("kernel", What::Directory(|_| Place::Kernel)),
];
const KERNEL: Table = &[("mm", What::Directory(|_| Place::Memory))];
const MEMORY: Table = &[(
    "transparent_hugepage",
    What::Directory(|_| Place::HugePages),
)];
const HUGE_PAGES: Table = &[
    (
        "enabled",
        What::Setting(|text| line(HugePolicy::now(), text), set_huge_policy),
    ),
    (
        "hpage_pmd_size",
        What::Text(|_, text| line(HUGE_SIZE, text)),
    ),
    // What is read first comes page by page.
    ("use_zero_page", What::Text(|_, text| line(0, text))),
];
const DEVICES: Table = &[("system", What::Directory(|_| Place::System))];
const SYSTEM: Table = &[("cpu", What::Directory(|_| Place::Processors))];
const ALL_PROCESSORS: Table = &[
    ("kernel_max", What::Text(|_, text| line(MAX_CPUS - 1, text))),
    ("offline", What::Text(|_, text| text.push(b"\n"))),
    ("online", What::Text(|_, text| all(text))),
    ("possible", What::Text(|_, text| all(text))),
    ("present", What::Text(|_, text| all(text))),
    (
        "vulnerabilities",
        What::Directory(|_| Place::Vulnerabilities),
    ),
];
const VULNERABILITIES: Table = &[("meltdown", What::Text(|_, text| line(meltdown(), text)))];
const ONE_PROCESSOR: Table = &[
    ("online", What::Text(|_, text| line(1, text))),
    ("topology", What::Directory(Place::Topology)),
];
const TOPOLOGY: Table = &[
    ("core_cpus_list", What::Text(line)),
    ("core_id", What::Text(line)),
    ("core_siblings_list", What::Text(|_, text| all(text))),
    ("die_id", What::Text(|_, text| line(0, text))),
    ("package_cpus_list", What::Text(|_, text| all(text))),
    ("physical_package_id", What::Text(|_, text| line(0, text))),
    ("thread_siblings_list", What::Text(line)),
];

fn line(value: impl core::fmt::Display, text: &mut Text) -> Made {
    writeln!(text, "{value}")?;
    Ok(())
}

fn set_huge_policy(bytes: &[u8]) -> Result<(), Errno> {
    let policy = HugePolicy::named(bytes.trim_ascii_end());
    policy.ok_or(Errno::EINVAL)?.set();
    Ok(())
}

/// In Linux's words.
fn meltdown() -> &'static str {
    match cpu::meltdown() {
        Meltdown::NotAffected => "Not affected",
        Meltdown::Vulnerable => "Vulnerable",
        Meltdown::Mitigated => "Mitigation: PTI",
        Meltdown::NotAsked => "Unknown",
    }
}

fn count() -> u32 {
    u32::try_from(cpu::online()).unwrap_or(u32::MAX).max(1)
}

/// All processors, as a list.
fn all(text: &mut Text) -> Made {
    match count() {
        1 => line(0, text),
        more => line(format_args!("0-{}", more - 1), text),
    }
}

/// The processor that a name like `cpu3` means.
fn parse_processor(name: &[u8], count: u32) -> Option<u32> {
    parse_number(name.strip_prefix(b"cpu")?).filter(|processor| *processor < count)
}

impl Place {
    fn table(self) -> Table {
        match self {
            Place::Top => TOP,
            Place::Devices => DEVICES,
            Place::System => SYSTEM,
            Place::Processors => ALL_PROCESSORS,
            Place::Vulnerabilities => VULNERABILITIES,
            Place::Processor(_) => ONE_PROCESSOR,
            Place::Topology(_) => TOPOLOGY,
            Place::Kernel => KERNEL,
            Place::Memory => MEMORY,
            Place::HugePages => HUGE_PAGES,
        }
    }

    /// The processor that it is about; 0 for none.
    fn processor(self) -> u32 {
        match self {
            Place::Processor(processor) | Place::Topology(processor) => processor,
            _ => 0,
        }
    }

    fn number(self) -> u64 {
        let of = |processor: u32, kind| PROCESSORS + (u64::from(processor) * 2 + kind) * SPAN;
        match self {
            Place::Top => 1,
            Place::Devices => SPAN,
            Place::System => 2 * SPAN,
            Place::Processors => 3 * SPAN,
            Place::Vulnerabilities => 4 * SPAN,
            Place::Kernel => 5 * SPAN,
            Place::Memory => 6 * SPAN,
            Place::HugePages => 7 * SPAN,
            Place::Processor(processor) => of(processor, 0),
            Place::Topology(processor) => of(processor, 1),
        }
    }

    /// The number of the file or directory at a place in the table.
    fn number_of(self, index: usize, what: What) -> u64 {
        match what {
            What::Directory(place) => place(self.processor()).number(),
            What::Text(_) | What::Setting(..) => self.number() + 1 + index as u64,
        }
    }

    fn identity(self) -> Identity {
        Identity::of_root(self.number(), 0o755).on(&TREE)
    }

    fn directories(self) -> u32 {
        let in_table = |(_, what): &&(&str, What)| matches!(what, What::Directory(_));
        let listed = self.table().iter().filter(in_table).count() as u32;
        listed
            + if self == Place::Processors {
                count()
            } else {
                0
            }
    }
}

/// A file.
struct Fact {
    number: u64,
    processor: u32,
    what: What,
}

impl Content for Fact {
    fn identity(&self) -> Identity {
        let mode = match self.what {
            What::Setting(..) => 0o644,
            _ => 0o444,
        };
        Identity::of_root(self.number, mode).on(&TREE)
    }

    fn render(&self, text: &mut Text) -> Made {
        match self.what {
            What::Text(make) => make(self.processor, text),
            What::Setting(make, _) => make(text),
            What::Directory(_) => Ok(()),
        }
    }

    fn store(&self, bytes: &[u8]) -> Result<(), Errno> {
        match self.what {
            What::Setting(_, take) => take(bytes),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Inode for Place {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        let links = 2 + self.directories();
        self.identity().metadata(Kind::Directory, links, 0, now())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if *self == Place::Processors
            && let Some(processor) = parse_processor(name, count())
        {
            return Ok(Arc::new(Place::Processor(processor)));
        }
        let mut entries = self.table().iter().enumerate();
        let found = entries.find(|(_, (known, _))| known.as_bytes() == name);
        let (index, (_, what)) = found.ok_or(Errno::ENOENT)?;
        Ok(match *what {
            What::Directory(place) => Arc::new(place(self.processor())),
            what => Leaf::inode(Fact {
                number: self.number_of(index, what),
                processor: self.processor(),
                what,
            }),
        })
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (index, (name, what)) in self.table().iter().enumerate().skip(start) {
            let listed = Listed {
                inode: self.number_of(index, *what),
                next: index as u64 + 1,
                kind: match what {
                    What::Directory(_) => Kind::Directory,
                    What::Text(_) | What::Setting(..) => Kind::Regular,
                },
                name: name.as_bytes(),
            };
            if !visit(&listed) {
                return Ok(());
            }
        }
        if *self != Place::Processors {
            return Ok(());
        }
        let from = u32::try_from(cursor.saturating_sub(AFTER_TABLE)).unwrap_or(u32::MAX);
        for processor in from..count() {
            let mut digits = Digits::default();
            let digits = digits.of(processor);
            let mut name = *b"cpu0000000000";
            let len = 3 + digits.len();
            name[3..len].copy_from_slice(digits);
            let listed = Listed {
                inode: Place::Processor(processor).number(),
                next: AFTER_TABLE + u64::from(processor) + 1,
                kind: Kind::Directory,
                name: &name[..len],
            };
            if !visit(&listed) {
                break;
            }
        }
        Ok(())
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Ok(Opened::File(Arc::new(Listing)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The one file system.
static TREE: Tree = Tree::new("sysfs", SUPER_MAGIC, || Arc::new(Place::Top));

/// A new mount of the file system, to be attached somewhere.
#[must_use]
pub fn mount(source: &[u8], flags: MountFlags) -> Arc<Mount> {
    TREE.mount(source, flags)
}

#[cfg(test)]
mod tests {
    use super::{Place, SPAN, What, parse_processor};

    #[test]
    fn tables_fit_and_are_sorted() {
        for place in [
            Place::Top,
            Place::Devices,
            Place::System,
            Place::Processors,
            Place::Processor(1),
            Place::Topology(1),
            Place::Kernel,
            Place::Memory,
            Place::HugePages,
        ] {
            let table = place.table();
            assert!((table.len() as u64) < SPAN, "{place:?}");
            assert!(table.is_sorted_by_key(|(name, _)| *name), "{place:?}");
            for (index, (_, what)) in table.iter().enumerate() {
                if let What::Directory(below) = what {
                    assert_eq!(below(1).number(), place.number_of(index, *what));
                }
            }
        }
    }

    #[test]
    fn only_processors_that_are_there_have_a_folder() {
        assert_eq!(parse_processor(b"cpu0", 2), Some(0));
        assert_eq!(parse_processor(b"cpu1", 2), Some(1));
        for name in [&b"cpu2"[..], b"cpu", b"cpu01", b"cpux", b"1"] {
            assert_eq!(parse_processor(name, 2), None);
        }
    }
}
