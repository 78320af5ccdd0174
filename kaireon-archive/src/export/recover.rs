//! Plans that were left open: by a kill, a failure, a dropped future, or another exporter that lost its ranges.

use std::collections::{BTreeMap, HashSet};

use kaireon_core::outbox::{FetchFrom, Lease, OutboxEntry, OutboxPayload, Position, Settlement, Verdict};
use kaireon_core::{Result, TenantId};
use object_store::path::Path;
use tokio::time::Instant;

use super::lane::LaneState;
use super::mask::short;
use super::{Exported, Exporter};
use crate::layout;
use crate::manifest::{read_json, to_json};
use crate::place::Version;
use crate::plan::{Plan, PlannedBatch, PlannedEntry, Resolved};

/// Entries by range and position, each with the beginning of its record's digest.
type Wanted = BTreeMap<u16, BTreeMap<Position, String>>;

impl Exporter {
    /// Settles every plan that has entries in the leased ranges. Tenants for which that fails are paused, and nothing
    /// of theirs is exported until it succeeds.
    pub(super) async fn recover(&self, state: &mut LaneState, report: &mut Exported) -> Result<()> {
        let leased: HashSet<u16> = state.leases.iter().map(|lease| lease.range).collect();
        let before = std::mem::take(&mut state.open);
        for path in self
            .archive
            .place()
            .list(&layout::plans_of(&self.config.source))
            .await?
        {
            let Some((plan, version)) = read_json::<Plan>(self.archive.place(), &path).await? else {
                continue;
            };
            let ours = |entry: &PlannedEntry| leased.contains(&entry.0);
            if !plan.objects.iter().any(|batch| batch.entries.iter().any(ours)) {
                continue;
            }
            let tenant = plan.tenant.clone();
            if let Some(pause) = state.pauses.get(&tenant)
                && pause.until > Instant::now()
                && before.contains(&tenant)
            {
                report.failed.insert(tenant.clone(), pause.error.clone());
                state.open.insert(tenant);
                continue;
            }
            if let Err(error) = self
                .finish_plan(&state.leases, &leased, (plan, &path, version), report)
                .await
            {
                if error.kind() == kaireon_core::ErrorKind::Fenced {
                    state.open = before;
                    return Err(error);
                }
                tracing::warn!(%error, "a batch that was left open could not be settled, will try again");
                self.pause(state, &tenant, error.clone());
                state.open.insert(tenant.clone());
                report.failed.insert(tenant, error);
            }
        }
        state.unsure = !state.open.is_empty();
        Ok(())
    }

    async fn finish_plan(
        &self,
        leases: &[Lease],
        leased: &HashSet<u16>,
        (plan, path, version): (Plan, &Path, Version),
        report: &mut Exported,
    ) -> Result<()> {
        let mut wanted = Wanted::new();
        let mut rest = Plan {
            tenant: plan.tenant.clone(),
            objects: Vec::new(),
        };
        for PlannedBatch { object, entries } in plan.objects {
            // What was never written is exported anew, under another name.
            if self.archive.resolve(&plan.tenant, &object).await? == Resolved::Void {
                continue;
            }
            let (ours, others): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|entry| leased.contains(&entry.0));
            for PlannedEntry(range, position, key) in ours {
                wanted.entry(range).or_default().insert(Position(position), key);
            }
            if !others.is_empty() {
                rest.objects.push(PlannedBatch {
                    object,
                    entries: others,
                });
            }
        }
        report.held_already += self.settle_wanted(leases, &plan.tenant, wanted).await?;
        if rest.objects.is_empty() {
            return self.archive.place().delete(path).await;
        }
        // Where another holder of ranges was ahead, what is left of the plan is looked at again by the next pass.
        self.archive
            .place()
            .replace(path, to_json(&rest), Some(&version))
            .await
            .map(|_| ())
    }

    /// Settles those entries that still are what was planned.
    async fn settle_wanted(&self, leases: &[Lease], tenant: &TenantId, wanted: Wanted) -> Result<u64> {
        let key = self.archive.key(tenant);
        let mut settled = 0;
        for (range, entries) in wanted {
            let (Some(lease), Some((&last, _))) = (
                leases.iter().find(|lease| lease.range == range),
                entries.last_key_value(),
            ) else {
                continue;
            };
            let mut after = None;
            loop {
                let from = vec![FetchFrom::page(lease.clone(), after)];
                let page = self.outbox.fetch(from, self.config.page).await?;
                let Some(end) = page.last().map(|entry| entry.position) else {
                    break;
                };
                let found: Vec<_> = (page.iter())
                    .filter(|entry| entry.tenant == *tenant)
                    .filter(|entry| {
                        let planned = entries.get(&entry.position);
                        planned.is_some() && planned == digest(&key, entry).as_ref()
                    })
                    .map(|entry| Settlement {
                        range,
                        position: entry.position,
                        verdict: Verdict::Delivered,
                    })
                    .collect();
                settled += found.len() as u64;
                self.settle(leases, found).await?;
                if end >= last {
                    break;
                }
                after = Some(end);
            }
        }
        Ok(settled)
    }
}

fn digest(key: &kaireon_core::digest::TenantKey, entry: &OutboxEntry) -> Option<String> {
    match &entry.payload {
        OutboxPayload::Interaction(interaction) => {
            Some(short(key.idempotency_key(&interaction.idempotency_key)))
        }
        OutboxPayload::Decision(decision) => Some(short(key.recommendation(&decision.id))),
        _ => None,
    }
}
