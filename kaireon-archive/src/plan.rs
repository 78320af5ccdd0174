//! Batches that are being written.
//!
//! Before an object is written, a plan names it, with its checksum and the entries of the lane that it holds. Whoever
//! finds a plan later (the next exporter after a crash, another that took the ranges over, an erasure) settles it: an
//! object that is there with the planned checksum is taken into its manifest; the name of one that is not there is
//! closed by an empty object, so that a writer which was only slow finds it taken and writes nothing. Either way, an
//! entry is in exactly one object.

use kaireon_core::{Result, TenantId};
use serde::{Deserialize, Serialize};

use bytes::Bytes;

use crate::archive::Archive;
use crate::layout::TenantPaths;
use crate::manifest::ObjectEntry;
use crate::object::{Sealed, sha256};
use crate::place::Put;
use crate::{Day, Kind};

/// Entries of the lane that are being written to objects of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) tenant: TenantId,
    pub(crate) objects: Vec<PlannedBatch>,
}

/// One object, and what of the lane it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedBatch {
    #[serde(flatten)]
    pub(crate) object: Planned,
    pub(crate) entries: Vec<PlannedEntry>,
}

/// An entry of the lane: range, position, and the beginning of its record's keyed digest. Positions may come again in a
/// store that was restored from a backup, and then stand for something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedEntry(pub(crate) u16, pub(crate) u64, pub(crate) String);

/// An object that is to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) day: Day,
    pub(crate) entry: ObjectEntry,
}

/// What became of a planned object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// It is there, and in its manifest.
    Kept,
    /// It is not there and never will be.
    Void,
}

impl Archive {
    /// Writes a planned object and takes it into its manifest. `Void` when its name was closed or is another's.
    pub(crate) async fn write_planned(
        &self,
        tenant: &TenantId,
        planned: &Planned,
        sealed: Sealed,
    ) -> Result<Resolved> {
        let Planned { kind, day, entry } = planned;
        let paths = TenantPaths::new(tenant);
        let Sealed { bytes, filter } = sealed;
        // The filter first: an object without one is read by every erasure.
        self.place()
            .create(&paths.filter(*kind, *day, &entry.name), filter)
            .await?;
        let path = paths.object(*kind, *day, &entry.name);
        match self.place().create(&path, bytes).await? {
            Put::Done(_) => self.keep(tenant, planned).await,
            // A client that sent its put again after a lost reply is told that the name is taken: by itself.
            Put::Lost => self.resolve(tenant, planned).await,
        }
    }

    /// Finds out what became of a planned object, once and for all.
    pub(crate) async fn resolve(&self, tenant: &TenantId, planned: &Planned) -> Result<Resolved> {
        let Planned { kind, day, entry } = planned;
        let manifest = self.manifest(tenant, *kind, *day).await?;
        // What the manifest names may have another checksum since: an erasure went over it.
        if manifest.is_some_and(|manifest| manifest.object(&entry.name).is_some()) {
            return Ok(Resolved::Kept);
        }
        let path = TenantPaths::new(tenant).object(*kind, *day, &entry.name);
        if self.place().create(&path, Bytes::new()).await? != Put::Lost {
            return Ok(Resolved::Void);
        }
        let found = self.place().get(&path).await?;
        if found.is_some_and(|found| sha256(&found.bytes) == entry.content.sha256) {
            return self.keep(tenant, planned).await;
        }
        Ok(Resolved::Void)
    }

    async fn keep(&self, tenant: &TenantId, planned: &Planned) -> Result<Resolved> {
        let Planned { kind, day, entry } = planned;
        self.change_manifest(tenant, (*kind, *day), |manifest| manifest.add(entry))
            .await?;
        Ok(Resolved::Kept)
    }
}
