//! Who else reads the lane of a store that several processes share.
//!
//! Which lanes are in force is a setting of the store, not of a process. A process that has no use for the lane must
//! not turn it off under one that has: of what is recorded afterwards, anywhere, nothing would be delivered. Nor may
//! it stay on when everybody is gone, because the outbox would grow for ever. So who runs a relay is asked of the
//! store, which knows its owners of leases, and a lane that nobody reads is turned off after a while: a rolling
//! restart is shorter.

use std::time::Duration;

use kaireon_core::outbox::{Lane, LeaseRequest};
use kaireon_core::{Outbox, Result};
use tokio::time::Instant;

/// For how long the question itself counts as an owner: no longer than needs be, because relays share by the count.
const ASKING: Duration = Duration::from_millis(1);

/// How many others run a relay of the lane. Only to be asked while the owner's own relay does not run: it gives back
/// what that holds.
pub(super) async fn others(outbox: &dyn Outbox, owner: &str) -> Result<u16> {
    announce(outbox, owner, ASKING).await
}

/// Makes the owner count as one who runs a relay before it does; returns how many others do.
pub(super) async fn announce(outbox: &dyn Outbox, owner: &str, ttl: Duration) -> Result<u16> {
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: owner.to_owned(),
        ttl,
        max_ranges: 0,
    };
    Ok(outbox.lease(request).await?.owners.saturating_sub(1))
}

/// For how long nobody was seen to read a lane that is on.
#[derive(Debug, Default)]
pub(super) struct Unread(Option<Instant>);

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

    #[tokio::test]
    async fn who_is_announced_is_seen_by_others_and_not_by_itself() {
        let outbox = MemoryStore::new().outbox().unwrap();
        assert_eq!(others(&*outbox, "one").await.unwrap(), 0);
        tokio::time::sleep(ASKING * 3).await;
        announce(&*outbox, "one", Duration::from_secs(60)).await.unwrap();
        assert_eq!(others(&*outbox, "two").await.unwrap(), 1);
        tokio::time::sleep(ASKING * 3).await;
        assert_eq!(others(&*outbox, "one").await.unwrap(), 0);
    }
}
