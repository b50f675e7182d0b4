//! `maps`, `smaps` and `smaps_rollup`: what is mapped where.

use core::fmt::Write;
use core::ops::Range;

use ochre_abi::mman::Protection;
use ochre_abi::stat::{major, minor};

use super::Subject;
use crate::fs::procfs::text::{Failure, Made, Text};
use crate::memory::{AddressSpace, Area, AreaFlags, Residence};
use alloc::sync::Arc;

/// The column at which names start.
const NAME_COLUMN: usize = 73;

pub(super) fn space_of(subject: &Subject) -> Result<Arc<AddressSpace>, ochre_abi::Errno> {
    let process = subject.process()?;
    let space = Arc::clone(&process.space.lock());
    Ok(space)
}

/// The most bytes of a part that shows more than one area, as on Linux.
const PART_LEN: usize = 4096;

/// How a file shows each area.
struct Style<D> {
    /// About as many areas as there is room for in a part.
    at_once: usize,
    /// What follows the line of `maps`.
    details: D,
    /// How long that is at the least.
    details_len: usize,
}

/// Shows areas from an address on, as many as there is room for in a part; says
/// where the next part begins. What is mapped may change between two parts.
fn in_parts(
    subject: &Subject,
    from: u64,
    style: &Style<impl Fn(&AddressSpace, &Area, &mut Text) -> Made>,
    text: &mut Text,
) -> Result<Option<u64>, Failure> {
    let space = space_of(subject)?;
    let names = Names::of(&space);
    let (begin, end) = (text.len(), text.len() + PART_LEN);
    let mut from = from;
    loop {
        let areas = space.areas_above(from, style.at_once)?;
        for area in &areas {
            let start = text.len();
            write_area(text, area, &names)?;
            let is_first = start == begin;
            // What will have no room is not looked at: that may take long.
            let mut fits = is_first || text.len() + style.details_len <= end;
            if fits {
                (style.details)(&space, area, text)?;
                fits = is_first || text.len() <= end;
            }
            if !fits {
                text.truncate(start);
                return Ok(Some(from));
            }
            from = area.end;
        }
        if areas.len() < style.at_once {
            return Ok(None);
        }
    }
}

/// `/proc/PID/maps`, from an address on.
pub(super) fn maps(subject: &Subject, from: u64, text: &mut Text) -> Result<Option<u64>, Failure> {
    let lines = Style {
        at_once: 32,
        details: |_: &AddressSpace, _: &Area, _: &mut Text| Ok(()),
        details_len: 0,
    };
    in_parts(subject, from, &lines, text)
}

/// `/proc/PID/smaps`, from an address on.
pub(super) fn detailed(
    subject: &Subject,
    from: u64,
    text: &mut Text,
) -> Result<Option<u64>, Failure> {
    let blocks = Style {
        at_once: 7,
        details: write_details,
        details_len: DETAILS_LEN,
    };
    in_parts(subject, from, &blocks, text)
}

/// What [`write_details`] adds at the least: sixteen sizes, a line of one digit
/// and one of flags.
const DETAILS_LEN: usize = 16 * 28 + 18 + 13;

/// What `smaps` has behind the line of `maps`.
fn write_details(space: &AddressSpace, area: &Area, text: &mut Text) -> Made {
    text.push_kib(b"Size:           ", area.bytes() / 1024)?;
    text.push_kib(b"KernelPageSize: ", 4)?;
    text.push_kib(b"MMUPageSize:    ", 4)?;
    let locked = if area.flags.contains(AreaFlags::LOCKED) {
        area.bytes()
    } else {
        0
    };
    write_residence(text, &space.residence_of(area), locked)?;
    let is_eligible = u8::from(space.may_have_huge_pages(area));
    text.push(b"THPeligible:    ")?;
    text.push(&[b'0' + is_eligible, b'\n'])?;
    write_flags(text, area)
}

/// `/proc/PID/smaps_rollup`.
pub(super) fn summed(subject: &Subject, text: &mut Text) -> Made {
    let space = space_of(subject)?;
    let areas = space.areas();
    let (Some(first), Some(last)) = (areas.first(), areas.last()) else {
        return Ok(());
    };
    let start = text.len();
    write!(
        text,
        "{:08x}-{:08x} ---p 00000000 00:00 0 ",
        first.start, last.end
    )?;
    text.pad_to(start, NAME_COLUMN)?;
    text.push(b"[rollup]\n")?;
    let mut sum = Residence::default();
    let mut locked: u64 = 0;
    for area in &areas {
        let one = space.residence_of(area);
        sum = Residence {
            resident: sum.resident.saturating_add(one.resident),
            shared_clean: sum.shared_clean.saturating_add(one.shared_clean),
            shared_dirty: sum.shared_dirty.saturating_add(one.shared_dirty),
            private_clean: sum.private_clean.saturating_add(one.private_clean),
            private_dirty: sum.private_dirty.saturating_add(one.private_dirty),
            proportional: sum.proportional.saturating_add(one.proportional),
            referenced: sum.referenced.saturating_add(one.referenced),
            anonymous: sum.anonymous.saturating_add(one.anonymous),
            lazy_free: sum.lazy_free.saturating_add(one.lazy_free),
            huge: sum.huge.saturating_add(one.huge),
        };
        if area.flags.contains(AreaFlags::LOCKED) {
            locked = locked.saturating_add(area.bytes());
        }
    }
    write_residence(text, &sum, locked)?;
    Ok(())
}

/// The line of `maps`.
pub(super) fn write_area(text: &mut Text, area: &Area, names: &Names) -> Made {
    let mark = |flag: Protection, letter: u8| {
        if area.protection.contains(flag) {
            letter
        } else {
            b'-'
        }
    };
    let (offset, identity) = match &area.source {
        Some(source) => (source.first.wrapping_mul(4096), {
            let identity = source.backing.identity();
            (identity.device, identity.inode)
        }),
        None => (0, (0, 0)),
    };
    let start = text.len();
    text.push_hex(area.start, 8)?;
    text.push(b"-")?;
    text.push_hex(area.end, 8)?;
    text.push(&[
        b' ',
        mark(Protection::READ, b'r'),
        mark(Protection::WRITE, b'w'),
        mark(Protection::EXECUTE, b'x'),
        if area.is_shared() { b's' } else { b'p' },
        b' ',
    ])?;
    text.push_hex(offset, 8)?;
    text.push(b" ")?;
    text.push_hex(major(identity.0).into(), 2)?;
    text.push(b":")?;
    text.push_hex(minor(identity.0).into(), 2)?;
    text.push(b" ")?;
    text.push_decimal(identity.1, 0)?;
    text.push(b" ")?;
    if let Some(source) = &area.source {
        text.pad_to(start, NAME_COLUMN)?;
        text.push_escaped(&source.backing.path(), b"\n")?;
    } else if let Some(name) = names.of_area(area) {
        text.pad_to(start, NAME_COLUMN)?;
        text.push(name)?;
    }
    text.push(b"\n")
}

/// What has a name without being of a file.
pub(super) struct Names {
    heap: Range<u64>,
    stack: u64,
}

impl Names {
    pub(super) fn of(space: &AddressSpace) -> Names {
        Names {
            heap: space.heap(),
            stack: space.facts().stack_start,
        }
    }

    fn of_area(&self, area: &Area) -> Option<&'static [u8]> {
        if area.start < self.heap.end && area.end > self.heap.start {
            Some(b"[heap]")
        } else if area.start <= self.stack && self.stack <= area.end {
            Some(b"[stack]")
        } else {
            None
        }
    }
}

fn write_residence(text: &mut Text, of: &Residence, locked: u64) -> Made {
    for (name, bytes) in [
        (b"Rss:            ", of.resident),
        (b"Pss:            ", of.proportional),
        (b"Shared_Clean:   ", of.shared_clean),
        (b"Shared_Dirty:   ", of.shared_dirty),
        (b"Private_Clean:  ", of.private_clean),
        (b"Private_Dirty:  ", of.private_dirty),
        (b"Referenced:     ", of.referenced),
        (b"Anonymous:      ", of.anonymous),
        (b"LazyFree:       ", of.lazy_free),
        (b"AnonHugePages:  ", of.huge),
        (b"Swap:           ", 0),
        (b"SwapPss:        ", 0),
        (b"Locked:         ", locked),
    ] {
        text.push_kib(name, bytes / 1024)?;
    }
    Ok(())
}

/// The two-letter flags of proc(5), those that are known here.
fn write_flags(text: &mut Text, area: &Area) -> Made {
    text.push(b"VmFlags:")?;
    let protection = area.protection;
    let flags = area.flags;
    for (is_set, name) in [
        (protection.contains(Protection::READ), " rd"),
        (protection.contains(Protection::WRITE), " wr"),
        (protection.contains(Protection::EXECUTE), " ex"),
        (area.is_shared(), " sh"),
        (true, " mr"),
        (!flags.contains(AreaFlags::NEVER_WRITE), " mw"),
        (!flags.contains(AreaFlags::NEVER_EXECUTE), " me"),
        (area.is_shared(), " ms"),
        (flags.contains(AreaFlags::GROWS_DOWN), " gd"),
        (flags.contains(AreaFlags::LOCKED), " lo"),
        (flags.contains(AreaFlags::SEQUENTIAL), " sr"),
        (flags.contains(AreaFlags::RANDOM), " rr"),
        (flags.contains(AreaFlags::DONT_FORK), " dc"),
        (flags.contains(AreaFlags::LOCK_ON_FAULT), " lf"),
        (flags.contains(AreaFlags::ACCOUNTED), " ac"),
        (flags.contains(AreaFlags::NO_RESERVE), " nr"),
        (protection.contains(Protection::GUARDED), " bt"),
        (flags.contains(AreaFlags::WIPE_ON_FORK), " wf"),
        (flags.contains(AreaFlags::DONT_DUMP), " dd"),
        (flags.contains(AreaFlags::HUGE), " hg"),
        (flags.contains(AreaFlags::NO_HUGE), " nh"),
        (flags.contains(AreaFlags::MERGEABLE), " mg"),
    ] {
        if is_set {
            text.push(name.as_bytes())?;
        }
    }
    text.push(b" \n")
}

#[cfg(test)]
mod tests {
    use super::{
        AddressSpace, Area, AreaFlags, DETAILS_LEN, Names, Protection, Text, write_area,
        write_details, write_flags,
    };
    use crate::memory::Limits;
    use ochre_hal::memory::host;

    fn area(start: u64, end: u64, flags: AreaFlags) -> Area {
        Area::new(start..end, Protection::READ | Protection::WRITE, flags)
    }

    fn line(area: &Area) -> String {
        let mut text = Text::default();
        let names = Names {
            heap: 0x5000..0x6000,
            stack: 0x7fff_0000_5000,
        };
        write_area(&mut text, area, &names).unwrap();
        String::from_utf8(text.into_bytes()).unwrap()
    }

    #[test]
    fn names_start_at_their_column() {
        let stack = area(0x7fff_0000_0000, 0x7fff_0010_0000, AreaFlags::GROWS_DOWN);
        assert_eq!(
            line(&stack),
            "7fff00000000-7fff00100000 rw-p 00000000 00:00 0                          [stack]\n"
        );
        assert_eq!(line(&stack).find('['), Some(73));
        let heap = area(0x5000, 0x6000, AreaFlags::empty());
        assert!(line(&heap).ends_with(" [heap]\n"));
    }

    #[test]
    fn nameless_areas_end_with_a_space() {
        let plain = area(0x1000, 0x2000, AreaFlags::empty());
        assert_eq!(line(&plain), "00001000-00002000 rw-p 00000000 00:00 0 \n");
    }

    #[test]
    fn details_are_as_long_as_is_said() {
        let _memory = host::start();
        let space = AddressSpace::new(Limits::default()).unwrap();
        let range = 0x1000..0x2000;
        let len = |protection, flags| {
            let mut text = Text::default();
            let area = Area::new(range.clone(), protection, flags);
            write_details(&space, &area, &mut text).unwrap();
            text.len()
        };
        let never = AreaFlags::NEVER_WRITE | AreaFlags::NEVER_EXECUTE;
        assert_eq!(len(Protection::empty(), never), DETAILS_LEN);
        assert!(len(Protection::READ, AreaFlags::empty()) > DETAILS_LEN);
    }

    #[test]
    fn flags_are_two_letters() {
        let mut text = Text::default();
        let stack = area(0x1000, 0x2000, AreaFlags::GROWS_DOWN);
        write_flags(&mut text, &stack).unwrap();
        assert_eq!(text.into_bytes(), b"VmFlags: rd wr mr mw me gd \n");
    }
}
