//! How fast the time stamp counter and the local APIC's timer run.
//!
//! Boot waits for nothing that the machine can tell: first the processor and
//! the hypervisor are asked (CPUID). What stays unknown is measured in one
//! window of half a millisecond (two with the slowest) against the best clock there is:
//!
//! 1. the APIC timer, which QEMU's emulation and KVM run at exactly 1 GHz
//!    (under `-icount` the result is exact, because both counters are the
//!    same clock);
//! 2. the counter, if only the timer is unknown;
//! 3. the 8254's channel 0, which every PC and `microvm` have (its interrupt
//!    is masked).
//!
//! HPET and the ACPI timer are not used: no machine has one of those and
//! neither of the above.

use core::arch::x86_64::__cpuid;

use super::apic::LocalApic;
use super::clock::counter;
use super::port::Port;

/// Frequencies in hertz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    /// The time stamp counter's.
    pub(super) counter_hz: u64,
    /// The APIC timer's, with its divider at 1. Not known where the timer
    /// takes time stamps.
    pub(super) timer_hz: u64,
}

/// The measuring window against a clock of nanoseconds, as a fraction of a
/// second: good for some 20 ppm, because [`READINGS`] takes the noise out.
const SHORT_WINDOW: u64 = 2000;

/// The measuring window against the slow 8254, as a fraction of a second:
/// good for some 400 ppm.
const LONG_WINDOW: u64 = 500;

/// Readings at each end of the window, of which the quickest counts. With
/// five the emulator's noise still shows (600 ppm).
const READINGS: usize = 20;

/// What the two kinds of KVM machine and QEMU's own emulation run the APIC at.
const EMULATED_TIMER_HZ: u64 = 1_000_000_000;

/// The 8254's rate.
const PIT_HZ: u64 = 1_193_182;

/// If a machine has no clock at all that could be measured against.
const GUESS_HZ: u64 = 1_000_000_000;

/// Iterations after which a clock that does not move is taken for broken.
const PATIENCE: u32 = 50_000_000;

// SAFETY: the counter of channel 0 of the 8254, whose only effect is an
// interrupt on a masked line.
const PIT_CHANNEL_0: Port<u8> = unsafe { Port::new(0x40) };
// SAFETY: the 8254's command port.
const PIT_COMMAND: Port<u8> = unsafe { Port::new(0x43) };
const PIT_COUNT_DOWN_ONCE: u8 = 0b0011_0000;
const PIT_LATCH: u8 = 0;

/// What CPUID tells; the raw registers, so that the decision can be tested.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Leaf 0x15: denominator, numerator, crystal hertz.
    ratio: [u32; 3],
    /// Leaf 0x4000_0010: counter and timer, in kilohertz.
    hypervisor_khz: [u32; 2],
    /// Whether this is KVM or QEMU's emulation.
    emulated_timer: bool,
}

/// Finds both rates.
pub(super) fn run(apic: &LocalApic) -> Rates {
    match (told().rates(), apic.tsc_deadline) {
        ((Some(counter_hz), Some(timer_hz)), _) => Rates {
            counter_hz,
            timer_hz,
        },
        ((Some(counter_hz), None), true) => Rates {
            counter_hz,
            timer_hz: 1,
        },
        ((Some(counter_hz), None), false) => apic.with_counting_timer(|ticks| {
            let (_, timer) = window(counter_hz, SHORT_WINDOW, &counter, ticks);
            Rates {
                counter_hz,
                timer_hz: timer.unwrap_or(GUESS_HZ),
            }
        }),
        ((None, Some(timer_hz)), _) => apic.with_counting_timer(|ticks| {
            let (counter, _) = window(timer_hz, SHORT_WINDOW, ticks, &|| 0);
            Rates {
                counter_hz: counter.unwrap_or(GUESS_HZ),
                timer_hz,
            }
        }),
        ((None, None), _) => apic.with_counting_timer(|ticks| {
            start_pit();
            let (counter, timer) = window(PIT_HZ, LONG_WINDOW, &read_pit, ticks);
            Rates {
                counter_hz: counter.unwrap_or(GUESS_HZ),
                timer_hz: timer.unwrap_or(GUESS_HZ),
            }
        }),
    }
}

/// Asks the processor and the hypervisor.
fn told() -> Told {
    let mut told = Told::default();
    if __cpuid(0).eax >= 0x15 {
        let leaf = __cpuid(0x15);
        told.ratio = [leaf.eax, leaf.ebx, leaf.ecx];
    }
    let under_hypervisor = __cpuid(1).ecx & (1 << 31) != 0;
    if under_hypervisor {
        let leaf = __cpuid(0x4000_0000);
        let mut name = [0; 12];
        for (place, word) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        told.emulated_timer = matches!(&name, b"TCGTCGTCGTCG" | b"KVMKVMKVM\0\0\0");
        if leaf.eax >= 0x4000_0010 {
            let leaf = __cpuid(0x4000_0010);
            told.hypervisor_khz = [leaf.eax, leaf.ebx];
        }
    }
    told
}

impl Told {
    /// The counter's and the timer's rate, as far as they follow from this.
    fn rates(self) -> (Option<u64>, Option<u64>) {
        let hertz = |khz: u32| plausible(u64::from(khz) * 1000);
        let [denominator, numerator, crystal] = self.ratio.map(u64::from);
        let from_crystal = (crystal * numerator)
            .checked_div(denominator)
            .and_then(plausible);
        let counter = hertz(self.hypervisor_khz[0]).or(from_crystal);
        let timer = hertz(self.hypervisor_khz[1])
            .or(self.emulated_timer.then_some(EMULATED_TIMER_HZ))
            .or(from_crystal.and(plausible(crystal)));
        (counter, timer)
    }
}

/// A rate that a machine can have: anything else is a wrong answer.
fn plausible(hz: u64) -> Option<u64> {
    (1_000_000..=100_000_000_000).contains(&hz).then_some(hz)
}

/// Measures the counter and `other` against `reference` (of `reference_hz`)
/// over one window, a
/// fraction of a second long. `None` for what did not move, or if the reference does not.
fn window(
    reference_hz: u64,
    windows_per_second: u64,
    reference: &dyn Fn() -> u64,
    other: &dyn Fn() -> u64,
) -> (Option<u64>, Option<u64>) {
    let start = reading(reference, other);
    let length = reference_hz / windows_per_second;
    let mut patience = PATIENCE;
    while reference().saturating_sub(start.reference) < length {
        patience -= 1;
        if patience == 0 {
            return (None, None);
        }
    }
    let end = reading(reference, other);
    let passed = u128::from(end.reference - start.reference);
    let rate = |from: u64, to: u64| {
        let ticks = u128::from(to.saturating_sub(from)) * u128::from(reference_hz);
        // Rounded to the nearest: the counters are whole numbers of ticks.
        let hz = (ticks + passed / 2).checked_div(passed)?;
        plausible(u64::try_from(hz).ok()?)
    };
    (
        rate(start.counter, end.counter),
        rate(start.other, end.other),
    )
}

/// Three clocks read at (nearly) one moment.
struct Reading {
    reference: u64,
    counter: u64,
    other: u64,
}

/// Of a few readings the one that took the least time, so that an
/// interruption of a virtual machine spoils the result only if it hits all.
fn reading(reference: &dyn Fn() -> u64, other: &dyn Fn() -> u64) -> Reading {
    let mut best: Option<(u64, Reading)> = None;
    for _ in 0..READINGS {
        let before = counter();
        let reference = reference();
        let after = counter();
        let other = other();
        let took = after.saturating_sub(before);
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((
                took,
                Reading {
                    reference,
                    counter: before + took / 2,
                    other,
                },
            ));
        }
    }
    best.expect("at least one reading was taken").1
}

/// Lets channel 0 count down once from its maximum.
fn start_pit() {
    PIT_COMMAND.write(PIT_COUNT_DOWN_ONCE);
    PIT_CHANNEL_0.write(0xff);
    PIT_CHANNEL_0.write(0xff);
}

/// Ticks of the 8254 since [`start_pit`]; good for 55 ms.
fn read_pit() -> u64 {
    PIT_COMMAND.write(PIT_LATCH);
    let low = PIT_CHANNEL_0.read();
    let high = PIT_CHANNEL_0.read();
    u64::from(u16::MAX - u16::from_le_bytes([low, high]))
}

#[cfg(test)]
mod tests {
    use super::{Told, window};
    use core::cell::Cell;

    #[test]
    fn takes_what_is_told() {
        let check =
            |told: Told, counter, timer| assert_eq!(told.rates(), (counter, timer), "{told:?}");
        check(Told::default(), None, None);
        check(
            Told {
                ratio: [2, 216, 24_000_000],
                ..Told::default()
            },
            Some(2_592_000_000),
            Some(24_000_000),
        );
        check(
            Told {
                hypervisor_khz: [2_900_000, 1_000_000],
                ratio: [1, 100, 25_000_000],
                emulated_timer: true,
            },
            Some(2_900_000_000),
            Some(1_000_000_000),
        );
        check(
            Told {
                emulated_timer: true,
                ..Told::default()
            },
            None,
            Some(1_000_000_000),
        );
        // A processor that tells the ratio but not the crystal tells nothing.
        check(
            Told {
                ratio: [2, 216, 0],
                ..Told::default()
            },
            None,
            None,
        );
        check(
            Told {
                ratio: [0, 216, 24_000_000],
                ..Told::default()
            },
            None,
            None,
        );
        check(
            Told {
                hypervisor_khz: [u32::MAX, 1],
                ..Told::default()
            },
            None,
            None,
        );
    }

    #[test]
    fn measures_the_other_clock() {
        let time = Cell::new(0_u64);
        let reference = || {
            time.set(time.get() + 1);
            time.get()
        };
        let (_, other) = window(1_000_000, 1000, &reference, &|| time.get() * 24);
        assert_eq!(other, Some(24_000_000));
    }

    #[test]
    fn gives_up_on_a_clock_that_stands() {
        assert_eq!(window(1_000_000, 1000, &|| 7, &|| 7), (None, None));
    }
}
