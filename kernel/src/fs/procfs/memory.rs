//! Files about the machine's memory.

use core::fmt::{self, Write};

use ochre_abi::ipc::ShmIdDs;
use ochre_hal::memory::{self, HUGE_SIZE, PAGE_SIZE, Stats};

use super::text::{Made, Text};
use crate::audit;
use crate::fs::tmpfs;
use crate::ipc::sysv::shm;
use crate::memory::commit;
use crate::memory::huge::fallbacks;
use crate::memory::shared_frames;
use crate::memory::spare;

/// KiB in a frame.
const FRAME_KIB: u64 = 4;

/// `/proc/meminfo`.
pub(super) fn information(text: &mut Text) -> Made {
    let used = Used {
        stats: memory::stats(),
        files: tmpfs::frames(),
        shared: shared_frames(),
        own: audit::own_frames(),
        huge: memory::huge_pages().mapped,
        stacks: memory::stack_frames(),
    };
    write_information(text, &used)?;
    Ok(())
}

/// What memory is used for, in frames.
#[derive(Default)]
struct Used {
    stats: Stats,
    /// Files.
    files: u64,
    /// Memory that programs share without a file, segments among it.
    shared: u64,
    /// What the kernel took for ever.
    own: u64,
    /// Huge pages, each of many frames.
    huge: u64,
    /// Stacks of processors, of what the kernel took.
    stacks: u64,
}

impl Used {
    /// What programs have for themselves: all that is used and nothing else.
    fn private(&self) -> u64 {
        let Stats {
            total,
            free,
            page_tables,
            heap,
            ..
        } = self.stats;
        let others = [page_tables as u64, heap as u64, self.files, self.shared];
        let others = others.into_iter().fold(self.own, u64::saturating_add);
        (total.saturating_sub(free) as u64).saturating_sub(others)
    }
}

/// What a program may have is what is free above the kernel's reserve: files
/// are in memory alone and cannot make room.
///
/// What Linux tells besides and nobody counts here is left out: which pages were
/// used lately (`Active`, `Inactive`), are locked, or are of files and mapped.
fn write_information(text: &mut Text, used: &Used) -> fmt::Result {
    let huge_frames = used.huge.saturating_mul((HUGE_SIZE / PAGE_SIZE) as u64);
    let stats = &used.stats;
    let available = stats.free.saturating_sub(stats.reserve) as u64;
    let heap = stats.heap as u64;
    let in_memory = used.files.saturating_add(used.shared);
    for (name, frames) in [
        ("MemTotal:", stats.total as u64),
        ("MemFree:", stats.free as u64),
        ("MemAvailable:", available),
        ("Buffers:", 0),
        ("Cached:", in_memory),
        ("SwapCached:", 0),
        ("Unevictable:", in_memory),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
        ("Dirty:", 0),
        ("Writeback:", 0),
        ("AnonPages:", used.private()),
        ("Shmem:", in_memory),
        ("KReclaimable:", 0),
        ("Slab:", heap),
        ("SReclaimable:", 0),
        ("SUnreclaim:", heap),
        ("KernelStack:", used.stacks),
        ("PageTables:", stats.page_tables as u64),
        // There are no other machines inside, no disks and no devices that reach
        // a part of memory only; the kernel maps no memory of its own in pieces.
        ("SecPageTables:", 0),
        ("NFS_Unstable:", 0),
        ("Bounce:", 0),
        ("WritebackTmp:", 0),
        ("CommitLimit:", commit::limit()),
        ("Committed_AS:", commit::promised()),
        ("VmallocTotal:", 0),
        ("VmallocUsed:", 0),
        ("VmallocChunk:", 0),
        ("AnonHugePages:", huge_frames),
        // Only what is private comes in huge pages.
        ("ShmemHugePages:", 0),
        ("ShmemPmdMapped:", 0),
        ("FileHugePages:", 0),
        ("FilePmdMapped:", 0),
    ] {
        writeln!(text, "{name:<16}{:8} kB", frames.saturating_mul(FRAME_KIB))?;
    }
    // None are set aside; those that come by themselves are above.
    for name in ["Total:", "Free: ", "Rsvd: ", "Surp: "] {
        writeln!(text, "HugePages_{name} {:7}", 0)?;
    }
    writeln!(text, "{:<16}{:8} kB", "Hugepagesize:", HUGE_SIZE / 1024)?;
    writeln!(text, "{:<16}{:8} kB", "Hugetlb:", 0)
}

/// `/proc/vmstat`: what is known of it.
pub(super) fn counters(text: &mut Text) -> Made {
    let stats = memory::stats();
    let files = tmpfs::frames().saturating_add(shared_frames());
    writeln!(text, "nr_free_pages {}", stats.free)?;
    writeln!(text, "nr_file_pages {files}")?;
    writeln!(text, "nr_shmem {files}")?;
    writeln!(text, "nr_page_table_pages {}", stats.page_tables)?;
    writeln!(text, "nr_slab_unreclaimable {}", stats.heap)?;
    let huge = memory::huge_pages();
    writeln!(text, "nr_anon_transparent_hugepages {}", huge.mapped)?;
    writeln!(text, "thp_fault_alloc {}", huge.made)?;
    writeln!(text, "thp_fault_fallback {}", fallbacks())?;
    writeln!(text, "thp_collapse_alloc {}", huge.collapsed)?;
    // What is split are pages and what maps them at once.
    writeln!(text, "thp_split_page {}", huge.split)?;
    writeln!(text, "thp_split_pmd {}", huge.split)?;
    let (spare, taken) = spare::counts();
    writeln!(text, "pglazyfree {spare}")?;
    writeln!(text, "pglazyfreed {taken}")?;
    // Nothing is ever moved to a disk, or back.
    for name in ["pgpgin", "pgpgout", "pswpin", "pswpout"] {
        writeln!(text, "{name} 0")?;
    }
    Ok(())
}

/// `/proc/buddyinfo`: free blocks by order, from a page on.
pub(super) fn blocks(text: &mut Text) -> Made {
    write_blocks(text, &memory::free_blocks())?;
    Ok(())
}

/// There is one zone, and one node.
fn write_blocks(text: &mut Text, blocks: &[usize]) -> fmt::Result {
    write!(text, "Node 0, zone {:>8} ", "Normal")?;
    for count in blocks {
        write!(text, "{count:6} ")?;
    }
    writeln!(text)
}

/// `/proc/slabinfo`: the sizes of objects of the kernel's heap.
pub(super) fn objects(text: &mut Text) -> Made {
    text.push(
        b"slabinfo - version: 2.1\n\
          # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> \
          : tunables <limit> <batchcount> <sharedfactor> \
          : slabdata <active_slabs> <num_slabs> <sharedavail>\n",
    )?;
    for size in memory::object_sizes() {
        write_objects(text, size)?;
    }
    Ok(())
}

/// A slab is a page. Nothing can be tuned.
fn write_objects(text: &mut Text, [size, per_page, pages, in_use]: [usize; 4]) -> fmt::Result {
    if size == 0 {
        return Ok(());
    }
    let all = pages.saturating_mul(per_page);
    let start = text.len();
    write!(text, "kmalloc-{size}")?;
    text.pad_to(start, 17).map_err(|_| fmt::Error)?;
    writeln!(
        text,
        " {in_use:6} {all:6} {size:6} {per_page:4} {:4} \
         : tunables {:4} {:4} {:4} : slabdata {pages:6} {pages:6} {:6}",
        1, 0, 0, 0, 0,
    )
}

/// `/proc/sysvipc/shm`: all segments, whoever asks.
pub(super) fn segments(text: &mut Text) -> Made {
    text.push(
        b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  \
          cgid      atime      dtime      ctime                   rss                  swap\n",
    )?;
    let mut place = 0;
    while let Some((at, segment)) = shm::from_place(place) {
        place = at.saturating_add(1);
        write_segment(
            text,
            &segment.report(),
            segment.number(),
            segment.resident(),
        )?;
    }
    Ok(())
}

fn write_segment(text: &mut Text, of: &ShmIdDs, number: i32, resident: u64) -> fmt::Result {
    let perm = &of.perm;
    write!(
        text,
        "{:10} {number:10}  {:4o} {:21} ",
        perm.key, perm.mode, of.size
    )?;
    write!(text, "{:5} {:5}  {:5} ", of.creator, of.last, of.attaches)?;
    for id in [perm.uid, perm.gid, perm.cuid, perm.cgid] {
        write!(text, "{id:5} ")?;
    }
    for time in [of.attached, of.detached, of.changed] {
        write!(text, "{time:10} ")?;
    }
    writeln!(text, "{resident:21} {:21}", 0)
}

/// `/proc/ochre/memory`: who has the frames.
pub(super) fn frames(text: &mut Text) -> Made {
    let stats = memory::stats();
    for (name, frames) in [
        ("total", stats.total),
        ("free", stats.free),
        ("reserve", stats.reserve),
        ("page_tables", stats.page_tables),
        ("heap", stats.heap),
    ] {
        writeln!(text, "{name} {frames}")?;
    }
    writeln!(text, "files {}", tmpfs::frames())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        ShmIdDs, Stats, Text, Used, write_blocks, write_information, write_objects, write_segment,
    };

    fn made(make: impl FnOnce(&mut Text) -> core::fmt::Result) -> String {
        let mut text = Text::default();
        make(&mut text).unwrap();
        String::from_utf8(text.into_bytes()).unwrap()
    }

    #[test]
    fn segments_are_in_columns() {
        let mut of = ShmIdDs {
            size: 8192,
            creator: 7,
            attaches: 2,
            changed: 1_700_000_000,
            ..ShmIdDs::default()
        };
        of.perm.key = -5;
        of.perm.mode = 0o1600;
        let mut expected = String::from("        -5         33  1600                  8192 ");
        expected += "    7     0      2     0     0     0     0          0          0 1700000000 ";
        expected += "                 4096                     0\n";
        assert_eq!(made(|text| write_segment(text, &of, 33, 4096)), expected);
    }

    #[test]
    fn blocks_are_in_columns() {
        assert_eq!(
            made(|text| write_blocks(text, &[12, 0, 1_234_567])),
            "Node 0, zone   Normal     12      0 1234567 \n"
        );
    }

    #[test]
    fn sizes_are_in_columns() {
        assert_eq!(
            made(|text| write_objects(text, [64, 63, 10, 600])),
            "kmalloc-64           600    630     64   63    1 \
             : tunables    0    0    0 : slabdata     10     10      0\n"
        );
        assert_eq!(made(|text| write_objects(text, [0; 4])), "");
    }

    #[test]
    fn lines_have_the_columns_of_linux() {
        let used = Used {
            stats: Stats {
                total: 1000,
                free: 500,
                reserve: 100,
                page_tables: 3,
                heap: 7,
            },
            files: 15,
            shared: 5,
            own: 70,
            huge: 3,
            stacks: 48,
        };
        let mut text = Text::default();
        write_information(&mut text, &used).unwrap();
        let text = String::from_utf8(text.into_bytes()).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("MemTotal:           4000 kB"));
        assert_eq!(lines.next(), Some("MemFree:            2000 kB"));
        assert_eq!(lines.next(), Some("MemAvailable:       1600 kB"));
        assert!(text.contains("\nCached:               80 kB\n"));
        assert!(text.contains("\nAnonPages:          1600 kB\nShmem:                80 kB\n"));
        assert!(text.contains("\nKernelStack:         192 kB\nPageTables:           12 kB\n"));
        assert!(text.contains("\nAnonHugePages:      6144 kB\n"));
        assert!(text.contains("\nHugePages_Total:       0\nHugePages_Free:        0\n"));
        assert!(text.ends_with("\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n"));
    }
}
