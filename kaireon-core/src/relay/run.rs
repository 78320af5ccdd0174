//! The relay's loop.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::hand::{Unsettled, fetch, settle};
use super::size::BatchSize;
use super::{Counters, Delivered, LaneSink, Order, RelayConfig, measure};
use crate::outbox::{FetchFrom, Lease, Outbox, OutboxEntry, Position, Verdict, lease_lost};
use crate::{ErrorKind, Result};

pub(super) struct Worker {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) sink: Arc<dyn LaneSink>,
    pub(super) config: RelayConfig,
    orders: watch::Receiver<Order>,
    counters: Arc<Counters>,
    pub(super) leases: Vec<Lease>,
    /// When the leases are to be renewed.
    pub(super) renew_at: Instant,
    /// Until when they last at the least, by this process's clock: counted from before they were asked for.
    pub(super) ends: Instant,
    /// How many entries are delivered at once.
    size: BatchSize,
    /// Ranges that failed, and until when they are left alone.
    pauses: HashMap<u16, Pause>,
    /// What the outbox counted when it was last asked.
    seen: u64,
    status_at: Instant,
    /// A look at the lane for the metrics, where one is under way.
    looks: JoinSet<()>,
    /// The pause after the outbox itself failed.
    trouble: Duration,
    /// Read, and next to be delivered.
    pub(super) ahead: Vec<OutboxEntry>,
    /// Delivered, and next to be settled.
    pub(super) unsettled: Unsettled,
    /// Whether settling has failed.
    settles_first: bool,
    /// Where the lane leads, when that is not this relay's destination.
    pub(super) elsewhere: Option<String>,
}

struct Pause {
    until: Instant,
    length: Duration,
}

/// Further off than any relay runs, and near enough to be added to any instant.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

/// So much later. A stream may ask to be left alone for longer than an instant can express, and a host may set no
/// bound: neither may end the relay by a panic.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FAR)
}

/// What one turn of the loop found.
enum Turn {
    /// Entries were worked on.
    Worked,
    /// Nothing waited in the ranges that may be asked.
    Idle,
}

impl Worker {
    pub(super) fn new(
        outbox: Arc<dyn Outbox>,
        sink: Arc<dyn LaneSink>,
        config: RelayConfig,
        orders: watch::Receiver<Order>,
        counters: Arc<Counters>,
    ) -> Self {
        let (now, trouble) = (Instant::now(), config.min_pause);
        Self {
            size: BatchSize::up_to(config.max_entries),
            outbox,
            sink,
            config,
            orders,
            counters,
            leases: Vec::new(),
            renew_at: now,
            ends: now,
            pauses: HashMap::new(),
            seen: 0,
            status_at: now,
            looks: JoinSet::new(),
            trouble,
            ahead: Vec::new(),
            unsettled: Unsettled::default(),
            settles_first: false,
            elsewhere: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let order = *self.orders.borrow_and_update();
            if order == Order::Stop {
                break;
            }
            // The count is taken before the fetch, so that what is written in between ends the wait at once.
            match self.turn().await {
                Ok(Turn::Worked) => self.trouble = self.config.min_pause,
                Ok(Turn::Idle) if order == Order::Drain && self.pauses.is_empty() => break,
                Ok(Turn::Idle) => {
                    self.trouble = self.config.min_pause;
                    self.idle().await;
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Fenced {
                        // Another relay has a range of ours: learn which ones are left.
                        self.renew_at = Instant::now();
                    } else {
                        tracing::warn!(lane = %self.config.lane, %error, "outbox relay failed, will try again");
                    }
                    self.rest(self.trouble).await;
                    self.trouble = self.trouble.saturating_mul(2).min(self.config.max_pause);
                }
            }
        }
        // What was read ahead and not delivered is the next relay's.
        if let Err(error) = self.settle_alone().await {
            tracing::debug!(lane = %self.config.lane, %error, "what was delivered last is delivered again");
        }
        if let Err(error) = self.outbox.release(std::mem::take(&mut self.leases)).await {
            tracing::debug!(lane = %self.config.lane, %error, "leases were not released and will expire");
        }
    }

    /// One turn: a batch is delivered while the one before it is settled and the one behind it is read. Nothing of the
    /// three waits for another, and the order stays: what is behind an entry that fails is put back before its turn.
    async fn turn(&mut self) -> Result<Turn> {
        if Instant::now() >= self.renew_at {
            // Before ranges are given back: another would deliver again what is not settled.
            self.settles_first |= self.settle_alone().await.is_err();
            self.renew().await?;
        }
        self.look();
        if self.settles_first {
            // It failed once: nothing more is delivered before it is known to be possible.
            self.settle_alone().await?;
        }
        if Instant::now() >= self.ends {
            // Somebody else may have the ranges by now, and what was read of them.
            return Err(lease_lost("relay", "deliver"));
        }
        let limit = self.size.limit();
        let mut batch = std::mem::take(&mut self.ahead);
        // What a smaller size leaves over is not in hand any more, and is read again.
        batch.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let unsettled = std::mem::take(&mut self.unsettled);
        // A short batch was all there was: what has come since is found when it is delivered.
        let reads_on = batch.is_empty() || u32::try_from(batch.len()).is_ok_and(|read| read >= limit);
        let from = match reads_on {
            true => self.ranges_to_ask(&batch, &unsettled),
            false => Vec::new(),
        };
        let asked: Vec<u16> = from.iter().map(|from| from.lease.range).collect();
        let ((outcomes, renewed), settled, fetched) = tokio::join!(
            self.deliver_renewing(&batch),
            settle(&*self.outbox, &self.leases, &unsettled),
            fetch(&*self.outbox, from, limit),
        );
        if settled.is_ok() {
            self.count_settled(&unsettled);
        } else {
            // In hand still: it is settled later, and not delivered again meanwhile.
            self.unsettled = unsettled;
            self.settles_first = true;
        }
        let found_nothing = batch.is_empty() && fetched.as_ref().is_ok_and(Vec::is_empty);
        let failing = self.judge(&batch, outcomes);
        if let Ok(fetched) = &fetched
            && fetched.is_empty()
        {
            let now = Instant::now();
            self.pauses
                .retain(|range, pause| pause.until > now || !asked.contains(range));
        }
        let read = fetched.map(|read| {
            // What lies behind a failed entry of its range waits with it.
            let ready = read.into_iter().filter(|entry| !failing.contains(&entry.range));
            self.ahead = ready.collect();
        });
        if let Some(renewed) = renewed {
            // Nothing is being delivered now.
            if !self.adopt(renewed).is_empty() {
                self.renew_at = Instant::now();
            }
        }
        settled?;
        read?;
        Ok(if found_nothing { Turn::Idle } else { Turn::Worked })
    }

    /// The ranges that may be asked, and what of them is in hand.
    fn ranges_to_ask(&mut self, batch: &[OutboxEntry], unsettled: &Unsettled) -> Vec<FetchFrom> {
        let now = Instant::now();
        self.pauses.retain(|range, pause| {
            // A range that may be asked again keeps its length until it succeeds.
            pause.until > now || self.leases.iter().any(|lease| lease.range == *range)
        });
        let is_paused = |range: u16| self.pauses.get(&range).is_some_and(|pause| pause.until > now);
        let mut in_flight: HashMap<u16, Vec<Position>> = HashMap::new();
        let settling = unsettled.settlements.iter();
        let settling = settling.map(|settlement| (settlement.range, settlement.position));
        let delivering = batch.iter().map(|entry| (entry.range, entry.position));
        for (range, position) in settling.chain(delivering) {
            in_flight.entry(range).or_default().push(position);
        }
        (self.leases.iter())
            .filter(|lease| !is_paused(lease.range))
            .map(|lease| FetchFrom::but(lease.clone(), in_flight.remove(&lease.range).unwrap_or_default()))
            .collect()
    }

    /// Notes what became of a batch: what is to be settled, and which ranges pause; returns those.
    fn judge(&mut self, batch: &[OutboxEntry], outcomes: Vec<Delivered>) -> HashSet<u16> {
        let lane = self.config.lane;
        let (mut failed, mut timed_out) = (0, false);
        let mut failing = HashMap::new();
        let mut worked = HashSet::new();
        let lag = measure::Lag::of(lane);
        // What the sink says nothing of was not tried: its range pauses, or it would be handed out again at once.
        let outcomes = outcomes
            .into_iter()
            .chain(std::iter::repeat(Delivered::NotAttempted));
        for (entry, outcome) in batch.iter().zip(outcomes) {
            let verdict = match outcome {
                Delivered::Done => {
                    lag.note(entry);
                    Verdict::Delivered
                }
                Delivered::Poisoned(error) => {
                    tracing::warn!(%lane, %error, "outbox entry cannot be delivered, moved to the dead letters");
                    Verdict::Poisoned(error.to_string())
                }
                Delivered::Failed(error) => {
                    failed += 1;
                    timed_out |= error.kind() == ErrorKind::Timeout;
                    failing.entry(entry.range).or_insert_with(|| error.retry_after());
                    continue;
                }
                Delivered::NotAttempted => {
                    failing.entry(entry.range).or_insert(None);
                    continue;
                }
            };
            worked.insert(entry.range);
            self.unsettled.push(entry, verdict);
        }
        match worked.is_empty() {
            true if timed_out => self.size.timed_out(batch.len()),
            true => {}
            false => self.size.went_through(batch.len()),
        }
        self.pauses
            .retain(|range, _| failing.contains_key(range) || !worked.contains(range));
        measure::add(&self.counters.failed, "kaireon.outbox.failed", lane, failed);
        let now = Instant::now();
        for (&range, &wanted) in &failing {
            self.pause(range, wanted, now);
        }
        failing.into_keys().collect()
    }

    fn count_settled(&self, settled: &Unsettled) {
        let lane = self.config.lane;
        let Unsettled {
            settlements: _,
            delivered,
            poisoned,
        } = settled;
        measure::add(
            &self.counters.delivered,
            "kaireon.outbox.delivered",
            lane,
            *delivered,
        );
        measure::add(
            &self.counters.poisoned,
            "kaireon.outbox.poisoned",
            lane,
            *poisoned,
        );
    }

    /// Settles what was delivered while nothing else is under way.
    async fn settle_alone(&mut self) -> Result<()> {
        settle(&*self.outbox, &self.leases, &self.unsettled).await?;
        let settled = std::mem::take(&mut self.unsettled);
        self.count_settled(&settled);
        self.settles_first = false;
        Ok(())
    }

    /// Leaves a range alone for twice as long as the last time, or as long as the sink asked for.
    fn pause(&mut self, range: u16, wanted: Option<Duration>, now: Instant) {
        let last = self.pauses.get(&range).map(|pause| pause.length);
        let length = last
            .map_or(self.config.min_pause, |length| length.saturating_mul(2))
            .min(self.config.max_pause);
        let until = after(now, wanted.unwrap_or(length).max(length));
        self.pauses.insert(range, Pause { until, length });
    }

    /// Begins to measure the lane for the metrics, where that is due and the last look has ended: beside the turns,
    /// which neither wait for it nor fail with it.
    fn look(&mut self) {
        while self.looks.try_join_next().is_some() {}
        if Instant::now() < self.status_at || !self.looks.is_empty() {
            return;
        }
        self.status_at = after(Instant::now(), self.config.status_every);
        let (outbox, lane, ranges) = (Arc::clone(&self.outbox), self.config.lane, self.leases.len());
        self.looks.spawn(async move {
            match outbox.status(lane).await {
                Ok(status) => measure::standing(lane, &status, ranges),
                Err(error) => tracing::warn!(%lane, %error, "how the lane stands was not to be learned"),
            }
        });
    }

    /// Waits until entries are written, a paused range is due, the leases are to be renewed, or an order comes.
    async fn idle(&mut self) {
        let now = Instant::now();
        let due = (self.pauses.values().map(|pause| pause.until))
            .chain([self.renew_at])
            .min();
        let at_most = due.map_or(self.config.max_idle, |due| due.saturating_duration_since(now));
        let at_most = at_most.min(self.config.max_idle).max(Duration::from_millis(1));
        tokio::select! {
            woken = self.outbox.wait(self.config.lane, self.seen, at_most) => match woken {
                Ok(seen) => self.seen = seen,
                Err(_) => tokio::time::sleep(at_most).await,
            },
            _ = self.orders.changed() => {}
        }
    }

    async fn rest(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.orders.changed() => {}
        }
    }
}
