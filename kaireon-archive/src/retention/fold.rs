//! The summaries of purged days, folded from what the archive holds of them.

use std::collections::BTreeMap;

use kaireon_core::store::{Accepted, Generation};
use kaireon_core::summary::{Dimension, Stats};
use kaireon_core::{CustomerId, ErrorKind, Interaction, Result, TenantId};

use object_store::path::Path;

use super::RetentionState;
use crate::archive::Archive;
use crate::error::named;
use crate::export::Exporter;
use crate::layout::TenantPaths;
use crate::load::read_line;
use crate::manifest::{WrittenBy, change_json, read_json, to_json};
use crate::object::{Ended, ObjectBuilder};
use crate::plan::{Plan, Planned, PlannedBatch, Resolved};
use crate::{Archived, Day, Kind, SummaryLine};

/// How many interactions are folded at a time: a day with more is read once for each slice of its customers.
const ROWS_AT_ONCE: u64 = 50_000;

/// One customer's group of a day.
type Group = (CustomerId, Generation, Dimension, String);

impl Exporter {
    /// Archives the summaries of purged days that are not there yet; returns of how many days.
    pub(super) async fn summarise(&self, tenant: &TenantId) -> Result<u64> {
        let archive = self.archive();
        let mut days = 0;
        loop {
            let state = archive.retention_state(tenant).await?;
            let Some(before) = state.purged_before else {
                return Ok(days);
            };
            let next = (archive.partitions(tenant, Kind::Interactions).await?.into_iter())
                .find(|day| day.start() < before && state.summarised.is_none_or(|done| *day > done));
            let Some(day) = next else { return Ok(days) };
            self.summarise_day(tenant, day).await?;
            archive
                .change_retention(tenant, |state| {
                    state.summarised = Some(day);
                    (state.slices, state.slices_done) = (None, 0);
                })
                .await?;
            days += 1;
        }
    }

    async fn summarise_day(&self, tenant: &TenantId, day: Day) -> Result<()> {
        let archive = self.archive();
        let objects = archive.objects(tenant, Kind::Interactions, day).await?;
        let rows: u64 = objects.iter().map(|object| object.content.records).sum();
        let wanted = u32::try_from(rows.div_ceil(ROWS_AT_ONCE)).unwrap_or(u32::MAX);
        // Kept, because an erasure between two slices must not move customers from one to another.
        archive
            .change_retention(tenant, |state| {
                state.slices.get_or_insert(wanted);
            })
            .await?;
        let state = archive.retention_state(tenant).await?;
        let (slices, done) = (state.slices.unwrap_or(wanted), state.slices_done);
        let plan = |slice: u32| {
            TenantPaths::new(tenant).plan(self.source(), &format!("purge-{day}-{slice}-of-{slices}"))
        };
        if let Some(last) = done.checked_sub(1) {
            archive.place().delete(&plan(last)).await?;
        }
        for slice in done..slices {
            self.summarise_slice(tenant, day, (slice, slices), &plan(slice))
                .await?;
            archive
                .change_retention(tenant, |state| state.slices_done = slice + 1)
                .await?;
            archive.place().delete(&plan(slice)).await?;
        }
        Ok(())
    }

    /// Writes a slice: one object, because its groups are bounded by its rows. The plan is removed by the caller, after
    /// the slice is counted as done.
    async fn summarise_slice(
        &self,
        tenant: &TenantId,
        day: Day,
        (slice, slices): (u32, u32),
        plan_path: &Path,
    ) -> Result<()> {
        let archive = self.archive();
        if let Some((plan, _)) = read_json::<Plan>(archive.place(), plan_path).await? {
            for batch in &plan.objects {
                if archive.resolve(tenant, &batch.object).await? == Resolved::Kept {
                    return Ok(());
                }
            }
            archive.place().delete(plan_path).await?;
        }
        let tombstones = archive.read_tombstones(tenant).await?;
        let groups = archive.fold(tenant, day, (slice, slices)).await?;
        let key = archive.key(tenant);
        let mut builder = ObjectBuilder::<()>::default();
        for ((customer, generation, dimension, value), stats) in groups {
            if tombstones.erased(key.customer(&customer), generation) {
                continue;
            }
            let value = SummaryLine {
                tenant: tenant.clone(),
                customer,
                day,
                dimension,
                value,
                stats,
            };
            builder.push(&Accepted { value, generation }, &key, ());
        }
        let sealed = builder.seal(&archive.batch_name()?, archive.compression(), WrittenBy::Purge)?;
        let Some(Ended { entry, sealed, .. }) = sealed else {
            return Ok(());
        };
        let object = Planned {
            kind: Kind::Summaries,
            day,
            entry,
        };
        let batch = PlannedBatch {
            object: object.clone(),
            entries: Vec::new(),
        };
        let plan = Plan {
            tenant: tenant.clone(),
            objects: vec![batch],
        };
        archive.place().create(plan_path, to_json(&plan)).await?;
        let same = archive.read_tombstones(tenant).await?.same_as(&tombstones);
        if !same || archive.write_planned(tenant, &object, sealed).await? == Resolved::Void {
            let context = "an erasure began while a purged day was summarised";
            return Err(named(
                kaireon_core::Error::new(ErrorKind::Unavailable, context),
                "retain",
            ));
        }
        self.wrote(tenant, Kind::Summaries, &object.entry);
        Ok(())
    }
}

impl Archive {
    async fn change_retention(
        &self,
        tenant: &TenantId,
        edit: impl Fn(&mut RetentionState) + Send + Sync,
    ) -> Result<()> {
        let path = TenantPaths::new(tenant).retention();
        change_json(self.place(), &path, |state: Option<RetentionState>| {
            let mut state = state.unwrap_or_default();
            edit(&mut state);
            Ok(Some(state))
        })
        .await
    }

    /// Folds a day's interactions of a slice of its customers.
    async fn fold(
        &self,
        tenant: &TenantId,
        day: Day,
        (slice, slices): (u32, u32),
    ) -> Result<BTreeMap<Group, Stats>> {
        let key = self.key(tenant);
        let mut groups: BTreeMap<Group, Stats> = BTreeMap::new();
        for entry in self.objects(tenant, Interaction::KIND, day).await? {
            let loaded = self.load(tenant, (Interaction::KIND, day), &entry).await?;
            let mut lines = loaded.lines()?;
            while let Some((_, line)) = lines.next()? {
                let Ok(Accepted { value, generation }) = read_line::<Interaction>(line, tenant, day) else {
                    continue;
                };
                let digest = key.customer(&value.customer);
                let mut first = [0; 4];
                first.copy_from_slice(&digest.as_bytes()[..4]);
                if u32::from_le_bytes(first) % slices != slice {
                    continue;
                }
                let stats = Stats::of(&value);
                for dimension in Dimension::ALL {
                    let group = (
                        value.customer.clone(),
                        generation,
                        dimension,
                        dimension.of(&value).to_owned(),
                    );
                    groups.entry(group).or_default().merge(&stats);
                }
            }
        }
        Ok(groups)
    }
}
