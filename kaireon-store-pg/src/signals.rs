//! What the server counts of the store.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::Result;
use kaireon_core::signals::{StatementTimes, StoreSignals};
use sqlx::{AssertSqlSafe, Row};

use crate::error::of_sql;
use crate::shared::Shared;

pub(crate) async fn signals(shared: &Shared) -> Result<StoreSignals> {
    let mut signals = StoreSignals::at(shared.now());
    let Some(row) = shared.client.fetch_optional(shared.sql.signals.query()).await? else {
        return Ok(signals);
    };
    let count = |at: usize| -> Result<Option<u64>> {
        let found: Option<i64> = row.try_get(at).map_err(of_sql)?;
        Ok(found.and_then(|found| u64::try_from(found).ok()))
    };
    signals.customers = count(0)?;
    signals.writes = count(1)?;
    signals.bytes = count(2)?;
    let extension: Option<String> = row.try_get(3).map_err(of_sql)?;
    if let Some(extension) = extension {
        // It is there but does not count unless the server was started with it, and shows others' statements to some roles
        // only: then nothing is known of them, which is no error of the store.
        signals.statements = statements(shared, &extension).await.ok().flatten();
    }
    Ok(signals)
}

/// How long statements ran: ours are those which name the schema.
async fn statements(shared: &Shared, extension: &str) -> Result<Option<StatementTimes>> {
    let schema = shared.options.schema.as_str();
    let text: Arc<str> = format!(
        "SELECT coalesce(sum(total_exec_time) FILTER (WHERE position($1 IN query) > 0), 0), \
         coalesce(sum(total_exec_time) FILTER (WHERE position($1 IN query) = 0), 0) \
         FROM {extension}.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
         WHERE d.datname = current_database()"
    )
    .into();
    // The name was quoted by the server.
    let query = sqlx::query(AssertSqlSafe(text)).persistent(shared.client.keeps_statements());
    let Some(row) = shared
        .client
        .fetch_optional(query.bind(format!("\"{schema}\".")))
        .await?
    else {
        return Ok(None);
    };
    let time = |at: usize| -> Result<Duration> {
        let millis: f64 = row.try_get(at).map_err(of_sql)?;
        Ok(Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default())
    };
    let (own, others) = (time(0)?, time(1)?);
    Ok(Some(StatementTimes { own, others }))
}
