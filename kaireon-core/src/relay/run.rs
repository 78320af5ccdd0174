//! The relay's loop.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Counters, Delivered, LaneSink, Order, RelayConfig};
use crate::outbox::{FetchFrom, Lease, LeaseRequest, Outbox, OutboxEntry, RANGES, Settlement, Verdict};
use crate::time::{Clock, SystemClock};
use crate::{ErrorKind, Result};

pub(super) struct Worker {
    outbox: Arc<dyn Outbox>,
    sink: Arc<dyn LaneSink>,
    config: RelayConfig,
    orders: watch::Receiver<Order>,
    counters: Arc<Counters>,
    leases: Vec<Lease>,
    /// When the leases are to be renewed.
    renew_at: Instant,
    /// Ranges that failed, and until when they are left alone.
    pauses: HashMap<u16, Pause>,
    /// What the outbox counted when it was last asked.
    seen: u64,
    status_at: Instant,
    /// The pause after the outbox itself failed.
    trouble: Duration,
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
            outbox,
            sink,
            config,
            orders,
            counters,
            leases: Vec::new(),
            renew_at: now,
            pauses: HashMap::new(),
            seen: 0,
            status_at: now,
            trouble,
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
        if let Err(error) = self.outbox.release(std::mem::take(&mut self.leases)).await {
            tracing::debug!(lane = %self.config.lane, %error, "leases were not released and will expire");
        }
    }

    async fn turn(&mut self) -> Result<Turn> {
        if Instant::now() >= self.renew_at {
            self.renew().await?;
        }
        if Instant::now() >= self.status_at {
            self.report().await?;
        }
        let now = Instant::now();
        self.pauses.retain(|range, pause| {
            // A range that may be asked again keeps its length until it succeeds.
            pause.until > now || self.leases.iter().any(|lease| lease.range == *range)
        });
        let paused = |range: u16| self.pauses.get(&range).is_some_and(|pause| pause.until > now);
        let from: Vec<_> = (self.leases.iter())
            .filter(|lease| !paused(lease.range))
            .map(|lease| FetchFrom {
                lease: lease.clone(),
                after: None,
            })
            .collect();
        if from.is_empty() {
            return Ok(Turn::Idle);
        }
        let asked: Vec<u16> = from.iter().map(|from| from.lease.range).collect();
        let entries = self.outbox.fetch(from, self.config.max_entries.max(1)).await?;
        if entries.is_empty() {
            self.pauses.retain(|range, _| !asked.contains(range));
            return Ok(Turn::Idle);
        }
        self.deliver(entries).await?;
        Ok(Turn::Worked)
    }

    async fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<()> {
        let outcomes = self.sink.deliver(&entries).await;
        let mut settlements = Vec::with_capacity(entries.len());
        let (mut delivered, mut poisoned, mut failed) = (0, 0, 0);
        let mut failing = HashMap::new();
        // What the sink says nothing of was not tried: its range pauses, or it would be handed out again at once.
        let outcomes = outcomes
            .into_iter()
            .chain(std::iter::repeat(Delivered::NotAttempted));
        for (entry, outcome) in entries.iter().zip(outcomes) {
            let verdict = match outcome {
                Delivered::Done => {
                    delivered += 1;
                    Verdict::Delivered
                }
                Delivered::Poisoned(error) => {
                    poisoned += 1;
                    tracing::warn!(lane = %self.config.lane, %error, "outbox entry cannot be delivered, moved to the dead letters");
                    Verdict::Poisoned(error.to_string())
                }
                Delivered::Failed(error) => {
                    failed += 1;
                    failing.entry(entry.range).or_insert_with(|| error.retry_after());
                    continue;
                }
                Delivered::NotAttempted => {
                    failing.entry(entry.range).or_insert(None);
                    continue;
                }
            };
            settlements.push(Settlement {
                range: entry.range,
                position: entry.position,
                verdict,
            });
        }
        let worked: Vec<u16> = settlements.iter().map(|settlement| settlement.range).collect();
        if !settlements.is_empty() {
            self.outbox.settle(&self.leases, settlements).await?;
        }
        let now = Instant::now();
        self.pauses
            .retain(|range, _| failing.contains_key(range) || !worked.contains(range));
        for (range, wanted) in failing {
            self.pause(range, wanted, now);
        }
        let lane = self.config.lane.as_str();
        for (counter, name, count) in [
            (&self.counters.delivered, "kaireon.outbox.delivered", delivered),
            (&self.counters.poisoned, "kaireon.outbox.poisoned", poisoned),
            (&self.counters.failed, "kaireon.outbox.failed", failed),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
                metrics::counter!(name, "lane" => lane).increment(count);
            }
        }
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

    /// Renews the leases and takes this relay's share of the ranges.
    async fn renew(&mut self) -> Result<()> {
        let request = |max_ranges| LeaseRequest {
            lane: self.config.lane,
            owner: self.config.owner.clone(),
            ttl: self.config.lease_ttl,
            max_ranges,
        };
        // Asking for what is held already tells how many share the lane.
        let held = u16::try_from(self.leases.len()).unwrap_or(RANGES);
        let asked = self.outbox.lease(request(held)).await?;
        let share = RANGES.div_ceil(asked.owners.max(1));
        self.leases = self.outbox.lease(request(share)).await?.leases;
        self.renew_at = after(Instant::now(), self.config.lease_ttl / 3);
        Ok(())
    }

    /// Measures the lane for the metrics.
    async fn report(&mut self) -> Result<()> {
        let status = self.outbox.status(self.config.lane).await?;
        let lane = self.config.lane.as_str();
        let age = status
            .oldest
            .map(|oldest| SystemClock.now() - oldest)
            .unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        {
            metrics::gauge!("kaireon.outbox.backlog", "lane" => lane).set(status.backlog as f64);
            metrics::gauge!("kaireon.outbox.dead_letters", "lane" => lane).set(status.dead_letters as f64);
            let seconds = age.num_milliseconds().max(0) as f64 / 1_000.0;
            metrics::gauge!("kaireon.outbox.oldest_age", "lane" => lane).set(seconds);
        }
        self.status_at = after(Instant::now(), self.config.status_every);
        Ok(())
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
