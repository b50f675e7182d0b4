//! What a fault makes while it holds no lock: frames of zeroes, huge pages of
//! them, copies, pages of objects.
//!
//! Clearing or copying a page takes longer than all else that a fault does, and
//! making a page of an object may take any time. So an attempt to make a page
//! accessible ([`attempt`](super::space::Inner::attempt)) does none of it: it
//! ends and says what it [wants](Wanted). That is made with the space unlocked,
//! and the attempt is made again from the beginning.
//!
//! # States
//!
//! | state | attempt ends with | next |
//! | --- | --- | --- |
//! | nothing made | done, or refused | over |
//! | | wants | made, unlocked: round 1 |
//! | round n below [`ROUNDS`] | done, or refused | over; what is left over is dropped |
//! | | wants: what was made is not what is needed now | made, unlocked: round n + 1 |
//! | round [`ROUNDS`] | wants | made at once, the space locked |
//! | any, the thread has its space to itself | wants a copy | made at once, the space locked |
//!
//! # What must hold
//! Nothing that an attempt found counts in the next one, but for a copy, whose
//! original it has to find again. A copy is of the same bytes then:
//!
//! - A frame that belongs to no object and has several holders is written by
//!   nobody. What is kept here is a holder more, so that nobody becomes the only
//!   one who may write, and the frame has no other use meanwhile.
//! - An object's page may be written at any time, by others, and the copy have
//!   the bytes of any moment from the fault on. It must not have those from
//!   before the mapping was made, which may be known to have changed since: the
//!   areas must be the same, too.
//!
//! It ends: who is sent back found the space changed by another thread, which
//! went on; and after [`ROUNDS`] of it nobody can change the space.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::memory::{OutOfMemory, UserBlock, UserFrame};

use super::Backing;
use super::area::Area;
use super::fault::Refusal;
use super::huge;

/// How often something is made with the space unlocked before it is made with
/// the space locked.
const ROUNDS: u32 = 3;

/// What has to be made first.
pub(super) enum Wanted {
    /// A frame of zeroes.
    Zeroes,
    /// Zeroes for a huge page.
    Block,
    /// A copy of a frame, and the state of the areas that it counts for.
    Copy(UserFrame, u64),
    /// A page of an object, which is not at hand.
    Page(Arc<dyn Backing>, u64),
}

/// Why an attempt ends before the page is accessible.
pub(super) enum Stop {
    /// It never will be.
    Refused(Refusal),
    /// This has to be made first.
    Wants(Wanted),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl From<OutOfMemory> for Stop {
    fn from(error: OutOfMemory) -> Stop {
        Stop::Refused(error.into())
    }
}

/// What was made.
#[derive(Default)]
enum Thing {
    #[default]
    Nothing,
    /// A frame of zeroes.
    Zeroes(UserFrame),
    /// Zeroes for a huge page.
    Block(UserBlock),
    /// A copy of a frame, which counts for areas in this state.
    Copy {
        of: UserFrame,
        changes: u64,
        copy: UserFrame,
    },
}

/// What was made for the next attempt.
#[derive(Default)]
pub(super) struct Made {
    rounds: u32,
    is_counted: bool,
    /// The state of the areas, as [`AreaMap`](super::AreaMap) counts their changes.
    changes: u64,
    /// Whether the space is to have no huge pages.
    refuses_huge: bool,
    /// Whether nobody waits for the space while a page is copied.
    is_alone: bool,
    /// Whether zeroes for a huge page were made, or there were none.
    tried_block: bool,
    /// What was made last, and is not used.
    last: Thing,
}

impl Made {
    /// Of attempts of a thread that has its space to itself, if that is so:
    /// copies are made at once then, as nobody waits for the lock.
    #[inline]
    pub(super) fn alone(is_alone: bool) -> Made {
        Made {
            is_alone,
            ..Made::default()
        }
    }

    /// Of attempts that cannot be interrupted: they make what they want at once.
    pub(super) fn locked() -> Made {
        Made {
            rounds: ROUNDS,
            ..Made::default()
        }
    }

    /// Whether this is the first attempt, at a space in this state.
    #[inline]
    pub(super) fn begin(&mut self, changes: u64, refuses_huge: bool) -> bool {
        self.changes = changes;
        self.refuses_huge = refuses_huge;
        !core::mem::replace(&mut self.is_counted, true)
    }

    /// The frame of a page of an object, if it is at hand.
    #[inline]
    pub(super) fn page(&self, backing: &Arc<dyn Backing>, index: u64) -> Result<UserFrame, Stop> {
        match backing.page_at_hand(index) {
            Some(page) => Ok(page.map_err(refusal_of)?),
            None if self.is_last() => Ok(backing.page(index).map_err(refusal_of)?),
            None => Err(Stop::Wants(Wanted::Page(Arc::clone(backing), index))),
        }
    }

    /// Whether what is wanted now is made at once, with the space locked.
    #[inline]
    fn is_last(&self) -> bool {
        self.rounds >= ROUNDS
    }

    /// Makes what an attempt wanted.
    ///
    /// # Errors
    /// There is no frame for it, or the object has no such page.
    #[inline(never)]
    pub(super) fn make(&mut self, wanted: Wanted) -> Result<(), Refusal> {
        self.rounds = self.rounds.saturating_add(1);
        // What was made before is of no use any more.
        self.last = Thing::Nothing;
        match wanted {
            Wanted::Block => {
                self.tried_block = true;
                self.last = huge::make().map_or(Thing::Nothing, Thing::Block);
            }
            Wanted::Zeroes => self.last = Thing::Zeroes(UserFrame::zeroed()?),
            Wanted::Copy(of, changes) => {
                let copy = of.duplicate()?;
                self.last = Thing::Copy { of, changes, copy };
            }
            // The next attempt asks for it again: by then it may be gone.
            Wanted::Page(backing, index) => drop(backing.page(index).map_err(refusal_of)?),
        }
        Ok(())
    }

    /// A frame of zeroes.
    #[inline(always)]
    pub(super) fn zeroes(&mut self) -> Result<UserFrame, Stop> {
        if !matches!(self.last, Thing::Zeroes(_))
            && let Some(zeroes) = UserFrame::zeroed_if_ready()?
        {
            return Ok(zeroes);
        }
        self.made_zeroes()
    }

    /// [`zeroes`](Made::zeroes), of which none are ready.
    #[cold]
    fn made_zeroes(&mut self) -> Result<UserFrame, Stop> {
        match core::mem::take(&mut self.last) {
            Thing::Zeroes(zeroes) => Ok(zeroes),
            _ if self.is_last() => Ok(UserFrame::zeroed()?),
            _ => Err(Stop::Wants(Wanted::Zeroes)),
        }
    }

    /// Zeroes for a huge page, if there is to be one and there is memory for it.
    #[cold]
    pub(super) fn block(&mut self) -> Result<Option<UserBlock>, Stop> {
        if self.refuses_huge {
            return Ok(None);
        }
        match core::mem::take(&mut self.last) {
            Thing::Block(block) => Ok(Some(block)),
            _ if self.tried_block => Ok(None),
            _ if self.is_last() => Ok(huge::make()),
            _ => Err(Stop::Wants(Wanted::Block)),
        }
    }

    /// A copy of a frame that a page of `area` shows, or is to show.
    pub(super) fn copy(&mut self, area: &Area, frame: UserFrame) -> Result<UserFrame, Stop> {
        if frame.same_as(&UserFrame::shared_zero()) {
            return self.zeroes();
        }
        let changes = area.source.as_ref().map_or(0, |_| self.changes);
        match core::mem::take(&mut self.last) {
            Thing::Copy {
                of,
                changes: then,
                copy,
            } if of.same_as(&frame) && then == changes => Ok(copy),
            _ if self.is_alone || self.is_last() => Ok(frame.duplicate()?),
            _ => Err(Stop::Wants(Wanted::Copy(frame, changes))),
        }
    }
}

/// What it means that an object does not give a page.
fn refusal_of(errno: Errno) -> Refusal {
    match errno {
        Errno::ENOMEM => Refusal::OutOfMemory,
        _ => Refusal::NoPage,
    }
}
