//! Rounds: what was read of the lane at once, and is written at once.
//!
//! The order of the steps is what makes each entry be in exactly one object:
//!
//! 1. the objects are sealed in memory, and a plan that names them is made durable, for each tenant;
//! 2. who was erased, and whether a scan has begun, is read again: whoever erases or scans settles the plans that it
//!    finds, so either it finds this one, or this round sees what it did;
//! 3. the leases are shown to be held still: whoever leases a range settles the plans that it finds, so either it finds
//!    this one, or this round ends here;
//! 4. objects are created, never written over, then named in their manifests;
//! 5. the entries are settled, under the leases;
//! 6. the plan is removed.

use futures_util::StreamExt;
use kaireon_core::outbox::{Lease, Settlement};
use kaireon_core::{Effect, Error, ErrorKind, Result, TenantId};
use std::sync::Arc;
use tokio::time::Instant;

use super::batches::{Batches, Ready};
use super::lane::{LaneRef, LaneState};
use super::mask::short;
use super::{Exported, Exporter, failed};
use crate::Kind;
use crate::archive::{ByTenant, random};
use crate::layout::TenantPaths;
use crate::manifest::{ObjectEntry, WrittenBy, to_json};
use crate::place::Put;
use crate::plan::{Plan, PlannedBatch, PlannedEntry, Resolved};
use crate::state::ExportState;
use crate::tombstones::Tombstones;

/// How many entries are settled in one unit.
const SETTLED_AT_ONCE: usize = 5_000;

/// Entries of any number of tenants.
#[derive(Default)]
pub(super) struct Round {
    tenants: ByTenant<Option<TenantRound>>,
    pub(super) bytes: usize,
    pub(super) entries: usize,
}

/// Entries of one tenant.
pub(super) struct TenantRound {
    pub(super) batches: Batches<LaneRef>,
    pub(super) tombstones: Arc<Tombstones>,
    pub(super) settled: Vec<Settlement>,
    state: ExportState,
}

/// Whether an entry is taken.
pub(super) enum Admission<'a> {
    Open(&'a mut TenantRound),
    /// The tenant's scan has not ended.
    Waiting,
    /// The tenant fails, most lately with this error.
    Failed(Error),
}

/// A tenant whose plan is durable.
struct Prepared {
    tenant: TenantId,
    plan: object_store::path::Path,
    ready: Vec<Ready<LaneRef>>,
    settled: Vec<Settlement>,
    held_already: u64,
}

/// A tenant whose objects are durable.
struct Written {
    tenant: TenantId,
    plan: Option<object_store::path::Path>,
    objects: Vec<(Kind, ObjectEntry)>,
    settled: Vec<Settlement>,
    held_already: u64,
}

impl Round {
    /// Looks a tenant up that has an entry in the lane.
    pub(super) async fn admit(
        &mut self,
        exporter: &Exporter,
        state: &mut LaneState,
        tenant: &TenantId,
    ) -> Admission<'_> {
        if let Some(pause) = state.pauses.get(tenant)
            && (pause.until > Instant::now() || state.open.contains(tenant))
        {
            return Admission::Failed(pause.error.clone());
        }
        if !self.tenants.contains_key(tenant) {
            match TenantRound::begin(exporter, tenant).await {
                Ok(round) => self.tenants.insert(tenant.clone(), round),
                Err(error) => {
                    exporter.pause(state, tenant, error.clone());
                    return Admission::Failed(error);
                }
            };
        }
        match self.tenants.get_mut(tenant).and_then(Option::as_mut) {
            Some(round) => Admission::Open(round),
            None => Admission::Waiting,
        }
    }
}

impl TenantRound {
    /// `None` while the tenant's scan goes on.
    async fn begin(exporter: &Exporter, tenant: &TenantId) -> Result<Option<Self>> {
        let archive = &exporter.archive;
        archive.claim(tenant).await?;
        let tombstones = archive.read_tombstones(tenant).await?;
        let state = exporter.state(tenant).await?;
        if state.is_scanning() {
            return Ok(None);
        }
        Ok(Some(Self {
            batches: Batches::new(archive, tenant),
            tombstones,
            settled: Vec::new(),
            state,
        }))
    }
}

impl Exporter {
    /// Writes a round and settles its entries; a tenant that fails is paused and reported.
    pub(super) async fn write_round(
        &self,
        state: &mut LaneState,
        round: Round,
        report: &mut Exported,
    ) -> Result<()> {
        let open: Vec<_> = (round.tenants.into_iter())
            .filter_map(|(tenant, round)| round.map(|round| (tenant, round)))
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let at_once = self.config.tenants_at_once;
        let prepared: Vec<_> = futures_util::stream::iter(open)
            .map(|(tenant, round)| async move {
                let prepared = self.prepare(&tenant, round).await;
                (tenant, prepared)
            })
            .buffer_unordered(at_once)
            .collect()
            .await;
        let mut going = Vec::new();
        for (tenant, prepared) in prepared {
            match prepared {
                Ok(prepared) => going.push(prepared),
                Err(error) => self.fail(state, &tenant, error, report),
            }
        }
        if let Err(error) = self.prove(&state.leases).await {
            // Nothing was written, so nothing is left open.
            for prepared in going {
                let _ = self.archive.place().delete(&prepared.plan).await;
            }
            return Err(error);
        }
        let mut writing = futures_util::stream::iter(going)
            .map(|prepared| async move {
                let tenant = prepared.tenant.clone();
                (tenant, self.write(prepared).await)
            })
            .buffer_unordered(at_once);
        while let Some((tenant, written)) = writing.next().await {
            let settled = match written {
                Ok(written) => self.settle_written(&state.leases, written, report).await,
                Err(error) => Err(error),
            };
            match settled {
                Ok(()) => {
                    state.pauses.remove(&tenant);
                }
                Err(error) if error.kind() == ErrorKind::Fenced => return Err(error),
                Err(error) => self.fail(state, &tenant, error, report),
            }
        }
        Ok(())
    }

    fn fail(&self, state: &mut LaneState, tenant: &TenantId, error: Error, report: &mut Exported) {
        tracing::warn!(%error, "the export of a tenant failed, will try again");
        metrics::counter!("kaireon.archive.failures", "error.type" => error.kind().as_str()).increment(1);
        self.pause(state, tenant, error.clone());
        state.open.insert(tenant.clone());
        state.unsure = true;
        report.failed.insert(tenant.clone(), error);
    }

    /// Steps 1 and 2.
    async fn prepare(&self, tenant: &TenantId, round: TenantRound) -> Result<Prepared> {
        let TenantRound {
            mut batches,
            tombstones,
            mut settled,
            state,
        } = round;
        let mut held_already = 0;
        if let Some(ended) = state.scan.as_ref().and_then(|scan| scan.ended) {
            let until = ended.at + self.config.max_clock_skew;
            let dropped = batches
                .drop_held(
                    &self.archive,
                    tenant,
                    |line| line.tag.enqueued_at <= until,
                    |_, _, entry| entry.written_by == WrittenBy::Scan,
                )
                .await?;
            held_already = dropped.len() as u64;
            settled.extend(dropped.iter().map(|line| line.tag.delivered()));
        }
        let ready = batches.seal(&self.archive, WrittenBy::Lane)?;
        let path = TenantPaths::new(tenant).plan(&self.config.source, &format!("{:016x}", random()?));
        let prepared = Prepared {
            tenant: tenant.clone(),
            plan: path,
            ready,
            settled,
            held_already,
        };
        if prepared.ready.is_empty() {
            return Ok(prepared);
        }
        let plan = to_json(&plan_of(&prepared));
        if self.archive.place().create(&prepared.plan, plan).await? == Put::Lost {
            // The client sent it again after a lost reply, or, once in 2^64, the name is another's.
            tracing::debug!("a plan was there already");
        }
        // A scan that has ended meanwhile has written what this round has not been compared with.
        let scanned = self.state(tenant).await?.scan != state.scan;
        let erased = !self.archive.read_tombstones(tenant).await?.same_as(&tombstones);
        if scanned || erased {
            self.archive.place().delete(&prepared.plan).await?;
            let context = "a scan or an erasure began in the middle of a round";
            return Err(failed(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied));
        }
        Ok(prepared)
    }

    /// Step 4.
    async fn write(&self, prepared: Prepared) -> Result<Written> {
        let Prepared {
            tenant,
            plan,
            ready,
            mut settled,
            held_already,
        } = prepared;
        let mut objects = Vec::new();
        let plan = (!ready.is_empty()).then_some(plan);
        for Ready {
            planned,
            sealed,
            lines,
        } in ready
        {
            if self.archive.write_planned(&tenant, &planned, sealed).await? == Resolved::Void {
                let context = "another exporter or an erasure closed a batch that was about to be written";
                return Err(failed(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied));
            }
            settled.extend(lines.iter().map(|line| line.tag.delivered()));
            objects.push((planned.kind, planned.entry));
        }
        Ok(Written {
            tenant,
            plan,
            objects,
            settled,
            held_already,
        })
    }

    /// Steps 5 and 6.
    async fn settle_written(&self, leases: &[Lease], written: Written, report: &mut Exported) -> Result<()> {
        let Written {
            tenant,
            plan,
            objects,
            settled,
            held_already,
        } = written;
        for (kind, entry) in &objects {
            report.count(*kind, entry);
            self.wrote(&tenant, *kind, entry);
        }
        self.settle(leases, settled).await?;
        report.held_already += held_already;
        if let Some(plan) = plan {
            self.archive.place().delete(&plan).await?;
        }
        Ok(())
    }

    pub(super) async fn settle(&self, leases: &[Lease], mut settled: Vec<Settlement>) -> Result<()> {
        while !settled.is_empty() {
            let rest = settled.split_off(settled.len().min(SETTLED_AT_ONCE));
            self.outbox.settle(leases, settled).await?;
            settled = rest;
        }
        Ok(())
    }
}

fn plan_of(prepared: &Prepared) -> Plan {
    let batch = |ready: &Ready<LaneRef>| PlannedBatch {
        object: ready.planned.clone(),
        entries: (ready.lines.iter())
            .map(|line| PlannedEntry(line.tag.range, line.tag.position.0, short(line.key)))
            .collect(),
    };
    Plan {
        tenant: prepared.tenant.clone(),
        objects: prepared.ready.iter().map(batch).collect(),
    }
}
