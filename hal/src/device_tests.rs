//! In-kernel tests of the machine's own devices: clock, alarm, serial port, seeds.

use crate::irq::Event;
use crate::serial::{SerialPort, Which};
use crate::{clock, cpu, entropy, irq, ktest};

const MILLISECOND: u64 = 1_000_000;

/// Sleeps through other events until the timer's; gives up after many.
fn wait_for_timer() -> bool {
    (0..1000).any(|_| cpu::wait_for_interrupt() == Event::Timer)
}

#[ktest]
fn the_clock_never_goes_back() {
    let mut last = clock::now_ns();
    for _ in 0..10_000 {
        let now = clock::now_ns();
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
    assert!(clock::counter_hz() >= 1_000_000);
}

#[ktest]
fn a_kick_of_oneself_is_found_and_ends_sleep() {
    clock::set_alarm(None);
    while irq::poll_pending().is_some() {}
    irq::kick(cpu::current());
    irq::kick(cpu::current());
    assert_eq!(irq::poll_pending(), Some(Event::Reschedule));
    assert_eq!(irq::poll_pending(), None, "two kicks are one");
    irq::kick(cpu::current());
    assert_eq!(cpu::wait_for_interrupt(), Event::Reschedule);
}

#[ktest]
fn the_wall_clock_is_plausible() {
    const YEAR_2020_NS: u64 = 1_577_836_800 * 1_000_000_000;
    let boot = clock::boot_wall_ns();
    assert!(boot == 0 || boot > YEAR_2020_NS, "booted at {boot}");
    assert_eq!(boot, clock::boot_wall_ns());
}

#[ktest]
fn the_alarm_comes_and_not_early() {
    for wait in [0, 1000, MILLISECOND, 20 * MILLISECOND] {
        let deadline = clock::now_ns() + wait;
        clock::set_alarm(Some(deadline));
        assert!(wait_for_timer(), "no alarm after {wait} ns");
        let now = clock::now_ns();
        assert!(now >= deadline, "alarm {} ns early", deadline - now);
    }
}

#[ktest]
fn an_alarm_in_the_past_comes_at_once() {
    clock::set_alarm(Some(0));
    assert!(wait_for_timer());
}

#[ktest]
fn a_later_alarm_replaces_an_earlier_one() {
    let now = clock::now_ns();
    clock::set_alarm(Some(now + MILLISECOND));
    let deadline = now + 10 * MILLISECOND;
    clock::set_alarm(Some(deadline));
    assert!(wait_for_timer());
    assert!(clock::now_ns() >= deadline);
}

#[ktest]
fn a_withdrawn_alarm_does_not_come() {
    let now = clock::now_ns();
    clock::set_alarm(Some(now + MILLISECOND));
    clock::set_alarm(None);
    while clock::now_ns() < now + 3 * MILLISECOND {
        assert_ne!(irq::poll_pending(), Some(Event::Timer));
    }
}

#[ktest]
fn a_serial_port_hears_itself() {
    let Some(mut port) = SerialPort::open(Which::Second) else {
        // This machine has one port at most, and the console may own that.
        return;
    };
    assert!(SerialPort::open(Which::Second).is_none(), "opened twice");
    port.set_loopback(true);
    let sent = b"0123456789abcdef";
    let mut count = 0;
    let mut heard = [0; 16];
    let mut sum = 0;
    let end = clock::now_ns() + 100 * MILLISECOND;
    while sum < sent.len() && clock::now_ns() < end {
        count += port.write(&sent[count..]);
        sum += port.read(&mut heard[sum..]);
    }
    port.set_loopback(false);
    assert_eq!(&heard, sent);
}

#[ktest]
fn an_empty_transmitter_raises_the_line() {
    let Some(mut port) = SerialPort::open(Which::Second) else {
        return;
    };
    irq::unmask(port.line());
    port.set_transmit_interrupt(true);
    let line = Event::Line(port.line());
    clock::set_alarm(Some(clock::now_ns() + 100 * MILLISECOND));
    let first = (0..1000)
        .map(|_| cpu::wait_for_interrupt())
        .find(|event| *event != Event::Nothing);
    port.set_transmit_interrupt(false);
    irq::mask(port.line());
    clock::set_alarm(None);
    assert_eq!(first, Some(line));
}

#[ktest]
fn seeds_differ() {
    assert_ne!(entropy::seed().bytes, entropy::seed().bytes);
}
