//! Holding ranges: leases are renewed between batches, and while one is delivered.

use std::collections::HashSet;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::Delivered;
use super::run::{Worker, after};
use crate::Result;
use crate::outbox::{Lease, LeaseRequest, Leased, OutboxEntry, RANGES, lease_lost};

/// What a request for leases was answered.
pub(super) struct Renewed {
    leased: Leased,
    renew_at: Instant,
    ends: Instant,
    /// Whether the answer came before what was held had ended.
    in_time: bool,
}

impl Worker {
    fn request(&self, max_ranges: u16) -> LeaseRequest {
        LeaseRequest {
            lane: self.config.lane,
            owner: self.config.owner.clone(),
            ttl: self.config.lease_ttl,
            max_ranges,
            destination: self.config.destination.clone(),
        }
    }

    /// Asks for so many ranges. What is held lasts from when it was asked for: the store counts from a little later.
    async fn ask(&self, max_ranges: u16, held_until: Instant) -> Result<Renewed> {
        let ends = after(Instant::now(), self.config.lease_ttl);
        let leased = self.outbox.lease(self.request(max_ranges)).await?;
        let renew_at = after(Instant::now(), self.config.lease_ttl / 3);
        Ok(Renewed {
            leased,
            renew_at,
            ends,
            in_time: Instant::now() < held_until,
        })
    }

    fn held(&self) -> u16 {
        u16::try_from(self.leases.len()).unwrap_or(RANGES)
    }

    /// Renews the leases and takes this relay's share of the ranges. To be called while nothing is being delivered.
    pub(super) async fn renew(&mut self) -> Result<()> {
        let renewed = self.renew_and_share().await;
        if renewed.is_err() {
            // The first of the two requests may have been answered, with fewer ranges than are to be had: one that holds
            // none until the next renewal would find its lane empty.
            self.renew_at = Instant::now();
        }
        renewed
    }

    async fn renew_and_share(&mut self) -> Result<()> {
        // Asking for what is held already tells how many share the lane.
        let asked = self.ask(self.held(), self.ends).await?;
        let share = RANGES.div_ceil(asked.leased.owners.max(1));
        let recalled = self.adopt(asked);
        self.give_back(&recalled).await?;
        let renewed = self.ask(share, self.ends).await?;
        if !self.adopt(renewed).is_empty() {
            self.renew_at = Instant::now();
        }
        Ok(())
    }

    /// Lets go of ranges, and of all that was read of them. What was delivered of them and could not be settled is
    /// delivered again.
    async fn give_back(&mut self, ranges: &[u16]) -> Result<()> {
        if ranges.is_empty() {
            return Ok(());
        }
        let is_given = |range: u16| ranges.contains(&range);
        self.ahead.retain(|entry| !is_given(entry.range));
        self.unsettled.keep(|range| !is_given(range));
        let given = self
            .leases
            .extract_if(.., |lease| is_given(lease.range))
            .collect();
        self.outbox.release(given).await
    }

    /// Delivers a batch, and renews the leases for as long as that takes. Where they end all the same, the delivery is
    /// given up: others may have the ranges, and deliver of them.
    pub(super) async fn deliver_renewing(&self, batch: &[OutboxEntry]) -> (Vec<Delivered>, Option<Renewed>) {
        if batch.is_empty() {
            return (Vec::new(), None);
        }
        let mut renewed = None;
        let outcomes = tokio::select! {
            biased;
            outcomes = self.sink.deliver(batch) => outcomes,
            () = self.keep_renewing(&mut renewed) => {
                tracing::warn!(lane = %self.config.lane, "a delivery was given up, its leases were not to be renewed");
                let lost = || Delivered::Failed(lease_lost("relay", "deliver"));
                batch.iter().map(|_| lost()).collect()
            }
        };
        (outcomes, renewed)
    }

    /// Renews what is held whenever that is due; returns when it has ended. Takes nothing more and gives nothing back:
    /// that waits for the end of the batch.
    async fn keep_renewing(&self, last: &mut Option<Renewed>) {
        let (mut renew_at, mut ends) = (self.renew_at, self.ends);
        while Instant::now() < ends {
            sleep_until(renew_at.min(ends)).await;
            match timeout_at(ends, self.ask(self.held(), ends)).await {
                Ok(Ok(renewed)) => {
                    let lost = self
                        .leases
                        .iter()
                        .all(|lease| !holds(&renewed.leased.leases, lease));
                    (renew_at, ends) = (renewed.renew_at, renewed.ends);
                    *last = Some(renewed);
                    if lost {
                        return;
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(lane = %self.config.lane, %error, "leases were not renewed, will try again");
                    renew_at = after(Instant::now(), self.config.min_pause.max(MIN_PAUSE));
                }
                Err(_) => return,
            }
        }
    }

    /// Takes over what a request was answered; returns which ranges are to be given back. Of a range that was somebody
    /// else's in between, what was read ahead may be out of order, and what was delivered is settled by whoever delivers
    /// it again. Where leases had ended for a while, an erasure may have waited for that end and for no more, so nothing
    /// that was read before is in hand any longer.
    pub(super) fn adopt(&mut self, renewed: Renewed) -> Vec<u16> {
        let Renewed {
            leased,
            renew_at,
            ends,
            in_time,
        } = renewed;
        if !in_time {
            self.ahead.clear();
        }
        self.tell_where_it_leads(leased.refused);
        let before = std::mem::replace(&mut self.leases, leased.leases);
        let kept = self.leases.iter().filter(|lease| holds(&before, lease));
        let kept: HashSet<u16> = kept.map(|lease| lease.range).collect();
        self.ahead.retain(|entry| kept.contains(&entry.range));
        self.unsettled.keep(|range| kept.contains(&range));
        (self.renew_at, self.ends) = (renew_at, ends);
        leased.recalled
    }

    /// Says once that the lane leads elsewhere, and once that it does no more.
    fn tell_where_it_leads(&mut self, elsewhere: Option<String>) {
        let (lane, own) = (self.config.lane, &self.config.destination.name);
        match &elsewhere {
            Some(in_force) if self.elsewhere.is_none() => tracing::warn!(
                %lane, destination = %own, %in_force,
                "the lane leads to another destination, this relay takes nothing of it"
            ),
            None if self.elsewhere.is_some() => {
                tracing::info!(%lane, destination = %own, "the lane leads to this relay's destination now");
            }
            _ => {}
        }
        self.elsewhere = elsewhere;
    }
}

/// The least pause before a renewal that failed is tried again.
const MIN_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Whether a lease is among these, under the same number.
fn holds(leases: &[Lease], lease: &Lease) -> bool {
    let mut leases = leases.iter();
    leases.any(|held| (held.range, held.token) == (lease.range, lease.token))
}
