//! Signal frames in Linux's layout, written and read.
//!
//! ```text
//! stack_top ─► (red zone, if the stack is the current one)
//!              magic 2, 4 bytes (XSAVE only)
//!              floating-point image             64-byte aligned
//!              siginfo, 128 bytes
//!              ucontext, 304 bytes
//! rsp ───────► restorer's address               rsp % 16 == 8, as after a call
//! ```
//!
//! The frame comes back from a program that may have forged all of it.
//! General registers may hold anything (`context.rs` enters user mode with
//! anything), flags are sanitised, segment registers are ignored, and the
//! floating-point image is checked so that loading it cannot fault.

use crate::memory::OutOfMemory;
use crate::user::{ReadUser, SignalDelivery, SignalRestore, WriteUser};

use super::area::Area;
use super::context::Context;
use super::features;
use super::fpu;
use super::registers::{Registers, USER_CODE, USER_DATA, VIA_NOTHING, flags, sanitize_flags};

#[cfg(test)]
mod tests;

/// Bytes below the stack pointer that a function may use without moving it.
const RED_ZONE: u64 = 128;

/// The frame: restorer, ucontext, siginfo.
const FRAME_BYTES: usize = 440;
const FRAME_WORDS: usize = FRAME_BYTES / 8;
/// General registers in it.
const REGISTERS: usize = 18;
const UCONTEXT: usize = 8;
const UCONTEXT_BYTES: usize = 304;
const SIGINFO: usize = 312;

/// Offsets in the ucontext.
const UC_FLAGS: usize = 0;
const UC_STACK: usize = 16;
const UC_REGISTERS: usize = 40;
const UC_SEGMENTS: usize = 184;
const UC_ERROR: usize = 192;
const UC_FPSTATE: usize = 224;
const UC_MASK: usize = 296;

/// `uc_flags`: the image has XSAVE's form; `ss` is right and to be restored.
const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;

/// What the software's words of an image begin with, and what ends it.
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
const MAGIC2_BYTES: usize = 4;

/// Flags that a handler starts without.
const CLEARED_FOR_HANDLER: u64 = flags::DIRECTION | flags::RESUME | flags::TRAP;

impl Context {
    pub(crate) fn enter_signal_handler<E>(
        &mut self,
        delivery: &SignalDelivery,
        write: &mut WriteUser<'_, E>,
    ) -> Result<(), Option<E>> {
        self.leave().map_err(|OutOfMemory| None)?;
        self.area.registers_mut().settle();
        let mut top = delivery.stack_top;
        if delivery.on_current_stack {
            top = top.wrapping_sub(RED_ZONE);
        }
        let image = image_place(top, features::get().save_bytes);
        // As after a call: 16-byte aligned but for the return address.
        let frame_at = (image.wrapping_sub(FRAME_BYTES as u64) & !15).wrapping_sub(8);

        write_image(&self.area, image, write).map_err(Some)?;
        let frame = build(self.area.registers(), delivery, image);
        write(frame_at, bytes_of(&frame)).map_err(Some)?;

        let registers = self.area.registers_mut();
        registers.rdi = u64::from(delivery.signal);
        registers.rsi = frame_at.wrapping_add(SIGINFO as u64);
        registers.rdx = frame_at.wrapping_add(UCONTEXT as u64);
        registers.rax = 0;
        registers.rip = delivery.handler;
        registers.rsp = frame_at;
        registers.rflags &= !CLEARED_FOR_HANDLER;
        // The handler starts with the state of a fresh program.
        self.area.initialise();
        self.disown();
        Ok(())
    }

    pub(crate) fn leave_signal_handler<E>(
        &mut self,
        read: &mut ReadUser<'_, E>,
    ) -> Result<SignalRestore, Option<E>> {
        // The handler's return took the restorer's address off the stack.
        let at = self.area.registers().rsp;
        let mut context = [0; UCONTEXT_BYTES];
        read(at, &mut context).map_err(Some)?;

        self.disown();
        if let Err(error) = read_image(&mut self.area, u64_at(&context, UC_FPSTATE), read) {
            self.area.initialise();
            return Err(error);
        }
        restore(self.area.registers_mut(), &context);
        Ok(SignalRestore {
            mask: u64_at(&context, UC_MASK),
            alternate_stack: (
                u64_at(&context, UC_STACK),
                u32_at(&context, UC_STACK + 8),
                u64_at(&context, UC_STACK + 16),
            ),
        })
    }
}

/// Writes the floating-point image, with the software's words, which describe it.
fn write_image<E>(area: &Area, at: u64, write: &mut WriteUser<'_, E>) -> Result<(), E> {
    let mut head = area.head();
    put(&mut head, fpu::SOFTWARE, &[0; fpu::HEADER - fpu::SOFTWARE]);
    let features = features::get();
    let components = features.xsave_components;
    if components == 0 {
        let (legacy, _) = head.split_at(fpu::HEADER);
        return write(at, legacy);
    }
    // CAST: a few kilobytes.
    let bytes = features.save_bytes as u32;
    let extended_bytes = bytes + MAGIC2_BYTES as u32;
    put(&mut head, fpu::SOFTWARE, &MAGIC1.to_le_bytes());
    put(&mut head, fpu::SOFTWARE + 4, &extended_bytes.to_le_bytes());
    put(&mut head, fpu::SOFTWARE + 8, &components.to_le_bytes());
    put(&mut head, fpu::SOFTWARE + 16, &bytes.to_le_bytes());
    let present = fpu::bitmap(&head) | fpu::LEGACY & components;
    fpu::set_bitmap(&mut head, present);
    write(at, &head)?;
    let end = at.wrapping_add(features.save_bytes as u64);
    let mut place = at.wrapping_add(fpu::HEADER_END as u64);
    if let Some(wide) = area.wide() {
        write(place, wide.get(fpu::HEADER_END..).unwrap_or_default())?;
    } else {
        // Components that the header does not name.
        while place < end {
            let zeroes = [0; 256];
            let len = zeroes.len().min((end - place) as usize);
            let (part, _) = zeroes.split_at(len);
            write(place, part)?;
            place = place.wrapping_add(len as u64);
        }
    }
    write(end, &MAGIC2.to_le_bytes())
}

/// Reads and checks a floating-point image; 0 stands for the initial state.
fn read_image<E>(area: &mut Area, at: u64, read: &mut ReadUser<'_, E>) -> Result<(), Option<E>> {
    if at == 0 {
        area.initialise();
        return Ok(());
    }
    let mut head = *fpu::initial();
    let (legacy, header) = head.split_at_mut(fpu::HEADER);
    read(at, legacy).map_err(Some)?;
    let features = features::get();
    let components = features.xsave_components;
    if components != 0 {
        let extended = Extended::parse(legacy, features.save_bytes);
        let whole = match extended {
            Some(extended) => extended.is_whole(at, read)?,
            None => false,
        };
        if let (true, Some(extended)) = (whole, extended) {
            let header_at = at.wrapping_add(fpu::HEADER as u64);
            read(header_at, header).map_err(Some)?;
            let present = fpu::bitmap(&head) & extended.components;
            fpu::set_bitmap(&mut head, present);
            if present & !fpu::LEGACY != 0 {
                let wide = area.widen().map_err(|OutOfMemory| None)?;
                let rest = wide.get_mut(fpu::HEADER_END..extended.bytes);
                let rest_at = at.wrapping_add(fpu::HEADER_END as u64);
                read(rest_at, rest.unwrap_or_default()).map_err(Some)?;
            }
        } else {
            // An image of the old form: x87 and SSE, the rest initial.
            fpu::set_bitmap(&mut head, fpu::LEGACY & components);
        }
    }
    if !fpu::check_head(&head) {
        return Err(None);
    }
    area.set_head(&head);
    Ok(())
}

/// What the software's words of an image say.
#[derive(Clone, Copy)]
struct Extended {
    bytes: usize,
    components: u64,
}

impl Extended {
    /// The words, if they make sense for an area of `len` bytes.
    fn parse(legacy: &[u8], len: usize) -> Option<Extended> {
        let bytes = u32_at(legacy, fpu::SOFTWARE + 16) as usize;
        let extended_bytes = u32_at(legacy, fpu::SOFTWARE + 4) as usize;
        let sensible = u32_at(legacy, fpu::SOFTWARE) == MAGIC1
            && (fpu::HEADER_END..=len).contains(&bytes)
            && bytes <= extended_bytes;
        sensible.then_some(Extended {
            bytes,
            components: u64_at(legacy, fpu::SOFTWARE + 8),
        })
    }

    /// Whether the second magic number is where the image ends.
    fn is_whole<E>(self, at: u64, read: &mut ReadUser<'_, E>) -> Result<bool, Option<E>> {
        let mut magic = [0; MAGIC2_BYTES];
        read(at.wrapping_add(self.bytes as u64), &mut magic).map_err(Some)?;
        Ok(u32::from_le_bytes(magic) == MAGIC2)
    }
}

/// Where an image of `len` bytes goes below `top`.
fn image_place(top: u64, len: usize) -> u64 {
    let magic = if features::get().xsave_components == 0 {
        0
    } else {
        MAGIC2_BYTES
    };
    top.wrapping_sub((len + magic) as u64) & !63
}

/// The frame for a handler, in words: all its fields are words, or bytes that
/// fill some.
fn build(registers: &Registers, delivery: &SignalDelivery, image: u64) -> [u64; FRAME_WORDS] {
    const UC: usize = UCONTEXT / 8;
    let mut frame = [0; FRAME_WORDS];
    frame[0] = delivery.restorer;
    let form = if features::get().xsave_components == 0 {
        0
    } else {
        UC_FP_XSTATE
    };
    frame[UC + UC_FLAGS / 8] = form | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    let (base, stack_flags, size) = delivery.alternate_stack;
    frame[UC + UC_STACK / 8] = base;
    frame[UC + UC_STACK / 8 + 1] = u64::from(stack_flags);
    frame[UC + UC_STACK / 8 + 2] = size;
    const FIRST: usize = UC + UC_REGISTERS / 8;
    frame[FIRST..FIRST + REGISTERS].copy_from_slice(&in_order(registers));
    frame[UC + UC_SEGMENTS / 8] = u64::from(USER_CODE) | u64::from(USER_DATA) << 48;
    let (address, number, code) = delivery.fault;
    frame[UC + UC_ERROR / 8] = code;
    frame[UC + UC_ERROR / 8 + 1] = number;
    frame[UC + UC_ERROR / 8 + 2] = delivery.mask;
    frame[UC + UC_ERROR / 8 + 3] = address;
    frame[UC + UC_FPSTATE / 8] = image;
    frame[UC + UC_MASK / 8] = delivery.mask;
    if delivery.siginfo {
        let (words, _) = delivery.info.as_chunks::<8>();
        for (to, from) in frame[SIGINFO / 8..].iter_mut().zip(words) {
            *to = u64::from_le_bytes(*from);
        }
    }
    frame
}

/// The bytes of a frame. (The machine is little-endian, as the layout is.)
fn bytes_of(frame: &[u64; FRAME_WORDS]) -> &[u8] {
    // SAFETY: every byte of an integer is initialised and any value is a `u8`;
    // the length is the array's, which stays borrowed.
    unsafe { core::slice::from_raw_parts(frame.as_ptr().cast(), FRAME_BYTES) }
}

/// The registers in the order of `sigcontext`.
fn in_order(r: &Registers) -> [u64; REGISTERS] {
    [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx,
        r.rax, r.rcx, r.rsp, r.rip, r.rflags,
    ]
}

/// The way back of [`in_order`].
fn restore(registers: &mut Registers, context: &[u8]) {
    let word = |index: usize| u64_at(context, UC_REGISTERS + index * 8);
    registers.r8 = word(0);
    registers.r9 = word(1);
    registers.r10 = word(2);
    registers.r11 = word(3);
    registers.r12 = word(4);
    registers.r13 = word(5);
    registers.r14 = word(6);
    registers.r15 = word(7);
    registers.rdi = word(8);
    registers.rsi = word(9);
    registers.rbp = word(10);
    registers.rbx = word(11);
    registers.rdx = word(12);
    registers.rax = word(13);
    registers.rcx = word(14);
    registers.rsp = word(15);
    registers.rip = word(16);
    registers.rflags = sanitize_flags(word(17));
    registers.vector = VIA_NOTHING;
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u64::from_le_bytes(*word))
}
