//! Erasure: the tombstone is committed with the customer's row held, then what hung on the row is deleted.

use std::time::Duration;

use kaireon_connect::postgres::PgUnit;
use kaireon_core::outbox::{ERASURE_PATIENCE, Lane, LaneSet, range_of, still_in_hand};
use kaireon_core::store::{Erasure, ErasureId, ErasureReceipt, Generation, SummaryQuery, Tombstone};
use kaireon_core::time::Timestamp;
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Effect, Error, ErrorKind, Result, TenantId};
use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::time::Instant;
use uuid::Uuid;

use crate::again::unit_again;
use crate::error::{Remedy, half_done, of_sql, remedy};
use crate::fence::confirm;
use crate::read::closed_summary;
use crate::shared::{Shared, Tenant, uuid_of};
use crate::write::{generation, packed_of};

/// Whose leavings are to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One customer's, by the tenant's number: who deletes them already is waited for.
    Customer(i32, Uuid),
    /// A tenant's that nobody else deletes already.
    Tenant(i32),
    /// All that nobody else deletes already.
    Everybody,
}

/// How often an erasure is begun and swept before what it lacks is told. Once is enough, unless a restored database
/// comes between.
const ROUNDS: u32 = 2;

/// Erases a customer, or goes on with it, or repeats the receipt.
pub(crate) async fn erase(shared: &Shared, request: Erasure) -> Result<ErasureReceipt> {
    let Erasure { tenant, customer, id } = request;
    let (customer, id) = (&customer, &id);
    shared
        .under_number(&tenant, |tenant| async move {
            let digest = uuid_of(&tenant.customer(customer));
            for _ in 0..ROUNDS {
                if let Some((receipt, true)) = find_receipt(shared, &tenant, digest, id).await? {
                    return Ok(Some(receipt));
                }
                let begun = unit_again(|| begin(shared, &tenant, digest, customer, id)).await?;
                if begun == Number::Another {
                    return Ok(None);
                }
                let range = range_of(&tenant.name, customer.as_str());
                let ended = async {
                    sweep(shared, Whose::Customer(tenant.number, digest)).await?;
                    given_back(shared, Some(range), "erase_customer").await?;
                    finish(shared, &tenant, digest, id).await
                };
                ended.await.map_err(half_done)?;
            }
            match find_receipt(shared, &tenant, digest, id)
                .await
                .map_err(half_done)?
            {
                Some((receipt, true)) => Ok(Some(receipt)),
                // It is finished once its line is gone, and both are of one database.
                _ => Err(half_done(corrupt(
                    "an unfinished erasure has lost what it was to delete",
                ))),
            }
        })
        .await
}

/// Whose number a unit found a tenant's to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// Its own: the unit is done.
    Own,
    /// Nobody's, or another's: nothing was done.
    Another,
}

/// Commits the tombstone and the receipt to be; nothing if an earlier call did.
async fn begin(
    shared: &Shared,
    tenant: &Tenant,
    digest: Uuid,
    customer: &CustomerId,
    id: &ErasureId,
) -> Result<Number> {
    let mut unit = begin_unit(shared).await?;
    if !confirm(&mut unit, shared, tenant).await? {
        return Ok(Number::Another);
    }
    let held = hold(&mut unit, shared, tenant.number, digest, Some(customer)).await?;
    // Behind the lock: of two calls for one request the second finds what the first has done.
    let found = shared
        .sql
        .find_receipt
        .query()
        .bind(tenant.number)
        .bind(digest)
        .bind(id.as_str());
    if unit.fetch_optional(found).await.map_err(of_sql)?.is_some() {
        return Ok(Number::Own);
    }
    let generation = held.generation.next()?;
    let enter = shared
        .sql
        .enter_receipt
        .query()
        .bind(tenant.number)
        .bind(digest)
        .bind(id.as_str())
        .bind(i64::from(generation.0))
        .bind(shared.now());
    unit.execute(enter).await.map_err(of_sql)?;
    let range = range_of(&tenant.name, customer.as_str());
    take_away(
        &mut unit,
        shared,
        (tenant.number, digest),
        held,
        generation,
        range,
        Some(id),
    )
    .await?;
    shared.client.commit(unit).await?;
    Ok(Number::Own)
}

/// Raises a generation to another store's.
async fn install(shared: &Shared, tenant: &Tenant, stone: &Tombstone) -> Result<Number> {
    let Tombstone {
        customer,
        generation: raised,
    } = stone;
    let digest = uuid_of(customer);
    let mut unit = begin_unit(shared).await?;
    if !confirm(&mut unit, shared, tenant).await? {
        return Ok(Number::Another);
    }
    let held = hold(&mut unit, shared, tenant.number, digest, None).await?;
    if *raised <= held.generation {
        return Ok(Number::Own);
    }
    let range = held
        .customer
        .as_deref()
        .map(|customer| range_of(&tenant.name, customer))
        .unwrap_or_default();
    take_away(
        &mut unit,
        shared,
        (tenant.number, digest),
        held,
        *raised,
        range,
        None,
    )
    .await?;
    shared.client.commit(unit).await?;
    Ok(Number::Own)
}

/// Raises generations to another store's, and deletes what lies below.
pub(crate) async fn install_all(shared: &Shared, of: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
    tombstones
        .iter()
        .try_for_each(|stone| stone.generation.check_given())?;
    if tombstones.is_empty() {
        return Ok(());
    }
    let tombstones = &tombstones;
    shared
        .under_number(of, |tenant| async move {
            for (at, stone) in tombstones.iter().enumerate() {
                let installed = unit_again(|| install(shared, &tenant, stone)).await;
                let number = installed.map_err(|error| if at == 0 { error } else { half_done(error) })?;
                if number == Number::Another {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
    sweep(shared, Whose::Everybody).await.map_err(half_done)?;
    given_back(shared, None, "install_tombstones")
        .await
        .map_err(half_done)
}

/// A customer's row that this transaction holds.
struct HeldRow {
    number: i64,
    generation: Generation,
    packed: Vec<u8>,
    /// `None` where the row was made only to be held.
    customer: Option<String>,
}

async fn begin_unit(shared: &Shared) -> Result<PgUnit> {
    let mut unit = shared.client.begin().await?;
    let text = format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}",
        shared.options.write_wait.as_millis().max(1)
    );
    unit.script(text).await.map_err(of_sql)?;
    Ok(unit)
}

fn held_too_long(error: sqlx::Error) -> Error {
    if remedy(&error) == Remedy::Leave {
        return Error::new(
            ErrorKind::Timeout,
            "another transaction held the customer all the time",
        )
        .with_effect(Effect::NotApplied);
    }
    of_sql(error)
}

/// Waits out whoever writes for the customer, and keeps writers to come away until the commit: by the row, which is
/// made where there is none.
async fn hold(
    unit: &mut PgUnit,
    shared: &Shared,
    tenant: i32,
    digest: Uuid,
    customer: Option<&CustomerId>,
) -> Result<HeldRow> {
    let sql = &shared.sql;
    let name = customer.map_or("", CustomerId::as_str);
    let mut made = false;
    loop {
        let hold = sql.hold_customer.query().bind(tenant).bind(digest);
        let found = unit.fetch_optional(hold).await.map_err(held_too_long)?;
        if let Some(row) = found {
            let of_row = generation(row.try_get(1).map_err(of_sql)?)?;
            let stone = sql.present_stone.query().bind(tenant).bind(digest);
            let stone = unit.fetch_optional(stone).await.map_err(of_sql)?;
            let of_stone = stone.map(|row| row.try_get(0).map_err(of_sql)).transpose()?;
            let of_stone = of_stone.map(generation).transpose()?.unwrap_or_default();
            return Ok(HeldRow {
                number: row.try_get(0).map_err(of_sql)?,
                generation: of_row.max(of_stone),
                packed: row.try_get(3).map_err(of_sql)?,
                customer: if made {
                    None
                } else {
                    row.try_get(2).map(Some).map_err(of_sql)?
                },
            });
        }
        let enter = sql
            .enter_customers
            .query()
            .bind(vec![tenant])
            .bind(vec![digest])
            .bind(vec![name.to_owned()]);
        let entered = unit.fetch_all(enter).await.map_err(held_too_long)?;
        made = !entered.is_empty();
    }
}

/// Takes the row away, and notes what hung on it.
async fn take_away(
    unit: &mut PgUnit,
    shared: &Shared,
    (tenant, digest): (i32, Uuid),
    held: HeldRow,
    raised: Generation,
    range: u16,
    id: Option<&ErasureId>,
) -> Result<()> {
    let sql = &shared.sql;
    let below = i64::from(raised.0);
    let stone = sql.raise_stone.query().bind(tenant).bind(digest).bind(below);
    unit.execute(stone).await.map_err(of_sql)?;
    let note = sql
        .note_erasing
        .query()
        .bind(held.number)
        .bind(tenant)
        .bind(digest)
        .bind(below)
        .bind(range.cast_signed())
        .bind(id.map(ErasureId::as_str))
        .bind(held.packed);
    unit.execute(note).await.map_err(of_sql)?;
    let take = sql.take_customer.query().bind(held.number);
    unit.execute(take).await.map_err(of_sql)?;
    Ok(())
}

async fn find_receipt(
    shared: &Shared,
    tenant: &Tenant,
    digest: Uuid,
    id: &ErasureId,
) -> Result<Option<(ErasureReceipt, bool)>> {
    let query = shared
        .sql
        .find_receipt
        .query()
        .bind(tenant.number)
        .bind(digest)
        .bind(id.as_str());
    let found = shared.client.fetch_optional(query).await?;
    found.map(|row| receipt(&row, id)).transpose()
}

fn receipt(row: &PgRow, id: &ErasureId) -> Result<(ErasureReceipt, bool)> {
    let at: Timestamp = row.try_get("erased_at").map_err(of_sql)?;
    let raised = generation(row.try_get("generation").map_err(of_sql)?)?;
    let mut receipt = ErasureReceipt::new(id.clone(), raised, at);
    for place in ["history", "summaries", "decisions", "outbox"] {
        let count: i64 = row.try_get(place).map_err(of_sql)?;
        receipt.add(place, count.unsigned_abs());
    }
    Ok((receipt, row.try_get("finished").map_err(of_sql)?))
}

/// Deletes what is noted as to be deleted: each line in a transaction of its own, with the counts of its receipt.
pub(crate) async fn sweep(shared: &Shared, whose: Whose) -> Result<()> {
    while unit_again(|| sweep_next(shared, whose)).await? == Line::Swept {}
    Ok(())
}

/// What was found to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Swept,
    None,
}

async fn sweep_next(shared: &Shared, whose: Whose) -> Result<Line> {
    let sql = &shared.sql;
    let next = match whose {
        Whose::Customer(tenant, digest) => sql.erasing.query().bind(tenant).bind(digest),
        Whose::Tenant(tenant) => sql.erasing_free.query().bind(Some(tenant)),
        Whose::Everybody => sql.erasing_free.query().bind(None::<i32>),
    };
    let mut unit = begin_unit(shared).await?;
    let Some(row) = unit.fetch_optional(next).await.map_err(held_too_long)? else {
        return Ok(Line::None);
    };
    // However much hangs on it.
    unit.take_time().await.map_err(of_sql)?;
    let recalled = sweep_one(&mut unit, shared, &row).await?;
    shared.client.commit(unit).await?;
    if recalled {
        shared.tell(LaneSet::of(&[Lane::Publish]));
    }
    Ok(Line::Swept)
}

/// How often it is looked whether a range was given back.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until no relay can have entries in hand of whoever was swept in a range, or in any: holders, where there are some,
/// were asked to give theirs back. What nobody had read by then, nobody reads.
async fn given_back(shared: &Shared, range: Option<u16>, operation: &'static str) -> Result<()> {
    let sql = &shared.sql;
    let holders = sql.outbox_holder.query().bind(range.map(u16::cast_signed));
    let holders = shared.client.fetch_all(holders.bind(shared.given_time())).await?;
    let end = Instant::now() + ERASURE_PATIENCE;
    for holder in holders {
        let range: i16 = holder.try_get("range").map_err(of_sql)?;
        let token: i64 = holder.try_get("token").map_err(of_sql)?;
        while still_holds(shared, range, token).await? {
            if Instant::now() >= end {
                return Err(still_in_hand(crate::BACKEND, operation));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let done = sql.outbox_recall_done.query().bind(range).bind(token);
        shared.client.execute(done).await?;
    }
    Ok(())
}

async fn still_holds(shared: &Shared, range: i16, token: i64) -> Result<bool> {
    let holds = shared.sql.outbox_still_holds.query().bind(range).bind(token);
    let holds = holds.bind(shared.given_time());
    let holds = shared.client.fetch_optional(holds).await?;
    let holds = holds.map(|row| row.try_get::<bool, _>(0)).transpose();
    Ok(holds.map_err(of_sql)?.unwrap_or_default())
}

/// Says in the receipt that it is done.
async fn finish(shared: &Shared, tenant: &Tenant, digest: Uuid, id: &ErasureId) -> Result<()> {
    let query = shared.sql.finish_receipt.query();
    let query = query.bind(tenant.number).bind(digest).bind(id.as_str());
    shared.client.execute(query).await.map(drop)
}

/// Deletes what hung on a row; whether the holder of the range is asked to give it back.
async fn sweep_one(unit: &mut PgUnit, shared: &Shared, row: &PgRow) -> Result<bool> {
    let sql = &shared.sql;
    let number: i64 = row.try_get("customer").map_err(of_sql)?;
    let tenant: i32 = row.try_get("tenant").map_err(of_sql)?;
    let digest: Uuid = row.try_get("digest").map_err(of_sql)?;
    let below: i64 = row.try_get("below").map_err(of_sql)?;
    let range: i16 = row.try_get("outbox_range").map_err(of_sql)?;
    let erasure: Option<String> = row.try_get("erasure").map_err(of_sql)?;
    let packed: &[u8] = row.try_get("packed").map_err(of_sql)?;
    let delete = |query: crate::client::Bound| query.bind(number);
    let history = unit.execute(delete(sql.sweep_history.query())).await;
    let history = history.map_err(of_sql)?.rows_affected();
    let decisions = unit.execute(delete(sql.sweep_decisions.query())).await;
    let decisions = decisions.map_err(of_sql)?.rows_affected();
    let closed = unit.fetch_all(delete(sql.sweep_closed.query())).await;
    let closed = closed.map_err(of_sql)?;
    let hold = sql.hold_range.query().bind(range);
    unit.execute(hold).await.map_err(held_too_long)?;
    let recall = sql.outbox_recall.query().bind(range).bind(tenant);
    let recall = unit.execute(recall.bind(digest).bind(below)).await;
    let recalled = recall.map_err(of_sql)?.rows_affected() > 0;
    let mut outbox = 0;
    for statement in [&sql.sweep_dead, &sql.sweep_outbox] {
        let query = statement
            .query()
            .bind(range)
            .bind(tenant)
            .bind(digest)
            .bind(below);
        outbox += unit.execute(query).await.map_err(of_sql)?.rows_affected();
    }
    if let Some(erasure) = erasure {
        let summaries = match count_summaries(packed, &closed) {
            // What nobody can read is erased all the same, and in no count.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "the summaries of an erased customer could not be counted");
                0
            }
            counted => counted?,
        };
        let count = sql
            .count_receipt
            .query()
            .bind(tenant)
            .bind(digest)
            .bind(erasure)
            .bind(history.cast_signed())
            .bind(summaries.cast_signed())
            .bind(decisions.cast_signed())
            .bind(outbox.cast_signed());
        unit.execute(count).await.map_err(of_sql)?;
    }
    let swept = sql.swept.query().bind(number);
    unit.execute(swept).await.map_err(of_sql)?;
    Ok(recalled)
}

/// How many summaries a customer had. A group may lie in the value and in a row of its own: what is counted is what was to
/// be read.
fn count_summaries(packed: &[u8], closed: &[PgRow]) -> Result<u64> {
    let closed = closed
        .iter()
        .map(|row| closed_summary(row, 0))
        .collect::<Result<Vec<_>>>()?;
    // Names decide nothing here.
    let everything = SummaryQuery::new(TenantId::new("any")?, CustomerId::new("any")?);
    Ok(packed_of(packed)?.answer(&everything, closed).len() as u64)
}
