//! A serial line as terminals and channels use it, and the task that serves it.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use ochre_abi::Errno;
use ochre_hal::irq::Line;
use ochre_hal::serial::SerialPort;

use crate::sched;
use crate::wait::WaitQueue;

/// A line that takes and gives bytes without waiting.
pub trait SerialLine: Send {
    /// Takes bytes that have arrived; returns how many.
    fn read(&mut self, to: &mut [u8]) -> usize;

    /// Hands over as many bytes as the line takes now; returns how many.
    fn write(&mut self, from: &[u8]) -> usize;

    /// What is worth an interrupt: arriving bytes, room to send.
    fn listen(&mut self, receive: bool, transmit: bool);
}

impl SerialLine for SerialPort {
    fn read(&mut self, to: &mut [u8]) -> usize {
        SerialPort::read(self, to)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        SerialPort::write(self, from)
    }

    fn listen(&mut self, receive: bool, transmit: bool) {
        self.set_receive_interrupt(receive);
        self.set_transmit_interrupt(transmit);
    }
}

/// Something with a line that wants to be looked after.
pub trait Serviced: Send + Sync + 'static {
    /// Moves what can be moved now.
    fn service(&self) -> Service;

    /// The queue by which a program's call asks for service.
    fn attention(&self) -> &WaitQueue;
}

/// What one round of service answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// There is more to do at once; others may go first.
    pub again: bool,
    /// Look again at this time at the latest.
    pub by_ns: Option<u64>,
}

/// Starts the task that serves `device` whenever `line` fires or it asks.
///
/// # Errors
/// ENOMEM; ENXIO for a line that cannot be connected.
pub fn serve(device: Arc<dyn Serviced>, line: Line) -> Result<(), Errno> {
    let attention = device.attention().clone();
    if !sched::interrupt::connect(line, attention.clone()) {
        return Err(Errno::ENXIO);
    }
    attend(device)
}

/// Starts the task that serves a `device` without interrupts, whenever it asks.
///
/// # Errors
/// ENOMEM.
pub fn attend(device: Arc<dyn Serviced>) -> Result<(), Errno> {
    let attention = device.attention().clone();
    let mut registration = None;
    let mut timer: Option<sched::Timer> = None;
    sched::spawn(poll_fn(move |context| {
        if registration.is_none() {
            registration = attention.register_own(context.waker()).ok();
        }
        let answer = device.service();
        match answer.by_ns {
            None => timer = None,
            Some(by)
                if timer
                    .as_ref()
                    .is_some_and(|timer| timer.deadline_ns() == by) => {}
            Some(by) => timer = Some(sched::Timer::arm(by, context.waker().clone())),
        }
        // Without its registration (no memory) the task has to keep looking.
        if answer.again || registration.is_none() {
            context.waker().wake_by_ref();
        }
        Poll::<()>::Pending
    }))?;
    Ok(())
}
