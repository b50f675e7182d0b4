//! Files about the machine's memory.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use ochre_abi::stat::TMPFS_MAGIC;
use ochre_hal::memory::{self, Stats};

use super::text::{Made, Text};
use crate::memory::MakeRoom;
use crate::vfs::mount;

/// KiB in a frame.
const FRAME_KIB: u64 = 4;

/// Frames that hold files: the memory file systems are the page cache.
fn file_frames() -> u64 {
    let mut seen: Vec<u64> = Vec::new();
    let mut frames: u64 = 0;
    for mount in mount::all() {
        let file_system = mount.file_system();
        let device = file_system.device();
        if seen.contains(&device) || seen.make_room(1).is_err() {
            continue;
        }
        seen.push(device);
        let statistics = file_system.statistics();
        if statistics.f_type == TMPFS_MAGIC {
            let used = statistics.f_blocks.saturating_sub(statistics.f_bfree);
            frames = frames.saturating_add(used);
        }
    }
    frames
}

/// `/proc/meminfo`.
pub(super) fn information(text: &mut Text) -> Made {
    write_information(text, &memory::stats(), file_frames())?;
    Ok(())
}

/// What a program may have is what is free above the kernel's reserve: files
/// are in memory alone and cannot make room.
fn write_information(text: &mut Text, stats: &Stats, files: u64) -> fmt::Result {
    let available = stats.free.saturating_sub(stats.reserve) as u64;
    let heap = stats.heap as u64;
    for (name, frames) in [
        ("MemTotal:", stats.total as u64),
        ("MemFree:", stats.free as u64),
        ("MemAvailable:", available),
        ("Buffers:", 0),
        ("Cached:", files),
        ("SwapCached:", 0),
        ("Unevictable:", files),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
        ("Dirty:", 0),
        ("Writeback:", 0),
        ("Shmem:", files),
        ("KReclaimable:", 0),
        ("Slab:", heap),
        ("SReclaimable:", 0),
        ("SUnreclaim:", heap),
        ("PageTables:", stats.page_tables as u64),
    ] {
        writeln!(text, "{name:<16}{:8} kB", frames.saturating_mul(FRAME_KIB))?;
    }
    Ok(())
}

/// `/proc/vmstat`: what is known of it.
pub(super) fn counters(text: &mut Text) -> Made {
    let stats = memory::stats();
    let files = file_frames();
    writeln!(text, "nr_free_pages {}", stats.free)?;
    writeln!(text, "nr_file_pages {files}")?;
    writeln!(text, "nr_shmem {files}")?;
    writeln!(text, "nr_page_table_pages {}", stats.page_tables)?;
    writeln!(text, "nr_slab_unreclaimable {}", stats.heap)?;
    // Nothing is ever moved to a disk, or back.
    for name in ["pgpgin", "pgpgout", "pswpin", "pswpout"] {
        writeln!(text, "{name} 0")?;
    }
    Ok(())
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
    writeln!(text, "files {}", file_frames())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Stats, Text, write_information};

    #[test]
    fn lines_have_the_columns_of_linux() {
        let stats = Stats {
            total: 1000,
            free: 500,
            reserve: 100,
            page_tables: 3,
            heap: 7,
        };
        let mut text = Text::default();
        write_information(&mut text, &stats, 20).unwrap();
        let text = String::from_utf8(text.into_bytes()).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("MemTotal:           4000 kB"));
        assert_eq!(lines.next(), Some("MemFree:            2000 kB"));
        assert_eq!(lines.next(), Some("MemAvailable:       1600 kB"));
        assert!(text.contains("\nCached:               80 kB\n"));
        assert!(text.contains("\nPageTables:           12 kB\n"));
    }
}
