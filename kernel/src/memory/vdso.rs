//! The vDSO: a page of data that the kernel keeps right, and a page of code
//! that reads it, mapped into every program (vdso(7)).
//!
//! ```text
//! | data: read | image: read and execute |
//!              ^ AT_SYSINFO_EHDR
//! ```
//! Both are the same two frames everywhere. The data page can never be made
//! writable; the code page is private, so that a debugger's copy is its own.
//! How the page is written and read is in [`ochre_vdso::page`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::clock;
use ochre_hal::memory::{OutOfMemory, UserFrame};
use ochre_sync::primitive::atomic::{Ordering, fence};
use ochre_sync::{Once, SpinLock};
use ochre_vdso::page::{self, Clock, FRACTION_BITS};

use super::area::PAGE;
use super::{AddressSpace, AreaFlags, Backing, Identity, MapRequest, Placement, Source};
use crate::time;

/// The shared object, as the build script made it.
static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));

/// One of the two pages.
struct Part {
    frame: UserFrame,
    name: &'static [u8],
}

impl Backing for Part {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        if index == 0 {
            Ok(self.frame.clone())
        } else {
            Err(Errno::ENXIO)
        }
    }

    fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        if pages.contains(&0) {
            visit(0, self.frame.clone());
        }
    }

    fn size(&self) -> u64 {
        PAGE
    }

    fn identity(&self) -> Identity {
        Identity {
            device: 0,
            inode: 0,
        }
    }

    fn path(&self) -> Vec<u8> {
        self.name.to_vec()
    }

    fn is_memory(&self) -> bool {
        false
    }
}

struct Vdso {
    data: Arc<Part>,
    code: Arc<Part>,
    /// The page's sequence number.
    sequence: SpinLock<u64>,
}

static VDSO: Once<Vdso> = Once::new();

/// Makes the two pages. Without it programs have no vDSO.
///
/// # Errors
/// [`OutOfMemory`].
pub fn start() -> Result<(), OutOfMemory> {
    let part = |name| -> Result<Arc<Part>, OutOfMemory> {
        let frame = UserFrame::zeroed()?;
        Ok(Arc::new(Part { frame, name }))
    };
    let (data, code) = (part(b"[vvar]")?, part(b"[vdso]")?);
    code.frame.write(0, IMAGE);
    // A second one that came too late is dropped.
    let _ = VDSO.set(Vdso {
        data,
        code,
        sequence: SpinLock::new(0),
    });
    update();
    Ok(())
}

/// Tells programs how the clocks stand. To be called whenever the wall clock
/// is set.
pub fn update() {
    let Some(vdso) = VDSO.get() else {
        return;
    };
    let scale = clock::counter_scale().filter(|scale| scale.fraction_bits == FRACTION_BITS);
    let mut sequence = vdso.sequence.lock();
    let clock = Clock {
        origin: scale.map_or(0, |scale| scale.origin),
        factor: scale.map_or(0, |scale| scale.factor),
        wall_offset_ns: time::offset_ns(),
    };
    for (at, word) in page::copies(*sequence, clock) {
        // ORDERING: SeqCst around each copy: readers on other processors see
        // them in this order (`ochre_sync::SeqWords::copies`).
        fence(Ordering::SeqCst);
        vdso.data.frame.write(at, &word.to_ne_bytes());
        fence(Ordering::SeqCst);
    }
    *sequence = sequence.wrapping_add(2);
}

/// Maps the pages; the address for `AT_SYSINFO_EHDR`, 0 if there is no vDSO.
///
/// # Errors
/// ENOMEM.
pub fn map(space: &AddressSpace) -> Result<u64, Errno> {
    let Some(vdso) = VDSO.get() else {
        return Ok(0);
    };
    let request = |part: &Arc<Part>, placement, len, protection, flags| MapRequest {
        placement,
        len,
        protection,
        flags,
        source: Some(Source {
            backing: Arc::clone(part) as Arc<dyn Backing>,
            first: 0,
        }),
        privileged: true,
        refusal: None,
        may_lock: true,
    };
    let data = space.find_room(2 * PAGE, PAGE)?;
    let image = data + PAGE;
    let never = AreaFlags::SHARED
        | AreaFlags::NEVER_WRITE
        | AreaFlags::NEVER_EXECUTE
        | AreaFlags::DONT_DUMP;
    space.map(request(
        &vdso.data,
        Placement::FixedNoReplace(data),
        PAGE,
        Protection::READ,
        never,
    ))?;
    space.map(request(
        &vdso.code,
        Placement::FixedNoReplace(image),
        PAGE,
        Protection::READ | Protection::EXECUTE,
        AreaFlags::empty(),
    ))?;
    Ok(image)
}
