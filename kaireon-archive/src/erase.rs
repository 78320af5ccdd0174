//! Erasure: nothing of a customer stays in any object.
//!
//! **Cost.** The tombstones of the tenant are rewritten (60 bytes each). Then each object's filter is read (1.25 bytes a
//! customer in it), and the objects that may hold the customer, about 1 in 120 of those that do not among them; those
//! that hold the customer are written anew. Two days of an archive are looked through at once, one object each.

use async_trait::async_trait;
use futures_util::StreamExt;
use kaireon_core::store::{Erasure, ErasureId, ErasurePlace, Generation, Tombstone};
use kaireon_core::{CustomerId, ErrorKind, Result, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::archive::Archive;
use crate::error::{corrupt, named};
use crate::filter::may_hold;
use crate::layout::{self, TenantPaths};
use crate::load::Loaded;
use crate::manifest::{ObjectEntry, change_json, read_json};
use crate::object::pack;
use crate::place::Put;
use crate::plan::Plan;
use crate::record::head;
use crate::state::ExportState;
use crate::{Day, Kind};

/// How many days are looked through at once.
const DAYS_AT_ONCE: usize = 2;

/// How often an object is begun anew that another erasure is going over as well.
const TRIES: u32 = 50;

/// The proof that a customer was erased from an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArchiveErasure {
    /// The name of the request.
    pub id: ErasureId,
    /// Records under a lower generation are gone.
    pub generation: Generation,
    /// Objects that were written anew.
    pub objects: u64,
    /// Interactions that were in them.
    pub interactions: u64,
    /// Decisions that were in them.
    pub decisions: u64,
    /// Summaries of purged days that were in them.
    pub summaries: u64,
}

/// As it is stored: what was found in each object, kept before the object is changed, so that a second call after a
/// crash counts it all the same.
#[derive(Clone, Serialize, Deserialize)]
struct Receipt {
    id: ErasureId,
    generation: Generation,
    complete: bool,
    /// By kind and object.
    removed: BTreeMap<String, u64>,
}

impl Receipt {
    fn total(&self) -> ArchiveErasure {
        let of = |kind: Kind| {
            let prefix = format!("{kind}/");
            let removed = self.removed.iter();
            removed
                .filter(|(name, _)| name.starts_with(&prefix))
                .map(|(_, count)| count)
                .sum()
        };
        ArchiveErasure {
            id: self.id.clone(),
            generation: self.generation,
            objects: self.removed.len() as u64,
            interactions: of(Kind::Interactions),
            decisions: of(Kind::Decisions),
            summaries: of(Kind::Summaries),
        }
    }
}

/// As one of the places of an erasure: the records that were in rewritten objects are counted.
#[async_trait]
impl ErasurePlace for Archive {
    fn place(&self) -> &'static str {
        "archive"
    }

    async fn erase_customer(&self, request: &Erasure, generation: Generation) -> Result<u64> {
        let erased = self.erase(request, generation).await?;
        Ok(erased.interactions + erased.decisions + erased.summaries)
    }
}

impl Archive {
    /// Erases a customer's records below a generation: that of the store's receipt, whose
    /// [`erase_customer`](kaireon_core::InteractionStore::erase_customer) comes first.
    ///
    /// The tombstone is made durable first; batches that are being written are settled, so that no exporter writes what
    /// it read before; then every object that holds the customer is written anew in place. Readers see either content,
    /// and a glob never counts a record of another customer twice or not at all. A second call with the same id resumes
    /// what was interrupted and repeats the receipt.
    ///
    /// # Errors
    /// Those of the object store; `Corrupt` naming an object that cannot be read, whose content is then not known: the
    /// other objects are done all the same. `Conflict` when the id was used for another generation.
    ///
    /// # Dropped futures
    /// What was erased stays so; the next call goes on.
    pub async fn erase(&self, request: &Erasure, generation: Generation) -> Result<ArchiveErasure> {
        let Erasure { tenant, customer, id } = request;
        let digest = self.key(tenant).customer(customer);
        let path = TenantPaths::new(tenant).erasure(digest, id.as_str());
        if let Some((receipt, _)) = read_json::<Receipt>(self.place(), &path).await? {
            if receipt.generation != generation {
                let context = "this erasure was begun for another generation";
                return Err(named(kaireon_core::Error::conflict(context), "erase"));
            }
            if receipt.complete {
                return Ok(receipt.total());
            }
        }
        let tombstone = Tombstone {
            customer: digest,
            generation,
        };
        self.raise_tombstones(tenant, &[tombstone]).await?;
        let begun = Receipt {
            id: id.clone(),
            generation,
            complete: false,
            removed: BTreeMap::new(),
        };
        change_json(self.place(), &path, |found: Option<Receipt>| {
            Ok(found.is_none().then(|| begun.clone()))
        })
        .await?;
        self.settle_writers(tenant).await?;
        // What killed writers of a folder staged; those that still write fail, and begin again with the tombstone.
        self.place().sweep(&TenantPaths::new(tenant).root()).await?;
        self.erase_from_all(tenant, customer, &path).await?;
        let mut total = None;
        change_json(self.place(), &path, |found: Option<Receipt>| {
            let mut receipt = found.ok_or_else(|| corrupt("the receipt of an erasure was removed"))?;
            receipt.complete = true;
            total = Some(receipt.total());
            Ok(Some(receipt))
        })
        .await?;
        total.ok_or_else(|| corrupt("the receipt of an erasure was removed"))
    }

    /// Settles every batch of the tenant that is being written, whoever writes it.
    async fn settle_writers(&self, tenant: &TenantId) -> Result<()> {
        let paths = TenantPaths::new(tenant);
        for path in self.place().list(&layout::plans()).await? {
            if paths.owns_plan(&path)
                && let Some((plan, _)) = read_json::<Plan>(self.place(), &path).await?
            {
                for batch in &plan.objects {
                    self.resolve(tenant, &batch.object).await?;
                }
            }
        }
        for path in self.place().list(&paths.states()).await? {
            if let Some((state, _)) = read_json::<ExportState>(self.place(), &path).await? {
                for planned in state.progress.pending.iter().flat_map(|pending| &pending.objects) {
                    self.resolve(tenant, planned).await?;
                }
            }
        }
        Ok(())
    }

    async fn erase_from_all(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        receipt: &object_store::path::Path,
    ) -> Result<()> {
        let mut partitions = Vec::new();
        for kind in Kind::ALL {
            let days = self.partitions(tenant, kind).await?;
            partitions.extend(days.into_iter().map(|day| (kind, day)));
        }
        let erased: Vec<Result<()>> = futures_util::stream::iter(partitions)
            .map(|partition| self.erase_from_day(tenant, partition, customer, receipt))
            .buffer_unordered(DAYS_AT_ONCE)
            .collect()
            .await;
        erased.into_iter().collect()
    }

    async fn erase_from_day(
        &self,
        tenant: &TenantId,
        (kind, day): (Kind, Day),
        customer: &CustomerId,
        receipt: &object_store::path::Path,
    ) -> Result<()> {
        let mut first = Ok(());
        let digest = self.key(tenant).customer(customer);
        for entry in self.objects(tenant, kind, day).await? {
            let filter = TenantPaths::new(tenant).filter(kind, day, &entry.name);
            let filter = self.place().get(&filter).await?;
            if filter.is_some_and(|filter| !may_hold(&filter.bytes, digest)) {
                continue;
            }
            let erased = self
                .erase_from_object(tenant, (kind, day), entry, customer, receipt)
                .await;
            match erased {
                Err(error) if error.kind() == ErrorKind::Corrupt => first = first.and(Err(error)),
                erased => erased?,
            }
        }
        first
    }

    /// Writes an object anew without the lines of erased customers. Its manifest names the new content beside the old
    /// one first; the put holds only over the version that was read; then the manifest names the new content alone.
    async fn erase_from_object(
        &self,
        tenant: &TenantId,
        (kind, day): (Kind, Day),
        mut entry: ObjectEntry,
        customer: &CustomerId,
        receipt: &object_store::path::Path,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let loaded = self.load(tenant, (kind, day), &entry).await?;
            let (lines, kept, removed) = self.without_erased(tenant, &loaded, customer).await?;
            if lines.is_none() && entry.next.is_empty() {
                return Ok(());
            }
            let (bytes, content) = match lines {
                Some(lines) => pack(lines, kept, entry.compression)?,
                // An erasure was interrupted after it had written the object.
                None => (loaded.bytes.clone(), loaded.content.clone()),
            };
            if removed > 0 {
                let name = format!("{kind}/{day}/{}", entry.name);
                change_json(self.place(), receipt, |found: Option<Receipt>| {
                    let mut found = found.ok_or_else(|| corrupt("the receipt of an erasure was removed"))?;
                    found.removed.insert(name.clone(), removed);
                    Ok(Some(found))
                })
                .await?;
            }
            let mut known = entry.next.clone();
            known.push(content.clone());
            let mut announced = false;
            self.change_manifest(tenant, (kind, day), |manifest| {
                let Some(now) = manifest.object_mut(&entry.name) else {
                    return false;
                };
                announced = *now == entry || now.next.contains(&content);
                if !announced || now.next.contains(&content) {
                    return false;
                }
                now.next.push(content.clone());
                true
            })
            .await?;
            if announced
                && self
                    .overwrite(tenant, (kind, day), &entry, &loaded, bytes)
                    .await?
            {
                return self
                    .change_manifest(tenant, (kind, day), |manifest| {
                        let Some(now) = manifest.object_mut(&entry.name) else {
                            return false;
                        };
                        // What was announced before this content was for versions that are gone.
                        now.next.retain(|next| !known.contains(next));
                        now.content = content.clone();
                        true
                    })
                    .await;
            }
            let Some(now) =
                (self.objects(tenant, kind, day).await?.into_iter()).find(|object| object.name == entry.name)
            else {
                return Ok(());
            };
            entry = now;
        }
        Err(named(
            kaireon_core::Error::new(ErrorKind::Unavailable, "other erasures were ahead too often"),
            "erase",
        ))
    }

    async fn overwrite(
        &self,
        tenant: &TenantId,
        (kind, day): (Kind, Day),
        entry: &ObjectEntry,
        loaded: &Loaded,
        bytes: bytes::Bytes,
    ) -> Result<bool> {
        if bytes == loaded.bytes {
            return Ok(true);
        }
        let path = TenantPaths::new(tenant).object(kind, day, &entry.name);
        let put = self.place().replace(&path, bytes, Some(&loaded.version)).await?;
        Ok(put != Put::Lost)
    }

    /// The lines of an object but those of erased customers, `None` where there are none of theirs; how many are kept,
    /// and how many of this customer are not.
    async fn without_erased(
        &self,
        tenant: &TenantId,
        loaded: &Loaded,
        customer: &CustomerId,
    ) -> Result<(Option<Vec<u8>>, u64, u64)> {
        let tombstones = self.read_tombstones(tenant).await?;
        let key = self.key(tenant);
        let sought = key.customer(customer);
        let mut kept = Vec::new();
        let (mut records, mut removed, mut changed) = (0, 0, false);
        let mut lines = loaded.lines()?;
        while let Some((_, line)) = lines.next()? {
            // A line that is no record is kept unless it may be the customer's.
            let (erased, theirs) = match line.map(|line| (line, head(line))) {
                Some((_, Ok(head))) => {
                    let digest = key.customer(&head.customer);
                    let erased = tombstones.erased(digest, head.generation);
                    (erased, erased && digest == sought)
                }
                Some((line, Err(_))) => {
                    let names = contains(line, customer.as_str().as_bytes());
                    (names, names)
                }
                None => (true, true),
            };
            if erased {
                changed = true;
                removed += u64::from(theirs);
                continue;
            }
            kept.extend_from_slice(line.unwrap_or_default());
            kept.push(b'\n');
            records += 1;
        }
        Ok((changed.then_some(kept), records, removed))
    }
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    line.windows(text.len()).any(|window| window == text)
}
