//! `cargo xtask allocations --measured`: which calls of a program make the kernel
//! allocate in a way that cannot fail politely, and where.
//!
//! `abi-test --infallible` makes each of its calls once in a guest whose kernel
//! notes such places, and prints the kernel's list after each call. What is
//! printed here is each place with the kernel's own functions around it, and the
//! calls that led there.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use ochre_tool::{Guest, kernel_build, rootfs, symbols::Names, user_build};

/// How many of the kernel's functions a place is told by.
const SHOWN: usize = 3;

/// What is known of a place.
#[derive(Default)]
struct Place {
    count: u64,
    size: usize,
    calls: BTreeSet<String>,
}

/// Measures and prints, the most frequent first.
pub(crate) fn print() -> Result<()> {
    let kernel = kernel_build::build(&["boottest", "ktest", "shortage"])?;
    let mut tree = rootfs::skeleton()?;
    tree.host_file("/bin/abi-test", &user_build::build("abi-test")?)?;
    let outcome = Guest::with_kernel(&kernel)
        .tree(tree)
        .program("/bin/abi-test")
        .args(["--infallible"])
        // The addresses that it prints are looked up as they are.
        .words("nokaslr")
        .timeout(Duration::from_secs(120))
        .run()?;
    ensure!(
        outcome.status == Some(0),
        "the guest failed: {}",
        outcome.end
    );
    let mut names = Names::new(&kernel);
    let mut places: BTreeMap<Vec<String>, Place> = BTreeMap::new();
    let mut call = String::new();
    for line in String::from_utf8_lossy(&outcome.stdout).lines() {
        if let Some(name) = line.strip_prefix("= ") {
            name.clone_into(&mut call);
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let [count, size, addresses @ ..] = words.as_slice() else {
            continue;
        };
        let (Ok(count), Ok(size)) = (count.parse::<u64>(), size.parse::<usize>()) else {
            continue;
        };
        let addresses = addresses
            .iter()
            .filter_map(|address| u64::from_str_radix(address.trim_start_matches("0x"), 16).ok());
        let ours = addresses
            .flat_map(|address| names.at(address))
            .filter(|name| name.contains("(kernel/src/") || name.contains("(lib/executor"))
            .take(SHOWN)
            .collect();
        let place = places.entry(ours).or_default();
        place.count += count;
        place.size = place.size.max(size);
        place.calls.insert(call.clone());
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|(_, place)| core::cmp::Reverse(place.calls.len()));
    for (functions, place) in &places {
        let calls: Vec<&str> = place.calls.iter().map(String::as_str).collect();
        println!(
            "{} times, {} bytes at the most: {}",
            place.count,
            place.size,
            calls.join(", ")
        );
        for function in functions {
            println!("    {function}");
        }
    }
    println!(
        "{} places; in parentheses: how often the call asks in a way that can fail",
        places.len()
    );
    Ok(())
}
