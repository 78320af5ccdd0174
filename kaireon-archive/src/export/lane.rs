//! Passes over the archive's lane.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kaireon_core::outbox::{
    Destination, FetchFrom, Lane, Lease, LeaseRequest, OutboxEntry, OutboxPayload, Position, RANGES,
    Settlement, Verdict,
};
use kaireon_core::store::Accepted;
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, Result, TenantId};
use tokio::time::Instant;

use super::round::{Admission, Round};
use super::{Exported, Exporter, Pause, failed};
use crate::archive::ByTenant;
use crate::state::Mark;

/// Where an entry of the lane lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneRef {
    pub(super) range: u16,
    pub(super) position: Position,
    pub(super) enqueued_at: Timestamp,
}

impl LaneRef {
    pub(super) fn delivered(self) -> Settlement {
        Settlement {
            range: self.range,
            position: self.position,
            verdict: Verdict::Delivered,
        }
    }
}

/// What an exporter remembers between two passes.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    pub(super) leases: Vec<Lease>,
    /// Where the lane leads instead, when these exporters are refused.
    elsewhere: Option<String>,
    /// When they are to be renewed.
    renew_at: Option<Instant>,
    /// Whether plans of the leased ranges may be open that are not of the round at hand.
    pub(super) unsure: bool,
    /// Tenants that failed.
    pub(super) pauses: ByTenant<Pause>,
    /// Tenants with a plan whose end is not known: their entries may be in an object already. Each is paused, or was
    /// until just now.
    pub(super) open: HashSet<TenantId>,
}

/// One pass.
#[derive(Default)]
struct Pass {
    report: Exported,
    /// Up to where each range has been read in this pass: what failed before stays there and is passed over.
    after: HashMap<u16, Position>,
    /// The leases with which the pass began; other ones mean that it has not seen all.
    began: Vec<(u16, u64)>,
    end: bool,
}

impl Exporter {
    /// Exports what is in the lane, until nothing is left but the entries of tenants that fail or wait.
    ///
    /// Entries are settled after their objects and manifests are durable. A tenant that fails is passed over, tried
    /// again by a later pass, and does not hold up the others.
    ///
    /// # Errors
    /// Those of the outbox; `Fenced` when ranges were lost to another exporter in the middle. What had been written
    /// stays, and the next pass goes on from there.
    ///
    /// # Dropped futures
    /// What is half done is found and finished, or undone, by the next pass of whoever leases the ranges.
    pub async fn export_once(&self) -> Result<Exported> {
        let mut state = self.lane.lock().await;
        let marks = self.marks().await;
        // Whatever an earlier pass left open, this exporter's or another's.
        state.unsure = true;
        let mut pass = Pass::default();
        while !pass.end {
            let turn = self.turn(&mut state, &mut pass).await;
            if turn.is_err() {
                state.unsure = true;
                state.renew_at = None;
            }
            turn?;
        }
        let mut report = pass.report;
        report.complete = self.is_complete(&state, &pass.began).await?;
        if report.complete {
            self.save_marks(marks, &report).await;
        }
        Ok(report)
    }

    /// Reads until memory is full or the lane ends, and writes.
    async fn turn(&self, state: &mut LaneState, pass: &mut Pass) -> Result<()> {
        self.renew(state).await?;
        if pass.began.is_empty() {
            pass.began = tokens(&state.leases);
        }
        if state.unsure {
            self.recover(state, &mut pass.report).await?;
        }
        let mut round = Round::default();
        while !pass.end
            && round.bytes < self.config.max_buffered_bytes
            && round.entries < self.config.max_buffered_entries
        {
            let page = self.page(state, pass).await?;
            pass.end = page.is_empty();
            for entry in page {
                self.take(state, &mut round, entry, &mut pass.report).await?;
            }
            if self.is_due(state) {
                break;
            }
        }
        self.write_round(state, round, &mut pass.report).await
    }

    /// Renews the leases where they are due, and takes a fair share.
    async fn renew(&self, state: &mut LaneState) -> Result<()> {
        if !self.is_due(state) {
            return Ok(());
        }
        let request = |max_ranges| LeaseRequest {
            lane: Lane::Archive,
            owner: self.config.owner.clone(),
            ttl: self.config.lease_ttl,
            max_ranges,
            destination: Destination::shared(self.config.source.clone()),
        };
        let held = u16::try_from(state.leases.len()).unwrap_or(RANGES);
        let asked = self.outbox.lease(request(held)).await?;
        let share = RANGES.div_ceil(asked.owners.max(1));
        let leased = self.outbox.lease(request(share)).await?;
        if state.elsewhere.is_none()
            && let Some(in_force) = &leased.refused
        {
            let source = &self.config.source;
            tracing::warn!(%source, %in_force, "the lane leads to another destination, this exporter takes nothing of it");
        }
        state.elsewhere = leased.refused;
        let leases = leased.leases;
        if tokens(&leases) != tokens(&state.leases) {
            state.unsure = true;
        }
        state.leases = leases;
        state.renew_at = Some(Instant::now() + self.config.lease_ttl / 3);
        Ok(())
    }

    fn is_due(&self, state: &LaneState) -> bool {
        state.renew_at.is_none_or(|at| Instant::now() >= at)
    }

    async fn page(&self, state: &LaneState, pass: &mut Pass) -> Result<Vec<OutboxEntry>> {
        if state.leases.is_empty() {
            return Ok(Vec::new());
        }
        let from = (state.leases.iter())
            .map(|lease| FetchFrom::page(lease.clone(), pass.after.get(&lease.range).copied()))
            .collect();
        let page = self.outbox.fetch(from, self.config.page).await?;
        for entry in &page {
            let after = pass.after.entry(entry.range).or_default();
            *after = (*after).max(entry.position);
        }
        Ok(page)
    }

    /// Takes one entry into the round, or passes it over.
    async fn take(
        &self,
        state: &mut LaneState,
        round: &mut Round,
        entry: OutboxEntry,
        report: &mut Exported,
    ) -> Result<()> {
        let place = LaneRef {
            range: entry.range,
            position: entry.position,
            enqueued_at: entry.enqueued_at,
        };
        let tenant = match round.admit(self, state, &entry.tenant).await {
            Admission::Open(tenant) => tenant,
            Admission::Waiting => {
                if !report.waiting.contains(&entry.tenant) {
                    report.waiting.push(entry.tenant);
                }
                return Ok(());
            }
            Admission::Failed(error) => {
                report.failed.insert(entry.tenant, error);
                return Ok(());
            }
        };
        let generation = entry.generation;
        if let Some(customer) = entry.customer()
            && tenant
                .tombstones
                .erased(tenant.batches.key().customer(customer), generation)
        {
            report.erased += 1;
            tenant.settled.push(place.delivered());
            return Ok(());
        }
        let grown = match entry.payload {
            OutboxPayload::Interaction(value) => tenant.batches.push(&Accepted { value, generation }, place),
            OutboxPayload::Decision(value) => tenant.batches.push(&Accepted { value, generation }, place),
            // A host's events are for the event stream alone; no store writes them into this lane.
            _ => {
                tenant.settled.push(place.delivered());
                0
            }
        };
        round.bytes += grown;
        round.entries += 1;
        Ok(())
    }

    /// Whether the pass has seen all that was in the lane when it began.
    async fn is_complete(&self, state: &LaneState, began: &[(u16, u64)]) -> Result<bool> {
        let status = self.outbox.status(Lane::Archive).await?;
        // What leads elsewhere was exported by others, to where they do, however empty it is.
        if status.dead_letters > 0 || state.elsewhere.is_some() {
            return Ok(false);
        }
        let whole = state.leases.len() == usize::from(RANGES) && tokens(&state.leases) == began;
        Ok(whole || status.backlog == 0)
    }

    /// Where the source stands, for the tenants whose state is kept. A tenant that fails is left out.
    async fn marks(&self) -> Vec<(TenantId, Mark)> {
        let mut marks = Vec::new();
        for tenant in &self.config.tenants {
            match self.mark(tenant).await {
                Ok(mark) => marks.push((tenant.clone(), mark)),
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                Err(error) => tracing::warn!(%error, "where a tenant stands was not read"),
            }
        }
        marks
    }

    async fn save_marks(&self, marks: Vec<(TenantId, Mark)>, report: &Exported) {
        for (tenant, mark) in marks {
            if report.failed.contains_key(&tenant) || report.waiting.contains(&tenant) {
                continue;
            }
            let saved = async {
                self.bring_tombstones(&tenant).await?;
                self.change_state(&tenant, |state| {
                    state.complete_through = Some(mark);
                    Ok(())
                })
                .await
            };
            // The records are there; how far they reach is said by the next pass.
            if let Err(error) = saved.await {
                tracing::warn!(%error, "how far a tenant is exported was not saved");
            }
        }
    }

    /// Shows that every lease is still held, now.
    pub(super) async fn prove(&self, leases: &[Lease]) -> Result<()> {
        let from: Vec<_> = leases.iter().cloned().map(FetchFrom::all).collect();
        if from.is_empty() {
            return Err(failed(ErrorKind::Fenced, "no range is leased"));
        }
        self.outbox.fetch(from, 1).await.map(|_| ())
    }

    /// Gives the leases back, so that another exporter need not wait for their end.
    ///
    /// # Errors
    /// Those of the outbox; the leases expire then.
    pub async fn release(&self) -> Result<()> {
        let mut state = self.lane.lock().await;
        state.renew_at = None;
        self.outbox.release(std::mem::take(&mut state.leases)).await
    }

    pub(super) fn pause(&self, state: &mut LaneState, tenant: &TenantId, error: Error) {
        let length = match state.pauses.get(tenant) {
            Some(pause) => pause.length.saturating_mul(2).min(self.config.max_pause),
            None => self.config.min_pause,
        };
        let until = Instant::now() + length.min(Duration::from_secs(86_400));
        let pause = Pause { until, length, error };
        state.pauses.insert(tenant.clone(), pause);
    }
}

fn tokens(leases: &[Lease]) -> Vec<(u16, u64)> {
    let mut tokens: Vec<_> = leases.iter().map(|lease| (lease.range, lease.token)).collect();
    tokens.sort_unstable();
    tokens
}
