//! Events of the host's own, into the `publish` lane.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use kaireon_core::outbox::{HostEvent, Lane, LaneSet, range_of};
use kaireon_core::store::Generation;
use kaireon_core::{Effect, Error, ErrorKind, Result};

use super::lanes::Lanes;
use crate::again::unit_again;
use crate::error::of_sql;
use crate::shared::{RENUMBERINGS, renumbered_again, uuid_of};
use crate::write::{Failure, OutboxRow, Wanted, Who, draw_generations, enter_outbox};

impl Lanes {
    /// All or none. Each customer's row is taken as a record takes it, so that an erasure either comes before, and its
    /// generation is drawn, or waits and finds the entries.
    pub(super) async fn append_all(&self, events: Vec<HostEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        for _ in 0..RENUMBERINGS {
            let appended = unit_again(|| self.append_under_numbers(&events));
            if appended.await?.is_some() {
                return Ok(());
            }
        }
        Err(renumbered_again())
    }

    /// `None` where a tenant's number was not its own; they are forgotten then.
    async fn append_under_numbers(&self, events: &[HostEvent]) -> Result<Option<()>> {
        let shared = &*self.shared;
        let now = shared.now();
        let mut customers = Wanted::new();
        let mut fences = BTreeSet::new();
        let mut rows: Vec<(Option<Who>, OutboxRow)> = Vec::with_capacity(events.len());
        for event in events {
            let tenant = shared.tenant(&event.tenant).await?;
            fences.insert(shared.fence_lock(tenant.number));
            let who = event
                .customer
                .as_ref()
                .map(|customer| (tenant.number, tenant.customer(customer)));
            if let (Some(who), Some(customer)) = (who, &event.customer) {
                customers.insert(who, (&event.tenant, customer));
            }
            let row = OutboxRow {
                lane: Lane::Publish,
                range: range_of(&event.tenant, event.partition()),
                generation: Generation::ZERO,
                enqueued_at: now,
                tenant: tenant.number,
                customer: who.map(|(_, digest)| uuid_of(&digest)),
                payload: crate::payload::of_host(event)?,
            };
            rows.push((who, row));
        }
        let mut unit = shared.client.begin().await?;
        unit.script(entry(&fences, shared.options.write_wait))
            .await
            .map_err(of_sql)?;
        let drawn = unit.answer(async |unit| Ok(draw_generations(unit, shared, &customers).await));
        let Some(drawn) = drawn.await.map_err(of_sql)?.map_err(refused)? else {
            for (who, (tenant, _)) in &customers {
                shared.forget_tenant(tenant, who.0);
            }
            return Ok(None);
        };
        let rows: Vec<OutboxRow> = rows
            .into_iter()
            .map(|(who, row)| OutboxRow {
                generation: who
                    .and_then(|who| drawn.get(&who).copied())
                    .unwrap_or(row.generation),
                ..row
            })
            .collect();
        let entered = unit.answer(async |unit| enter_outbox(unit, shared, &rows).await);
        entered.await.map_err(of_sql)?;
        shared.client.commit(unit).await?;
        shared.tell(LaneSet::of(&[Lane::Publish]));
        Ok(Some(()))
    }
}

fn refused(failure: Failure) -> Error {
    match failure {
        Failure::Sql(error) => of_sql(error),
        Failure::Own(error) => error,
        Failure::Race => Error::new(ErrorKind::Unavailable, "another writer was first").with_transient(true),
    }
    .with_effect(Effect::NotApplied)
}

/// As every writer's: generic plans, and the fences of the tenants, shared.
fn entry(fences: &BTreeSet<i64>, wait: Duration) -> String {
    let mut text = format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL plan_cache_mode = force_generic_plan; \
         SET LOCAL jit = off; SET LOCAL lock_timeout = {}",
        wait.as_millis().max(1)
    );
    for fence in fences {
        let _ = write!(text, "; SELECT pg_advisory_xact_lock_shared({fence})");
    }
    text
}
