//! Exporting a tenant into the archive.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kaireon_archive::{ExportConfig, Exported, Exporter, Progress, ProgressSink};
use kaireon_core::outbox::Lane;
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, InteractionStore, Result, TenantId};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Advance, Operator, Told};
use crate::Backend;

/// How long between two passes over a lane of which others hold a part.
const PAUSE: Duration = Duration::from_millis(500);

/// What an export did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// Whose.
    pub tenant: TenantId,
    /// When it began: what was recorded by then is in the archive.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it did of each store: of those that the tenant was moved from their lanes, and then of the authority.
    pub stores: Vec<StoreExport>,
}

/// What an export did of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreExport {
    /// The store.
    pub store: Backend,
    /// What was there before the lane: written once, by the first export; none of a store whose lane alone was emptied.
    pub scan: Option<ScanExport>,
    /// What the lane brought.
    pub lane: LaneExport,
}

/// What a scan has written, at whichever call it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScanExport {
    /// Interactions.
    pub interactions: u64,
    /// Decisions.
    pub decisions: u64,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it had seen everything.
    pub ended_at: Option<Timestamp>,
}

/// What passes over the lane did, of all tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneExport {
    /// Interactions that were written.
    pub interactions: u64,
    /// Decisions that were written.
    pub decisions: u64,
    /// Objects that were written.
    pub objects: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
    /// Entries that were in the archive already.
    pub held_already: u64,
    /// Entries of customers who were erased since.
    pub erased: u64,
}

impl LaneExport {
    fn add(&mut self, pass: &Exported) {
        self.interactions += pass.interactions;
        self.decisions += pass.decisions;
        self.objects += pass.objects;
        self.bytes += pass.bytes;
        self.held_already += pass.held_already;
        self.erased += pass.erased;
    }
}

/// Adds up what was written, and passes it on.
struct Sum {
    told: Told,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sum").finish_non_exhaustive()
    }
}

impl ProgressSink for Sum {
    fn wrote(&self, progress: &Progress) {
        let add = |to: &AtomicU64, by| to.fetch_add(by, Ordering::Relaxed) + by;
        let records = add(&self.records, progress.records);
        let bytes = add(&self.bytes, progress.bytes);
        (self.told)(Advance::Exported { records, bytes });
    }
}

impl Operator {
    /// Exports a tenant: what its authority held before the `archive` lane was in force, once, and what the lane holds by now.
    /// The lanes of the other stores are emptied before, so that what the tenant left on one that it was moved from is in the
    /// archive first, and nothing is written twice.
    ///
    /// A backfill needs an export that was made after [`start`](Self::start). Any number of exporters may be at work; it waits
    /// for those that hold a part of a lane. After a kill the next call goes on.
    ///
    /// # Errors
    /// `Config` without an archive, or where the `archive` lane is not among the tenant's; `Conflict` where another process
    /// makes the tenant's first export; `Timeout`, transient, where other exporters hold entries back for longer than
    /// [`export_wait`](super::OperatorConfig::export_wait); those of the stores, the settings and the archive. What was written
    /// stays.
    ///
    /// # Dropped futures
    /// The next call goes on behind the last object.
    pub async fn export(&self, tenant: &TenantId) -> Result<ExportReport> {
        let started_at = self.migrator.clock().now();
        let known = self.confirm(tenant).await?;
        let authority = known.setting.authority.clone();
        let mut stores = Vec::new();
        for (name, store) in self.migrator.stores().iter() {
            if *name != authority && !is_exported(store.as_ref(), tenant).await? {
                let exporter = self.exporter(name, tenant)?;
                stores.push(StoreExport {
                    store: name.clone(),
                    scan: None,
                    lane: self.empty(&exporter, tenant).await?,
                });
            }
        }
        stores.push(self.export_wholly(&authority, tenant).await?);
        Ok(ExportReport {
            tenant: tenant.clone(),
            started_at,
            ended_at: self.migrator.clock().now(),
            stores,
        })
    }

    /// Scan and lane of one store.
    pub(super) async fn export_wholly(&self, name: &Backend, tenant: &TenantId) -> Result<StoreExport> {
        let exporter = self.exporter(name, tenant)?;
        let scan = exporter.scan(tenant).await?;
        Ok(StoreExport {
            store: name.clone(),
            scan: Some(ScanExport {
                interactions: scan.interactions,
                decisions: scan.decisions,
                begun_at: scan.begun.at,
                ended_at: scan.ended.map(|ended| ended.at),
            }),
            lane: self.empty(&exporter, tenant).await?,
        })
    }

    /// An exporter of a store, under the store's name.
    pub(super) fn exporter(&self, name: &Backend, tenant: &TenantId) -> Result<Exporter> {
        let sum = |told: &Told| -> Arc<dyn ProgressSink> {
            Arc::new(Sum {
                told: Arc::clone(told),
                records: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
            })
        };
        let config = ExportConfig {
            progress: self.told.as_ref().map(sum),
            ..ExportConfig::new(name.as_str()).with_tenants([tenant.clone()])
        };
        Exporter::new(self.archive()?.clone(), Arc::clone(self.store(name)?), config)
    }

    /// Empties a store's lane of what was in it at the call, and gives its leases back.
    async fn empty(&self, exporter: &Exporter, tenant: &TenantId) -> Result<LaneExport> {
        let emptied = self.passes(exporter, tenant).await;
        // Leases that are not given back end by themselves.
        let _ = exporter.release().await;
        emptied
    }

    async fn passes(&self, exporter: &Exporter, tenant: &TenantId) -> Result<LaneExport> {
        let until = Instant::now() + self.config.export_wait;
        let mut sum = LaneExport::default();
        loop {
            let pass = exporter.export_once().await?;
            sum.add(&pass);
            if let Some(error) = pass.failed.get(tenant) {
                return Err(error.clone());
            }
            if pass.complete && !pass.waiting.contains(tenant) {
                return Ok(sum);
            }
            if Instant::now() >= until {
                let context = "other exporters hold a part of the archive lane, or it leads elsewhere";
                return Err(Error::new(ErrorKind::Timeout, context).with_operation("export"));
            }
            sleep(PAUSE).await;
        }
    }
}

/// Whether nothing of a tenant waits to be archived.
async fn is_exported(store: &dyn InteractionStore, tenant: &TenantId) -> Result<bool> {
    match store.outbox() {
        None => Ok(true),
        Some(outbox) => Ok(outbox.backlog(Lane::Archive, tenant).await?.is_empty()),
    }
}
