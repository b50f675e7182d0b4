//! The interrupt controller as other nodes speak of it: whose their interrupts
//! are, and how many words one takes.
//!
//! Only interrupts of the controller itself are found. One that goes to
//! something else first (another controller, a pin) is none here.

use ochre_device_tree::Node;

/// Kinds of interrupts: the first word of one.
const SHARED: u32 = 0;
const OWN: u32 = 1;

/// Kind, number, how it is driven.
const WORDS: usize = 3;

/// Entries of a map that are looked at.
const ENTRIES: usize = 64;

/// See the module.
pub(super) struct Wires {
    /// Nothing for a controller without a number, and where there is none.
    phandle: Option<u32>,
    /// Words of an interrupt: a fourth says for which processors it is.
    words: usize,
    /// Words of an address, in a map.
    address: usize,
}

impl Wires {
    /// Those to the controller in `node`.
    pub(super) fn new(node: Option<&Node<'_>>) -> Wires {
        let count = |name: &[u8]| {
            let count = node.and_then(|node| node.number(name));
            count.and_then(|count| usize::try_from(count).ok())
        };
        Wires {
            phandle: node.and_then(Node::phandle),
            words: count(b"#interrupt-cells").map_or(WORDS, |words| words.clamp(WORDS, WORDS + 1)),
            address: count(b"#address-cells").map_or(0, |words| words.min(4)),
        }
    }

    /// A device's first interrupt, if it is one that processors share.
    pub(super) fn shared(&self, node: &Node<'_>) -> Option<u32> {
        let (kind, number) = self.all(node).next()?;
        (kind == SHARED).then_some(number)
    }

    /// The number of a processor's own interrupt, the one at `index`.
    pub(super) fn own(&self, node: &Node<'_>, index: usize) -> Option<u32> {
        /// Numbers below are what processors send each other.
        const FIRST: u32 = 16;
        let (kind, number) = self.all(node).nth(index)?;
        (kind == OWN && number < FIRST).then(|| number + FIRST)
    }

    /// The devices' first pins on a bus: the device, and the shared interrupt.
    pub(super) fn map<'a>(&self, bus: &Node<'a>) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        // The device in three words, its pin, the controller, what that wants.
        let (phandle, address, rest) = (self.phandle, self.address, self.words - 2);
        let mut words = bus.words(b"interrupt-map");
        let mut entry = move || {
            let (device, pin) = (words.next()?, words.nth(2)?);
            let is_ours = Some(words.next()?) == phandle;
            let (kind, number) = (words.nth(address)?, words.next()?);
            // How it is driven, and for whom.
            words.nth(rest - 1)?;
            let is_one = is_ours && pin == 1 && kind == SHARED;
            Some(is_one.then_some((device, number)))
        };
        (0..ENTRIES).map_while(move |_| entry()).flatten()
    }

    /// Kind and number of each of a device's interrupts, up to one that is not
    /// the controller's.
    fn all<'a>(&self, node: &Node<'a>) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        // Each with the controller's number in front, or all of one controller's;
        // without a word about whose they are, there is only this one.
        let extended = node.property(b"interrupts-extended").is_some();
        let parent = node.interrupt_parent();
        let (phandle, rest) = (self.phandle, self.words - 2);
        let are_ours = extended || parent.is_none() || parent == phandle;
        let mut words = node.words(if extended {
            b"interrupts-extended"
        } else {
            b"interrupts"
        });
        core::iter::from_fn(move || {
            if !are_ours || extended && Some(words.next()?) != phandle {
                return None;
            }
            let (kind, number) = (words.next()?, words.next()?);
            words.nth(rest - 1)?;
            Some((kind, number))
        })
    }
}
