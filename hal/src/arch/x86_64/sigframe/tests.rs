//! Frames written, read back, forged.

use super::{Context, FRAME_BYTES, RED_ZONE, features, fpu};
use crate::user::SignalDelivery;

/// A stack of 16 KiB that ends at `TOP`.
struct Stack(Vec<u8>);

const TOP: u64 = 0x7fff_0000_0000;
const BYTES: u64 = 16 << 10;

#[derive(Debug, PartialEq, Eq)]
struct Fault;

impl Stack {
    fn new() -> Stack {
        Stack(vec![0; BYTES as usize])
    }

    fn place(&mut self, at: u64, len: usize) -> Result<&mut [u8], Fault> {
        let start = at.checked_sub(TOP - BYTES).ok_or(Fault)? as usize;
        self.0.get_mut(start..start + len).ok_or(Fault)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.place(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        bytes.copy_from_slice(self.place(at, bytes.len())?);
        Ok(())
    }

    fn word(&mut self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes).expect("on the stack");
        u64::from_le_bytes(bytes)
    }
}

fn delivery() -> SignalDelivery {
    SignalDelivery {
        signal: 11,
        handler: 0x40_1000,
        restorer: 0x40_2000,
        siginfo: true,
        info: [7; 128],
        mask: 0x1234,
        stack_top: TOP - 8,
        on_current_stack: true,
        alternate_stack: (0x1000, 2, 0x3000),
        fault: (0xdead, 14, 6),
    }
}

/// Whether the x87 state that would be loaded is the initial one.
fn x87_is_initial(context: &Context) -> bool {
    context.area.head()[32] == 0
}

fn context() -> Context {
    let mut context = Context::new().expect("memory");
    let registers = context.area.registers_mut();
    registers.rip = 0x40_0000;
    registers.rsp = TOP - 8;
    registers.rbx = 0xb0b;
    registers.r15 = 15;
    registers.rflags |= 1 << 8 | 1;
    // ST0 and XMM15 say something.
    let mut head = context.area.head();
    head[32] = 0x11;
    head[160 + 15 * 16] = 0x22;
    context.area.set_head(&head);
    context
}

/// Delivers, and returns the frame's address.
fn deliver(context: &mut Context, stack: &mut Stack) -> u64 {
    context
        .enter_signal_handler(&delivery(), &mut |at, bytes| stack.write(at, bytes))
        .expect("a good stack");
    context.area.registers().rsp
}

fn give_back(context: &mut Context, stack: &mut Stack) -> Result<u64, Option<Fault>> {
    context
        .leave_signal_handler(&mut |at, bytes| stack.read(at, bytes))
        .map(|restore| restore.mask)
}

#[test]
fn the_handler_finds_what_linux_gives() {
    let (mut context, mut stack) = (context(), Stack::new());
    let at = deliver(&mut context, &mut stack);
    let registers = context.area.registers().clone();
    assert_eq!(at % 16, 8);
    assert_eq!(registers.rip, 0x40_1000);
    assert_eq!(registers.rdi, 11);
    assert_eq!(registers.rsi, at + 312);
    assert_eq!(registers.rdx, at + 8);
    assert_eq!(registers.rax, 0);
    assert_eq!(registers.rflags & (1 << 8), 0);
    assert_eq!(stack.word(at), 0x40_2000);
    assert_eq!(stack.word(at + 312), 0x0707_0707_0707_0707);
    // mcontext: r8 first, rsp, rip, flags at 15, 16, 17; cs and ss after them.
    let uc = at + 8;
    assert_eq!(stack.word(uc + 40 + 15 * 8), TOP - 8);
    assert_eq!(stack.word(uc + 40 + 16 * 8), 0x40_0000);
    assert_eq!(stack.word(uc + 40 + 17 * 8), 0x303);
    assert_eq!(stack.word(uc + 40 + 18 * 8), 0x002b_0000_0000_0033);
    // err, trapno, oldmask, cr2, fpstate.
    assert_eq!(stack.word(uc + 192), 6);
    assert_eq!(stack.word(uc + 200), 14);
    assert_eq!(stack.word(uc + 208), 0x1234);
    assert_eq!(stack.word(uc + 216), 0xdead);
    let image = stack.word(uc + 224);
    assert_eq!(image % 64, 0);
    assert!(image >= at + FRAME_BYTES as u64);
    assert!(image + 512 <= TOP - 8 - RED_ZONE);
    assert_eq!(stack.word(image + 32), 0x11);
    assert_eq!(stack.word(uc + 16), 0x1000);
    assert_eq!(stack.word(uc + 296), 0x1234);
    // The handler's own floating-point state is fresh.
    assert!(x87_is_initial(&context));
}

#[test]
fn after_a_system_call_the_frame_has_the_registers_it_changed() {
    let (mut context, mut stack) = (context(), Stack::new());
    let registers = context.area.registers_mut();
    registers.vector = crate::arch::machine::registers::VIA_SYSCALL;
    let flags = registers.rflags;
    let at = deliver(&mut context, &mut stack);
    let word = |stack: &mut Stack, index: u64| stack.word(at + 8 + 40 + index * 8);
    assert_eq!(word(&mut stack, 14), 0x40_0000, "rcx is where it goes on");
    assert_eq!(word(&mut stack, 3), flags, "r11 is the flags");
}

#[test]
fn comes_back_as_it_went() {
    let (mut context, mut stack) = (context(), Stack::new());
    deliver(&mut context, &mut stack);
    let registers = context.area.registers_mut();
    registers.rsp += 8;
    registers.rbx = 0;
    registers.r15 = 0;
    assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
    let registers = context.area.registers();
    assert_eq!(registers.rip, 0x40_0000);
    assert_eq!(registers.rbx, 0xb0b);
    assert_eq!(registers.r15, 15);
    assert_eq!(registers.rsp, TOP - 8);
    assert_eq!(registers.rflags, 0x303);
    assert_eq!(context.area.head()[32], 0x11);
    assert_eq!(context.area.head()[160 + 15 * 16], 0x22);
}

#[test]
fn a_stack_without_room_is_the_writers_error() {
    let mut context = context();
    let mut delivery = delivery();
    delivery.stack_top = 100;
    let before = context.area.registers().clone();
    let result = context.enter_signal_handler(&delivery, &mut |_, _| Err(Fault));
    assert_eq!(result, Err(Some(Fault)));
    assert_eq!(context.area.registers().rip, before.rip);
    assert_eq!(context.area.registers().rsp, before.rsp);
}

#[test]
fn privileged_flags_and_wild_images_are_refused() {
    let (mut context, mut stack) = (context(), Stack::new());
    let at = deliver(&mut context, &mut stack);
    let uc = at + 8;
    let image = stack.word(uc + 224);
    context.area.registers_mut().rsp += 8;
    let all = u64::MAX.to_le_bytes();
    stack.write(uc + 40 + 17 * 8, &all).expect("room");
    assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
    assert_eq!(context.area.registers().rflags & 0x7000, 0);
    // MXCSR with a reserved bit.
    context.area.registers_mut().rsp = uc;
    stack.write(image + 24, &all).expect("room");
    assert_eq!(give_back(&mut context, &mut stack), Err(None));
    // The state is then a fresh program's, not the forged one.
    assert_eq!(context.area.head()[24..28], [0x80, 0x1f, 0, 0]);
}

#[test]
fn reserved_header_words_are_refused() {
    if features::get().xsave_components == 0 {
        return;
    }
    let (mut context, mut stack) = (context(), Stack::new());
    let at = deliver(&mut context, &mut stack);
    let image = stack.word(at + 8 + 224);
    context.area.registers_mut().rsp += 8;
    stack.write(image + 520, &[1]).expect("room");
    assert_eq!(give_back(&mut context, &mut stack), Err(None));
    stack.write(image + 520, &[0]).expect("room");
    context.area.registers_mut().rsp = at + 8;
    // Unknown components are not an error: they are left out.
    stack.write(image + 512, &[0xff; 8]).expect("room");
    assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
}

#[test]
fn an_image_of_the_old_form_is_taken() {
    let (mut context, mut stack) = (context(), Stack::new());
    let at = deliver(&mut context, &mut stack);
    let image = stack.word(at + 8 + 224);
    context.area.registers_mut().rsp += 8;
    stack.write(image + 464, &[0; 4]).expect("room");
    stack.write(image + 520, &[1]).expect("room");
    assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
    assert_eq!(context.area.head()[32], 0x11);
    assert!(!x87_is_initial(&context));
}

#[test]
fn no_image_means_a_fresh_state() {
    let (mut context, mut stack) = (context(), Stack::new());
    let at = deliver(&mut context, &mut stack);
    stack.write(at + 8 + 224, &[0; 8]).expect("room");
    context.area.registers_mut().rsp += 8;
    assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
    assert!(x87_is_initial(&context));
}

#[test]
fn every_word_of_the_frame_may_lie() {
    let (mut context, mut stack) = (context(), Stack::new());
    let at = deliver(&mut context, &mut stack);
    let image = stack.word(at + 8 + 224);
    let good = stack.0.clone();
    for place in (at..at + 440).chain(image..image + 600).step_by(8) {
        for value in [0, 1, 0x8000_0000_0000, 1 << 63, u64::MAX] {
            stack.0.copy_from_slice(&good);
            stack.write(place, &value.to_le_bytes()).expect("room");
            context.area.registers_mut().rsp = at + 8;
            // Accepted or refused: what is kept must be loadable.
            let _ = give_back(&mut context, &mut stack);
            assert!(fpu::check_head(&context.area.head()));
            assert_eq!(context.area.registers().rflags & 0x7200, 0x200);
        }
    }
}

#[test]
fn what_only_a_wide_image_holds_comes_back() {
    let components = features::get().xsave_components;
    if components & !fpu::LEGACY == 0 {
        return;
    }
    let (mut context, mut stack) = (context(), Stack::new());
    let wide = context.area.widen().expect("memory");
    fpu::set_bitmap(wide, components);
    wide[fpu::HEADER_END + 3] = 0x33;
    let at = deliver(&mut context, &mut stack);
    let image = stack.word(at + 8 + 224);
    let good = stack.0.clone();
    // Also into a context that never had more than the narrow form holds.
    for mut context in [context, Context::new().expect("memory")] {
        stack.0.copy_from_slice(&good);
        context.area.registers_mut().rsp = at + 8;
        assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
        let wide = context
            .area
            .wide()
            .expect("more than the narrow form holds");
        assert_eq!(fpu::bitmap(wide), components);
        assert_eq!(wide[fpu::HEADER_END + 3], 0x33);
        assert_eq!(wide[32], 0x11);
    }
    // A header that names nothing more does without.
    stack
        .write(image + 512, &fpu::LEGACY.to_le_bytes())
        .expect("room");
    let mut context = Context::new().expect("memory");
    context.area.registers_mut().rsp = at + 8;
    assert_eq!(give_back(&mut context, &mut stack), Ok(0x1234));
    assert!(context.area.wide().is_none());
    assert_eq!(context.area.head()[32], 0x11);
}
