//! One queue: what waits, what was handed out, and who takes part.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use crate::publisher::{Answer, Subscription};
use crate::{Event, EventType};

/// An event that waits for a delivery.
struct Waiting {
    event: Event,
    attempt: u32,
    /// How many were lost just before it.
    lost_before: u64,
}

/// A delivery without an answer yet.
struct Given {
    event: Event,
    attempt: u32,
    member: u64,
    deadline: Option<Instant>,
}

/// See the module.
pub(super) struct Queue {
    pub(super) id: u64,
    group: Option<String>,
    topics: Vec<EventType>,
    members: Vec<(u64, Subscription)>,
    /// Redeliveries first, then in the order of publishing.
    waiting: VecDeque<Waiting>,
    given: BTreeMap<u64, Given>,
    /// How many were lost behind the last one that waits.
    lost: u64,
}

/// What a member finds.
pub(super) enum Found {
    Delivery(Event, u32),
    Lost(u64),
    /// Nothing; look again at this time.
    Nothing(Instant),
}

impl Queue {
    pub(super) fn new(id: u64, subscription: &Subscription) -> Self {
        Self {
            id,
            group: subscription.group.clone(),
            topics: subscription.topics.clone(),
            members: Vec::new(),
            waiting: VecDeque::new(),
            given: BTreeMap::new(),
            lost: 0,
        }
    }

    pub(super) fn reads(&self, topic: &EventType) -> bool {
        self.topics.contains(topic)
    }

    /// Whether some event would have to go to a member of the one or the other.
    pub(super) fn shares_with(&self, other: &Subscription) -> bool {
        self.group.is_some()
            && self.group == other.group
            && other.topics.iter().any(|topic| self.reads(topic))
    }

    pub(super) fn has_topics_of(&self, other: &Subscription) -> bool {
        let all = |of: &[EventType], within: &[EventType]| of.iter().all(|topic| within.contains(topic));
        all(&self.topics, &other.topics) && all(&other.topics, &self.topics)
    }

    pub(super) fn join(&mut self, member: u64, subscription: Subscription) {
        self.members.push((member, subscription));
    }

    /// What the member had not acknowledged goes to the others.
    pub(super) fn leave(&mut self, member: u64) {
        self.return_where(|given| given.member == member);
        self.members.retain(|(id, _)| *id != member);
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes an event of its topics in, or counts it as lost where its members have no room together.
    pub(super) fn push(&mut self, event: &Event) {
        if !self.reads(event.event_type()) {
            return;
        }
        let room: usize = self.members.iter().map(|(_, member)| member.max_pending).sum();
        if self.waiting.len() + self.given.len() >= room {
            self.lost += 1;
            return;
        }
        self.waiting.push_back(Waiting {
            event: event.clone(),
            attempt: 1,
            lost_before: std::mem::take(&mut self.lost),
        });
    }

    pub(super) fn take(&mut self, member: u64, token: u64, now: Instant) -> Found {
        self.return_where(|given| given.deadline.is_some_and(|deadline| deadline <= now));
        let ack_timeout = self
            .terms(member)
            .map(|terms| terms.ack_timeout)
            .unwrap_or_default();
        match self.waiting.front_mut() {
            Some(Waiting { lost_before, .. }) if *lost_before > 0 => {
                return Found::Lost(std::mem::take(lost_before));
            }
            None if self.lost > 0 => return Found::Lost(std::mem::take(&mut self.lost)),
            _ => {}
        }
        let Some(Waiting { event, attempt, .. }) = self.waiting.pop_front() else {
            return Found::Nothing(self.watch(now));
        };
        let given = Given {
            event: event.clone(),
            attempt,
            member,
            deadline: now.checked_add(ack_timeout),
        };
        self.given.insert(token, given);
        Found::Delivery(event, attempt)
    }

    /// When something may be overdue, at the earliest: what is handed out now, or what will be.
    fn watch(&self, now: Instant) -> Instant {
        let given = self.given.values().filter_map(|given| given.deadline);
        let members = self
            .members
            .iter()
            .filter_map(|(_, terms)| now.checked_add(terms.ack_timeout));
        let far = now + std::time::Duration::from_secs(86_400);
        given.chain(members).min().unwrap_or(far).min(far)
    }

    /// An answer to a delivery; one that comes too late does nothing.
    pub(super) fn settle(&mut self, token: u64, answer: Answer) {
        match answer {
            Answer::Ack => {
                self.given.remove(&token);
            }
            Answer::Nack => {
                if let Some(given) = self.given.remove(&token) {
                    self.deliver_again(given);
                }
            }
        }
    }

    fn return_where(&mut self, condition: impl Fn(&Given) -> bool) {
        let tokens: Vec<u64> = self
            .given
            .iter()
            .filter(|(_, given)| condition(given))
            .map(|(token, _)| *token)
            .collect();
        // The newest first, each to the front: the oldest ends up first.
        for token in tokens.into_iter().rev() {
            self.settle(token, Answer::Nack);
        }
    }

    fn deliver_again(&mut self, given: Given) {
        let Given {
            event,
            attempt,
            member,
            deadline: _,
        } = given;
        let most = self.terms(member).map_or(u32::MAX, |terms| terms.max_attempts);
        if attempt >= most {
            tracing::warn!(event_type = %event.event_type(), event_id = event.id(), "gave up an event that was never acknowledged");
            return;
        }
        self.waiting.push_front(Waiting {
            event,
            attempt: attempt + 1,
            lost_before: 0,
        });
    }

    fn terms(&self, member: u64) -> Option<&Subscription> {
        self.members
            .iter()
            .find(|(id, _)| *id == member)
            .map(|(_, terms)| terms)
    }
}
