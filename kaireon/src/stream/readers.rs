//! Who else reads the lane of a store that several processes share.
//!
//! Which lanes are in force is a setting of the store, not of a process. A process that has no use for the lane must
//! not turn it off under one that has: of what is recorded afterwards, anywhere, nothing would be delivered. Nor may
//! it stay on when everybody is gone, because the outbox would grow for ever. So who runs a relay is asked of the
//! store, which knows its owners of leases, and a lane that nobody reads is turned off after a while: a rolling
//! restart is shorter.
//!
//! Nor may two who deliver to different places share it. The store grants leases to the relays of one destination:
//! a broker is one for all processes that are configured for it, the subscribers of a process are one of their own. So a
//! second process is refused its subscription, with a word about where the events go, and a stream to another broker
//! takes nothing while the first is there.

use std::time::Duration;

use kaireon_core::outbox::{Lane, LaneStatus, LeaseRequest};
use kaireon_core::relay::RelayConfig;
use kaireon_core::{Outbox, Result};
use tokio::time::Instant;

/// Where a lane leads while what nobody is there for expires: the same for every process, so that they do not keep each other
/// from it, and known to who wants to subscribe, so that it waits for the moment that this takes.
pub(super) const NOBODY: &str = "nobody";

/// For how long the question itself counts as an owner: no longer than needs be, because relays share by the count.
const ASKING: Duration = Duration::from_millis(1);

/// Whether others read the lane, or may come back to it. Only to be asked while the stream's own relay does not run: it
/// gives back what that holds.
pub(super) async fn is_read_by_others(outbox: &dyn Outbox, relays: &RelayConfig) -> Result<bool> {
    let leased = outbox.lease(request(relays, ASKING)).await?;
    Ok(leased.refused.is_some() || leased.owners > 1)
}

/// Whether anybody reads the lane; for who never does, and so claims nothing by asking.
pub(super) async fn is_read(outbox: &dyn Outbox) -> Result<bool> {
    Ok(outbox.status(Lane::Publish).await?.relays > 0)
}

/// Whether the lane leads to somebody, by a status: for who has no relay, nor has asked for one.
pub(super) fn leads_to_somebody(status: &LaneStatus) -> bool {
    status.relays > 0 && status.destination.as_deref() != Some(NOBODY)
}

/// Makes the stream count as one that reads before its relay does; returns where the lane leads, if it is elsewhere.
pub(super) async fn announce(outbox: &dyn Outbox, relays: &RelayConfig) -> Result<Option<String>> {
    let leased = outbox.lease(request(relays, relays.lease_ttl)).await?;
    Ok(leased.refused)
}

/// Where the lane leads, if that is no longer where the stream's relay delivers to.
pub(super) async fn elsewhere(outbox: &dyn Outbox, relays: &RelayConfig) -> Result<Option<String>> {
    let in_force = outbox.status(Lane::Publish).await?.destination;
    Ok(in_force.filter(|in_force| *in_force != relays.destination.name))
}

fn request(relays: &RelayConfig, ttl: Duration) -> LeaseRequest {
    LeaseRequest {
        lane: Lane::Publish,
        owner: relays.owner.clone(),
        ttl,
        max_ranges: 0,
        destination: relays.destination.clone(),
    }
}

/// For how long nobody was seen to read a lane that is on.
#[derive(Debug, Default)]
pub(super) struct Unread(Option<Instant>);

/// Whether nobody was seen to read a lane for so long that what is written into it is for nobody, until somebody is seen.
#[derive(Debug, Default)]
pub(super) struct Deserted {
    unread: Unread,
    is_so: bool,
}

impl Deserted {
    /// Notes what was seen; whether it is so now.
    pub(super) fn note(&mut self, is_read: bool, now: Instant, patience: Duration) -> bool {
        let over = self.unread.note(is_read, now, patience);
        self.is_so = !is_read && (self.is_so || over);
        self.is_so
    }

    pub(super) fn is_so(&self) -> bool {
        self.is_so
    }
}

impl Unread {
    /// Notes what was seen; whether nobody was seen for so long now.
    pub(super) fn note(&mut self, is_read: bool, now: Instant, patience: Duration) -> bool {
        if is_read {
            self.0 = None;
            return false;
        }
        let since = *self.0.get_or_insert(now);
        let over = now.saturating_duration_since(since) >= patience;
        if over {
            self.0 = None;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::InteractionStore;
    use kaireon_core::memory::MemoryStore;
    use kaireon_core::outbox::Destination;

    use super::*;

    #[test]
    fn a_lane_is_given_up_when_nobody_was_seen_for_long_enough_without_a_break() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let patience = Duration::from_secs(10);
        let mut unread = Unread::default();
        assert!(!unread.note(false, at(0), patience));
        assert!(!unread.note(false, at(9), patience));
        assert!(!unread.note(true, at(9), patience));
        assert!(!unread.note(false, at(11), patience));
        assert!(unread.note(false, at(21), patience));
        assert!(!unread.note(false, at(22), patience), "it begins anew");
    }

    #[test]
    fn a_lane_stays_deserted_until_somebody_is_seen() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let patience = Duration::from_secs(10);
        let mut deserted = Deserted::default();
        assert!(!deserted.note(false, at(0), patience));
        for later in [10, 11, 30] {
            assert!(deserted.note(false, at(later), patience) && deserted.is_so());
        }
        assert!(!deserted.note(true, at(31), patience));
        assert!(
            !deserted.note(false, at(32), patience),
            "whoever was there may come back"
        );
        assert!(deserted.note(false, at(42), patience));
    }

    fn relays(owner: &str) -> RelayConfig {
        RelayConfig {
            owner: owner.to_owned(),
            destination: Destination::process(owner),
            ..RelayConfig::new(Lane::Publish)
        }
    }

    #[tokio::test]
    async fn who_is_announced_is_seen_by_others_and_not_by_itself() {
        let outbox = MemoryStore::new().outbox().unwrap();
        let (one, two) = (relays("one"), relays("two"));
        assert!(!is_read_by_others(&*outbox, &one).await.unwrap());
        tokio::time::sleep(ASKING * 3).await;
        assert!(!is_read(&*outbox).await.unwrap());
        assert_eq!(announce(&*outbox, &one).await.unwrap(), None);
        assert!(is_read(&*outbox).await.unwrap());
        assert!(is_read_by_others(&*outbox, &two).await.unwrap());
        assert_eq!(announce(&*outbox, &two).await.unwrap().as_deref(), Some("one"));
        assert_eq!(elsewhere(&*outbox, &two).await.unwrap().as_deref(), Some("one"));
        assert_eq!(elsewhere(&*outbox, &one).await.unwrap(), None);
        assert!(!is_read_by_others(&*outbox, &one).await.unwrap());
    }
}
