//! Records on their way into objects: one open object for each kind and day.

use std::collections::{BTreeMap, HashSet};

use kaireon_core::digest::TenantKey;
use kaireon_core::store::Accepted;
use kaireon_core::{Result, TenantId};

use crate::archive::Archive;
use crate::manifest::WrittenBy;
use crate::object::{Ended, LineRef, ObjectBuilder, Sealed};
use crate::plan::Planned;
use crate::{Archived, Day, Kind};

/// An object that is ready to be written, with where its lines come from.
pub(crate) struct Ready<G> {
    pub(crate) planned: Planned,
    pub(crate) sealed: Sealed,
    pub(crate) lines: Vec<LineRef<G>>,
}

/// The records of one tenant.
pub(crate) struct Batches<G> {
    key: TenantKey,
    max_object_bytes: usize,
    open: BTreeMap<(Kind, Day), ObjectBuilder<G>>,
    full: Vec<((Kind, Day), ObjectBuilder<G>)>,
}

impl<G> Batches<G> {
    pub(crate) fn new(archive: &Archive, tenant: &TenantId) -> Self {
        Self {
            key: archive.key(tenant),
            max_object_bytes: archive.max_object_bytes(),
            open: BTreeMap::new(),
            full: Vec::new(),
        }
    }

    pub(crate) fn key(&self) -> &TenantKey {
        &self.key
    }

    /// Adds a record; returns by how many bytes the memory kept has grown.
    pub(crate) fn push<T: Archived>(&mut self, record: &Accepted<T>, tag: G) -> usize {
        let place = (T::KIND, Day::containing(record.value.timestamp()));
        let builder = self.open.entry(place).or_default();
        let grown = builder.push(record, &self.key, tag);
        if builder.bytes() >= self.max_object_bytes
            && let Some(full) = self.open.remove(&place)
        {
            self.full.push((place, full));
        }
        grown
    }

    fn all(&mut self) -> impl Iterator<Item = (&(Kind, Day), &mut ObjectBuilder<G>)> {
        let full = self.full.iter_mut().map(|(place, builder)| (&*place, builder));
        full.chain(self.open.iter_mut())
    }

    /// Leaves out what some objects of the archive hold already; returns what was left out. `asked` says which lines
    /// may be there at all, so that no object is read for those that cannot.
    pub(crate) async fn drop_held(
        &mut self,
        archive: &Archive,
        tenant: &TenantId,
        asked: impl Fn(&LineRef<G>) -> bool,
        among: impl Fn(Kind, Day, &crate::manifest::ObjectEntry) -> bool + Send + Sync,
    ) -> Result<Vec<LineRef<G>>> {
        let mut dropped = Vec::new();
        for (&(kind, day), builder) in self.all() {
            let keys: HashSet<_> = (builder.index().iter())
                .filter(|line| asked(line))
                .map(|line| line.key)
                .collect();
            let held = archive
                .held(tenant, (kind, day), &keys, |entry| among(kind, day, entry))
                .await?;
            if !held.is_empty() {
                dropped.extend(builder.retain(|line| !held.contains(&line.key)));
            }
        }
        Ok(dropped)
    }

    /// Leaves out lines; returns what they were.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&LineRef<G>) -> bool) -> Vec<LineRef<G>> {
        self.all()
            .flat_map(|(_, builder)| builder.retain(&mut keep))
            .collect()
    }

    /// Ends every object, one after the other: the lines of each are let go when its bytes are made.
    pub(crate) fn seal(self, archive: &Archive, by: WrittenBy) -> Result<Vec<Ready<G>>> {
        let mut ready = Vec::new();
        for ((kind, day), builder) in self.full.into_iter().chain(self.open) {
            let stem = archive.batch_name()?;
            if let Some(ended) = builder.seal(&stem, archive.compression(), by)? {
                let Ended { entry, sealed, lines } = ended;
                ready.push(Ready {
                    planned: Planned { kind, day, entry },
                    sealed,
                    lines,
                });
            }
        }
        Ok(ready)
    }
}
