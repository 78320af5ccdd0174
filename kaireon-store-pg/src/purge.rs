//! Retention: the watermark first, then the rows before it, by whole partitions where every tenant has outgrown them.

use std::time::Duration;

use kaireon_core::Result;
use kaireon_core::store::{Purge, PurgeReceipt};
use kaireon_core::time::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use crate::again::unit_again;
use crate::erase::{Whose, sweep};
use crate::error::{half_done, of_sql};
use crate::fence::{confirm, set_watermark};
use crate::partitions::Month;
use crate::shared::{Shared, Tenant};
use crate::sql::Statement;

/// The most that dropping a partition waits for those who use the table, who wait behind it meanwhile.
const DROP_WAIT_MS: u32 = 100;

/// A dedupe horizon that nothing ever passes; the server has no time that lies much longer back.
const FOR_EVER: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// Moves a tenant's watermark, deletes what lies before it, and forgets dedupe records whose time has come.
pub(crate) async fn purge(shared: &Shared, request: Purge) -> Result<PurgeReceipt> {
    let Purge { tenant, before } = request;
    shared
        .under_number(&tenant, |tenant| async move {
            let Some(watermark) = set_watermark(shared, &tenant, before).await? else {
                return Ok(None);
            };
            remove(shared, &tenant, watermark).await.map_err(half_done)
        })
        .await
}

/// Removes what the watermark has put out of sight; `None` where the number is no longer the tenant's.
async fn remove(shared: &Shared, tenant: &Tenant, watermark: Timestamp) -> Result<Option<PurgeReceipt>> {
    let sql = &shared.sql;
    let deleted = unit_again(|| delete(shared, &sql.purge_history, tenant, watermark));
    let Some(interactions) = deleted.await? else {
        return Ok(None);
    };
    let deleted = unit_again(|| delete(shared, &sql.purge_decisions, tenant, watermark));
    let Some(decisions) = deleted.await? else {
        return Ok(None);
    };
    unit_again(|| forget(shared, tenant, watermark)).await?;
    // What an erasure has left keeps a month from being dropped.
    sweep(shared, Whose::Tenant(tenant.number)).await?;
    drop_outgrown(shared, watermark).await?;
    Ok(Some(PurgeReceipt::new(watermark, interactions, decisions)))
}

async fn delete(
    shared: &Shared,
    statement: &Statement,
    tenant: &Tenant,
    before: Timestamp,
) -> Result<Option<u64>> {
    let mut unit = shared.client.begin().await?;
    if !confirm(&mut unit, shared, tenant).await? {
        return Ok(None);
    }
    // However much there is.
    unit.take_time().await.map_err(of_sql)?;
    let query = statement.query().bind(i64::from(tenant.number)).bind(before);
    let row = unit.fetch_one(query).await.map_err(of_sql)?;
    let count: i64 = row.try_get(0).map_err(of_sql)?;
    shared.client.commit(unit).await?;
    Ok(Some(count.unsigned_abs()))
}

async fn forget(shared: &Shared, tenant: &Tenant, watermark: Timestamp) -> Result<()> {
    let horizon = shared.options.dedupe_horizon;
    if horizon >= FOR_EVER {
        return Ok(());
    }
    let mut unit = shared.client.begin().await?;
    if !confirm(&mut unit, shared, tenant).await? {
        return Ok(());
    }
    unit.take_time().await.map_err(of_sql)?;
    let query = shared
        .sql
        .forget_dedupe
        .query()
        .bind(tenant.number)
        .bind(shared.given_time())
        .bind(watermark)
        .bind(i64::try_from(horizon.as_micros()).unwrap_or(i64::MAX));
    unit.execute(query).await.map_err(of_sql)?;
    shared.client.commit(unit).await
}

/// Drops partitions that lie wholly before the watermark and hold nothing any more: every tenant that had rows there
/// has purged them. That gives the disk its space back at once, where deleted rows wait for a vacuum.
async fn drop_outgrown(shared: &Shared, watermark: Timestamp) -> Result<()> {
    let schema = shared.partitions.schema();
    let list = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace \
                WHERE n.nspname = $1 AND p.relname = 'history'";
    let query = shared.client.pg().query(list).bind(schema.name().to_owned());
    for row in shared.client.fetch_all(query).await? {
        let name: &str = row.try_get(0).map_err(of_sql)?;
        let outgrown = Month::of_partition(name)
            .filter(|month| month.partition() == name)
            .and_then(|month| month.next().start())
            .is_some_and(|end| end <= watermark);
        if outgrown && let Err(error) = drop_if_empty(shared, name).await {
            // Somebody uses the table; the next purge tries again. The rows are gone in any case.
            tracing::debug!(partition = name, %error, "an empty partition was not dropped");
        }
    }
    Ok(())
}

async fn drop_if_empty(shared: &Shared, name: &str) -> Result<()> {
    let schema = shared.partitions.schema();
    // Writers wait behind the lock, so it is not asked for in vain.
    let look = schema.fill(&format!("SELECT FROM {{s}}.{name} LIMIT 1"));
    let look = shared.client.pg().query(AssertSqlSafe(look));
    if shared.client.fetch_optional(look).await?.is_some() {
        return Ok(());
    }
    let mut unit = shared.client.begin().await?;
    let lock = schema.fill(&format!(
        "SET LOCAL lock_timeout = {DROP_WAIT_MS}; SELECT pg_advisory_xact_lock({}); \
         LOCK TABLE {{s}}.history IN ACCESS EXCLUSIVE MODE",
        shared.partitions.lock()
    ));
    unit.script(lock).await.map_err(of_sql)?;
    // Behind the lock: nobody can add a row between the look and the drop.
    let drop = schema.fill(&format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM {{s}}.{name}) THEN DROP TABLE {{s}}.{name}; END IF; END $$"
    ));
    unit.script(drop).await.map_err(of_sql)?;
    shared.client.commit(unit).await?;
    shared.partitions.forget();
    Ok(())
}
