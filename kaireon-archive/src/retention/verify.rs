//! Whether the archive holds every row that is to be purged.

use std::collections::{BTreeMap, HashSet};

use kaireon_core::digest::{Digest, TenantKey};
use kaireon_core::store::{Accepted, Page, ScanCursor, ScanQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{Decision, ErrorKind, Interaction, Result, TenantId};

use crate::export::Exporter;
use crate::{Archived, Day, Kind};

/// How many rows are looked for at a time.
const ROWS_AT_ONCE: usize = 250_000;

/// How much of a store the archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Rows and decisions that were looked for.
    pub looked_for: u64,
    /// Those among them that no verified object holds.
    pub missing: u64,
}

/// Rows that are to be found, by partition.
#[derive(Default)]
struct Sought {
    keys: BTreeMap<(Kind, Day), HashSet<Digest>>,
    rows: usize,
}

impl Sought {
    fn add<T: Archived>(&mut self, rows: &[Accepted<T>], key: &TenantKey, before: Timestamp) {
        for Accepted { value, .. } in rows.iter().filter(|row| row.value.timestamp() < before) {
            let place = (T::KIND, Day::containing(value.timestamp()));
            let new = self.keys.entry(place).or_default().insert(value.key(key));
            self.rows += usize::from(new);
        }
    }
}

impl Exporter {
    /// Looks for every row and decision that the tenant's store holds with a timestamp before a time in the archive, in
    /// objects that their manifests name and whose checksums are right. Costs as much as [`retain`](Self::retain) does:
    /// one scan of the store, and the archived days that it has rows of.
    ///
    /// # Errors
    /// `Corrupt` when an object of those days is not what was written; those of the store and of the object store.
    ///
    /// # Dropped futures
    /// Only reads were made.
    pub async fn verify(&self, tenant: &TenantId, before: Timestamp) -> Result<Verified> {
        let key = self.archive().key(tenant);
        let mut verified = Verified::default();
        for kind in [Kind::Interactions, Kind::Decisions] {
            let (mut sought, mut cursor) = (Sought::default(), None);
            loop {
                let query = ScanQuery {
                    cursor,
                    ..ScanQuery::new(tenant.clone())
                };
                cursor = self.look_at_page(kind, query, &mut sought, &key, before).await?;
                if sought.rows >= ROWS_AT_ONCE || cursor.is_none() {
                    self.find(tenant, std::mem::take(&mut sought), &mut verified)
                        .await?;
                }
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(verified)
    }

    async fn look_at_page(
        &self,
        kind: Kind,
        query: ScanQuery,
        sought: &mut Sought,
        key: &TenantKey,
        before: Timestamp,
    ) -> Result<Option<ScanCursor>> {
        if kind == Kind::Interactions {
            let Page::<Accepted<Interaction>, _> { items, next } = self.store().scan(query).await?;
            sought.add(&items, key, before);
            return Ok(next);
        }
        match self.store().scan_decisions(query).await {
            Ok(Page::<Accepted<Decision>, _> { items, next }) => {
                sought.add(&items, key, before);
                Ok(next)
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, tenant: &TenantId, sought: Sought, verified: &mut Verified) -> Result<()> {
        for (place, keys) in sought.keys {
            let held = self.archive().held(tenant, place, &keys, |_| true).await?;
            verified.looked_for += keys.len() as u64;
            verified.missing += (keys.len() - held.len()) as u64;
        }
        Ok(())
    }
}
