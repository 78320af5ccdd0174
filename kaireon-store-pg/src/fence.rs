//! Epochs and retention marks: changed while no batch that read the ones before is still to commit.

use std::time::Instant;

use kaireon_connect::postgres::PgUnit;
use kaireon_core::outbox::LaneSet;
use kaireon_core::store::{Epoch, FenceRequest, FenceState};
use kaireon_core::time::Timestamp;
use kaireon_core::wire::corrupt;
use kaireon_core::{Effect, Error, ErrorKind, Result, TenantId};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::again::unit_again;
use crate::error::{is_lock_timeout, of_sql};
use crate::shared::{Shared, Tenant};
use crate::write::lanes_of;

/// Does something in a transaction that holds a tenant's fence alone.
///
/// Writers who come meanwhile queue up behind the one who waits, and a host's transaction may hold the fence for
/// long; so each wait is short, also one for a row behind the fence, and between two of them writers pass.
async fn alone<T, F>(shared: &Shared, tenant: &Tenant, work: impl Fn(PgUnit) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let until = Instant::now() + shared.options.write_wait;
    let wait = shared.options.lock_wait;
    loop {
        let done = unit_again(|| async {
            let unit = hold_alone(shared, tenant).await?;
            work(unit).await
        });
        match done.await {
            Err(error) if is_lock_timeout(&error) => {}
            done => return done,
        }
        if Instant::now() >= until {
            return Err(Error::new(
                ErrorKind::Timeout,
                "other transactions held the tenant's fence all the time",
            )
            .with_effect(Effect::NotApplied));
        }
        tokio::time::sleep(wait).await;
    }
}

async fn hold_alone(shared: &Shared, tenant: &Tenant) -> Result<PgUnit> {
    let mut unit = shared.client.begin().await?;
    let text = format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; \
         SELECT pg_advisory_xact_lock({})",
        shared.options.lock_wait.as_millis().max(1),
        shared.fence_lock(tenant.number)
    );
    unit.script(text).await.map_err(of_sql)?;
    Ok(unit)
}

/// Raises a tenant's fence.
pub(crate) async fn raise(shared: &Shared, request: FenceRequest) -> Result<FenceState> {
    let FenceRequest { tenant, epoch, lanes } = request;
    shared
        .under_number(&tenant, |tenant| async move {
            let tenant = &*tenant;
            alone(shared, tenant, |unit| {
                raise_in(unit, shared, tenant, epoch, lanes)
            })
            .await
        })
        .await
}

/// `None` where the number is not the tenant's.
async fn raise_in(
    mut unit: PgUnit,
    shared: &Shared,
    tenant: &Tenant,
    epoch: Epoch,
    lanes: Option<LaneSet>,
) -> Result<Option<FenceState>> {
    let name = tenant.name.as_str().to_owned();
    let found = shared.sql.lock_fence.query().bind(tenant.number).bind(name);
    let Some(found) = unit.fetch_optional(found).await.map_err(of_sql)? else {
        return Ok(None);
    };
    let present = Epoch(found.try_get::<i64, _>(0).map_err(of_sql)?.cast_unsigned());
    if epoch < present {
        return Err(Error::new(
            ErrorKind::Fenced,
            "the requested epoch is lower than the tenant's fence",
        ));
    }
    let raised = shared
        .sql
        .raise_fence
        .query()
        .bind(tenant.number)
        .bind(epoch.0.cast_signed())
        .bind(lanes.map(|lanes| i16::from(lanes.bits())));
    let raised = unit.fetch_one(raised).await.map_err(of_sql)?;
    let state = state(&raised)?;
    shared.client.commit(unit).await?;
    Ok(Some(state))
}

/// Reads a tenant's fence.
pub(crate) async fn read(shared: &Shared, tenant: &TenantId) -> Result<FenceState> {
    let query = shared.sql.fence.query().bind(tenant.as_str());
    let row = shared.client.fetch_optional(query).await?;
    state(&row.ok_or_else(|| corrupt("the store's settings are gone"))?)
}

fn state(row: &PgRow) -> Result<FenceState> {
    let epoch: i64 = row.try_get("epoch").map_err(of_sql)?;
    let lanes: i16 = row.try_get("lanes").map_err(of_sql)?;
    let incarnation: i64 = row.try_get("incarnation").map_err(of_sql)?;
    let timeline: &str = row.try_get("timeline").map_err(of_sql)?;
    let timeline = u64::from_str_radix(timeline, 16);
    let timeline = timeline.map_err(|_| corrupt("the server's timeline has no number"))?;
    let sequence: &str = row.try_get("sequence").map_err(of_sql)?;
    let sequence = sequence.parse();
    Ok(FenceState::new(
        Epoch(epoch.cast_unsigned()),
        lanes_of(lanes),
        incarnation_of(incarnation, timeline),
        sequence.map_err(|_| corrupt("the server's transactions have no number"))?,
    ))
}

/// The number that the store drew, on the server's first timeline; another one on every later timeline, because what
/// was acknowledged on an earlier one may not be there.
fn incarnation_of(drawn: i64, timeline: u64) -> u64 {
    // Odd, so that no two timelines share a number.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    drawn.cast_unsigned() ^ timeline.wrapping_sub(1).wrapping_mul(SPREAD)
}

/// What stands for every earlier watermark.
const YEAR_ONE: Timestamp = match Timestamp::from_timestamp(-62_135_596_800, 0) {
    Some(time) => time,
    None => Timestamp::UNIX_EPOCH,
};

/// Moves a tenant's watermark, never back; returns the one in force, or `None` where the number is not the tenant's.
pub(crate) async fn set_watermark(
    shared: &Shared,
    tenant: &Tenant,
    before: Timestamp,
) -> Result<Option<Timestamp>> {
    // The server knows no times before 4714 BC, where no row is either.
    let before = before.max(YEAR_ONE);
    alone(shared, tenant, |unit| {
        set_watermark_in(unit, shared, tenant, before)
    })
    .await
}

async fn set_watermark_in(
    mut unit: PgUnit,
    shared: &Shared,
    tenant: &Tenant,
    before: Timestamp,
) -> Result<Option<Timestamp>> {
    let name = tenant.name.as_str().to_owned();
    let set = shared.sql.set_watermark.query().bind(tenant.number);
    let set = unit.fetch_optional(set.bind(before).bind(name)).await;
    let Some(set) = set.map_err(of_sql)? else {
        return Ok(None);
    };
    let watermark = set.try_get(0).map_err(of_sql)?;
    shared.client.commit(unit).await?;
    Ok(Some(watermark))
}

/// Whether a number is its tenant's, to the end of the unit.
pub(crate) async fn confirm(unit: &mut PgUnit, shared: &Shared, tenant: &Tenant) -> Result<bool> {
    let name = tenant.name.as_str().to_owned();
    let confirm = shared.sql.confirm_tenant.query().bind(tenant.number).bind(name);
    let found = unit.fetch_optional(confirm).await.map_err(of_sql)?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timeline_is_an_incarnation_of_its_own() {
        assert_eq!(incarnation_of(-5, 1), (-5_i64).cast_unsigned());
        let incarnations: std::collections::HashSet<_> = (0..1_000).map(|n| incarnation_of(-5, n)).collect();
        assert_eq!(incarnations.len(), 1_000);
    }
}
