//! Every processor logs from its alarms, as many lines as it can: the log takes
//! some, says how many it left out, and nobody waits for ever.

use log::{LevelFilter, warn};
use ochre_hal::irq::Event;
use ochre_hal::{clock, cpu, smp};
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

use ochre_kernel::log_sink;

/// Lines of one alarm.
const AT_ONCE: usize = 50;

/// How many alarms each processor has.
const ALARMS: usize = 200;

/// Processors that have come through.
static THROUGH: AtomicUsize = AtomicUsize::new(0);

/// What an alarm has done for it.
fn handle(event: Event) -> bool {
    let is_alarm = event == Event::Timer;
    if is_alarm {
        for line in 0..AT_ONCE {
            warn!("storm on processor {}: {line}", cpu::current().index());
        }
    }
    is_alarm
}

fn rage() {
    let mut alarms = 0;
    while alarms < ALARMS {
        clock::set_alarm(Some(clock::now_ns()));
        alarms += usize::from(handle(cpu::wait_for_interrupt()));
    }
    clock::set_alarm(None);
    // ORDERING: Relaxed; a count, waited for by looking again.
    THROUGH.fetch_add(1, Ordering::Relaxed);
}

fn other() -> ! {
    rage();
    loop {
        let _ = cpu::wait_for_interrupt();
    }
}

pub(super) fn run() {
    log_sink::start(LevelFilter::Info);
    smp::start_others(other);
    rage();
    while THROUGH.load(Ordering::Relaxed) < cpu::online() {
        core::hint::spin_loop();
    }
    // Long enough after the storm for a line.
    let until = clock::now_ns() + 50_000_000;
    while clock::now_ns() < until {
        core::hint::spin_loop();
    }
    warn!("the storm is over");
}
