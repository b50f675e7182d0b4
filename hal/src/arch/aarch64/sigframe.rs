//! Signal frames in Linux's layout, written and read.
//!
//! ```text
//! stack_top ─► frame record: x29, x30              16 bytes
//!              ucontext: 464 bytes, then records (4096 bytes are reserved)
//!                  floating point, 528 bytes; syndrome, 16 bytes; the end
//! sp ────────► siginfo, 128 bytes                  16-byte aligned
//! ```
//! The frame comes back from a program that may have forged all of it. General
//! and floating-point registers may hold anything; a state that is no
//! program's is refused.

use crate::memory::OutOfMemory;
use crate::user::{ReadUser, SignalDelivery, SignalRestore, WriteUser};

use super::context::Context;
use super::fpu;
use super::registers::{Registers, is_programs, sanitize_state, state_of_handler};

const SIGINFO_BYTES: usize = 128;
/// Where records begin in the ucontext.
const RECORDS: usize = 464;
/// Bytes that Linux sets aside for them.
const RECORDS_RESERVED: usize = 4096;
const FRAME_BYTES: usize = SIGINFO_BYTES + RECORDS + RECORDS_RESERVED;

/// What is written: up to the end of the records.
const WRITTEN_BYTES: usize = SIGINFO_BYTES + RECORDS + FLOATING_BYTES + SYNDROME_BYTES + 16;

/// What a ucontext has that can be: the state, and the head of what ends the records.
const LEAST_BYTES: usize = RECORDS + FLOATING_BYTES + HEAD;

/// Offsets in the ucontext.
const UC_STACK: usize = 16;
const UC_MASK: usize = 40;
const UC_ADDRESS: usize = 176;
const UC_REGISTERS: usize = 184;

const FLOATING: u32 = 0x4650_8001;
const FLOATING_BYTES: usize = 528;
const SYNDROME: u32 = 0x4553_5201;
const SYNDROME_BYTES: usize = 16;

/// Bytes of a record's head: kind and length.
const HEAD: usize = 8;
/// In a floating-point record: FPSR and FPCR, then the vector registers.
const FLOATING_STATUS: usize = 8;
const FLOATING_VECTORS: usize = 16;

impl Context {
    pub(crate) fn enter_signal_handler<E>(
        &mut self,
        delivery: &SignalDelivery,
        write: &mut WriteUser<'_, E>,
    ) -> Result<(), Option<E>> {
        self.leave().map_err(|OutOfMemory| None)?;
        let record_at = (delivery.stack_top & !15).wrapping_sub(16);
        let frame_at = record_at.wrapping_sub(FRAME_BYTES as u64);
        let frame = self.build(delivery);
        write(frame_at, &frame).map_err(Some)?;
        let registers = self.area.registers_mut();
        let mut record = [0; 16];
        put(&mut record, 0, &registers.x[29].to_le_bytes());
        put(&mut record, 8, &registers.x[30].to_le_bytes());
        write(record_at, &record).map_err(Some)?;

        registers.x[0] = u64::from(delivery.signal);
        registers.x[1] = frame_at;
        registers.x[2] = frame_at.wrapping_add(SIGINFO_BYTES as u64);
        registers.x[29] = record_at;
        registers.x[30] = delivery.restorer;
        registers.sp = frame_at;
        registers.pc = delivery.handler;
        registers.pstate = state_of_handler(registers.pstate);
        Ok(())
    }

    pub(crate) fn leave_signal_handler<E>(
        &mut self,
        read: &mut ReadUser<'_, E>,
    ) -> Result<SignalRestore, Option<E>> {
        let at = self.area.registers().sp.wrapping_add(SIGINFO_BYTES as u64);
        let mut context = [0; LEAST_BYTES];
        read(at, &mut context).map_err(Some)?;
        if !is_programs(u64_at(&context, UC_REGISTERS + 33 * 8)) {
            return Err(None);
        }
        self.leave().map_err(|OutOfMemory| None)?;
        self.read_floating(at, &context, read)?;
        self.disown();
        let registers = self.area.registers_mut();
        let word = |index: usize| u64_at(&context, UC_REGISTERS + index * 8);
        for (index, register) in registers.x.iter_mut().enumerate() {
            *register = word(index);
        }
        registers.sp = word(31);
        registers.pc = word(32);
        registers.pstate = sanitize_state(word(33));
        Ok(SignalRestore {
            mask: u64_at(&context, UC_MASK),
            alternate_stack: (
                u64_at(&context, UC_STACK),
                // CAST: the lower half of the word.
                u64_at(&context, UC_STACK + 8) as u32,
                u64_at(&context, UC_STACK + 16),
            ),
        })
    }

    fn build(&self, delivery: &SignalDelivery) -> [u8; WRITTEN_BYTES] {
        let mut frame = [0; WRITTEN_BYTES];
        if delivery.siginfo {
            put(&mut frame, 0, &delivery.info);
        }
        let context = &mut frame[SIGINFO_BYTES..];
        let (base, flags, size) = delivery.alternate_stack;
        put(context, UC_STACK, &base.to_le_bytes());
        put(context, UC_STACK + 8, &flags.to_le_bytes());
        put(context, UC_STACK + 16, &size.to_le_bytes());
        put(context, UC_MASK, &delivery.mask.to_le_bytes());
        let (address, _, syndrome) = delivery.fault;
        put(context, UC_ADDRESS, &address.to_le_bytes());
        put_registers(context, self.area.registers());

        let records = &mut context[RECORDS..];
        let image = self.area.image();
        put(records, 0, &FLOATING.to_le_bytes());
        put(records, 4, &(FLOATING_BYTES as u32).to_le_bytes());
        put(
            records,
            FLOATING_STATUS,
            &image[fpu::STATUS..fpu::STATUS + 8],
        );
        put(records, FLOATING_VECTORS, &image[..fpu::STATUS]);
        let records = &mut records[FLOATING_BYTES..];
        if syndrome != 0 {
            put(records, 0, &SYNDROME.to_le_bytes());
            put(records, 4, &(SYNDROME_BYTES as u32).to_le_bytes());
            put(records, HEAD, &syndrome.to_le_bytes());
        }
        frame
    }

    /// Goes over the records of the ucontext at `at`, of which `begin` is there
    /// already, to the floating-point state, which must be there, once.
    fn read_floating<E>(
        &mut self,
        at: u64,
        begin: &[u8],
        read: &mut ReadUser<'_, E>,
    ) -> Result<(), Option<E>> {
        let mut fetch = |offset: usize, to: &mut [u8]| match begin.get(offset..offset + to.len()) {
            Some(bytes) => {
                to.copy_from_slice(bytes);
                Ok(())
            }
            None => read(at.wrapping_add(offset as u64), to).map_err(Some),
        };
        let mut offset = RECORDS;
        let mut found = false;
        while offset + HEAD <= RECORDS + RECORDS_RESERVED {
            let mut head = [0; HEAD];
            fetch(offset, &mut head)?;
            let word = u64_at(&head, 0);
            // CAST: the two halves.
            let (kind, len) = (word as u32, (word >> 32) as usize);
            match (kind, len) {
                (0, 0) if found => return Ok(()),
                (FLOATING, FLOATING_BYTES) if !found => {
                    let (vectors, status) = self.area.image_mut().split_at_mut(fpu::STATUS);
                    fetch(offset + FLOATING_STATUS, &mut status[..8])?;
                    fetch(offset + FLOATING_VECTORS, vectors)?;
                    found = true;
                }
                (SYNDROME, SYNDROME_BYTES) => {}
                _ => return Err(None),
            }
            offset += len;
        }
        Err(None)
    }
}

fn put_registers(context: &mut [u8], registers: &Registers) {
    let rest = [registers.sp, registers.pc, registers.pstate];
    for (index, value) in registers.x.iter().chain(&rest).enumerate() {
        put(context, UC_REGISTERS + index * 8, &value.to_le_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u64::from_le_bytes(*word))
}
