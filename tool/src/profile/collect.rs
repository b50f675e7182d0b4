//! Takes the kernel's samples out of its log and counts them; everything else
//! of the log passes as it is.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use super::record::Sample;
use crate::{
    bridge::Sink,
    lines::{ByLine, TakeLines},
};

/// Samples, and for how many periods each stands. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Samples(Arc<Mutex<BTreeMap<Sample, u64>>>);

impl Samples {
    fn add(&self, sample: Sample, periods: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(sample).or_default();
        *count = count.saturating_add(periods);
    }

    /// Takes them out.
    pub(super) fn take(&self) -> BTreeMap<Sample, u64> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A log's way, with a branch for the samples in it.
pub type Collector = ByLine<Branch>;

/// What a [`Collector`] does with the lines.
pub struct Branch {
    samples: Samples,
    log: Sink,
}

impl core::fmt::Debug for Branch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Branch").field(&self.samples).finish()
    }
}

impl Collector {
    /// Samples go to `samples`, the rest to `log`.
    pub fn new(samples: Samples, log: Sink) -> Self {
        Self::to(Branch { samples, log })
    }
}

impl TakeLines for Branch {
    const LONGEST: usize = 16 << 10;

    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        match core::str::from_utf8(line).ok().and_then(Sample::parse) {
            Some((sample, periods)) => self.samples.add(sample, periods),
            None => self.log.write_all(line)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Collector, Samples};
    use crate::bridge::Capture;

    #[test]
    fn equal_samples_are_counted_and_the_log_goes_on() {
        let (samples, log) = (Samples::default(), Capture::default());
        let mut collector = Collector::new(samples.clone(), Box::new(log.clone()));
        let text = "INFO one\nprofile 1 1 1 61 user\nprofile 2 2 2 61 user\n\
                    profile 4 1 1 61 trap\nprofile damaged\nlast";
        for piece in text.as_bytes().chunks(7) {
            collector.write_all(piece).unwrap();
        }
        drop(collector);
        assert_eq!(log.take(), b"INFO one\nprofile damaged\nlast");
        let counts: Vec<u64> = samples.take().into_values().collect();
        assert_eq!(counts, [3, 4]);
    }
}
