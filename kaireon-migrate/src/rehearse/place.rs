//! The scratch tenant: that it is empty, whose it is, and that it is empty again.

use kaireon_core::store::{Epoch, Purge, ScanQuery, TombstoneQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, InteractionId, InteractionStore, Result, TenantId};
use serde::{Deserialize, Serialize};

use super::Rehearsal;

/// What a rehearsal notes beside the archive before it writes anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    /// The rehearsal that has written, or may have; none where it has cleaned up.
    open: Option<Begun>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    scratch: TenantId,
    at: Timestamp,
    run: InteractionId,
}

/// The scratch tenant of a rehearsal.
pub(super) struct Scratch<'a> {
    pub(super) by: &'a Rehearsal,
    pub(super) of: TenantId,
    pub(super) replayed: TenantId,
}

impl Scratch<'_> {
    fn target(&self) -> &dyn InteractionStore {
        self.by.target.as_ref()
    }

    /// The name of the marker: of this tenant's rehearsals on this store, whatever it is called.
    async fn marker(&self) -> Result<String> {
        let fence = self.target().fence(&self.of).await?;
        Ok(format!("rehearsal-{:x}", fence.incarnation))
    }

    /// # Errors
    /// `Unsupported`.
    pub(super) fn can(&self, decisions: bool) -> Result<()> {
        let can = self.target().capabilities();
        for (has, operation) in [
            (can.replication, "record_events"),
            (can.scan, "scan"),
            (can.purge, "purge_before"),
            (can.fence, "fence"),
            (can.decisions || !decisions, "record_decisions"),
        ] {
            if !has {
                return Err(Error::unsupported(can.backend, operation));
            }
        }
        Ok(())
    }

    /// # Errors
    /// `Conflict` where somebody has written to it.
    pub(super) async fn is_free(&self) -> Result<()> {
        self.can(false)?;
        let name = self.marker().await?;
        let marker: Option<Marker> = self.by.archive.checkpoint(&self.replayed, &name).await?;
        if let Some(begun) = marker.and_then(|marker| marker.open) {
            return Err(left(&begun));
        }
        if self.target().fence(&self.of).await?.epoch > Epoch::ZERO || self.has_any().await? {
            let context = format!("the scratch tenant {} is not empty, or was moved", self.of);
            return Err(Error::conflict(context));
        }
        Ok(())
    }

    /// Whether there is anything to be read of it.
    async fn has_any(&self) -> Result<bool> {
        let (store, can) = (self.target(), self.target().capabilities());
        let one = || ScanQuery {
            limit: 1,
            ..ScanQuery::new(self.of.clone())
        };
        if !store.scan(one()).await?.items.is_empty() {
            return Ok(true);
        }
        if can.decisions && !store.scan_decisions(one()).await?.items.is_empty() {
            return Ok(true);
        }
        if !can.erasure {
            return Ok(false);
        }
        let stones = store.tombstones(TombstoneQuery::new(self.of.clone())).await?;
        Ok(!stones.items.is_empty())
    }

    /// Notes that it is written to.
    ///
    /// # Errors
    /// `Conflict` where another has begun meanwhile.
    pub(super) async fn take(&self) -> Result<Timestamp> {
        let begun = Begun {
            scratch: self.of.clone(),
            at: self.by.clock.now(),
            run: InteractionId::fresh(),
        };
        let name = self.marker().await?;
        let archive = &self.by.archive;
        archive
            .change_checkpoint(&self.replayed, &name, |found: Option<Marker>| {
                match found.and_then(|marker| marker.open) {
                    // An answer that was lost was ours.
                    Some(other) if other.run != begun.run => Err(left(&other)),
                    _ => Ok(Some(Marker {
                        open: Some(begun.clone()),
                    })),
                }
            })
            .await?;
        Ok(begun.at)
    }

    /// Removes what was written since, and notes that.
    pub(super) async fn clean(&self, since: Timestamp) -> Result<()> {
        // Behind all that was written, also where the clock was set back meanwhile.
        let before = self.by.clock.now().max(since) + chrono::TimeDelta::milliseconds(1);
        let tenant = self.of.clone();
        self.target().purge_before(Purge { tenant, before }).await?;
        if self.has_any().await? {
            let context = format!(
                "the scratch tenant {} has something left behind the purge",
                self.of
            );
            return Err(Error::conflict(context));
        }
        let name = self.marker().await?;
        let archive = &self.by.archive;
        let closed = |_: Option<Marker>| Ok(Some(Marker::default()));
        archive.change_checkpoint(&self.replayed, &name, closed).await
    }

    /// Removes what an earlier one left, which need not be of this scratch tenant.
    pub(super) async fn clean_up(self) -> Result<bool> {
        self.can(false)?;
        let name = self.marker().await?;
        let marker: Option<Marker> = self.by.archive.checkpoint(&self.replayed, &name).await?;
        let Some(begun) = marker.and_then(|marker| marker.open) else {
            return Ok(false);
        };
        if begun.scratch == self.replayed {
            let context = "the note of an earlier rehearsal names the tenant itself";
            return Err(Error::new(ErrorKind::Corrupt, context));
        }
        let earlier = Scratch {
            of: begun.scratch,
            ..self
        };
        earlier.clean(begun.at).await.map(|()| true)
    }
}

fn left(begun: &Begun) -> Error {
    Error::conflict(format!(
        "the rehearsal that began at {} has left the scratch tenant {} on this store, or goes on there",
        begun.at.format("%Y-%m-%dT%H:%M:%SZ"),
        begun.scratch
    ))
}
