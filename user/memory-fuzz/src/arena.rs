//! Where the sequences play: a window at a fixed address, the place where the
//! kernel puts what may go anywhere, and a file.

use core::fmt::Write as _;

use crate::random::Random;
use crate::sys::{self, Answer, address, address_mut, call};

/// Bytes in a page.
pub(crate) const PAGE: usize = 4096;

/// The window's first address: far from everything else, and no more than a
/// part of a huge page, so that there is one only where a sequence begins with it.
pub(crate) const WINDOW: usize = 0x0000_2000_0010_0000;

/// Pages of the window.
pub(crate) const WINDOW_PAGES: usize = 20;

/// Pages of the file to begin with.
pub(crate) const FILE_PAGES: usize = 6;

/// Pages that the heap may have (brk(2)).
pub(crate) const HEAP_PAGES: usize = 24;

/// How far below its upper end the place for anything goes.
const ANYWHERE: usize = 64 << 20;

/// Bytes that the program may lock: what everybody may by default, and more
/// than a few hundred sequences do.
const LOCKED_LIMIT: u64 = 8 << 20;

/// Whom it runs as if it can choose.
const NOBODY: usize = 65534;

/// See the module.
pub(crate) struct Arena {
    /// The file.
    pub(crate) fd: usize,
    /// Where the heap ended first: what is below is none of ours.
    pub(crate) heap: usize,
    /// Whether this is a child that sees what its parent left it.
    pub(crate) is_child: bool,
    /// Whether nothing is asked that older Linuxes answer otherwise.
    pub(crate) is_older: bool,
    /// Where it ends, what the kernel puts anywhere goes below.
    top: usize,
    /// `/proc/self/maps`.
    maps: usize,
    text: Vec<u8>,
}

/// A line of `/proc/self/maps`.
struct Line<'a> {
    start: usize,
    end: usize,
    rights: &'a str,
    offset: &'a str,
    name: &'a str,
}

impl Line<'_> {
    fn parse(line: &str) -> Option<Line<'_>> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let offset = words.next()?;
        words.next()?;
        words.next()?;
        Some(Line {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            rights,
            offset,
            name: words.next().unwrap_or_default().trim(),
        })
    }

    /// Whether the next one could as well be a part of this.
    fn goes_on_in(&self, next: &Line<'_>) -> bool {
        let place = |line: &Line<'_>| usize::from_str_radix(line.offset, 16).unwrap_or(0);
        let is_behind = self.end - self.start == place(next).wrapping_sub(place(self));
        self.end == next.start
            && (self.rights, self.name) == (next.rights, next.name)
            && (is_behind || self.name.is_empty())
    }
}

impl Arena {
    /// Sets limits and user, and learns where things go.
    pub(crate) fn prepare(is_older: bool) -> Arena {
        let limit = |resource: usize, value: u64| {
            let limit = [value, value];
            let _ = call(libc::SYS_setrlimit, &[resource, address(&limit)]);
        };
        limit(libc::RLIMIT_STACK as usize, 8 << 20);
        limit(libc::RLIMIT_MEMLOCK as usize, LOCKED_LIMIT);
        if call(libc::SYS_geteuid, &[]) == Ok(0) {
            let _ = call(libc::SYS_setgroups, &[0, 0]);
            let _ = call(libc::SYS_setresgid, &[NOBODY; 3]);
            let _ = call(libc::SYS_setresuid, &[NOBODY; 3]);
            let _ = call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, 1]);
        }
        sys::catch_faults();
        let fd = call(libc::SYS_memfd_create, &[address(c"fuzz"), 0]).expect("a file");
        let mut arena = Arena {
            fd,
            heap: heap_end(),
            is_child: false,
            is_older,
            top: 0,
            maps: open_maps(),
            text: vec![0; 1 << 16],
        };
        arena.find_top();
        arena
    }

    /// Fills the gaps between what is mapped already, until what goes anywhere
    /// goes below all of it.
    fn find_top(&mut self) {
        let map = |pages: usize| {
            let none = libc::PROT_NONE as usize;
            let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
            call(
                libc::SYS_mmap,
                &[0, pages * PAGE, none, flags, usize::MAX, 0],
            )
            .expect("room")
        };
        let far = map(16 << 10);
        let _ = call(libc::SYS_munmap, &[far, (16 << 10) * PAGE]);
        let end = far + (16 << 10) * PAGE;
        self.top = end;
        for _ in 0..4096 {
            let at = map(1);
            if at < end {
                self.top = at;
                break;
            }
        }
        // Of another kind than whatever will be below it.
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let none = libc::PROT_NONE as usize;
        let words = [self.top, PAGE, none, flags as usize, usize::MAX, 0];
        let _ = call(libc::SYS_mmap, &words);
    }

    /// Runs `body` in a child of its own, whose locked memory is counted anew
    /// (Linux's count is not exact after `MREMAP_DONTUNMAP`); whether it came to
    /// its end.
    pub(crate) fn in_child(&mut self, body: impl FnOnce(&mut Arena)) -> bool {
        match sys::fork() {
            Ok(0) => {
                self.maps = open_maps();
                body(self);
                sys::exit(0)
            }
            Ok(child) => {
                let mut status = 0_i32;
                let words = [child, address_mut(&mut status), 0, 0];
                call(libc::SYS_wait4, &words) == Ok(child) && status == 0
            }
            Err(_) => false,
        }
    }

    /// A child looks at what is its own.
    pub(crate) fn look_at_own(&mut self) {
        let _ = call(libc::SYS_close, &[self.maps]);
        self.maps = open_maps();
        self.is_child = true;
    }

    /// From the first end of the heap to where it never ends.
    fn heap_range(&self) -> core::ops::Range<usize> {
        self.heap..self.heap + 4 * HEAP_PAGES * PAGE
    }

    /// An address as traces tell it.
    pub(crate) fn name(&self, address: usize) -> String {
        if self.heap_range().contains(&address) {
            return format!("h{}", in_pages((address - self.heap).cast_signed()));
        }
        let window = WINDOW - 16 * PAGE..WINDOW + 2 * WINDOW_PAGES * PAGE;
        if window.contains(&address) {
            let offset = address.wrapping_sub(WINDOW).cast_signed();
            format!("w{}", in_pages(offset))
        } else if (self.top - ANYWHERE..=self.top).contains(&address) {
            format!("a{}", in_pages((self.top - address).cast_signed()))
        } else {
            format!("{address:#x}")
        }
    }

    /// An answer as traces tell it.
    pub(crate) fn answer(&self, answer: Answer) -> String {
        match answer {
            Ok(value) if value > 1 << 20 => self.name(value),
            Ok(value) => value.to_string(),
            Err(error) => format!("E{error}"),
        }
    }

    /// A new sequence: the file as it always is.
    pub(crate) fn begin(&mut self, random: &mut Random) {
        let _ = call(libc::SYS_ftruncate, &[self.fd, 0]);
        let _ = call(libc::SYS_ftruncate, &[self.fd, FILE_PAGES * PAGE]);
        for page in 0..FILE_PAGES {
            // Some pages are holes.
            if !random.one_in(3) {
                let byte = [b'A' + page as u8];
                let words = [self.fd, address(&byte), 1, page * PAGE];
                let _ = call(libc::SYS_pwrite64, &words);
            }
        }
    }

    /// The sequence is over: nothing of it stays.
    pub(crate) fn end(&mut self) {
        let _ = call(libc::SYS_munlockall, &[]);
        let low = WINDOW - 1024 * PAGE;
        let _ = call(libc::SYS_munmap, &[low, 2048 * PAGE]);
        // The heap's end comes down over what is mapped only.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let len = 4 * HEAP_PAGES * PAGE;
        let words = [self.heap, len, 0, flags as usize, usize::MAX, 0];
        let _ = call(libc::SYS_mmap, &words);
        let _ = call(libc::SYS_brk, &[self.heap]);
        let _ = call(libc::SYS_munmap, &[self.heap, len]);
        let _ = call(libc::SYS_munmap, &[self.top - ANYWHERE, ANYWHERE]);
    }

    fn is_ours(&self, line: &Line<'_>) -> bool {
        let window = WINDOW - 1024 * PAGE..WINDOW + 1024 * PAGE;
        window.contains(&line.start)
            || self.heap_range().contains(&line.start)
            || (self.top - ANYWHERE..self.top).contains(&line.start)
    }

    /// Reads `/proc/self/maps`; calls `see` for each line of ours. Lines that
    /// could be one are one `as_told`, beside an older Linux: which areas become
    /// one has changed a little with each of them.
    fn each_area(&mut self, as_told: bool, mut see: impl FnMut(&Arena, &Line<'_>)) {
        let mut text = core::mem::take(&mut self.text);
        let mut len = 0;
        loop {
            let room = text.len() - len;
            let to = address_mut(&mut text[len..]);
            match call(libc::SYS_pread64, &[self.maps, to, room, len]) {
                Ok(0) | Err(_) => break,
                Ok(count) => len += count,
            }
        }
        let whole = String::from_utf8_lossy(&text[..len]);
        let mut lines = whole
            .lines()
            .filter_map(Line::parse)
            .map(|mut line| {
                if (line.start..line.end).contains(&self.heap) {
                    line.start = self.heap;
                }
                line
            })
            .filter(|line| self.is_ours(line))
            .peekable();
        while let Some(mut line) = lines.next() {
            while self.is_older
                && as_told
                && let Some(next) = lines.next_if(|next| line.goes_on_in(next))
            {
                line.end = next.end;
            }
            see(self, &line);
        }
        self.text = text;
    }

    /// Whether a range is a part of one area.
    pub(crate) fn is_in_one(&mut self, at: usize, len: usize) -> bool {
        self.is_in_one_that(at, len, |_| true)
    }

    /// Whether a range is a part of one area, and that is shared.
    pub(crate) fn is_in_shared(&mut self, at: usize, len: usize) -> bool {
        self.is_in_one_that(at, len, |line| line.rights.ends_with('s'))
    }

    fn is_in_one_that(&mut self, at: usize, len: usize, fits: fn(&Line<'_>) -> bool) -> bool {
        let Some(end) = at.checked_add(len) else {
            return false;
        };
        let mut is_there = false;
        self.each_area(false, |_, line| {
            let is_it = (line.start..line.end).contains(&at) && end <= line.end;
            is_there |= is_it && fits(line);
        });
        is_there
    }

    /// The areas, a line each.
    pub(crate) fn show_areas(&mut self, trace: &mut String) {
        self.each_area(true, |arena, line| {
            let kind = match line.name {
                "" => "",
                name if name.starts_with("/memfd:fuzz") => " file",
                name => name,
            };
            let _ = writeln!(
                trace,
                "{}..{} {} {}{kind}",
                arena.name(line.start),
                arena.name(line.end),
                line.rights,
                line.offset.trim_start_matches('0'),
            );
        });
    }

    /// What is in the pages and in the file.
    pub(crate) fn show_content(&mut self, trace: &mut String) {
        let mut ranges = Vec::new();
        self.each_area(true, |_, line| {
            ranges.push(line.start..line.end.min(line.start + 64 * PAGE));
        });
        for range in ranges {
            let _ = write!(trace, "{}:", self.name(range.start));
            for page in range.step_by(PAGE) {
                match sys::load(page) {
                    Ok(byte) => {
                        let _ = write!(trace, " {byte:x}");
                    }
                    Err(fault) => {
                        let _ = write!(trace, " ({fault})");
                    }
                }
            }
            trace.push('\n');
        }
        for page in 0..FILE_PAGES + 2 {
            let mut byte = [0_u8];
            let words = [self.fd, address_mut(&mut byte), 1, page * PAGE];
            let answer = call(libc::SYS_pread64, &words);
            let _ = write!(trace, " {}/{:x}", self.answer(answer), byte[0]);
        }
        trace.push('\n');
    }
}

/// Where the heap ends, at a page: what the C library has of it is below.
fn heap_end() -> usize {
    let end = call(libc::SYS_brk, &[0]).expect("a heap");
    let whole = end.next_multiple_of(PAGE);
    call(libc::SYS_brk, &[whole]).expect("a heap");
    whole
}

/// Opens `/proc/self/maps`.
fn open_maps() -> usize {
    let (here, read) = (libc::AT_FDCWD as usize, libc::O_RDONLY as usize);
    let words = [here, address(c"/proc/self/maps"), read];
    call(libc::SYS_openat, &words).expect("/proc/self/maps")
}

/// `+3` pages, or `+3+0x10` if it is no multiple.
fn in_pages(bytes: isize) -> String {
    let page = PAGE.cast_signed();
    let (pages, rest) = (bytes.div_euclid(page), bytes.rem_euclid(page));
    match rest {
        0 => format!("{pages:+}"),
        rest => format!("{pages:+}+{rest:#x}"),
    }
}
