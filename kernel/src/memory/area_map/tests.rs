//! The area map against a model: one entry a page.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::UserFrame;
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_oneof, proptest};

use super::{AreaMap, Recent};
use crate::memory::area::{Area, AreaFlags, GUARD_GAP, PAGE, Source};
use crate::memory::{Backing, Identity};

const PAGES: u64 = 48;

struct Object(u64);

impl Backing for Object {
    fn page(&self, _index: u64) -> Result<UserFrame, Errno> {
        Err(Errno::ENXIO)
    }
    fn size(&self) -> u64 {
        0
    }
    fn identity(&self) -> Identity {
        Identity {
            device: 0,
            inode: self.0,
        }
    }
    fn path(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// What the model knows of a page: protection, flags, object and page of it.
type Page = (u32, u32, Option<(u64, u64)>);

fn page_of(area: &Area, page: u64) -> Page {
    (
        area.protection.bits(),
        area.flags.bits(),
        area.source.as_ref().map(|source| {
            (
                source.backing.identity().inode,
                area.index_of(source, page * PAGE),
            )
        }),
    )
}

#[derive(Clone, Debug)]
enum Step {
    Map(Range<u64>, u32, Option<(u64, u64)>),
    Unmap(Range<u64>),
    Protect(Range<u64>, u32),
    Lock(Range<u64>),
}

fn ranges() -> impl Strategy<Value = Range<u64>> {
    (0..PAGES, 1..12_u64).prop_map(|(start, len)| start..(start + len).min(PAGES))
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        (
            ranges(),
            0..4_u32,
            prop::option::of((0..2_u64, prop_oneof![0..3_u64, Just(u64::MAX - 2)]))
        )
            .prop_map(|(range, protection, object)| Step::Map(range, protection, object)),
        ranges().prop_map(Step::Unmap),
        (ranges(), 0..4_u32).prop_map(|(range, protection)| Step::Protect(range, protection)),
        ranges().prop_map(Step::Lock),
    ]
}

use proptest::prelude::Just;

fn bytes(range: &Range<u64>) -> Range<u64> {
    range.start * PAGE..range.end * PAGE
}

fn check(map: &mut AreaMap, model: &BTreeMap<u64, Page>) {
    for page in 0..PAGES {
        let found = map.get(page * PAGE + 7).map(|area| page_of(area, page));
        assert_eq!(found, model.get(&page).copied(), "page {page}");
    }
    let mut previous: Option<&Area> = None;
    for area in map.iter() {
        assert!(area.start < area.end);
        if let Some(previous) = previous {
            assert!(previous.end <= area.start);
            assert!(!previous.continues_into(area), "neighbours left apart");
        }
        previous = Some(area);
    }
    let counted = map
        .iter()
        .filter(|area| area.flags.contains(AreaFlags::ACCOUNTED))
        .map(Area::bytes)
        .sum::<u64>();
    assert_eq!(map.accounted_pages(), counted / PAGE);
    let total = map.iter().map(Area::bytes).sum::<u64>();
    assert_eq!(map.total, total);
    assert!(map.peak_bytes() >= total);
    for start in (0..PAGES).step_by(5) {
        for end in (start + 1..PAGES).step_by(3) {
            let pages = start..end;
            let used = pages
                .clone()
                .filter(|page| model.contains_key(page))
                .count() as u64;
            assert_eq!(map.is_free(bytes(&pages)), used == 0);
            assert_eq!(map.covers(bytes(&pages)), used == end - start);
        }
    }
    for len in [1, 3, 7] {
        let model_start = (1..=PAGES - len)
            .rev()
            .find(|start| (*start..start + len).all(|page| !model.contains_key(&page)));
        assert_eq!(
            map.find_free(len * PAGE, PAGE..PAGES * PAGE),
            model_start.map(|page| page * PAGE)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_page_by_page_model(steps in prop::collection::vec(steps(), 1..40)) {
        let objects: [Arc<dyn Backing>; 2] = [Arc::new(Object(0)), Arc::new(Object(1))];
        let mut map = AreaMap::new();
        let mut model = BTreeMap::new();
        let mut recent = Recent::default();
        for step in steps {
            match step {
                Step::Map(range, protection, object) => {
                    map.remove(bytes(&range));
                    let mut area = Area::new(
                        bytes(&range),
                        Protection::from_bits_truncate(protection),
                        AreaFlags::empty(),
                    );
                    area.source = object.map(|(which, first)| Source {
                        backing: Arc::clone(&objects[which as usize]),
                        first,
                    });
                    map.insert(area);
                    for page in range.clone() {
                        let object = object
                            .map(|(which, first)| (which, first.wrapping_add(page - range.start)));
                        model.insert(page, (protection, 0, object));
                    }
                }
                Step::Unmap(range) => {
                    map.remove(bytes(&range));
                    model.retain(|page, _| !range.contains(page));
                }
                Step::Protect(range, protection) => {
                    map.update(bytes(&range), |area| {
                        area.protection = Protection::from_bits_truncate(protection);
                    });
                    for (_, page) in model.range_mut(range) {
                        page.0 = protection;
                    }
                }
                Step::Lock(range) => {
                    map.update(bytes(&range), |area| area.flags.insert(AreaFlags::LOCKED));
                    for (_, page) in model.range_mut(range) {
                        page.1 |= AreaFlags::LOCKED.bits();
                    }
                }
            }
            check(&mut map, &model);
            // What was found before the map changed does not count any more.
            for page in 0..PAGES + 1 {
                let found = format!("{:?}", map.get(page * PAGE));
                let near = map.get_near(page * PAGE, &mut recent);
                assert_eq!(format!("{near:?}"), found);
            }
        }
    }
}

fn anonymous(range: Range<u64>, flags: AreaFlags) -> Area {
    Area::new(range, Protection::READ, flags)
}

#[test]
fn a_stack_keeps_its_guard_gap() {
    let mut map = AreaMap::new();
    let stack = 4 * GUARD_GAP;
    map.insert(anonymous(stack..stack + PAGE, AreaFlags::GROWS_DOWN));
    assert_eq!(
        map.find_free(PAGE, PAGE..stack),
        Some(stack - GUARD_GAP - PAGE)
    );
    assert_eq!(map.find_free(3 * GUARD_GAP, PAGE..stack), None);
    assert!(map.is_free_with_guard(PAGE..stack - GUARD_GAP));
    assert!(!map.is_free_with_guard(PAGE..stack - GUARD_GAP + PAGE));
}

#[test]
fn a_stack_grows_down() {
    let mut map = AreaMap::new();
    map.insert(anonymous(8 * PAGE..9 * PAGE, AreaFlags::GROWS_DOWN));
    map.extend_down(8 * PAGE, 5 * PAGE);
    assert_eq!(map.get(5 * PAGE).map(Area::range), Some(5 * PAGE..9 * PAGE));
    assert!(map.get(5 * PAGE - 1).is_none());
}
