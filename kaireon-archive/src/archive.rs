//! The archive itself: whose it is, what it holds, who was erased.

mod probe;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use kaireon_core::digest::{MasterKey, TenantKey};
use kaireon_core::time::Clock;
use kaireon_core::{Error, ErrorKind, Result, TenantId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::named;
use crate::layout::{self, TenantPaths};
use crate::manifest::{self, Manifest, read_json, to_json};
use crate::place::Place;
use crate::state::ExportState;
use crate::tombstones::TombstoneCache;
use crate::{ArchiveConfig, Compression, Day, Kind};

/// An archive: what was exported of any number of tenants. Cheap to clone; clones share what they have looked up.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

struct Inner {
    place: Place,
    key: MasterKey,
    compression: Compression,
    max_object_bytes: usize,
    clock: Arc<dyn Clock>,
    /// Tenants whose folder is known to be theirs.
    owned: Mutex<HashSet<TenantId>>,
    tombstones: TombstoneCache,
}

/// What a day holds, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DayTotals {
    /// Which day.
    pub day: Day,
    /// How many objects.
    pub objects: u64,
    /// How many records.
    pub records: u64,
    /// How many bytes, as they are stored.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Owner {
    tenant: TenantId,
}

impl Archive {
    /// Opens an archive, or begins one where there is none.
    ///
    /// # Errors
    /// `Config` when the place ignores the conditions of conditional puts, or the archive was begun under another
    /// master key; `InvalidInput` naming `max_object_bytes` when that is 0 or more than 1 GiB; `Unsupported` when the
    /// place has no conditional puts, or the compression is not compiled in.
    pub async fn open(config: ArchiveConfig) -> Result<Self> {
        let ArchiveConfig {
            place,
            master_key,
            compression,
            max_object_bytes,
            clock,
        } = config;
        if !(1..=1 << 30).contains(&max_object_bytes) {
            return Err(Error::invalid("max_object_bytes", "is not from 1 byte to 1 GiB"));
        }
        // Said now and not when the first object is full.
        crate::object::pack(Vec::new(), 0, compression)?;
        probe::conditions(&place).await?;
        probe::key(&place, &master_key).await?;
        Ok(Self(Arc::new(Inner {
            place,
            key: master_key,
            compression,
            max_object_bytes,
            clock,
            owned: Mutex::default(),
            tombstones: TombstoneCache::default(),
        })))
    }

    /// The tenants of whom anything was archived, by name.
    ///
    /// # Errors
    /// As every operation of the object store; `Corrupt` when a folder does not say whose it is.
    pub async fn tenants(&self) -> Result<Vec<TenantId>> {
        let mut tenants = Vec::new();
        for folder in self.place().folders(&layout::root()).await? {
            let own = folder.filename().is_some_and(|name| name.starts_with('_'));
            if own {
                continue;
            }
            let owner = folder.clone().join("tenant.json");
            if let Some((Owner { tenant }, _)) = read_json(self.place(), &owner).await? {
                tenants.push(tenant);
            }
        }
        tenants.sort();
        Ok(tenants)
    }

    /// The days of which a tenant has anything, oldest first. Reads every manifest of the kind: one request a day.
    ///
    /// # Errors
    /// As every operation of the object store; `Corrupt` when a manifest is not what was written.
    pub async fn days(&self, tenant: &TenantId, kind: Kind) -> Result<Vec<DayTotals>> {
        let mut totals = Vec::new();
        for day in self.partitions(tenant, kind).await? {
            if let Some(manifest) = self.manifest(tenant, kind, day).await?
                && !manifest.objects.is_empty()
            {
                totals.push(DayTotals {
                    day,
                    objects: manifest.objects.len() as u64,
                    records: manifest.records,
                    bytes: manifest.bytes,
                });
            }
        }
        Ok(totals)
    }

    /// The manifest of a day.
    ///
    /// # Errors
    /// As every operation of the object store; `Corrupt` when it is not what was written.
    pub async fn manifest(&self, tenant: &TenantId, kind: Kind, day: Day) -> Result<Option<Manifest>> {
        let path = TenantPaths::new(tenant).manifest(kind, day);
        manifest::read(self.place(), &path, (tenant, kind, day)).await
    }

    /// How far the exports of a tenant have come, one state a source: what a backfill may rely on.
    ///
    /// # Errors
    /// As every operation of the object store; `Corrupt` when a state is not what was written.
    pub async fn export_state(&self, tenant: &TenantId) -> Result<Vec<ExportState>> {
        let mut states = Vec::new();
        for path in self.place().list(&TenantPaths::new(tenant).states()).await? {
            if let Some((state, _)) = read_json(self.place(), &path).await? {
                states.push(state);
            }
        }
        states.sort_by(|one: &ExportState, other| one.source.cmp(&other.source));
        Ok(states)
    }

    /// The days that have a manifest.
    pub(crate) async fn partitions(&self, tenant: &TenantId, kind: Kind) -> Result<Vec<Day>> {
        let listed = self
            .place()
            .list(&TenantPaths::new(tenant).manifests(kind))
            .await?;
        let mut days: Vec<Day> = listed.iter().filter_map(layout::day_of).collect();
        days.sort_unstable();
        Ok(days)
    }

    /// Changes a day's manifest under compare-and-set.
    pub(crate) async fn change_manifest(
        &self,
        tenant: &TenantId,
        (kind, day): (Kind, Day),
        edit: impl FnMut(&mut Manifest) -> bool + Send,
    ) -> Result<()> {
        let path = TenantPaths::new(tenant).manifest(kind, day);
        manifest::change(self.place(), &path, (tenant, kind, day), edit).await
    }

    /// Takes the tenant's folder for the tenant, before anything is written there.
    pub(crate) async fn claim(&self, tenant: &TenantId) -> Result<()> {
        if self.0.owned.lock().contains(tenant) {
            return Ok(());
        }
        let path = TenantPaths::new(tenant).owner();
        let owner = Owner {
            tenant: tenant.clone(),
        };
        self.place().create(&path, to_json(&owner)).await?;
        let found = read_json::<Owner>(self.place(), &path).await?;
        if found.is_none_or(|(found, _)| found.tenant != *tenant) {
            let context =
                "the tenant's folder is another tenant's: the file system takes capitals for small letters";
            return Err(named(Error::new(ErrorKind::Config, context), "export"));
        }
        let mut owned = self.0.owned.lock();
        if owned.len() >= 10_000 {
            owned.clear();
        }
        owned.insert(tenant.clone());
        Ok(())
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn key(&self, tenant: &TenantId) -> TenantKey {
        self.0.key.tenant(tenant)
    }

    /// The key under which scan cursors are masked.
    pub(crate) fn mask_key(&self) -> [u8; 32] {
        blake3::derive_key("kaireon archive 2026 scan cursor", self.0.key.as_bytes())
    }

    pub(crate) fn compression(&self) -> Compression {
        self.0.compression
    }

    pub(crate) fn max_object_bytes(&self) -> usize {
        self.0.max_object_bytes
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &self.0.clock
    }

    pub(crate) fn tombstone_cache(&self) -> &TombstoneCache {
        &self.0.tombstones
    }

    /// The name of the next batch, without its ending: the time to the millisecond, and six digits drawn at random in
    /// place of the rest of a nanosecond's, so that two exporters hardly ever choose one name. Where they do, the
    /// second finds it taken and chooses again.
    pub(crate) fn batch_name(&self) -> Result<String> {
        let time = self.clock().now().format("%Y%m%dT%H%M%S%.3f");
        Ok(format!("batch-{time}{:06}Z", random()? % 1_000_000))
    }
}

/// Random digits.
pub(crate) fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| {
        let context = "the operating system gives no random numbers";
        let error = Error::new(ErrorKind::Internal, context).with_source(std::io::Error::from(error));
        named(error, "export")
    })
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({:?})", self.0.place)
    }
}

/// By tenant.
pub(crate) type ByTenant<T> = HashMap<TenantId, T>;
