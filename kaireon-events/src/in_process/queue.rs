//! The queue of one subscriber, or of one group.
//!
//! Publishers work on the inlet, members on the outlet, each under a lock of its own, so that a publisher and a
//! subscriber meet only when the one adds and the other fetches. Locks are taken in the order outlet, inlet.

mod inlet;
mod outlet;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use kaireon_core::publisher::{Acknowledge, Answer, Settling};
use kaireon_core::{Event, EventType};
use parking_lot::Mutex;
use tokio::time::Instant;

pub(super) use self::inlet::Ready;
use self::inlet::{Inlet, Popped, pop};
use self::outlet::{Again, Outlet};
use super::unsettled::Held;
use super::wakes::Wakes;

/// What went wrong for subscribers since the publisher was made.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Events that found a queue full.
    pub(super) lost: AtomicU64,
    /// Events that were delivered `max_attempts` times and not acknowledged.
    pub(super) given_up: AtomicU64,
}

/// Under which terms a member subscribed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) max_pending: usize,
    pub(super) ack_timeout: Duration,
    pub(super) max_attempts: u32,
}

/// Who shares a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// One subscriber, who may fetch ahead.
    Alone,
    /// The members of a group, who take one at a time, so that none holds what another could process.
    Group,
}

/// What a member finds.
pub(super) enum Taken {
    /// A delivery.
    Delivery { event: Event, attempt: u32, token: u64 },
    /// So many events were lost at this point of the stream.
    Lost(u64),
    /// Nothing, and nothing will come.
    Ended,
    /// Nothing yet. It is woken by what comes; a deadline, if any, is its own to watch.
    Idle(Option<Instant>),
}

/// See the module.
pub(super) struct Queue {
    sharing: Sharing,
    inlet: Mutex<Inlet>,
    outlet: Mutex<Outlet>,
    /// The outlet's count, where publishers can read it.
    settled: AtomicU64,
    counters: Arc<Counters>,
}

impl Queue {
    /// A queue without members yet.
    pub(super) fn new(sharing: Sharing, counters: Arc<Counters>) -> Self {
        Self {
            sharing,
            inlet: Mutex::new(Inlet::new()),
            outlet: Mutex::new(Outlet::new()),
            settled: AtomicU64::new(0),
            counters,
        }
    }

    /// Adds a member, and with it the room it brings.
    pub(super) fn join(&self, member: u32, terms: Terms) -> Wakes {
        let mut wakes = Wakes::default();
        let mut outlet = self.outlet.lock();
        outlet.members.push((member, terms));
        let mut inlet = self.inlet.lock();
        inlet.capacity += terms.max_pending as u64;
        // Whoever waits watches the shortest deadline that a member may set, which may be shorter now.
        inlet.wake_waiting(&mut wakes);
        wakes
    }

    /// Takes a member away; what it had not acknowledged goes to the others. Returns how many are left.
    pub(super) fn leave(&self, member: u32) -> (usize, Wakes) {
        let mut wakes = Wakes::default();
        let mut dropped = Vec::new();
        let mut outlet = self.outlet.lock();
        let Some(at) = outlet.members.iter().position(|(id, _)| *id == member) else {
            return (outlet.members.len(), wakes);
        };
        let (_, terms) = outlet.members[at];
        let left = outlet.members.len() - 1;
        if left > 0 {
            for held in outlet.unsettled.remove_where(|held| held.member == member) {
                self.deliver_again(&mut outlet, held, terms.max_attempts, &mut dropped);
            }
        }
        outlet.members.remove(at);
        let mut inlet = self.inlet.lock();
        inlet.capacity -= terms.max_pending as u64;
        // Its own waker among them, which is dropped outside the locks as well.
        inlet.wake_waiting(&mut wakes);
        drop(inlet);
        drop(outlet);
        tell(&dropped);
        (left, wakes)
    }

    /// Takes an event in, or counts it as lost where there is no room.
    pub(super) fn push(&self, event: Event, wakes: &mut Wakes) {
        let mut inlet = self.inlet.lock();
        self.push_into(&mut inlet, event);
        inlet.wake_waiting(wakes);
    }

    /// As [`push`](Self::push), for several at once.
    pub(super) fn push_all(&self, events: &[Event], wakes: &mut Wakes) {
        let mut inlet = self.inlet.lock();
        for event in events {
            self.push_into(&mut inlet, event.clone());
        }
        inlet.wake_waiting(wakes);
    }

    fn push_into(&self, inlet: &mut Inlet, event: Event) {
        if inlet.accepted - inlet.settled >= inlet.capacity {
            // Only now, so that acknowledging and publishing do not fight for the same cache line.
            inlet.settled = self.settled.load(Ordering::Acquire);
        }
        if inlet.accepted - inlet.settled >= inlet.capacity {
            inlet.lost += 1;
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        inlet.accepted += 1;
        let lost_before = mem::take(&mut inlet.lost);
        inlet.ready.push_back(Ready { event, lost_before });
    }

    /// Lets members finish what was taken in, and then end.
    pub(super) fn close(&self, wakes: &mut Wakes) {
        let mut inlet = self.inlet.lock();
        inlet.closed = true;
        inlet.wake_waiting(wakes);
    }

    /// Takes the next thing for a member. `buffer` is the member's own: a lone subscriber fetches all that is
    /// ready at once.
    pub(super) fn take(
        &self,
        member: u32,
        terms: Terms,
        buffer: &mut VecDeque<Ready>,
        waker: &Waker,
    ) -> (Taken, Wakes) {
        let mut wakes = Wakes::default();
        let mut dropped = Vec::new();
        let mut outlet = self.outlet.lock();
        outlet.stamp(terms.ack_timeout);
        if let Some(earliest) = outlet.earliest {
            let now = Instant::now();
            if earliest <= now {
                self.expire(&mut outlet, now, &mut dropped, &mut wakes);
            }
        }
        let taken = self.next(&mut outlet, (member, terms), buffer, (waker, &mut wakes));
        drop(outlet);
        tell(&dropped);
        (taken, wakes)
    }

    fn next(
        &self,
        outlet: &mut Outlet,
        (member, terms): (u32, Terms),
        buffer: &mut VecDeque<Ready>,
        (waker, wakes): (&Waker, &mut Wakes),
    ) -> Taken {
        if let Some(Again { event, attempt }) = outlet.again.pop_front() {
            return outlet.hand_out(event, attempt, self.due(member, terms));
        }
        if buffer.is_empty() {
            let mut inlet = self.inlet.lock();
            match self.sharing {
                Sharing::Alone => mem::swap(&mut inlet.ready, buffer),
                Sharing::Group => match pop(&mut inlet.ready) {
                    Popped::Nothing => {}
                    Popped::Lost(lost) => return Taken::Lost(lost),
                    Popped::Event(event) => {
                        drop(inlet);
                        return outlet.hand_out(event, 1, self.due(member, terms));
                    }
                },
            }
            if buffer.is_empty() {
                if inlet.lost > 0 {
                    return Taken::Lost(mem::take(&mut inlet.lost));
                }
                if inlet.closed {
                    return Taken::Ended;
                }
                inlet.wait(member, waker, wakes);
                return Taken::Idle(outlet.watch());
            }
        }
        match pop(buffer) {
            Popped::Event(event) => outlet.hand_out(event, 1, self.due(member, terms)),
            Popped::Lost(lost) => Taken::Lost(lost),
            Popped::Nothing => Taken::Ended,
        }
    }

    /// Who is handed something now, and when it is overdue, where that is known yet.
    fn due(&self, member: u32, terms: Terms) -> (u32, Option<Instant>) {
        match self.sharing {
            Sharing::Alone => (member, None),
            Sharing::Group => (member, Some(Instant::now() + terms.ack_timeout)),
        }
    }

    /// Takes back what was not acknowledged in time.
    fn expire(&self, outlet: &mut Outlet, now: Instant, dropped: &mut Vec<Event>, wakes: &mut Wakes) {
        for held in outlet
            .unsettled
            .remove_where(|held| held.deadline.is_some_and(|deadline| deadline <= now))
        {
            let max_attempts = outlet.max_attempts(held.member);
            self.deliver_again(outlet, held, max_attempts, dropped);
        }
        outlet.earliest = outlet.unsettled.earliest();
        if outlet.again.len() > 1 {
            self.inlet.lock().wake_waiting(wakes);
        }
    }

    fn deliver_again(&self, outlet: &mut Outlet, held: Held, max_attempts: u32, dropped: &mut Vec<Event>) {
        let Held { event, attempt, .. } = held;
        if attempt >= max_attempts {
            self.counters.given_up.fetch_add(1, Ordering::Relaxed);
            self.settle_one(outlet);
            dropped.push(event);
        } else {
            let attempt = attempt + 1;
            outlet.again.push_back(Again { event, attempt });
        }
    }

    fn settle_one(&self, outlet: &mut Outlet) {
        outlet.settled += 1;
        if outlet.unsettled.len() == 0 {
            outlet.earliest = None;
        }
        self.settled.store(outlet.settled, Ordering::Release);
    }

    fn acknowledged(&self, token: u64) {
        let mut outlet = self.outlet.lock();
        let held = outlet.unsettled.remove(token);
        if held.is_some() {
            if outlet.unstamped == Some(token) {
                outlet.unstamped = None;
            }
            self.settle_one(&mut outlet);
        }
        drop(outlet);
        drop(held);
    }

    fn refused(&self, token: u64) {
        let mut wakes = Wakes::default();
        let mut dropped = Vec::new();
        let mut outlet = self.outlet.lock();
        if let Some(held) = outlet.unsettled.remove(token) {
            let max_attempts = outlet.max_attempts(held.member);
            self.deliver_again(&mut outlet, held, max_attempts, &mut dropped);
            self.inlet.lock().wake_waiting(&mut wakes);
        }
        drop(outlet);
        tell(&dropped);
        wakes.wake();
    }
}

fn tell(given_up: &[Event]) {
    for event in given_up {
        let event_type: &EventType = event.event_type();
        tracing::warn!(%event_type, event_id = event.id(), "gave up an event that was never acknowledged");
    }
}

impl Acknowledge for Queue {
    fn settle(&self, token: u64, answer: Answer) -> Settling<'_> {
        match answer {
            Answer::Ack => self.acknowledged(token),
            Answer::Nack => self.refused(token),
        }
        Settling::Done(Ok(()))
    }

    fn abandoned(&self, token: u64) {
        self.refused(token);
    }
}
