//! Summaries: the packed value, and the closed rows that a query needs beside it.

use std::sync::Arc;

use kaireon_core::store::SummaryQuery;
use kaireon_core::summary::packed::{ClosedSpan, stats_of};
use kaireon_core::wire::corrupt;
use kaireon_core::{Result, Summary};
use sqlx::Row;
use sqlx::postgres::{PgBindIterExt, PgRow};

use crate::error::of_sql;
use crate::shared::{Shared, uuid_of};
use crate::write::{dimension, packed_of, period, period_number};

/// A customer's summaries.
pub(crate) async fn summaries(shared: &Shared, query: SummaryQuery) -> Result<Vec<Summary>> {
    let (tenant, digest, packed) = loop {
        let Some(tenant) = shared.find_tenant(&query.tenant).await? else {
            return Ok(Vec::new());
        };
        let digest = uuid_of(&tenant.customer(&query.customer));
        let read = shared.sql.read_customer.query().bind(tenant.number).bind(digest);
        if let Some(row) = shared.client.fetch_optional(read).await? {
            break (tenant, digest, packed_of(row.try_get(0).map_err(of_sql)?)?);
        }
        // Of a customer who is known nothing more is asked.
        if !shared.is_renumbered(&tenant).await? {
            return Ok(Vec::new());
        }
    };
    let mut spans = packed.closed_spans(&query);
    if spans.is_empty() {
        return Ok(packed.answer(&query, Vec::new()));
    }
    // Both at once now: a period may have moved from the value to its rows since. If the marks moved so that other
    // rows are needed, once more with those.
    loop {
        let read = shared
            .sql
            .read_summaries
            .query()
            .bind(tenant.number)
            .bind(digest)
            .bind(
                spans
                    .iter()
                    .map(|span| period_number(span.period_type))
                    .bind_iter(),
            )
            .bind(spans.iter().map(|span| span.oldest).bind_iter())
            .bind(spans.iter().map(|span| span.newest).bind_iter());
        let (mut packed, mut closed) = (None, Vec::new());
        for row in shared.client.fetch_all(read).await? {
            match row.try_get::<Option<&[u8]>, _>(0).map_err(of_sql)? {
                Some(bytes) => packed = Some(packed_of(bytes)?),
                None => closed.push(closed_summary(&row, 1)?),
            }
        }
        // Erased meanwhile.
        let Some(packed) = packed else {
            return Ok(Vec::new());
        };
        let needed: Vec<ClosedSpan> = packed.closed_spans(&query);
        if needed == spans {
            return Ok(packed.answer(&query, closed));
        }
        if needed.is_empty() {
            return Ok(packed.answer(&query, Vec::new()));
        }
        spans = needed;
    }
}

/// A closed row, whose columns begin at `first`: type, first day, dimension, value, stats.
pub(crate) fn closed_summary(row: &PgRow, first: usize) -> Result<Summary> {
    let wrong = || corrupt("a closed row has no period or dimension");
    let period_type: i16 = row.try_get(first).map_err(of_sql)?;
    let first_day: i32 = row.try_get(first + 1).map_err(of_sql)?;
    let named: i16 = row.try_get(first + 2).map_err(of_sql)?;
    let value: &str = row.try_get(first + 3).map_err(of_sql)?;
    let stats = stats_of(row.try_get(first + 4).map_err(of_sql)?)?;
    Ok(Summary::new(
        dimension(named).ok_or_else(wrong)?,
        Arc::from(value),
        period(period_type, first_day).ok_or_else(wrong)?,
        stats,
    ))
}
