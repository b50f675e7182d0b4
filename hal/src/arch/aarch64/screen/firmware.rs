//! QEMU's firmware configuration (`fw_cfg`): files that are read and written
//! by transfers, one at a time, each described by a command in memory.
//!
//! ```text
//! page: 0 control | 4 length | 8 address of the data | 16 data ...   all big-endian
//! ```
//! The device is told the page's address, does the transfer, and sets control
//! to 0, or to [`FAILED`].

use ochre_sync::primitive::atomic::{Ordering, fence};
use ochre_sync::primitive::spin_loop;

use super::super::shared_page::SharedPage;
use crate::memory::PAGE_SIZE;
use crate::memory::registers::Registers;

/// Bytes of registers.
const BYTES: usize = 24;

/// The command's address, upper and lower half; reading them gives a signature.
const ADDRESS_HIGH: usize = 16;
const ADDRESS_LOW: usize = 20;
const SIGNATURE: [u8; 8] = *b"QEMU CFG";

/// What is done, in the command's control word.
const FAILED: u32 = 1 << 0;
const READ: u32 = 1 << 1;
const SELECT: u32 = 1 << 3;
const WRITE: u32 = 1 << 4;
const FILE_SHIFT: u32 = 16;

/// The list of files: their number, then 64 bytes for each.
const LIST: u16 = 0x19;
const ENTRY: usize = 64;
const KEY: usize = 4;
const NAME: usize = 8;

/// Where in the page what is.
const CONTROL: usize = 0;
const LENGTH: usize = 4;
const PLACE: usize = 8;
const DATA: usize = 16;

/// Looks at the control word before a transfer is given up.
const PATIENCE: usize = 1_000_000;

/// The device, and a page that it is told of and that nobody else has.
pub(super) struct Firmware {
    registers: Registers,
    page: SharedPage,
    /// A transfer was given up; it may come yet.
    is_late: bool,
}

impl Firmware {
    /// The device at an address that the device tree names.
    pub(super) fn open(place: u64) -> Option<Firmware> {
        // SAFETY: the device tree says that it is there, and `map` that memory
        // is not; it touches memory only as commands say, and those are
        // written here, about memory of the kernel's that is set aside for it.
        let registers = unsafe { Registers::map(place, BYTES) }?;
        let signature = [ADDRESS_HIGH, ADDRESS_LOW].map(|half| registers.read(half).to_le_bytes());
        if signature.as_flattened() != SIGNATURE {
            return None;
        }
        Some(Firmware {
            registers,
            page: SharedPage::new()?,
            is_late: false,
        })
    }

    /// The file of a name.
    pub(super) fn find(&mut self, name: &[u8]) -> Option<u16> {
        let most = PAGE_SIZE - DATA;
        self.transfer(LIST, READ, most)?;
        let mut list = [0; PAGE_SIZE - DATA];
        for (index, byte) in list.iter_mut().enumerate() {
            *byte = self.page.read_u8(DATA + index);
        }
        let (count, entries) = list.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        let entry = entries.chunks_exact(ENTRY).take(count).find(|entry| {
            let of_entry = &entry[NAME..];
            of_entry.starts_with(name) && of_entry.get(name.len()) == Some(&0)
        })?;
        Some(u16::from_be_bytes([entry[KEY], entry[KEY + 1]]))
    }

    /// Writes a file from its beginning.
    pub(super) fn write(&mut self, file: u16, pieces: &[&[u8]]) -> Option<()> {
        let mut len = 0;
        for byte in pieces.iter().copied().flatten() {
            self.page.write_u8(DATA + len, *byte);
            len += 1;
        }
        self.transfer(file, WRITE, len)
    }

    /// Has the device move `len` bytes between a file and the page.
    fn transfer(&mut self, file: u16, what: u32, len: usize) -> Option<()> {
        let control = u32::from(file) << FILE_SHIFT | SELECT | what;
        // CAST: at most a page.
        let len = len.min(PAGE_SIZE - DATA) as u32;
        let page = self.page.physical();
        self.page.write_u32(CONTROL, control.swap_bytes());
        self.page.write_u32(LENGTH, len.swap_bytes());
        self.page
            .write_u64(PLACE, (page + DATA as u64).swap_bytes());
        // ORDERING: SeqCst; the command is in memory before the device is told of it.
        fence(Ordering::SeqCst);
        // CAST: the upper half.
        self.registers
            .write(ADDRESS_HIGH, ((page >> 32) as u32).to_be());
        // CAST: the lower half.
        self.registers.write(ADDRESS_LOW, (page as u32).to_be());
        for _ in 0..PATIENCE {
            match self.page.read_u32(CONTROL).swap_bytes() {
                0 => {
                    // ORDERING: SeqCst; what is read of the data is read after this.
                    fence(Ordering::SeqCst);
                    return Some(());
                }
                control if control & FAILED != 0 => return None,
                _ => spin_loop(),
            }
        }
        self.is_late = true;
        None
    }
}

impl Drop for Firmware {
    fn drop(&mut self) {
        if !self.is_late {
            // SAFETY: every transfer has ended, so the device has forgotten
            // the page; nobody has the value after this.
            unsafe { self.page.give_back() };
        }
    }
}
