//! The first run: what was recorded before the lane was in force.

use kaireon_core::store::{Accepted, Page, ScanCursor, ScanQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{Decision, ErrorKind, Interaction, Result, TenantId};

use super::batches::{Batches, Ready};
use super::{Exporter, failed};
use crate::Archived;
use crate::layout::{self, TenantPaths};
use crate::manifest::{WrittenBy, read_json};
use crate::plan::{Plan, Planned, Resolved};
use crate::state::{Ahead, ExportState, Holder, Mark, Pending, Progress, ScanState};

/// The parts of a scan, one after the other; decisions lie between them.
const INTERACTIONS: u8 = 0;
const ENDED: u8 = 2;

/// What a chunk is made of.
struct Chunk {
    batches: Batches<()>,
    part: u8,
    cursor: Option<ScanCursor>,
}

impl Exporter {
    /// Exports what a tenant's store holds already: once, to the end; a second call answers what the first did.
    ///
    /// The `archive` lane must be in force, so that what is recorded from now on is in the lane. While the scan goes
    /// on, the tenant's lane waits; what both of them saw is written once. After a kill, and after an error, the next
    /// call goes on behind the last chunk. One process at a time gets on with it: another one is told `Conflict`.
    ///
    /// Where the source is another store than the one that was scanned, or went back in time behind a fail-over or a
    /// restored backup (its incarnation tells), it is scanned anew.
    ///
    /// What the scan of another store has written before, by the clocks of the two exporters, is not written again: a tenant
    /// that was moved has the same rows on both. Each chunk of the scan reads the objects of its days for that, so the scan
    /// of a tenant whose history lies in the archive costs more than the first.
    ///
    /// # Errors
    /// `Config` when the lane is not in force; `Conflict` when another process is at it; those of the store and of the
    /// object store.
    ///
    /// # Dropped futures
    /// The next call goes on behind the last chunk.
    pub async fn scan(&self, tenant: &TenantId) -> Result<ScanState> {
        let scanned = self.scan_to_end(tenant).await;
        if scanned.is_err() {
            // Where this fails too, the hold ends by itself.
            let _ = self.give_hold_back(tenant).await;
        }
        scanned
    }

    /// Whoever failed is at it no more, so that any other exporter may go on at once.
    async fn give_hold_back(&self, tenant: &TenantId) -> Result<()> {
        self.change_state(tenant, |state| {
            self.check_holder(state)?;
            state.holder = None;
            Ok(())
        })
        .await
    }

    async fn scan_to_end(&self, tenant: &TenantId) -> Result<ScanState> {
        let state = self.begin_scan(tenant).await?;
        if let Some(scan) = state.scan.filter(|scan| scan.ended.is_some()) {
            return Ok(scan);
        }
        // Rounds that began before the scan did: the scan is compared with what they wrote.
        self.finish_plans(tenant).await?;
        self.bring_tombstones(tenant).await?;
        self.finish_pending(tenant).await?;
        loop {
            let state = self.state(tenant).await?;
            let Some(scan) = state.scan.clone() else {
                return Err(failed(ErrorKind::Conflict, "the scan's state was removed"));
            };
            if state.progress.part == ENDED {
                return self.end_scan(tenant, scan).await;
            }
            let chunk = self.chunk(tenant, &state).await?;
            self.write_chunk(tenant, state, chunk).await?;
        }
    }

    async fn begin_scan(&self, tenant: &TenantId) -> Result<ExportState> {
        if !self.lane_in_force(tenant).await? {
            let context =
                "the archive lane is not in force, so what is recorded during the scan would be missed";
            return Err(failed(ErrorKind::Config, context));
        }
        let begun = self.mark_or_now(tenant).await?;
        let is_of_this = |scan: &ScanState| scan.begun.incarnation == begun.incarnation;
        let is_other = |state: &ExportState| !state.scan.as_ref().is_none_or(is_of_this);
        self.change_state(tenant, |state| {
            let has_ended = |scan: &ScanState| is_of_this(scan) && scan.ended.is_some();
            if state.scan.as_ref().is_some_and(has_ended) {
                return Ok(());
            }
            let now = self.archive.clock().now();
            let other = |holder: &Holder| holder.owner != self.config.owner && holder.until > now;
            if state.holder.as_ref().is_some_and(other) {
                return Err(elsewhere());
            }
            self.hold(state);
            state.scan.get_or_insert_with(|| begun_at(begun));
            Ok(())
        })
        .await?;
        let state = self.state(tenant).await?;
        if !is_other(&state) {
            return Ok(state);
        }
        // What was being written of the store that was here before is there or not.
        self.finish_pending(tenant).await?;
        self.change_state(tenant, |state| {
            self.check_holder(state)?;
            if is_other(state) {
                state.scan = Some(begun_at(begun));
                state.progress = Progress::default();
            }
            Ok(())
        })
        .await?;
        self.state(tenant).await
    }

    /// A store without fences has no sequence; a scan begins there all the same.
    async fn mark_or_now(&self, tenant: &TenantId) -> Result<Mark> {
        match self.mark(tenant).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(Mark {
                at: self.archive.clock().now(),
                incarnation: 0,
                sequence: 0,
            }),
            marked => marked,
        }
    }

    async fn end_scan(&self, tenant: &TenantId, scan: ScanState) -> Result<ScanState> {
        self.bring_tombstones(tenant).await?;
        let ended = self.mark_or_now(tenant).await?;
        let scan = ScanState {
            ended: Some(ended),
            ..scan
        };
        self.change_state(tenant, |state| {
            state.scan = Some(scan.clone());
            state.progress = Progress::default();
            state.holder = None;
            Ok(())
        })
        .await?;
        Ok(scan)
    }

    /// Settles the plans of this tenant's lane; their entries stay for the lane.
    async fn finish_plans(&self, tenant: &TenantId) -> Result<()> {
        let paths = TenantPaths::new(tenant);
        for path in self
            .archive
            .place()
            .list(&layout::plans_of(&self.config.source))
            .await?
        {
            if !paths.owns_plan(&path) {
                continue;
            }
            if let Some((plan, _)) = read_json::<Plan>(self.archive.place(), &path).await? {
                for batch in &plan.objects {
                    self.archive.resolve(tenant, &batch.object).await?;
                }
            }
        }
        Ok(())
    }

    /// Settles a chunk that was being written: what of it is there stays, and its rows are passed over from then on.
    async fn finish_pending(&self, tenant: &TenantId) -> Result<()> {
        let Some(pending) = self.state(tenant).await?.progress.pending else {
            return Ok(());
        };
        let mut kept = Vec::new();
        for planned in &pending.objects {
            if self.archive.resolve(tenant, planned).await? == Resolved::Kept {
                kept.push(planned.clone());
            }
        }
        let whole = kept.len() == pending.objects.len();
        self.change_state(tenant, |state| {
            self.check_holder(state)?;
            // Where the reply to this very change was lost, it is asked again and has nothing left to do.
            if state.progress.pending.as_ref() != Some(&pending) {
                return Ok(());
            }
            count(state, &kept);
            if whole {
                state.progress.part = pending.part;
                state.progress.cursor.clone_from(&pending.cursor);
            } else {
                state.progress.ahead.extend(kept.iter().map(|planned| Ahead {
                    kind: planned.kind,
                    day: planned.day,
                    name: planned.entry.name.clone(),
                }));
            }
            state.progress.pending = None;
            self.hold(state);
            Ok(())
        })
        .await
    }

    fn hold(&self, state: &mut ExportState) {
        state.holder = Some(Holder {
            owner: self.config.owner.clone(),
            until: self.archive.clock().now() + self.config.lease_ttl,
        });
    }

    /// Whether this exporter still makes the scan.
    fn check_holder(&self, state: &ExportState) -> Result<()> {
        let held = state.holder.as_ref();
        if held.is_some_and(|holder| holder.owner == self.config.owner) {
            return Ok(());
        }
        Err(elsewhere())
    }

    /// Reads rows until memory is full or the part ends.
    async fn chunk(&self, tenant: &TenantId, state: &ExportState) -> Result<Chunk> {
        let part = state.progress.part;
        let masked = state.progress.cursor.as_deref();
        let mut chunk = Chunk {
            batches: Batches::new(&self.archive, tenant),
            part,
            cursor: masked
                .map(|masked| self.archive.unmask(tenant, masked))
                .transpose()?,
        };
        let mut bytes = 0;
        while bytes < self.config.max_buffered_bytes {
            let query = ScanQuery {
                limit: self.config.page,
                cursor: chunk.cursor.take(),
                ..ScanQuery::new(tenant.clone())
            };
            let (grown, next) = match part {
                INTERACTIONS => {
                    let Page::<Accepted<Interaction>, _> { items, next } = self.store.scan(query).await?;
                    (push(&mut chunk.batches, &items), next)
                }
                _ => match self.store.scan_decisions(query).await {
                    Ok(Page::<Accepted<Decision>, _> { items, next }) => {
                        (push(&mut chunk.batches, &items), next)
                    }
                    Err(error) if error.kind() == ErrorKind::Unsupported => (0, None),
                    Err(error) => return Err(error),
                },
            };
            bytes += grown;
            chunk.cursor = next;
            if chunk.cursor.is_none() {
                chunk.part = part + 1;
                break;
            }
        }
        Ok(chunk)
    }

    /// Writes a chunk: its plan with the scan's state, then its objects, then where the scan has come.
    async fn write_chunk(&self, tenant: &TenantId, state: ExportState, chunk: Chunk) -> Result<()> {
        let Chunk {
            mut batches,
            part,
            cursor,
        } = chunk;
        let ahead = &state.progress.ahead;
        let begun = state.scan.as_ref().map(|scan| named_at(scan.begun.at));
        let held = |kind, day, entry: &crate::manifest::ObjectEntry| {
            let earlier = || begun.as_ref().is_some_and(|begun| entry.name < *begun);
            match entry.written_by {
                WrittenBy::Lane => true,
                // Of another store: a tenant that was moved has its history in both, and here already.
                WrittenBy::Scan if earlier() => true,
                _ => (ahead.iter())
                    .any(|ahead| ahead.kind == kind && ahead.day == day && ahead.name == entry.name),
            }
        };
        batches.drop_held(&self.archive, tenant, |_| true, held).await?;
        let tombstones = self.archive.read_tombstones(tenant).await?;
        batches.retain(|line| !tombstones.erased(line.customer, line.generation));
        let ready = batches.seal(&self.archive, WrittenBy::Scan)?;
        let objects: Vec<Planned> = ready.iter().map(|ready| ready.planned.clone()).collect();
        let pending = Pending {
            objects: objects.clone(),
            part,
            cursor: cursor
                .map(|cursor| self.archive.mask(tenant, &cursor))
                .transpose()?,
        };
        self.change_state(tenant, |now| {
            self.check_holder(now)?;
            // The same again where the reply to this very change was lost.
            let before = Progress {
                pending: None,
                ..now.progress.clone()
            };
            let ours = now
                .progress
                .pending
                .as_ref()
                .is_none_or(|present| *present == pending);
            if before != state.progress || !ours {
                return Err(elsewhere());
            }
            now.progress.pending = Some(pending.clone());
            self.hold(now);
            Ok(())
        })
        .await?;
        // Whoever erases either finds the pending chunk, or was before it and is seen here.
        let now = self.archive.read_tombstones(tenant).await?;
        if now.same_as(&tombstones) {
            for Ready { planned, sealed, .. } in ready {
                if self.archive.write_planned(tenant, &planned, sealed).await? == Resolved::Void {
                    break;
                }
                self.wrote(tenant, planned.kind, &planned.entry);
            }
        }
        // Settling finds every object that was written; where one is missing, its rows are read again.
        self.finish_pending(tenant).await
    }
}

const fn begun_at(begun: Mark) -> ScanState {
    ScanState {
        begun,
        ended: None,
        interactions: 0,
        decisions: 0,
    }
}

/// What the names of objects that were written before a time are lower than.
fn named_at(time: Timestamp) -> String {
    time.format("batch-%Y%m%dT%H%M%S%.3f").to_string()
}

fn elsewhere() -> kaireon_core::Error {
    failed(ErrorKind::Conflict, "another process is at this tenant's scan")
}

fn push<T: Archived>(batches: &mut Batches<()>, rows: &[Accepted<T>]) -> usize {
    rows.iter().map(|row| batches.push(row, ())).sum()
}

fn count(state: &mut ExportState, kept: &[Planned]) {
    let Some(scan) = &mut state.scan else { return };
    for planned in kept {
        let records = planned.entry.content.records;
        match planned.kind {
            crate::Kind::Interactions => scan.interactions += records,
            crate::Kind::Decisions => scan.decisions += records,
            crate::Kind::Summaries => {}
        }
    }
}
