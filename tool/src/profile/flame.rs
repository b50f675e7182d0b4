//! Samples as stacks, and their picture.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
    path::Path,
};

use inferno::flamegraph::{self, Options};

use super::{collect::Samples, images::Images, record::What, stopped::Sampler};
use crate::{arch::Arch, symbols::Names, trace};

/// Where a processor sleeps.
const IDLE: &str = "wait_for_interrupt";

/// Stacks, outermost first with `;` between them, and for how many periods
/// each stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flames(BTreeMap<String, u64>);

impl Flames {
    /// The samples of a guest on `arch`, with names.
    pub fn new(arch: Arch, samples: &Samples, images: &mut Images) -> Self {
        let mut stacks = BTreeMap::new();
        for (sample, periods) in samples.take() {
            let mut stack = vec![sample.name];
            for place in sample.calls.iter().rev() {
                stack.extend(images.functions(place).into_iter().rev());
            }
            match sample.what {
                What::User => {}
                What::Call(number) => {
                    stack.push(format!("[kernel] {}", trace::call_name(arch, number)));
                }
                What::Trap => stack.push("[kernel] fault or interrupt".to_owned()),
            }
            let words: Vec<String> = stack.iter().map(|name| one_word(name)).collect();
            let count: &mut u64 = stacks.entry(words.join(";")).or_default();
            *count = count.saturating_add(periods);
        }
        Self(stacks)
    }

    /// The samples of a kernel, with names from its file. Time in which a
    /// processor slept is left out.
    pub fn of_kernel(kernel: &Path, sampler: Sampler) -> Self {
        let mut names = Names::new(kernel);
        let mut known: HashMap<u64, Vec<String>> = HashMap::new();
        let mut stacks = BTreeMap::new();
        for (places, periods) in sampler.places() {
            let mut stack = Vec::new();
            for place in places.iter().rev() {
                let functions = known.entry(*place).or_insert_with(|| names.all(*place));
                stack.extend(functions.iter().rev().map(|name| one_word(name)));
            }
            let is_idle = |name: &String| name.rsplit("::").next() == Some(IDLE);
            if stack.iter().any(is_idle) {
                continue;
            }
            if stack.is_empty() {
                stack.push("[programs]".to_owned());
            }
            let count: &mut u64 = stacks.entry(stack.join(";")).or_default();
            *count = count.saturating_add(periods);
        }
        Self(stacks)
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.0.values().copied().fold(0, u64::saturating_add)
    }

    /// The functions with most samples of their own, the first with the most.
    pub fn hottest(&self) -> Vec<(&str, u64)> {
        let mut own: BTreeMap<&str, u64> = BTreeMap::new();
        for (stack, count) in &self.0 {
            let leaf = stack.rsplit(';').next().unwrap_or(stack);
            let sum = own.entry(leaf).or_default();
            *sum = sum.saturating_add(*count);
        }
        let mut own: Vec<_> = own.into_iter().collect();
        own.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
        own
    }

    /// The stacks as text, a line each with its count at the end, as programs
    /// for flame graphs read them.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|(stack, count)| format!("{stack} {count}"))
    }

    /// Draws the flame graph.
    ///
    /// # Errors
    /// If writing fails, or there are no samples.
    pub fn draw(&self, title: &str, to: impl Write) -> io::Result<()> {
        let lines: Vec<String> = self.lines().collect();
        let mut options = Options::default();
        options.title = title.to_owned();
        // Equal names have equal colours, and equal samples equal pictures.
        options.hash = true;
        options.deterministic = true;
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), to)
    }
}

/// A name without what stands between names and lines.
fn one_word(name: &str) -> String {
    let is_apart = |letter: char| letter == ';' || letter.is_control();
    name.replace(is_apart, ":")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::Flames;
    use crate::{
        arch::Arch,
        bridge::Capture,
        profile::{Collector, Images, Samples},
    };

    fn flames(log: &str) -> Flames {
        let samples = Samples::default();
        let mut collector = Collector::new(samples.clone(), Box::new(Capture::default()));
        collector.write_all(log.as_bytes()).unwrap();
        drop(collector);
        Flames::new(Arch::X86_64, &samples, &mut Images::default())
    }

    #[test]
    fn what_the_kernel_did_is_on_top_of_the_program() {
        let flames = flames(
            "profile 2 1 1 613b62 1 2f6c69622f782e736f:1 2f62696e2f61:5,6\n\
             profile 3 1 1 613b62 trap 5b7664736f5d:9\n\
             profile 1 2 2 613b62 user -:7f00\n",
        );
        let lines: Vec<String> = flames.lines().collect();
        assert_eq!(
            lines,
            [
                "a:b;[a];[a];[x.so];[kernel] write 2",
                "a:b;[no file] 1",
                "a:b;[vdso];[kernel] fault or interrupt 3",
            ]
        );
        assert_eq!(flames.count(), 6);
        let hottest = flames.hottest();
        assert_eq!(hottest.first(), Some(&("[kernel] fault or interrupt", 3)));
    }

    #[test]
    fn the_picture_has_every_name() {
        let mut picture = Vec::new();
        let flames = flames("profile 9 1 1 6162 0\n");
        flames.draw("a title", &mut picture).unwrap();
        let picture = String::from_utf8(picture).unwrap();
        assert!(picture.contains("<svg") && picture.contains("a title"));
        assert!(picture.contains("[kernel] read") && picture.contains("(9 samples"));
    }
}
