//! The processors, as programs find out about them, and which of them a thread
//! runs on.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::call;
use crate::report::check;

const FOLDER: &str = "/sys/devices/system/cpu";

/// A list like `0-3,5`.
fn parse(list: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.trim_end().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(all)
}

fn list(name: &str) -> Option<Vec<usize>> {
    parse(&fs::read_to_string(format!("{FOLDER}/{name}")).ok()?)
}

/// Folders of processors, by number.
fn folders() -> Vec<usize> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let mut all: Vec<usize> = entries
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix("cpu")?
                .parse()
                .ok()
        })
        .collect();
    all.sort_unstable();
    all
}

/// The 39th field of a thread's line.
fn processor_of(path: &str) -> Option<usize> {
    let text = fs::read_to_string(path).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(36)?.parse().ok()
}

/// The cases.
pub(crate) fn run() {
    let online = list("online").unwrap_or_default();
    check("there is one", online.contains(&0));
    let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = listed
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    check("as many as /proc/cpuinfo has", count == online.len());
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let is_one = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    check(
        "as many as /proc/stat has",
        stat.lines().filter(is_one).count() == online.len(),
    );
    let present = list("present").unwrap_or_default();
    check(
        "all are present",
        online.iter().all(|n| present.contains(n)),
    );
    let possible = list("possible").unwrap_or_default();
    check(
        "what is present is possible",
        present.iter().all(|n| possible.contains(n)),
    );
    check(
        "none of them is off",
        list("offline").is_some_and(|off| off.iter().all(|n| !online.contains(n))),
    );
    check("a folder for each", folders() == present);
    let highest = fs::read_to_string(format!("{FOLDER}/kernel_max")).unwrap_or_default();
    check(
        "the highest there may be",
        highest
            .trim()
            .parse::<usize>()
            .is_ok_and(|max| max >= online.len() - 1),
    );
    check(
        "no more",
        fs::metadata(format!("{FOLDER}/cpu4095")).is_err(),
    );
    check(
        "writing to it",
        call!(SYS_open, c"/sys/devices/system/cpu/online", libc::O_WRONLY),
    );
    // What `df FILE` finds the file system by.
    let device = |path: &str| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let of_folder = device("/sys");
    check(
        "a file system of its own",
        of_folder.is_some()
            && of_folder != device("/")
            && of_folder != device("/proc")
            && of_folder == device(&format!("{FOLDER}/online")),
    );
    let topology = |name: &str| {
        let each = |n: &usize| fs::read_to_string(format!("{FOLDER}/cpu{n}/topology/{name}"));
        online.iter().map(each).collect::<Result<Vec<_>, _>>()
    };
    for name in ["core_id", "physical_package_id"] {
        let numbers = topology(name).unwrap_or_default();
        let are_numbers = numbers
            .iter()
            .all(|text| text.trim().parse::<i32>().is_ok());
        check(name, !numbers.is_empty() && are_numbers);
    }
    let siblings = topology("thread_siblings_list").unwrap_or_default();
    let has_itself =
        |(n, text): (&usize, &String)| parse(text).is_some_and(|list| list.contains(n));
    check(
        "each is its own sibling",
        !siblings.is_empty() && online.iter().zip(&siblings).all(has_itself),
    );
    places(&online);
}

/// Where this thread and another run, told by `/proc`.
fn places(online: &[usize]) {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for &n in online {
        let mut mask = [0_u64; 16];
        mask[n / 64] = 1 << (n % 64);
        if call!(SYS_sched_setaffinity, 0, 128, &mask).is_err() {
            continue;
        }
        tried += 1;
        let mut here = u32::MAX;
        let _ = call!(SYS_getcpu, &mut here, 0, 0);
        let tid = call!(SYS_gettid).unwrap_or(0);
        let of_thread = processor_of(&format!("/proc/self/task/{tid}/stat"));
        let of_process = processor_of("/proc/self/stat");
        // One that sleeps was last where it may run.
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let sleeper =
            crate::sleeper::Sleeper::new(move || call!(SYS_read, ends[0], &mut [0_u8; 1][..], 1));
        let of_sleeper = processor_of(&format!("/proc/self/task/{}/stat", sleeper.tid));
        let _ = call!(SYS_close, ends[1]);
        let _ = sleeper.answer();
        let _ = call!(SYS_close, ends[0]);
        if (here as usize, of_thread, of_process, of_sleeper) != (n, Some(n), Some(n), Some(n)) {
            wrong.push((n, here, of_thread, of_process, of_sleeper));
        }
    }
    check("bound to one after the other", tried > 0);
    check("where it is not what /proc says", format!("{wrong:?}"));
}
