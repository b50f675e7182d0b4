//! When each stage of the boot was over, for whoever wants it to be shorter.

use ochre_sync::SpinLock;

use crate::cpu;

/// How many stages are kept; later ones are not.
const MOST: usize = 20;

/// Something that boot has to do, and when it was done.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What it is.
    pub name: &'static str,
    /// The cycle counter ([`cpu::cycles`]) at its end.
    pub cycles: u64,
}

static STAGES: SpinLock<[Option<Stage>; MOST]> = SpinLock::new([None; MOST]);

/// A stage is over.
pub fn stage_ends(name: &'static str) {
    let cycles = cpu::cycles();
    let mut stages = STAGES.lock();
    if let Some(free) = stages.iter_mut().find(|stage| stage.is_none()) {
        *free = Some(Stage { name, cycles });
    }
}

/// The stages that are over, in order.
pub fn stages() -> impl Iterator<Item = Stage> {
    let stages = *STAGES.lock();
    stages.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::{MOST, stage_ends, stages};

    #[test]
    fn stages_are_in_order_and_too_many_are_left_out() {
        for name in ["one", "two"].into_iter().chain([""; MOST]) {
            stage_ends(name);
        }
        let all: Vec<_> = stages().collect();
        assert_eq!(all.len(), MOST);
        assert_eq!((all[0].name, all[1].name), ("one", "two"));
        assert!(all.is_sorted_by_key(|stage| stage.cycles));
    }
}
