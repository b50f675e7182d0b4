//! A task for each key press, on a kernel that has nothing but its executor.

use alloc::format;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use ochre_hal::keyboard::{Keyboard, ScanCodes};
use ochre_hal::{boottest, debug};
use ochre_kernel::sched;
use ochre_kernel::wait::WaitQueue;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

/// How many presses end it.
const PRESSES: usize = 5;

/// What a key that is let go adds to the first byte of its code.
const LET_GO: u8 = 0x80;

/// Starts a task whenever a key is pressed, which says the key's code; `ok`
/// ends the machine when so many of them ran.
pub(super) fn run(ok: fn(&str) -> !) -> ! {
    sched::bring_up().expect("memory at boot");
    let mut keyboard = Keyboard::open(ScanCodes::Set1).expect("a machine with a keyboard");
    let fired = WaitQueue::new();
    assert!(
        sched::interrupt::connect(keyboard.line(), fired.clone()),
        "a line that fires"
    );
    keyboard.set_interrupt(true);
    let code_bytes = match keyboard.codes() {
        ScanCodes::Events => 2,
        ScanCodes::Set1 | ScanCodes::Set2 => 1,
    };
    let ran = Arc::new(AtomicUsize::new(0));
    let mut registration = None;
    let reader = poll_fn(move |context| {
        if registration.is_none() {
            let registered = fired.register(context.waker());
            registration = Some(registered.expect("memory at boot"));
            boottest::last_words("ready for keys\n");
        }
        let mut bytes = [0; 2];
        let bytes = &mut bytes[..code_bytes];
        while keyboard.read(bytes) == code_bytes {
            // The letters' numbers are the same in both forms.
            let (first, code) = (bytes[0], bytes[code_bytes - 1]);
            if first < LET_GO {
                let ran = Arc::clone(&ran);
                sched::spawn(pressed(code, ran, ok)).expect("memory at boot");
            }
        }
        Poll::<()>::Pending
    });
    sched::spawn(reader).expect("memory at boot");
    sched::run()
}

/// What each of the tasks does.
async fn pressed(code: u8, ran: Arc<AtomicUsize>, ok: fn(&str) -> !) {
    sched::yield_now().await;
    debug::write(format!("a task for key {code:#x}\n").as_bytes());
    // ORDERING: Relaxed; only counted.
    if ran.fetch_add(1, Ordering::Relaxed) + 1 == PRESSES {
        ok("keys");
    }
}
