//! The device on a clock that the tests turn.

use ochre_abi::Errno;
use ochre_abi::rtc::event;

use super::{Chip, DAY, State, next_at, seconds_of, time_at};

#[derive(Default)]
struct Clock {
    now: u64,
    goal: u64,
    status: bool,
    interrupt: bool,
    /// How far it waits.
    reach: u64,
}

impl Chip for Clock {
    fn now(&self) -> Option<u64> {
        Some(self.now)
    }

    fn set(&mut self, seconds: u64) -> bool {
        self.now = seconds;
        seconds <= u64::from(u32::MAX)
    }

    fn set_match(&mut self, seconds: u64) -> bool {
        self.goal = seconds;
        seconds - self.now <= self.reach
    }

    fn clear(&mut self) {
        self.status = false;
    }

    fn set_interrupt(&mut self, on: bool) {
        self.interrupt = on;
    }
}

fn state() -> State<Clock> {
    State {
        chip: Clock {
            now: 1_709_210_096,
            reach: DAY,
            ..Clock::default()
        },
        can_wait: true,
        alarm: 0,
        is_armed: false,
        update: None,
        events: 0,
        is_open: true,
    }
}

/// Lets seconds pass, with the interrupt's work where it comes.
fn pass(state: &mut State<Clock>, seconds: u64) {
    for _ in 0..seconds {
        state.chip.now += 1;
        if state.chip.now == state.chip.goal {
            state.chip.status = true;
            if state.chip.interrupt {
                state.work().unwrap();
            }
        }
    }
}

#[test]
fn an_alarm_comes_once_and_not_early() {
    let mut state = state();
    let at = state.chip.now + 3;
    assert_eq!(state.set_alarm(at, true), Ok(()));
    pass(&mut state, 2);
    assert_eq!(state.events, 0);
    pass(&mut state, 1);
    assert_eq!(state.events, 1 << 8 | event::RTC_IRQF | event::RTC_AF);
    assert!(!state.is_armed && !state.chip.interrupt);
}

#[test]
fn an_alarm_that_is_off_does_not_come_until_it_is_on() {
    let mut state = state();
    let at = state.chip.now + 3;
    assert_eq!(state.set_alarm(at, false), Ok(()));
    pass(&mut state, 5);
    assert_eq!(state.events, 0);
    assert_eq!(state.arm(true), Ok(()));
    assert_ne!(state.events, 0, "it was due");
}

#[test]
fn seconds_are_told_of_beside_an_alarm() {
    let mut state = state();
    let at = state.chip.now + 3;
    assert_eq!(state.tell_seconds(true), Ok(()));
    assert_eq!(state.set_alarm(at, true), Ok(()));
    pass(&mut state, 2);
    assert_eq!(state.events, 2 << 8 | event::RTC_IRQF | event::RTC_UF);
    pass(&mut state, 1);
    let both = event::RTC_IRQF | event::RTC_UF | event::RTC_AF;
    assert_eq!(state.events, 4 << 8 | both);
    assert_eq!(state.tell_seconds(false), Ok(()));
    assert!(!state.chip.interrupt);
}

#[test]
fn what_the_clock_cannot_wait_for_is_refused() {
    let mut state = state();
    let far = state.chip.now + DAY + 1;
    assert_eq!(state.set_alarm(far, true), Err(Errno::EINVAL));
    assert!(!state.is_armed);
    state.can_wait = false;
    let near = state.chip.now + 1;
    assert_eq!(state.set_alarm(near, true), Err(Errno::EINVAL));
    assert_eq!(state.tell_seconds(true), Err(Errno::EINVAL));
    assert_eq!(state.update, None);
}

#[test]
fn setting_the_clock_past_an_alarm_lets_it_come() {
    let mut state = state();
    let at = state.chip.now + 100;
    assert_eq!(state.set_alarm(at, true), Ok(()));
    assert_eq!(state.set(at + 1000), Ok(()));
    assert_ne!(state.events, 0);
    assert_eq!(state.set(1 << 40), Err(Errno::ERANGE));
}

#[test]
fn dates_come_back_and_wrong_ones_are_refused() {
    let now = 1_709_210_096;
    let time = time_at(now);
    assert_eq!((time.year, time.month, time.day), (124, 1, 29));
    assert_eq!((time.weekday, time.day_of_year), (4, 60));
    assert_eq!(seconds_of(&time), Ok(now));
    for change in [
        |time: &mut super::RtcTime| time.day = 30,
        |time: &mut super::RtcTime| time.month = -1,
        |time: &mut super::RtcTime| time.year = 69,
        |time: &mut super::RtcTime| time.year = i32::MAX,
        |time: &mut super::RtcTime| time.hours = 24,
    ] {
        let mut wrong = time;
        change(&mut wrong);
        assert_eq!(seconds_of(&wrong), Err(Errno::EINVAL));
    }
}

#[test]
fn an_alarm_without_a_date_is_within_a_day() {
    let now = 1_709_210_096;
    assert_eq!(next_at(&time_at(now + 60), now), Ok(now + 60));
    assert_eq!(next_at(&time_at(now), now), Ok(now + DAY));
    // 11:00 was today already; 12:34:55 too.
    assert_eq!(next_at(&time_at(now - 1), now), Ok(now + DAY - 1));
}
