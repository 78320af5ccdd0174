//! The topics, and who reads them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kaireon_core::publisher::{StartAt, Subscription};
use kaireon_core::{Error, Event, EventType, Result};
use parking_lot::RwLock;

use super::error::{disconnected, unsupported};
use super::queue::{Counters, Queue, Sharing, Terms};
use super::stream::Member;
use super::wakes::Wakes;

/// Longer than a process lives, and short enough to be added to any instant.
const LONGEST_ACK_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 86_400);

#[derive(Default)]
struct State {
    topics: HashMap<EventType, Vec<Arc<Queue>>>,
    groups: Vec<Group>,
    next_member: u32,
    closed: bool,
}

struct Group {
    name: String,
    /// In order, without repetitions.
    topics: Vec<EventType>,
    queue: Arc<Queue>,
}

/// Locks are taken in the order registry, outlet, inlet; nobody is woken under one of them.
#[derive(Default)]
pub(super) struct Registry {
    state: RwLock<State>,
    counters: Arc<Counters>,
}

impl Registry {
    /// Passes an event to every queue of its topic.
    pub(super) fn publish(&self, event: Event) -> Result<()> {
        let mut wakes = Wakes::default();
        let state = self.state.read();
        if state.closed {
            return Err(disconnected("publish"));
        }
        if let Some((last, others)) = state
            .topics
            .get(event.event_type())
            .and_then(|queues| queues.split_last())
        {
            for queue in others {
                queue.push(event.clone(), &mut wakes);
            }
            last.push(event, &mut wakes);
        }
        drop(state);
        wakes.wake();
        Ok(())
    }

    /// Passes events on in their order; neighbours of one topic enter each queue together.
    pub(super) fn publish_batch(&self, events: &[Event]) -> Result<()> {
        let mut wakes = Wakes::default();
        let state = self.state.read();
        if state.closed {
            return Err(disconnected("publish_batch"));
        }
        for run in events.chunk_by(|one, next| one.event_type() == next.event_type()) {
            let queues = run.first().and_then(|event| state.topics.get(event.event_type()));
            for queue in queues.into_iter().flatten() {
                queue.push_all(run, &mut wakes);
            }
        }
        drop(state);
        wakes.wake();
        Ok(())
    }

    /// Whether a topic has a queue.
    pub(super) fn has_subscribers(&self, topic: &EventType) -> bool {
        self.state.read().topics.contains_key(topic)
    }

    /// Whether the publisher was disconnected.
    pub(super) fn is_closed(&self) -> bool {
        self.state.read().closed
    }

    /// How many events were lost and given up.
    pub(super) fn counted(&self) -> (u64, u64) {
        let Counters { lost, given_up } = &*self.counters;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(lost), read(given_up))
    }

    /// Adds a subscriber.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        subscription: Subscription,
        max_pending: usize,
    ) -> Result<Member> {
        subscription.check()?;
        let Subscription {
            mut topics,
            group,
            start,
            max_pending: asked,
            ack_timeout,
            max_attempts,
        } = subscription;
        if asked > max_pending {
            return Err(Error::invalid(
                "max_pending",
                "is above the bound of this publisher",
            ));
        }
        if start != StartAt::Latest {
            return Err(unsupported(
                "a subscription cannot begin in the past: nothing is kept",
            ));
        }
        topics.sort_unstable();
        topics.dedup();
        let terms = Terms {
            max_pending: asked,
            ack_timeout: ack_timeout.min(LONGEST_ACK_TIMEOUT),
            max_attempts,
        };
        let mut state = self.state.write();
        if state.closed {
            return Err(disconnected("subscribe"));
        }
        let queue = match group {
            None => self.open(&mut state, Sharing::Alone, &topics),
            Some(name) => self.group(&mut state, name, topics)?,
        };
        let id = state.next_member;
        state.next_member = state.next_member.wrapping_add(1);
        let wakes = queue.join(id, terms);
        drop(state);
        wakes.wake();
        Ok(Member::new(Arc::clone(self), queue, id, terms))
    }

    fn open(&self, state: &mut State, sharing: Sharing, topics: &[EventType]) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(sharing, Arc::clone(&self.counters)));
        for topic in topics {
            state
                .topics
                .entry(topic.clone())
                .or_default()
                .push(Arc::clone(&queue));
        }
        queue
    }

    /// The queue of a group. Where two sets of topics overlap, an event of the overlap would have to go to one
    /// member of both, and a queue could not keep the order of either.
    fn group(&self, state: &mut State, name: String, topics: Vec<EventType>) -> Result<Arc<Queue>> {
        for group in state.groups.iter().filter(|group| group.name == name) {
            if group.topics == topics {
                return Ok(Arc::clone(&group.queue));
            }
            if group.topics.iter().any(|topic| topics.contains(topic)) {
                return Err(unsupported(
                    "members of a group that share a topic must share all of their topics",
                ));
            }
        }
        let queue = self.open(state, Sharing::Group, &topics);
        state.groups.push(Group {
            name,
            topics,
            queue: Arc::clone(&queue),
        });
        Ok(queue)
    }

    /// Takes a member out of its queue, and the queue out of its topics with the last one.
    pub(super) fn leave(&self, queue: &Arc<Queue>, member: u32) {
        let mut state = self.state.write();
        let (left, wakes) = queue.leave(member);
        if left == 0 {
            state.groups.retain(|group| !Arc::ptr_eq(&group.queue, queue));
            state.topics.retain(|_, queues| {
                queues.retain(|other| !Arc::ptr_eq(other, queue));
                !queues.is_empty()
            });
        }
        drop(state);
        wakes.wake();
    }

    /// Takes nothing in any more, and lets the subscribers finish.
    pub(super) fn close(&self) {
        let mut wakes = Wakes::default();
        let mut state = self.state.write();
        state.closed = true;
        state.groups.clear();
        let queues: Vec<Arc<Queue>> = state.topics.drain().flat_map(|(_, queues)| queues).collect();
        for queue in &queues {
            queue.close(&mut wakes);
        }
        drop(state);
        wakes.wake();
    }
}
