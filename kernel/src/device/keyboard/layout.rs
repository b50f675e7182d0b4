//! The layouts of keyboards, by the names that people use for them.

use pc_keyboard::layouts::{
    AnyLayout, Azerty, Colemak, DVP104Key, De105Key, Dvorak104Key, FiSe105Key, Jis109Key, No105Key,
    Uk105Key, Us104Key,
};

/// The names, the usual one first. A layout with two has two lines.
static LAYOUTS: [(&[u8], AnyLayout); 12] = [
    (b"us", AnyLayout::Us104Key(Us104Key)),
    (b"uk", AnyLayout::Uk105Key(Uk105Key)),
    (b"de", AnyLayout::De105Key(De105Key)),
    (b"fr", AnyLayout::Azerty(Azerty)),
    (b"no", AnyLayout::No105Key(No105Key)),
    (b"fi", AnyLayout::FiSe105Key(FiSe105Key)),
    (b"se", AnyLayout::FiSe105Key(FiSe105Key)),
    (b"jp", AnyLayout::Jis109Key(Jis109Key)),
    (b"dvorak", AnyLayout::Dvorak104Key(Dvorak104Key)),
    (b"dvp", AnyLayout::DVP104Key(DVP104Key)),
    (b"colemak", AnyLayout::Colemak(Colemak)),
    (b"gb", AnyLayout::Uk105Key(Uk105Key)),
];

/// Those whose marks are dead keys: a mark goes onto the letter that follows.
const WITH_DEAD_KEYS: [&[u8]; 5] = [b"de", b"fr", b"no", b"fi", b"se"];

/// The marks. On these layouts each has a key, but for those with AltGr, which
/// stand for themselves.
const MARKS: &str = "^`´¨";

/// One of the layouts; the American one unless told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Its place in the table.
    index: usize,
    has_dead_keys: bool,
}

impl Layout {
    /// What a wrong name is answered.
    pub const NAMES: &str = "is one of us, uk, de, fr, no, fi, se, jp, dvorak, dvp, colemak";

    /// The layout of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Layout> {
        let index = LAYOUTS.iter().position(|(known, _)| *known == name)?;
        Some(Layout {
            index,
            has_dead_keys: WITH_DEAD_KEYS.contains(&name),
        })
    }

    /// The same, each of its marks a character like others.
    #[must_use]
    pub fn without_dead_keys(self) -> Layout {
        Layout {
            has_dead_keys: false,
            ..self
        }
    }

    /// Whether the key with this character, without AltGr, is a dead one.
    pub(super) fn is_dead(self, character: char) -> bool {
        self.has_dead_keys && MARKS.contains(character)
    }

    /// Which keys have which characters.
    pub(super) fn characters(self) -> &'static AnyLayout {
        &LAYOUTS.get(self.index).unwrap_or(&LAYOUTS[0]).1
    }
}

#[cfg(test)]
mod tests {
    use super::{LAYOUTS, Layout};

    #[test]
    fn every_name_is_told() {
        let told: Vec<&str> = LAYOUTS
            .iter()
            .filter(|(name, _)| *name != b"gb")
            .map(|(name, _)| core::str::from_utf8(name).expect("letters"))
            .collect();
        assert_eq!(Layout::NAMES, format!("is one of {}", told.join(", ")));
        for (index, (name, _)) in LAYOUTS.iter().enumerate() {
            let found = Layout::named(name).map(|layout| layout.index);
            assert_eq!(found, Some(index));
        }
        assert_eq!(Layout::named(b"us"), Some(Layout::default()));
        assert_eq!(Layout::named(b"xx"), None);
    }
}
