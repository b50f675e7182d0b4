//! `mounts` and `mountinfo`: what a process sees mounted where.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;

use ochre_abi::Errno;
use ochre_abi::stat::{major, minor};

use super::Subject;
use crate::fs::procfs::text::{Made, Text};
use crate::memory::MakeRoom;
use crate::vfs::mount::{self, Mount, MountFlags};
use crate::vfs::{Dentry, Path, put_reversed};

/// Bytes that a field must not have as they are.
const SPECIAL: &[u8] = b" \t\n\\#";

/// A mount as its line shows it.
struct Shown {
    mount: Arc<Mount>,
    place: Vec<u8>,
}

/// What is mounted below the process's root.
fn shown(subject: &Subject) -> Result<Vec<Shown>, Errno> {
    let root = subject.fs()?.root();
    let mut shown = Vec::new();
    for mount in mount::all()? {
        let top = Path {
            dentry: Arc::clone(mount.root()),
            mount: Arc::clone(&mount),
        };
        let (place, reached) = top.text(&root)?;
        if reached {
            shown.make_room(1)?;
            shown.push(Shown { mount, place });
        }
    }
    Ok(shown)
}

/// `/proc/PID/mounts`.
pub(super) fn list(subject: &Subject, text: &mut Text) -> Made {
    for Shown { mount, place } in shown(subject)? {
        text.push_escaped(source_of(&mount), SPECIAL)?;
        text.push(b" ")?;
        text.push_escaped(&place, SPECIAL)?;
        write!(text, " {} ", mount.file_system().name())?;
        write_flags(text, mount.flags())?;
        text.push(mount.file_system().options().as_bytes())?;
        text.push(b" 0 0\n")?;
    }
    Ok(())
}

/// `/proc/PID/mountinfo`.
pub(super) fn information(subject: &Subject, text: &mut Text) -> Made {
    for Shown { mount, place } in shown(subject)? {
        let above = mount.place().map_or(0, |place| place.mount.id());
        let device = mount.file_system().device();
        write!(
            text,
            "{} {above} {}:{} ",
            mount.id(),
            major(device),
            minor(device)
        )?;
        text.push_escaped(&place_in_file_system(mount.root())?, SPECIAL)?;
        text.push(b" ")?;
        text.push_escaped(&place, SPECIAL)?;
        text.push(b" ")?;
        write_flags(text, mount.flags())?;
        write!(text, " - {} ", mount.file_system().name())?;
        text.push_escaped(source_of(&mount), SPECIAL)?;
        writeln!(text, " rw{}", mount.file_system().options())?;
    }
    Ok(())
}

fn source_of(mount: &Mount) -> &[u8] {
    if mount.source().is_empty() {
        b"none"
    } else {
        mount.source()
    }
}

fn write_flags(text: &mut Text, flags: MountFlags) -> Made {
    text.push(if flags.contains(MountFlags::READ_ONLY) {
        b"ro"
    } else {
        b"rw"
    })?;
    for (flag, name) in [
        (MountFlags::NOSUID, ",nosuid"),
        (MountFlags::NODEV, ",nodev"),
        (MountFlags::NOEXEC, ",noexec"),
        (MountFlags::NOATIME, ",noatime"),
        (MountFlags::NODIRATIME, ",nodiratime"),
        (MountFlags::RELATIME, ",relatime"),
    ] {
        if flags.contains(flag) {
            text.push(name.as_bytes())?;
        }
    }
    Ok(())
}

/// Where a dentry is in its own file system.
fn place_in_file_system(dentry: &Arc<Dentry>) -> Result<Vec<u8>, Errno> {
    let mut reversed = Vec::new();
    let mut at = Arc::clone(dentry);
    while let Some(parent) = at.parent() {
        at.with_name(|name| put_reversed(&mut reversed, name))?;
        put_reversed(&mut reversed, b"/")?;
        at = parent;
    }
    if reversed.is_empty() {
        put_reversed(&mut reversed, b"/")?;
    }
    reversed.reverse();
    Ok(reversed)
}

#[cfg(test)]
mod tests {
    use super::{MountFlags, Text, write_flags};

    #[test]
    fn flags_follow_the_way_it_is_mounted() {
        let mut text = Text::default();
        write_flags(&mut text, MountFlags::READ_ONLY | MountFlags::NOSUID).unwrap();
        text.push(b" ").unwrap();
        write_flags(&mut text, MountFlags::RELATIME).unwrap();
        assert_eq!(text.into_bytes(), b"ro,nosuid rw,relatime");
    }
}
