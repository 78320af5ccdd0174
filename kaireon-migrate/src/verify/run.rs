//! One comparison under way.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use kaireon_core::outbox::Lane;
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, Error, ErrorKind, InteractionStore, Result};
use tokio::time::{Instant, sleep};

use super::fold::Hasher;
use super::pace::{Failures, Pace, ask};
use super::report::Why;
use super::row::Row;
use super::summaries::Customers;
use super::{PAUSES, Progress, Verifier};
use crate::Side;

pub(super) const SIDES: [Side; 2] = [Side::Source, Side::Target];

pub(super) const fn at(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Target => 1,
    }
}

/// What a read of one side failed with.
pub(super) fn failed(side: Side, error: &Error) -> Why {
    Why::Failed {
        side,
        error: error.kind(),
    }
}

pub(super) struct Run<'a> {
    pub(super) of: &'a Verifier,
    pub(super) hasher: Hasher,
    pub(super) pace: Pace,
    /// Of both sides.
    pub(super) failures: [Failures; 2],
    pub(super) read: AtomicU64,
    /// The most suspects and customers that were held at once.
    pub(super) suspects: AtomicUsize,
    pub(super) customers: AtomicUsize,
}

impl Run<'_> {
    pub(super) fn store(&self, side: Side) -> &dyn InteractionStore {
        self.of.stores[at(side)].as_ref()
    }

    pub(super) const fn failures(&self, side: Side) -> &Failures {
        &self.failures[at(side)]
    }

    pub(super) const fn replica(&self) -> Side {
        self.of.authority.other()
    }

    /// Asks one side for something, and names it where it fails.
    pub(super) async fn ask<'s, T>(
        &'s self,
        side: Side,
        call: impl Fn(&'s dyn InteractionStore) -> BoxFuture<'s, Result<T>> + Send,
    ) -> Result<T, Why> {
        let store = self.store(side);
        ask(&self.of.config, self.failures(side), || call(store))
            .await
            .map_err(|error| failed(side, &error))
    }

    /// Reads all of one side, page by page.
    pub(super) async fn walk<R: Row>(
        &self,
        side: Side,
        pass: u32,
        customers: Option<&Customers>,
        mut each: impl FnMut(R, Timestamp) + Send,
    ) -> Result<(), Why> {
        let mut cursor = None;
        loop {
            let page = self
                .ask(side, |store| {
                    R::page(store, self.of.tenant.clone(), cursor.clone())
                })
                .await?;
            let now = self.of.clock.now();
            self.pace.spend(page.items.len()).await;
            let rows = page.items.len() as u64;
            let read = self.read.fetch_add(rows, Ordering::Relaxed) + rows;
            self.of.tell(Progress {
                kind: R::KIND,
                pass,
                read,
            });
            if let Some(customers) = customers {
                // Rows of one customer mostly come together.
                let mut met: Vec<&CustomerId> = page.items.iter().filter_map(R::customer).collect();
                met.dedup();
                let met = met.into_iter().cloned().collect();
                customers.meet(self, met).await;
            }
            for row in page.items {
                each(row, now);
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Waits until what the authority had acknowledged by a time is applied to the other side, or was moved aside.
    ///
    /// # Errors
    /// [`Why::Behind`] where it is not in time, or that cannot be told.
    pub(super) async fn passed(&self, time: Timestamp) -> Result<(), Why> {
        let Some(outbox) = self.store(self.of.authority).outbox() else {
            return Ok(());
        };
        let config = &self.of.config;
        let point = time + config.clock_skew;
        let until = Instant::now() + config.lane_wait;
        let mut pause = PAUSES.0;
        loop {
            let look = || outbox.backlog(Lane::Replicate, &self.of.tenant);
            let backlog = match ask(config, self.failures(self.of.authority), look).await {
                Ok(backlog) => backlog,
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
                Err(_) => return Err(Why::Behind),
            };
            if backlog.waiting == 0 || backlog.oldest.is_some_and(|oldest| oldest > point) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Why::Behind);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}
