//! Extended attributes: no file system here keeps any, and says so as Linux's
//! tmpfs without them does.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::NAME_MAX;

use super::names::{HERE, Names, read_path};
use super::{Call, Fd, Ptr, SysResult};

/// What a call names.
#[derive(Clone, Copy)]
enum Target {
    Path(Ptr<u8>, bool),
    Open(Fd),
}

fn check(call: &Call<'_>, target: Target) -> Result<(), Errno> {
    match target {
        Target::Path(path, follow) => {
            let text = read_path(call, path)?;
            Names::of(call).find(call, HERE, &text, follow).map(|_| ())
        }
        Target::Open(fd) => call.files().get(fd.0).map(|_| ()),
    }
}

/// Reads the attribute's name.
fn read_name(call: &Call<'_>, name: Ptr<u8>) -> Result<Vec<u8>, Errno> {
    let name = call
        .space
        .read_string(name.address(), NAME_MAX + 1, Errno::ERANGE)?;
    if name.is_empty() {
        return Err(Errno::ERANGE);
    }
    Ok(name)
}

fn get(call: &Call<'_>, target: Target, name: Ptr<u8>) -> SysResult {
    let name = read_name(call, name)?;
    check(call, target)?;
    if name.starts_with(b"security.") || name.starts_with(b"trusted.") {
        return Err(Errno::ENODATA);
    }
    Err(Errno::EOPNOTSUPP)
}

fn set(call: &Call<'_>, target: Target, name: Ptr<u8>, flags: u32) -> SysResult {
    if flags & !3 != 0 {
        return Err(Errno::EINVAL);
    }
    read_name(call, name)?;
    check(call, target)?;
    Err(Errno::EOPNOTSUPP)
}

fn list(call: &Call<'_>, target: Target) -> SysResult {
    check(call, target)?;
    Ok(0)
}

fn remove(call: &Call<'_>, target: Target, name: Ptr<u8>) -> SysResult {
    get(call, target, name)
}

/// `setxattr(2)`.
pub fn setxattr(
    call: &mut Call<'_>,
    path: Ptr<u8>,
    name: Ptr<u8>,
    _value: u64,
    _size: usize,
    flags: u32,
) -> SysResult {
    set(call, Target::Path(path, true), name, flags)
}

/// `lsetxattr(2)`.
pub fn lsetxattr(
    call: &mut Call<'_>,
    path: Ptr<u8>,
    name: Ptr<u8>,
    _value: u64,
    _size: usize,
    flags: u32,
) -> SysResult {
    set(call, Target::Path(path, false), name, flags)
}

/// `fsetxattr(2)`.
pub fn fsetxattr(
    call: &mut Call<'_>,
    fd: Fd,
    name: Ptr<u8>,
    _value: u64,
    _size: usize,
    flags: u32,
) -> SysResult {
    set(call, Target::Open(fd), name, flags)
}

/// `getxattr(2)`.
pub fn getxattr(
    call: &mut Call<'_>,
    path: Ptr<u8>,
    name: Ptr<u8>,
    _value: u64,
    _size: usize,
) -> SysResult {
    get(call, Target::Path(path, true), name)
}

/// `lgetxattr(2)`.
pub fn lgetxattr(
    call: &mut Call<'_>,
    path: Ptr<u8>,
    name: Ptr<u8>,
    _value: u64,
    _size: usize,
) -> SysResult {
    get(call, Target::Path(path, false), name)
}

/// `fgetxattr(2)`.
pub fn fgetxattr(
    call: &mut Call<'_>,
    fd: Fd,
    name: Ptr<u8>,
    _value: u64,
    _size: usize,
) -> SysResult {
    get(call, Target::Open(fd), name)
}

/// `listxattr(2)`.
pub fn listxattr(call: &mut Call<'_>, path: Ptr<u8>, _list: u64, _size: usize) -> SysResult {
    list(call, Target::Path(path, true))
}

/// `llistxattr(2)`.
pub fn llistxattr(call: &mut Call<'_>, path: Ptr<u8>, _list: u64, _size: usize) -> SysResult {
    list(call, Target::Path(path, false))
}

/// `flistxattr(2)`.
pub fn flistxattr(call: &mut Call<'_>, fd: Fd, _list: u64, _size: usize) -> SysResult {
    list(call, Target::Open(fd))
}

/// `removexattr(2)`.
pub fn removexattr(call: &mut Call<'_>, path: Ptr<u8>, name: Ptr<u8>) -> SysResult {
    remove(call, Target::Path(path, true), name)
}

/// `lremovexattr(2)`.
pub fn lremovexattr(call: &mut Call<'_>, path: Ptr<u8>, name: Ptr<u8>) -> SysResult {
    remove(call, Target::Path(path, false), name)
}

/// `fremovexattr(2)`.
pub fn fremovexattr(call: &mut Call<'_>, fd: Fd, name: Ptr<u8>) -> SysResult {
    remove(call, Target::Open(fd), name)
}
