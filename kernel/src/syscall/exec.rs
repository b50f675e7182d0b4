//! execve(2) and execveat(2): finding the program, and who it will run as.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_LARGEFILE, S_ISGID, S_ISUID,
};

use super::{Call, Fd, Outcome};
use crate::device::random;
use crate::memory::MakeRoom;
use crate::memory::{self, Randomness};
use crate::process::Credentials;
use crate::process::exec::{self, Arguments, Identity, Opener, Request};
use crate::vfs::mount::MountFlags;
use crate::vfs::{Access, Hold, Kind, Open, OpenFile, Opened, Path, StatusFlags, Want, walk};

/// The longest path, the NUL included.
const PATH_MAX: usize = 4096;

/// `S_IXGRP`: without it a set-group bit means something else.
const GROUP_EXECUTE: u32 = 0o010;

/// `execve(2)`.
pub fn execve(
    call: &mut Call<'_>,
    path: u64,
    arguments: u64,
    environment: u64,
) -> Result<Outcome, Errno> {
    execveat(call, Fd(AT_FDCWD), path, arguments, environment, 0)
}

/// `execveat(2)`.
pub fn execveat(
    call: &mut Call<'_>,
    directory: Fd,
    path: u64,
    arguments: u64,
    environment: u64,
    flags: u32,
) -> Result<Outcome, Errno> {
    let text = call
        .space
        .read_string(path, PATH_MAX, Errno::ENAMETOOLONG)?;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let process = Arc::clone(call.process());
    let mut opener = ProcessOpener::new(call);
    let mut path_vanishes = false;
    let relative = directory.0 != AT_FDCWD && text.first() != Some(&b'/');
    let (file, name) = if relative {
        let files = call.files();
        let base = files.get_any(directory.0)?;
        path_vanishes = files.is_close_on_exec(directory.0)?;
        let place = base.path().cloned().ok_or(Errno::ENOTDIR);
        if text.is_empty() {
            if flags & AT_EMPTY_PATH == 0 {
                return Err(Errno::ENOENT);
            }
            let place = place.map_err(|_| Errno::EACCES)?;
            let name = format!("/dev/fd/{}", directory.0).into_bytes();
            (opener.open_place(place)?, name)
        } else {
            let mut name = format!("/dev/fd/{}/", directory.0).into_bytes();
            name.make_room(text.len())?;
            name.extend_from_slice(&text);
            (opener.open_from(place?, &text, flags)?, name)
        }
    } else {
        let start = opener.working.clone();
        (opener.open_from(start, &text, flags)?, text)
    };
    let limits = process.limits.of_memory();
    let mut strings = Arguments::new(limits.stack, &name)?;
    strings.read(call.space, arguments, environment)?;
    let prepared = exec::prepare(
        Request {
            file,
            path: name,
            arguments: strings,
            limits,
            random: random_bytes(),
            placement: placement(),
            wants_fixed: call.process().control.has_fixed_addresses(),
            path_vanishes,
        },
        &mut opener,
    )?;
    let credentials = opener.credentials;
    prepared.start(call, credentials)
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random::fill(&mut bytes);
    bytes
}

/// Where the parts of a program go, as randomly as is set.
fn placement() -> Randomness {
    match memory::randomised() {
        0 => Randomness::NONE,
        how_much => Randomness::new(&random_bytes(), how_much),
    }
}

/// Opens programs for a process.
struct ProcessOpener {
    access: Access,
    root: Path,
    working: Path,
    old: Arc<Credentials>,
    /// What the process becomes, if that is not what it is.
    credentials: Option<Credentials>,
    /// `PR_SET_NO_NEW_PRIVS`.
    no_new_privileges: bool,
}

impl ProcessOpener {
    fn new(call: &Call<'_>) -> ProcessOpener {
        let fs = call.fs();
        ProcessOpener {
            access: call.thread.access(),
            root: fs.root(),
            working: fs.working(),
            old: call.thread.credentials(),
            credentials: None,
            no_new_privileges: call.thread.has_no_new_privileges(),
        }
    }

    fn open_from(&self, start: Path, text: &[u8], flags: u32) -> Result<Arc<OpenFile>, Errno> {
        let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
        let place = walk::resolve(&self.access, &self.root, start, text, follow)?;
        self.open_place(place)
    }

    fn open_place(&self, place: Path) -> Result<Arc<OpenFile>, Errno> {
        open_program(&self.access, place)
    }
}

/// Opens what is at a place to run it: execute permission is what counts, the
/// kernel reads whatever the mode says.
///
/// # Errors
/// EACCES for what is no regular file, may not be executed, or lies on a
/// `noexec` mount; ELOOP for a symbolic link that is not to be followed;
/// ETXTBSY for a file that somebody may write.
pub fn open_program(access: &Access, place: Path) -> Result<Arc<OpenFile>, Errno> {
    match place.dentry.kind() {
        Kind::Regular => {}
        Kind::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if place.mount.flags().contains(MountFlags::NOEXEC) {
        return Err(Errno::EACCES);
    }
    access.check(place.inode().permissions(), Kind::Regular, Want::EXECUTE)?;
    let hold = Hold::running(place.inode())?;
    let flags = StatusFlags::from_bits_retain(O_LARGEFILE);
    let opened = Arc::clone(place.inode()).open(&Open {
        thread: None,
        readable: true,
        writable: false,
        flags,
        may_control: false,
    })?;
    match opened {
        Opened::File(file) => {
            let open = OpenFile::at(place, file, true, false, flags);
            Ok(Arc::new(open.holding(hold)))
        }
        Opened::Wait(_) => Err(Errno::EACCES),
    }
}

impl Opener for ProcessOpener {
    fn open(&mut self, path: &[u8]) -> Result<Arc<OpenFile>, Errno> {
        self.open_from(self.working.clone(), path, 0)
    }

    fn identity(&mut self, program: &OpenFile) -> Identity {
        let (mut owner, mut group) = (None, None);
        if let Some(place) = program.path()
            && !place.mount.flags().contains(MountFlags::NOSUID)
            && !self.no_new_privileges
        {
            let permissions = place.inode().permissions();
            if permissions.mode & S_ISUID != 0 {
                owner = Some(permissions.uid);
            }
            if permissions.mode & (S_ISGID | GROUP_EXECUTE) == S_ISGID | GROUP_EXECUTE {
                group = Some(permissions.gid);
            }
        }
        let (new, secure) = self.old.for_exec(owner, group);
        let identity = Identity {
            uid: new.uid.real,
            euid: new.uid.effective,
            gid: new.gid.real,
            egid: new.gid.effective,
            secure,
        };
        self.credentials = Some(new);
        identity
    }
}

/// The program of process 1, found by the kernel itself.
///
/// # Errors
/// As execve(2).
pub fn first_program(
    path: &[u8],
    arguments: &[Vec<u8>],
    environment: &[Vec<u8>],
    root: Path,
    working: Path,
) -> Result<exec::Prepared, Errno> {
    let mut opener = ProcessOpener {
        access: Access::root(),
        root,
        working: working.clone(),
        old: Arc::new(Credentials::root()),
        credentials: None,
        no_new_privileges: false,
    };
    let file = opener.open_from(working, path, 0)?;
    let limits = memory::Limits::default();
    let mut strings = Arguments::new(limits.stack, path)?;
    for argument in arguments {
        strings.push_argument(argument)?;
    }
    for variable in environment {
        strings.push_environment(variable)?;
    }
    exec::prepare(
        Request {
            file,
            path: path.to_vec(),
            arguments: strings,
            limits,
            random: random_bytes(),
            placement: placement(),
            wants_fixed: false,
            path_vanishes: false,
        },
        &mut opener,
    )
}
