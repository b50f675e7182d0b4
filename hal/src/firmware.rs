//! QEMU's firmware configuration (`fw_cfg`): files that are read and written
//! by transfers, one at a time, each described by a command in memory.
//!
//! ```text
//! page: 0 control | 4 length | 8 address of the data | 16 data ...   all big-endian
//! ```
//! The device is told the page's address (how, each machine knows), does the
//! transfer, and sets control to 0, or to [`FAILED`].

use ochre_sync::primitive::spin_loop;

use crate::arch::machine::firmware::Doorbell;
use crate::arch::machine::system::order_with_devices;
use crate::memory::PAGE_SIZE;
use crate::memory::shared_page::SharedPage;

/// What the device's doorbell reads as.
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

/// Files of the list that are looked at.
const FILES_MAX: usize = (PAGE_SIZE - DATA - size_of::<u32>()) / ENTRY;

/// Looks at the control word before a transfer is given up.
const PATIENCE: usize = 1_000_000;

/// The device, and a page that it is told of and that nobody else has.
pub(crate) struct Firmware {
    doorbell: Doorbell,
    page: SharedPage,
    /// A transfer was given up; it may come yet.
    is_late: bool,
}

impl Firmware {
    /// The machine's, if it has one.
    pub(crate) fn open() -> Option<Firmware> {
        let doorbell = Doorbell::find()?;
        if doorbell.signature().as_flattened() != SIGNATURE {
            return None;
        }
        Some(Firmware {
            doorbell,
            page: SharedPage::new()?,
            is_late: false,
        })
    }

    /// The file of a name.
    pub(crate) fn find(&mut self, name: &[u8]) -> Option<u16> {
        self.transfer(LIST, READ, PAGE_SIZE - DATA)?;
        let count = usize::try_from(self.page.read_u32(DATA).swap_bytes()).ok()?;
        let entry = (0..count.min(FILES_MAX))
            .map(|index| DATA + size_of::<u32>() + index * ENTRY)
            .find(|entry| self.has(entry + NAME, name))?;
        Some(self.page.read_u16(entry + KEY).swap_bytes())
    }

    /// Whether a text, and its end, is somewhere in the page.
    fn has(&self, at: usize, text: &[u8]) -> bool {
        let mut bytes = text.iter().chain(&[0]).enumerate();
        bytes.all(|(index, byte)| self.page.read_u8(at + index) == *byte)
    }

    /// Writes a file from its beginning.
    pub(crate) fn write(&mut self, file: u16, pieces: &[&[u8]]) -> Option<()> {
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
        // The command is in memory before the device is told of it.
        order_with_devices();
        // SAFETY: the command and what it names are inside the page, which is
        // set aside for the device: it is given back only if no transfer is late.
        unsafe { self.doorbell.ring(page) };
        for _ in 0..PATIENCE {
            match self.page.read_u32(CONTROL).swap_bytes() {
                0 => {
                    // What is read of the data is read after this.
                    order_with_devices();
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
