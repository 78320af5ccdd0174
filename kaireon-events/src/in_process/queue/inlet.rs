//! What was published and is not fetched yet, and who waits for it.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use kaireon_core::Event;

use crate::in_process::wakes::Wakes;

/// An event that waits for its first delivery.
pub(in crate::in_process) struct Ready {
    pub(super) event: Event,
    /// How many were lost between the one before it and this one.
    pub(super) lost_before: u64,
}

/// Where publishers work.
pub(super) struct Inlet {
    pub(super) ready: VecDeque<Ready>,
    /// How many events were ever taken in, and how many of them the publishers know to be settled.
    pub(super) accepted: u64,
    pub(super) settled: u64,
    /// How many may be taken in and not settled: the sum over the members.
    pub(super) capacity: u64,
    /// How many were lost since the last one that was taken in.
    pub(super) lost: u64,
    pub(super) closed: bool,
    pub(super) waiting: Vec<(u32, Waker)>,
}

impl Inlet {
    pub(super) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            accepted: 0,
            settled: 0,
            capacity: 0,
            lost: 0,
            closed: false,
            waiting: Vec::new(),
        }
    }

    /// Every member that waits is woken: a woken one may have lost its interest without leaving, and what is
    /// ready must not wait for it.
    pub(super) fn wake_waiting(&mut self, wakes: &mut Wakes) {
        for (_, waker) in self.waiting.drain(..) {
            wakes.push(waker);
        }
    }

    pub(super) fn wait(&mut self, member: u32, waker: &Waker, wakes: &mut Wakes) {
        match self.waiting.iter_mut().find(|(id, _)| *id == member) {
            Some((_, present)) if present.will_wake(waker) => {}
            Some((_, present)) => wakes.push(mem::replace(present, waker.clone())),
            None => self.waiting.push((member, waker.clone())),
        }
    }
}

/// What is first of what is ready.
pub(super) enum Popped {
    Nothing,
    Lost(u64),
    Event(Event),
}

pub(super) fn pop(ready: &mut VecDeque<Ready>) -> Popped {
    match ready.front_mut() {
        None => Popped::Nothing,
        Some(Ready { lost_before, .. }) if *lost_before > 0 => Popped::Lost(mem::take(lost_before)),
        Some(_) => ready
            .pop_front()
            .map_or(Popped::Nothing, |ready| Popped::Event(ready.event)),
    }
}
