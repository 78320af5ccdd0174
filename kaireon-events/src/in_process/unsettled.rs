//! Deliveries that wait for an answer, found by a number.

use kaireon_core::Event;
use tokio::time::Instant;

/// A delivery that was handed out.
pub(super) struct Held {
    /// The event, for the case that it is delivered again.
    pub(super) event: Event,
    /// How often it was delivered, this time included.
    pub(super) attempt: u32,
    /// Which member has it.
    pub(super) member: u32,
    /// When it is delivered again; `None` until it is known (see `Outlet::unstamped`).
    pub(super) deadline: Option<Instant>,
}

enum Slot {
    Free { next: Option<u32> },
    Taken(Held),
}

/// A slab whose numbers are not given out twice for one place, so that a late answer is told from a timely one
/// (until a place has been used 2^32 times while that answer was on its way).
#[derive(Default)]
pub(super) struct Unsettled {
    slots: Vec<(u32, Slot)>,
    free: Option<u32>,
    len: usize,
}

impl Unsettled {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps a delivery, and returns its number.
    pub(super) fn insert(&mut self, held: Held) -> u64 {
        self.len += 1;
        let index = match self.free {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len())
                    .expect("a queue holds at most `max_pending` deliveries, far fewer than 2^32");
                self.slots.push((0, Slot::Free { next: None }));
                index
            }
        };
        let (generation, slot) = &mut self.slots[index as usize];
        if let Slot::Free { next } = *slot {
            self.free = next;
        }
        *slot = Slot::Taken(held);
        u64::from(*generation) << 32 | u64::from(index)
    }

    /// Gives a delivery its deadline; returns whether its number is still in force.
    pub(super) fn stamp(&mut self, token: u64, deadline: Instant) -> bool {
        let index = usize::try_from(token & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        match self.slots.get_mut(index) {
            Some((generation, Slot::Taken(held))) if u64::from(*generation) == token >> 32 => {
                held.deadline = Some(deadline);
                true
            }
            _ => false,
        }
    }

    /// Takes a delivery out; `None` when its number is no longer in force.
    pub(super) fn remove(&mut self, token: u64) -> Option<Held> {
        let index = u32::try_from(token & u64::from(u32::MAX)).ok()?;
        let (generation, slot) = self.slots.get_mut(index as usize)?;
        if u64::from(*generation) != token >> 32 || matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let taken = std::mem::replace(slot, Slot::Free { next: self.free });
        *generation = generation.wrapping_add(1);
        self.free = Some(index);
        self.len -= 1;
        match taken {
            Slot::Taken(held) => Some(held),
            Slot::Free { .. } => None,
        }
    }

    /// Takes out every delivery that meets a condition, the one delivered first before the others.
    pub(super) fn remove_where(&mut self, condition: impl Fn(&Held) -> bool) -> Vec<Held> {
        let mut tokens: Vec<(Option<Instant>, u64)> = Vec::new();
        for (index, (generation, slot)) in self.slots.iter().enumerate() {
            if let Slot::Taken(held) = slot
                && condition(held)
            {
                tokens.push((held.deadline, u64::from(*generation) << 32 | index as u64));
            }
        }
        tokens.sort_unstable();
        tokens
            .into_iter()
            .filter_map(|(_, token)| self.remove(token))
            .collect()
    }

    /// The earliest deadline of all.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.slots
            .iter()
            .filter_map(|(_, slot)| match slot {
                Slot::Taken(held) => held.deadline,
                Slot::Free { .. } => None,
            })
            .min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn held(member: u32, seconds: u64) -> Held {
        Held {
            event: Event::new("t", &member).unwrap(),
            attempt: 1,
            member,
            deadline: Some(Instant::now() + Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn a_number_is_in_force_once() {
        let mut unsettled = Unsettled::default();
        let first = unsettled.insert(held(1, 1));
        assert_eq!(unsettled.remove(first).unwrap().member, 1);
        let second = unsettled.insert(held(2, 1));
        assert_ne!(first, second);
        assert!(unsettled.remove(first).is_none());
        assert_eq!(unsettled.len(), 1);
        assert_eq!(unsettled.slots.len(), 1, "the place was used again");
        assert_eq!(unsettled.remove(second).unwrap().member, 2);
        assert_eq!(unsettled.earliest(), None);
    }

    #[test]
    fn places_are_used_again_in_any_order() {
        let mut unsettled = Unsettled::default();
        let tokens: Vec<u64> = (0..10).map(|member| unsettled.insert(held(member, 1))).collect();
        for &token in &[tokens[3], tokens[9], tokens[0]] {
            assert!(unsettled.remove(token).is_some());
        }
        for member in 20..23 {
            unsettled.insert(held(member, 1));
        }
        assert_eq!((unsettled.len(), unsettled.slots.len()), (10, 10));
        let left = unsettled.remove_where(|held| held.member < 10);
        assert_eq!(left.len(), 7);
        assert_eq!(unsettled.len(), 3);
    }

    #[test]
    fn only_what_is_held_gets_a_deadline() {
        let mut unsettled = Unsettled::default();
        let token = unsettled.insert(Held {
            deadline: None,
            ..held(1, 0)
        });
        assert_eq!(unsettled.earliest(), None);
        let deadline = Instant::now();
        assert!(unsettled.stamp(token, deadline));
        assert_eq!(unsettled.earliest(), Some(deadline));
        assert!(unsettled.remove(token).is_some());
        assert!(!unsettled.stamp(token, deadline));
        let next = unsettled.insert(held(2, 0));
        assert!(!unsettled.stamp(token, deadline) && unsettled.stamp(next, deadline));
    }

    #[test]
    fn the_earliest_comes_out_first() {
        let mut unsettled = Unsettled::default();
        for (member, seconds) in [(1, 30), (2, 10), (3, 20)] {
            unsettled.insert(held(member, seconds));
        }
        let members: Vec<u32> = unsettled
            .remove_where(|_| true)
            .iter()
            .map(|held| held.member)
            .collect();
        assert_eq!(members, [2, 3, 1]);
    }
}
