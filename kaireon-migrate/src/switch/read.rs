//! Reading from the store that a tenant's setting names.

use std::sync::Arc;

use kaireon_core::store::{Page, ScanCursor};
use kaireon_core::{Effect, Error, ErrorKind, InteractionStore, Result, TenantId};
use tokio::time::Instant;

use super::{BACKEND, Inner, cursor};
use crate::current::Seen;
use crate::{Backend, TenantSetting};

/// How often a read follows a setting that changes under it.
const TRIES: u32 = 8;

/// A read under way.
pub(super) struct Reading<'a> {
    tenant: &'a TenantId,
    seen: Arc<Seen>,
    tries: u32,
}

impl Reading<'_> {
    /// The setting that the last answer was asked under.
    pub(super) fn setting(&self) -> &TenantSetting {
        self.seen.setting()
    }
}

impl Inner {
    /// Begins a read of a tenant.
    pub(super) async fn reading<'a>(&self, tenant: &'a TenantId) -> Result<Reading<'a>> {
        Ok(Reading {
            tenant,
            seen: self.current.get(tenant).await?,
            tries: 0,
        })
    }

    /// The store that is read.
    ///
    /// # Errors
    /// `Config` where this process has none of that name; `Unavailable` where the setting changed under every attempt.
    pub(super) fn read_from(&self, reading: &Reading<'_>) -> Result<&dyn InteractionStore> {
        if reading.tries < TRIES {
            return Ok(self.stores.get(&reading.seen.setting().reads)?.as_ref());
        }
        let context = "the tenant's setting changed under every attempt to read";
        Err(Error::new(ErrorKind::Unavailable, context)
            .with_backend(BACKEND)
            .with_effect(Effect::NotApplied))
    }

    /// Whether an answer that has just arrived stands: the setting that it was asked under is not too old, or is still
    /// the one in force. Where it cannot be read the answer stands and is counted.
    pub(super) async fn stands(&self, reading: &mut Reading<'_>) -> bool {
        // While the authority moves the other store may open at any instant, so only a look behind the answer tells that
        // it has not.
        let moves = reading.seen.setting().draining.is_some();
        if !moves && self.current.is_fresh(&reading.seen) {
            return true;
        }
        let Ok(fresh) = self.current.newer(reading.tenant, Instant::now()).await else {
            metrics::counter!("kaireon.switch.stale_reads", "tenant" => reading.tenant.to_string())
                .increment(1);
            return true;
        };
        // An epoch names one authority, so reads that are where they were have missed nothing.
        let (then, now) = (reading.seen.setting(), fresh.setting());
        let same = then.reads == now.reads && then.epoch == now.epoch;
        reading.seen = fresh;
        reading.tries += 1;
        same
    }

    /// The store whose pages a tenant's scans read, and its own cursor.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor` where that is of no store, or of one that the tenant was moved from.
    pub(super) async fn paging(
        &self,
        tenant: &TenantId,
        at: Option<&ScanCursor>,
    ) -> Result<(Backend, &dyn InteractionStore, Option<ScanCursor>)> {
        let at = at.map(cursor::read).transpose()?;
        let seen = self.current.get(tenant).await?;
        let reads = seen.setting().reads.clone();
        let inner = match at {
            Some((of, inner)) if of == reads => Some(inner),
            Some(_) => return Err(cursor::of_another_store()),
            None => None,
        };
        let store = self.stores.get(&reads)?.as_ref();
        Ok((reads, store, inner))
    }
}

/// A store's page, with the store's name in its cursor.
pub(super) fn named<T>(store: &Backend, page: Page<T, ScanCursor>) -> Page<T, ScanCursor> {
    Page {
        items: page.items,
        next: page.next.map(|next| cursor::write(store, &next)),
    }
}
