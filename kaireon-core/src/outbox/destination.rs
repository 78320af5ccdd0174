//! Where a lane leads.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::{Error, Result};

/// Where the relays of a lane deliver to.
///
/// A lane leads to one destination at a time, whatever each process is configured for: relays of two destinations that
/// shared its ranges would each tell half of the events, and each half would be lost to the other. So a request for
/// leases says where its relay delivers to, and a store grants ranges to the relays of one destination only:
///
/// - The first who asks decides, and whoever delivers to the same place joins in.
/// - Another is [refused](super::Leased::refused) while a relay of the one in force holds or asks for leases, and until
///   its [`hold`](Self::hold) has passed after that: a rolling restart is shorter.
/// - A destination that all processes reach takes the lane from one that is a [process's own](DestinationScope::Process)
///   at once; the leases of that one's relays are then lost.
///
/// Which destination is in force is decided and kept by the store, in the same unit that grants leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The same for all whose relays deliver to the same place; 1 to [`MAX_NAME`](Self::MAX_NAME) bytes. It is shown in
    /// logs: no secret, and nothing of a customer's.
    pub name: String,
    /// Who reaches it.
    pub scope: DestinationScope,
    /// How long the lane stays its after the last lease of its relays has ended.
    pub hold: Duration,
}

/// Who reaches a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationScope {
    /// The process of the relay alone: its own subscribers.
    Process,
    /// Whoever is configured for it: a broker.
    Shared,
}

/// What a store keeps of where a lane leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneDestination {
    /// Its name.
    pub name: String,
    /// Who reaches it.
    pub scope: DestinationScope,
    /// Until when it stays in force though no relay lives.
    pub until: Timestamp,
}

/// What a request for leases is answered, by where its relay delivers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the destination in force.
    Joins,
    /// It comes into force: leases that others hold end.
    TakesOver,
    /// Another is in force.
    Refused,
}

impl Destination {
    /// The most bytes of a name.
    pub const MAX_NAME: usize = 256;

    /// Of relays that do not say where they deliver to.
    #[must_use]
    pub fn unnamed() -> Self {
        Self::process("unnamed")
    }

    /// Of one process alone; the name is unique to it. Held for no longer than its relays live.
    #[must_use]
    pub fn process(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scope: DestinationScope::Process,
            hold: Duration::ZERO,
        }
    }

    /// One that every process may deliver to; held for a minute.
    #[must_use]
    pub fn shared(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scope: DestinationScope::Shared,
            hold: Duration::from_secs(60),
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `destination`.
    pub fn check(&self) -> Result<()> {
        if self.name.is_empty() || self.name.len() > Self::MAX_NAME || self.name.contains(char::is_control) {
            return Err(Error::invalid(
                "destination",
                "is empty, longer than 256 bytes, or has control characters",
            ));
        }
        Ok(())
    }

    /// What a request is answered where `in_force` is kept, and relays of it live or not. The rule of every store.
    #[must_use]
    pub fn admission(
        &self,
        in_force: Option<&LaneDestination>,
        has_relays: bool,
        now: Timestamp,
    ) -> Admission {
        let Some(in_force) = in_force else {
            return Admission::TakesOver;
        };
        if in_force.name == self.name {
            return Admission::Joins;
        }
        let is_stronger =
            (in_force.scope, self.scope) == (DestinationScope::Process, DestinationScope::Shared);
        match (has_relays || now < in_force.until) && !is_stronger {
            true => Admission::Refused,
            false => Admission::TakesOver,
        }
    }

    /// What is kept of it after a request for leases of that duration was granted.
    #[must_use]
    pub fn granted(self, now: Timestamp, ttl: Duration) -> LaneDestination {
        let Self { name, scope, hold } = self;
        let lasts = match hold.is_zero() {
            true => Duration::ZERO,
            false => ttl.saturating_add(hold),
        };
        let lasts = TimeDelta::from_std(lasts).unwrap_or(TimeDelta::MAX);
        LaneDestination {
            name,
            scope,
            until: now.checked_add_signed(lasts).unwrap_or(Timestamp::MAX_UTC),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millis;

    fn at(millis: i64) -> Timestamp {
        from_millis(millis).unwrap()
    }

    #[test]
    fn one_destination_is_in_force_while_its_relays_live_and_for_its_hold() {
        let (one, two) = (Destination::shared("one"), Destination::shared("two"));
        assert_eq!(one.admission(None, false, at(0)), Admission::TakesOver);
        let kept = one.clone().granted(at(0), Duration::from_secs(10));
        assert_eq!(kept.until, at(70_000));
        assert_eq!(one.admission(Some(&kept), true, at(1)), Admission::Joins);
        assert_eq!(one.admission(Some(&kept), false, at(90_000)), Admission::Joins);
        assert_eq!(two.admission(Some(&kept), true, at(90_000)), Admission::Refused);
        assert_eq!(two.admission(Some(&kept), false, at(69_999)), Admission::Refused);
        assert_eq!(
            two.admission(Some(&kept), false, at(70_000)),
            Admission::TakesOver
        );
    }

    #[test]
    fn what_all_reach_goes_before_what_is_a_processs_own() {
        let (own, other, all) = (
            Destination::process("1"),
            Destination::process("2"),
            Destination::shared("all"),
        );
        let kept = own.granted(at(0), Duration::from_secs(10));
        assert_eq!(other.admission(Some(&kept), true, at(1)), Admission::Refused);
        assert_eq!(other.admission(Some(&kept), false, at(1)), Admission::TakesOver);
        assert_eq!(all.admission(Some(&kept), true, at(1)), Admission::TakesOver);
        let kept = all.granted(at(0), Duration::from_secs(10));
        assert_eq!(other.admission(Some(&kept), true, at(1)), Admission::Refused);
    }

    #[test]
    fn a_name_is_bounded() {
        assert!(Destination::unnamed().check().is_ok());
        assert!(Destination::shared("x".repeat(256)).check().is_ok());
        for wrong in [String::new(), "x".repeat(257), "a\nb".to_owned()] {
            let error = Destination::shared(wrong).check().unwrap_err();
            assert_eq!(error.field(), Some("destination"));
        }
        let endless = Destination::shared("a").granted(at(0), Duration::MAX);
        assert_eq!(endless.until, Timestamp::MAX_UTC);
    }
}
