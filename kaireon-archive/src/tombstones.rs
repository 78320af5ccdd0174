//! Who was erased: kept in the archive, so that neither an export nor a backfill from it brings anyone back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kaireon_core::digest::Digest;
use kaireon_core::store::{Generation, Tombstone};
use kaireon_core::{Result, TenantId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::archive::{Archive, ByTenant};
use crate::error::corrupt;
use crate::layout::{TenantPaths, hex, unhex};
use crate::manifest::{change_json, of_json};
use crate::place::{Refreshed, Version};

/// How many tenants' tombstones are kept in memory between two looks.
const KEPT: usize = 64;

/// As it is stored: the customers' keyed digests in hexadecimal digits.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    tombstones: BTreeMap<String, Generation>,
}

/// The tombstones of a tenant as they were read.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    generations: HashMap<Digest, Generation>,
    version: Option<Version>,
}

impl Tombstones {
    /// Whether a record that was accepted under that generation was erased since.
    pub(crate) fn erased(&self, customer: Digest, generation: Generation) -> bool {
        self.generations
            .get(&customer)
            .is_some_and(|present| generation < *present)
    }

    /// Whether two readings are of one version.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

/// What was read last of each tenant.
#[derive(Debug, Default)]
pub(crate) struct TombstoneCache(Mutex<ByTenant<Arc<Tombstones>>>);

impl Archive {
    /// The tombstones of a tenant: those that exports brought from the store, and those of [`erase`](Self::erase). A
    /// backfill installs them before it records anything.
    ///
    /// # Errors
    /// As every operation of the object store; `Corrupt` when they are not what was written.
    pub async fn tombstones(&self, tenant: &TenantId) -> Result<Vec<Tombstone>> {
        let read = self.read_tombstones(tenant).await?;
        let mut tombstones: Vec<Tombstone> = (read.generations.iter())
            .map(|(&customer, &generation)| Tombstone { customer, generation })
            .collect();
        tombstones.sort_by_key(|tombstone| tombstone.customer);
        Ok(tombstones)
    }

    /// The present tombstones; one request, which carries nothing when they are those of the last look.
    pub(crate) async fn read_tombstones(&self, tenant: &TenantId) -> Result<Arc<Tombstones>> {
        let TombstoneCache(cache) = self.tombstone_cache();
        let known = cache.lock().get(tenant).cloned();
        let version = known.as_ref().and_then(|known| known.version.as_ref());
        let path = TenantPaths::new(tenant).tombstones();
        let read = match (self.place().refresh(&path, version).await?, known) {
            (Refreshed::Same, Some(known)) => return Ok(known),
            (Refreshed::Same | Refreshed::Gone, _) => Tombstones::default(),
            (Refreshed::Changed(found), _) => {
                let stored: Stored = of_json(&found.bytes)?;
                let generations = stored.tombstones.into_iter().map(|(customer, generation)| {
                    let customer = unhex(&customer).ok_or_else(|| corrupt("a tombstone has no digest"))?;
                    Ok((Digest::from_bytes(customer), generation))
                });
                Tombstones {
                    generations: generations.collect::<Result<_>>()?,
                    version: Some(found.version),
                }
            }
        };
        let read = Arc::new(read);
        let mut cache = cache.lock();
        if cache.len() >= KEPT {
            cache.clear();
        }
        cache.insert(tenant.clone(), Arc::clone(&read));
        Ok(read)
    }

    /// Raises generations, and never lowers one. Rewrites all tombstones of the tenant: some 60 bytes each.
    pub(crate) async fn raise_tombstones(&self, tenant: &TenantId, tombstones: &[Tombstone]) -> Result<()> {
        if tombstones.is_empty() {
            return Ok(());
        }
        self.claim(tenant).await?;
        let path = TenantPaths::new(tenant).tombstones();
        change_json(self.place(), &path, |found: Option<Stored>| {
            let mut stored = found.unwrap_or(Stored {
                version: 1,
                ..Stored::default()
            });
            let mut changed = false;
            for Tombstone { customer, generation } in tombstones {
                let present = stored.tombstones.entry(hex(customer.as_bytes())).or_default();
                changed |= *generation > *present;
                *present = (*present).max(*generation);
            }
            Ok(changed.then_some(stored))
        })
        .await
    }
}
