//! What waits, and who is to be woken for it.

use std::collections::VecDeque;
use std::task::Waker;
use std::thread::Thread;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::Result;

/// One caller's items with the way back to the caller.
pub(super) struct Slot<T, R> {
    pub(super) items: Items<T>,
    pub(super) bytes: usize,
    pub(super) reply: Reply<R>,
    /// Room in the queue; given back when the slot is taken or withdrawn.
    pub(super) _room: [OwnedSemaphorePermit; 2],
}

/// A lone item needs no vector.
pub(super) enum Items<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Items<T> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(items) => items.len(),
        }
    }
}

pub(super) enum Reply<R> {
    One(oneshot::Sender<Result<R>>),
    Many(oneshot::Sender<Vec<Result<R>>>),
}

/// The driver, while it waits for items.
pub(super) enum Sleeper {
    Thread(Thread),
    Task(Waker),
}

impl Sleeper {
    pub(super) fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// The queue itself. Slots are numbered in arrival order, so that a caller finds its own again to withdraw it.
pub(super) struct State<T, R> {
    slots: VecDeque<Option<Slot<T, R>>>,
    first: u64,
    pub(super) closed: bool,
    pub(super) driver_gone: bool,
    pub(super) sleeper: Option<Sleeper>,
}

impl<T, R> State<T, R> {
    pub(super) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            first: 0,
            closed: false,
            driver_gone: false,
            sleeper: None,
        }
    }

    /// Adds a slot and returns its number.
    pub(super) fn push(&mut self, slot: Slot<T, R>) -> u64 {
        let number = self.first + self.slots.len() as u64;
        self.slots.push_back(Some(slot));
        number
    }

    /// Takes a slot out again, if it was not taken for a commit.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Slot<T, R>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let slot = self.slots.get_mut(at)?.take();
        self.drop_holes();
        slot
    }

    /// Takes whole slots, oldest first, up to the bounds; at least one if any waits.
    pub(super) fn take(&mut self, max_items: usize, max_bytes: usize) -> Vec<Slot<T, R>> {
        let mut taken = Vec::with_capacity(self.slots.len().min(max_items));
        let (mut items, mut bytes) = (0, 0);
        while let Some(front) = self.slots.front() {
            if let Some(slot) = front {
                items += slot.items.len();
                bytes += slot.bytes;
                if !taken.is_empty() && (items > max_items || bytes > max_bytes) {
                    break;
                }
            }
            self.first += 1;
            taken.extend(self.slots.pop_front().flatten());
        }
        taken
    }

    /// Takes everything that waits.
    pub(super) fn take_all(&mut self) -> Vec<Slot<T, R>> {
        self.take(usize::MAX, usize::MAX)
    }

    fn drop_holes(&mut self) {
        while matches!(self.slots.front(), Some(None)) {
            self.slots.pop_front();
            self.first += 1;
        }
    }
}
