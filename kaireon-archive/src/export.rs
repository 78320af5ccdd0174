//! Exports: what a store recorded, on its way into the archive.

mod batches;
mod duplicates;
mod lane;
mod mask;
mod recover;
mod report;
mod round;
mod run;
mod scan;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Lane, Outbox};
use kaireon_core::{Error, ErrorKind, InteractionId, InteractionStore, Result, TenantId};
use tokio::time::Instant;

pub use report::{Exported, Progress, ProgressSink};

use crate::archive::Archive;
use crate::error::named;
use crate::layout::TenantPaths;
use crate::manifest::{change_json, read_json};
use crate::state::{ExportState, Mark};

/// How an exporter works.
///
/// **Memory.** An exporter keeps `max_buffered_bytes` of lines (and about 100 bytes a record beside them, which count),
/// one page of entries, and while an object is sealed its compressed bytes: with the defaults below 150 MiB, whatever
/// the number of tenants, days and records. `tests/suite/memory.rs` measures it.
#[derive(Clone)]
pub struct ExportConfig {
    /// The name of the store that is exported, the same in every process: plans and states are kept by it, and the lane
    /// leads to its exporters ([`Destination`](kaireon_core::outbox::Destination)): those of another name take nothing.
    pub source: String,
    /// The exporter's name among those of the lane; unique by default.
    pub owner: String,
    /// The tenants whose first run is made by [`Exporter::run`], and whose state says how far the lane is exported.
    /// The lane itself carries every tenant.
    pub tenants: Vec<TenantId>,
    /// How long its leases last; 60 s by default.
    pub lease_ttl: Duration,
    /// How many entries or rows it reads at once; 500 by default, at most 1,000.
    pub page: u32,
    /// At how many bytes in memory it writes; 64 MiB by default.
    pub max_buffered_bytes: usize,
    /// At how many entries it writes; 50,000 by default.
    pub max_buffered_entries: usize,
    /// How many tenants it writes at once; 4 by default.
    pub tenants_at_once: usize,
    /// How often [`Exporter::run`] empties the lane: what came in between shares objects; 60 s by default.
    pub every: Duration,
    /// The pause of a tenant after its first failure, doubled at each further one; 200 ms by default.
    pub min_pause: Duration,
    /// The longest pause of a failing tenant; 60 s by default.
    pub max_pause: Duration,
    /// How far apart the clocks of the store's writers may be; 10 min by default. Entries that were written up to this
    /// long after a scan had ended are compared with what it exported.
    pub max_clock_skew: Duration,
    /// Is told after every chunk; nobody by default.
    pub progress: Option<Arc<dyn ProgressSink>>,
}

impl ExportConfig {
    /// An exporter of a store, under a name of its own.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            owner: format!("archive-{}", InteractionId::fresh()),
            tenants: Vec::new(),
            lease_ttl: Duration::from_secs(60),
            page: 500,
            max_buffered_bytes: 64 << 20,
            max_buffered_entries: 50_000,
            tenants_at_once: 4,
            every: Duration::from_secs(60),
            min_pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(60),
            max_clock_skew: Duration::from_secs(600),
            progress: None,
        }
    }

    /// Names the tenants whose first run is made, and whose state is kept.
    #[must_use]
    pub fn with_tenants(self, tenants: impl IntoIterator<Item = TenantId>) -> Self {
        Self {
            tenants: tenants.into_iter().collect(),
            ..self
        }
    }

    fn check(&self) -> Result<()> {
        let text = |name, text: &str| match text.len() {
            1..=256 => Ok(()),
            _ => Err(Error::invalid(name, "is not 1 to 256 bytes")),
        };
        text("source", &self.source)?;
        text("owner", &self.owner)?;
        if !(1..=kaireon_core::store::MAX_PAGE).contains(&self.page) {
            return Err(Error::invalid("page", "is not from 1 to 1,000"));
        }
        let counts = [
            ("max_buffered_bytes", self.max_buffered_bytes),
            ("max_buffered_entries", self.max_buffered_entries),
            ("tenants_at_once", self.tenants_at_once),
        ];
        for (name, count) in counts {
            if count == 0 {
                return Err(Error::invalid(name, "is zero"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ExportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportConfig")
            .field("source", &self.source)
            .field("owner", &self.owner)
            .field("tenants", &self.tenants.len())
            .finish_non_exhaustive()
    }
}

/// Exports a store into an archive: the `archive` lane of its outbox, and once per tenant what was there before.
///
/// Any number of exporters, in any number of processes, may work on one store: they share the lane by leased ranges of
/// customers. Each record is written to exactly one object, whatever is killed, cut off or tried again, so that a glob
/// over the objects counts it once.
pub struct Exporter {
    archive: Archive,
    store: Arc<dyn InteractionStore>,
    outbox: Arc<dyn Outbox>,
    config: ExportConfig,
    lane: tokio::sync::Mutex<lane::LaneState>,
}

/// A tenant that failed and is left alone for a while.
#[derive(Clone, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    error: Error,
}

impl Exporter {
    /// An exporter; nothing is read or written yet.
    ///
    /// # Errors
    /// `Unsupported` when the store has no outbox or no scan; `InvalidInput` naming a setting that is out of bounds.
    pub fn new(archive: Archive, store: Arc<dyn InteractionStore>, config: ExportConfig) -> Result<Self> {
        config.check()?;
        let backend = store.capabilities().backend;
        let outbox = store
            .outbox()
            .ok_or_else(|| Error::unsupported(backend, "outbox"))?;
        Ok(Self {
            archive,
            store,
            outbox,
            config,
            lane: tokio::sync::Mutex::default(),
        })
    }

    /// The archive that is written.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    pub(crate) fn store(&self) -> &dyn InteractionStore {
        &*self.store
    }

    pub(crate) fn source(&self) -> &str {
        &self.config.source
    }

    /// Where the store stands now.
    async fn mark(&self, tenant: &TenantId) -> Result<Mark> {
        let fence = self.store.fence(tenant).await?;
        Ok(Mark {
            at: self.archive.clock().now(),
            incarnation: fence.incarnation,
            sequence: fence.sequence,
        })
    }

    /// Whether the tenant's records are written into the archive's lane.
    pub(crate) async fn lane_in_force(&self, tenant: &TenantId) -> Result<bool> {
        let lanes = match self.store.fence(tenant).await {
            Ok(fence) => fence.lanes,
            Err(error) if error.kind() == ErrorKind::Unsupported => self.outbox.lanes().await?,
            Err(error) => return Err(error),
        };
        Ok(lanes.contains(Lane::Archive))
    }

    pub(crate) async fn state(&self, tenant: &TenantId) -> Result<ExportState> {
        let path = TenantPaths::new(tenant).state(&self.config.source);
        let found = read_json(self.archive.place(), &path).await?;
        Ok(found.map_or_else(|| ExportState::new(&self.config.source), |(state, _)| state))
    }

    async fn change_state(
        &self,
        tenant: &TenantId,
        mut edit: impl FnMut(&mut ExportState) -> Result<()> + Send,
    ) -> Result<()> {
        self.archive.claim(tenant).await?;
        let path = TenantPaths::new(tenant).state(&self.config.source);
        change_json(self.archive.place(), &path, |found: Option<ExportState>| {
            let mut state = found.unwrap_or_else(|| ExportState::new(&self.config.source));
            edit(&mut state)?;
            Ok(Some(state))
        })
        .await
    }

    /// Brings the store's tombstones into the archive.
    async fn bring_tombstones(&self, tenant: &TenantId) -> Result<()> {
        use kaireon_core::store::TombstoneQuery;
        let mut query = TombstoneQuery::new(tenant.clone());
        loop {
            let page = match self.store.tombstones(query.clone()).await {
                Ok(page) => page,
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
                Err(error) => return Err(error),
            };
            self.archive.raise_tombstones(tenant, &page.items).await?;
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(()),
            }
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("archive", &self.archive)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Errors of single tenants, while the others went on.
type Failures = BTreeMap<TenantId, Error>;

/// An error of the exporter itself.
fn failed(kind: ErrorKind, context: &'static str) -> Error {
    named(Error::new(kind, context), "export")
}
