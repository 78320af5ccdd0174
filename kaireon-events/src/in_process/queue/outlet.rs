//! What is handed out and not settled, by whom it is held, and when it is overdue.

use std::collections::VecDeque;
use std::time::Duration;

use kaireon_core::Event;
use tokio::time::Instant;

use super::{Taken, Terms};
use crate::in_process::unsettled::{Held, Unsettled};

/// An event that waits for another delivery.
pub(super) struct Again {
    pub(super) event: Event,
    pub(super) attempt: u32,
}

/// Where members work.
pub(super) struct Outlet {
    pub(super) again: VecDeque<Again>,
    pub(super) unsettled: Unsettled,
    pub(super) members: Vec<(u32, Terms)>,
    /// No deadline is earlier than this; there is one while something is unsettled.
    pub(super) earliest: Option<Instant>,
    /// What a lone subscriber was handed last, until it looks again. Nobody but it could be handed that a second
    /// time, so its timeout begins with the next look: whoever answers one delivery before asking for the next
    /// needs no clock.
    pub(super) unstamped: Option<u64>,
    pub(super) settled: u64,
}

impl Outlet {
    pub(super) fn new() -> Self {
        Self {
            again: VecDeque::new(),
            unsettled: Unsettled::default(),
            members: Vec::new(),
            earliest: None,
            unstamped: None,
            settled: 0,
        }
    }

    pub(super) fn hand_out(
        &mut self,
        event: Event,
        attempt: u32,
        (member, deadline): (u32, Option<Instant>),
    ) -> Taken {
        let token = self.unsettled.insert(Held {
            event: event.clone(),
            attempt,
            member,
            deadline,
        });
        match deadline {
            Some(deadline) => self.note(deadline),
            None => self.unstamped = Some(token),
        }
        Taken::Delivery {
            event,
            attempt,
            token,
        }
    }

    fn note(&mut self, deadline: Instant) {
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }

    /// Lets the timeout of what was handed out last begin, unless it was answered meanwhile.
    pub(super) fn stamp(&mut self, ack_timeout: Duration) {
        if let Some(token) = self.unstamped.take() {
            let deadline = Instant::now() + ack_timeout;
            if self.unsettled.stamp(token, deadline) {
                self.note(deadline);
            }
        }
    }

    /// Until when a member that finds nothing may sleep. What others are handed while it sleeps is due no earlier
    /// than the shortest timeout from now.
    pub(super) fn watch(&self) -> Option<Instant> {
        if self.members.len() < 2 {
            return self.earliest;
        }
        let now = Instant::now();
        let shortest = self
            .members
            .iter()
            .map(|(_, terms)| now + terms.ack_timeout)
            .min();
        self.earliest.into_iter().chain(shortest).min()
    }

    pub(super) fn max_attempts(&self, member: u32) -> u32 {
        let terms = self.members.iter().find(|(id, _)| *id == member);
        terms.map_or(u32::MAX, |(_, terms)| terms.max_attempts)
    }
}
