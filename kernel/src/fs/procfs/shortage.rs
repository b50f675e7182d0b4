//! `/proc/ochre/shortage`: allocations that fail to order, and those that cannot fail.

use alloc::sync::Arc;
use core::fmt::Write;

use ochre_abi::Errno;
use ochre_hal::memory::shortage;

use super::root::Entry;
use super::sys;
use super::text::{Made, Text};
use crate::process::{Thread, table};

pub(super) const FILES: &[Entry] = &[
    Entry::setting("fail_nth", left, order),
    Entry::setting("fail_nth_outside", left, order_outside),
    Entry::setting("infallible", infallible, forget),
];

/// The reader.
fn current() -> Result<Arc<Thread>, Errno> {
    table::current_thread().ok_or(Errno::ESRCH)
}

/// What the reader's last order came to: 0 if an allocation failed.
fn left(text: &mut Text) -> Made {
    writeln!(text, "{}", current()?.shortage.left())?;
    Ok(())
}

/// Orders that an allocation of the writer's next call fails.
fn order(bytes: &[u8]) -> Result<(), Errno> {
    current()?.shortage.set(sys::number(bytes)?);
    Ok(())
}

/// Orders that an allocation of the writer's next page fault or signal fails.
fn order_outside(bytes: &[u8]) -> Result<(), Errno> {
    current()?.shortage.set_outside(sys::number(bytes)?);
    Ok(())
}

/// How often, the most bytes, and the calls that led there.
fn infallible(text: &mut Text) -> Made {
    for site in (0..).map_while(shortage::site) {
        write!(text, "{} {}", site.count, site.size)?;
        for call in site.calls.iter().take_while(|call| **call != 0) {
            write!(text, " {call:#x}")?;
        }
        text.push(b"\n")?;
    }
    writeln!(text, "{} not noted", shortage::beyond())?;
    Ok(())
}

fn forget(_bytes: &[u8]) -> Result<(), Errno> {
    shortage::forget();
    Ok(())
}
