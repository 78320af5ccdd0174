//! Recording inside a transaction of the host's.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use kaireon_core::store::{BatchOutcome, Epoch, ItemOutcome, Recorded};
use kaireon_core::{Error, ErrorKind, Result};
use sqlx::{Connection, PgConnection, Row};

use super::op::{Answer, SharedOp, Value};
use super::unit::{Failure, Held, run};
use crate::client::script;
use crate::error::{not_applied, of_sql};
use crate::partitions::Month;
use crate::shared::{RENUMBERINGS, Shared, renumbered_again};

/// Records in the host's transaction, behind a savepoint of our own. Two operations of one key are settled one after
/// the other.
pub(crate) async fn record_in(
    shared: &Shared,
    connection: &mut PgConnection,
    ops: Vec<SharedOp>,
) -> Result<BatchOutcome<Recorded>> {
    let months = ops
        .iter()
        .filter(|op| matches!(op.value, Value::Interaction(_)))
        .map(|op| Month::of(op.value.timestamp()));
    let months: BTreeSet<Month> = months.collect();
    // On a connection of the store's: tables are not made in a transaction that may be long, or be rolled back.
    shared
        .partitions
        .ensure(&shared.client, shared.now(), months)
        .await
        .map_err(not_applied)?;
    let before = read_settings(connection).await?;
    let mut savepoint = connection.begin().await.map_err(of_sql)?;
    let recorded = record(shared, &mut savepoint, ops).await;
    let answers = match recorded {
        Ok(answers) => answers,
        Err(failure) => {
            savepoint.rollback().await.map_err(of_sql)?;
            return Err(failure.into_error());
        }
    };
    // Settings outlive the savepoint, and are the host's.
    restore_settings(&mut savepoint, &before).await?;
    savepoint.commit().await.map_err(of_sql)?;
    let items = answers
        .into_iter()
        .map(|answer| match answer.and_then(Answer::recorded) {
            Ok(recorded) => ItemOutcome::Done(recorded),
            Err(error) => ItemOutcome::Failed(error),
        });
    Ok(BatchOutcome::from_items(items.collect()))
}

/// What of the host's settings is changed for the moment.
struct HostSettings {
    plan_cache_mode: String,
    lock_timeout: String,
    jit: String,
}

async fn read_settings(connection: &mut PgConnection) -> Result<HostSettings> {
    // By the simple protocol: it needs no prepared statement, whatever lies between.
    let read = "SELECT current_setting('transaction_isolation'), current_setting('plan_cache_mode'), \
                current_setting('lock_timeout'), current_setting('jit')";
    let row = sqlx::raw_sql(read)
        .fetch_one(&mut *connection)
        .await
        .map_err(of_sql)?;
    let text = |at: usize| row.try_get::<String, _>(at).map_err(of_sql);
    // A snapshot of the whole transaction would read a fence, and a tombstone, as they were at its beginning.
    if text(0)? != "read committed" {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the transaction's isolation is not read committed",
        ));
    }
    Ok(HostSettings {
        plan_cache_mode: text(1)?,
        lock_timeout: text(2)?,
        jit: text(3)?,
    })
}

async fn restore_settings(connection: &mut PgConnection, before: &HostSettings) -> Result<()> {
    let HostSettings {
        plan_cache_mode,
        lock_timeout,
        jit,
    } = before;
    // What the server itself wrote of its settings.
    let text = format!(
        "SET LOCAL plan_cache_mode = '{plan_cache_mode}'; SET LOCAL lock_timeout = '{lock_timeout}'; \
         SET LOCAL jit = '{jit}'"
    );
    script(connection, text).await.map_err(of_sql)
}

async fn record(
    shared: &Shared,
    connection: &mut PgConnection,
    ops: Vec<SharedOp>,
) -> Result<Vec<Result<Answer>>, Failure> {
    let mut ops = ops;
    let mut answers: Vec<Option<Result<Answer>>> = ops.iter().map(|_| None).collect();
    let mut left: Vec<usize> = (0..ops.len()).collect();
    for _ in 0..RENUMBERINGS {
        record_some(shared, connection, (&ops, &left), &mut answers).await?;
        left.retain(|&at| matches!(answers[at], Some(Ok(Answer::Renumbered))));
        if left.is_empty() {
            break;
        }
        for &at in &left {
            let (tenant, number) = (ops[at].value.tenant().clone(), ops[at].who.0);
            shared.forget_tenant(&tenant, number);
            let tenant = shared.tenant(&tenant).await?;
            ops[at] = Arc::new(ops[at].renumbered(tenant.number));
            answers[at] = Some(Err(renumbered_again()));
        }
    }
    let missing = || Error::new(ErrorKind::Internal, "a record was not judged");
    let answers = answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(missing())));
    let answers: Vec<_> = answers.collect();
    // Who knows of no switch cannot know which store is the tenant's authority.
    let unaware = |(op, answer): (&SharedOp, &Result<Answer>)| {
        op.terms.epoch == Epoch::ZERO
            && answer
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Fenced)
    };
    if ops.iter().zip(&answers).any(unaware) {
        return Err(Failure::Own(Error::new(
            ErrorKind::Unsupported,
            "the tenant's authority is switched, and this store may not be it",
        )));
    }
    Ok(answers)
}

/// Records those of the operations that are left, behind the fences of their tenants.
async fn record_some(
    shared: &Shared,
    connection: &mut PgConnection,
    (ops, left): (&[SharedOp], &[usize]),
    answers: &mut [Option<Result<Answer>>],
) -> Result<(), Failure> {
    let left_ops: Vec<SharedOp> = left.iter().map(|&at| Arc::clone(&ops[at])).collect();
    let fences: BTreeSet<i64> = left_ops.iter().map(|op| shared.fence_lock(op.who.0)).collect();
    if fences.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off; SET LOCAL lock_timeout = {}; SELECT ",
        shared.options.write_wait.as_millis().max(1)
    );
    for (at, fence) in fences.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}pg_advisory_xact_lock_shared({fence})");
    }
    script(connection, text).await?;
    // What a raised generation takes away here is found, after the host's commit, by a look of the sweeper's.
    for wave in waves(&left_ops) {
        let some: Vec<SharedOp> = wave.iter().map(|&at| Arc::clone(&left_ops[at])).collect();
        let done = run(connection, shared, &some, Held::Wait).await?;
        for (at, answer) in wave.into_iter().zip(done.answers) {
            answers[left[at]] = answer;
        }
    }
    Ok(())
}

/// Divides operations so that no two of a part have one key, and equal keys keep their order.
pub(crate) fn waves(ops: &[SharedOp]) -> Vec<Vec<usize>> {
    let mut seen = HashMap::new();
    let mut waves: Vec<Vec<usize>> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        let wave: &mut usize = seen.entry(op.dedupe()).or_insert(0);
        if waves.len() == *wave {
            waves.push(Vec::new());
        }
        waves[*wave].push(at);
        *wave += 1;
    }
    waves
}
