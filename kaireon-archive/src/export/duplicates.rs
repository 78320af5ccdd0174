//! Which records a day's objects hold already.
//!
//! A record that is accepted after the lane came into force is in the lane, and the scan sees its row as well. While a
//! scan goes on the tenant's lane waits, so that neither side changes while the other is compared with it.

use std::collections::HashSet;

use kaireon_core::digest::Digest;
use kaireon_core::{Decision, Interaction, Result, TenantId};

use crate::archive::Archive;
use crate::load::read_line;
use crate::manifest::ObjectEntry;
use crate::{Archived, Day, Kind, SummaryLine};

impl Archive {
    /// Which of the keys belong to records in those objects of a day that `among` wants. Reads each of them.
    pub(crate) async fn held(
        &self,
        tenant: &TenantId,
        (kind, day): (Kind, Day),
        keys: &HashSet<Digest>,
        among: impl Fn(&ObjectEntry) -> bool + Send + Sync,
    ) -> Result<HashSet<Digest>> {
        match kind {
            Kind::Interactions => self.held_of::<Interaction>(tenant, day, keys, among).await,
            Kind::Decisions => self.held_of::<Decision>(tenant, day, keys, among).await,
            Kind::Summaries => self.held_of::<SummaryLine>(tenant, day, keys, among).await,
        }
    }

    async fn held_of<T: Archived>(
        &self,
        tenant: &TenantId,
        day: Day,
        keys: &HashSet<Digest>,
        among: impl Fn(&ObjectEntry) -> bool + Send + Sync,
    ) -> Result<HashSet<Digest>> {
        let mut held = HashSet::new();
        if keys.is_empty() {
            return Ok(held);
        }
        let tenant_key = self.key(tenant);
        for entry in self.objects(tenant, T::KIND, day).await? {
            if !among(&entry) {
                continue;
            }
            let loaded = self.load(tenant, (T::KIND, day), &entry).await?;
            let mut lines = loaded.lines()?;
            while let Some((_, line)) = lines.next()? {
                if let Ok(record) = read_line::<T>(line, tenant, day) {
                    let key = record.value.key(&tenant_key);
                    if keys.contains(&key) {
                        held.insert(key);
                    }
                }
            }
        }
        Ok(held)
    }
}
