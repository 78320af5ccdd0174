//! Decisions: one by its id, or a whole tenant's.

use kaireon_core::store::{Accepted, Page, ScanCursor, ScanQuery};
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Decision, RecommendationId, Result, TenantId};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::row;
use super::scan::{Place, find};
use crate::error::of_sql;
use crate::shared::Shared;
use crate::write::generation;

/// One decision, if it is to be seen.
pub(crate) async fn decision(
    shared: &Shared,
    tenant: &TenantId,
    id: &RecommendationId,
) -> Result<Option<Decision>> {
    let found = loop {
        let Some(known) = shared.find_tenant(tenant).await? else {
            return Ok(None);
        };
        let read = shared.sql.decision.query().bind(known.number);
        let read = read.bind(id.as_str()).bind(tenant.as_str());
        let found = shared.client.fetch_optional(read).await?;
        if found.is_some() || !shared.is_renumbered(&known).await? {
            break found;
        }
    };
    let of = |found: PgRow| row::decision(&found, tenant.clone(), customer(&found)?.ok_or_else(nobody)?);
    found.map(of).transpose()
}

fn nobody() -> kaireon_core::Error {
    corrupt("a decision has no customer")
}

fn customer(found: &PgRow) -> Result<Option<CustomerId>> {
    let customer: Option<&str> = found.try_get("customer").map_err(of_sql)?;
    let customer = customer.map(CustomerId::new).transpose();
    customer.map_err(|_| corrupt("a stored customer is out of bounds"))
}

/// A page of a tenant's decisions.
pub(crate) async fn scan_decisions(
    shared: &Shared,
    query: ScanQuery,
) -> Result<Page<Accepted<Decision>, ScanCursor>> {
    let ScanQuery {
        tenant,
        limit,
        cursor,
    } = query;
    let mut place = cursor.map(|cursor| Place::read('d', &cursor)).transpose()?;
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut found = find(shared, &tenant, place.as_ref()).await?;
    loop {
        let Some(known) = &found else {
            return Ok(page);
        };
        let from = place.clone().unwrap_or_else(|| Place::first(known.number));
        let read = shared
            .sql
            .scan_decisions
            .query()
            .bind(i64::from(known.number))
            .bind(from.number)
            .bind(from.at)
            .bind(from.id)
            .bind(i64::from(limit) + 1)
            .bind(tenant.as_str());
        let rows = shared.client.fetch_all(read).await?;
        if rows.is_empty() && shared.is_renumbered(known).await? {
            found = find(shared, &tenant, place.as_ref()).await?;
            continue;
        }
        let more = rows.len() > limit as usize;
        for found in rows.iter().take(limit as usize) {
            place = Some(Place {
                number: found.try_get("number").map_err(of_sql)?,
                at: found.try_get("at").map_err(of_sql)?,
                tie: 0,
                id: found.try_get::<String, _>("id").map_err(of_sql)?,
            });
            let Some(customer) = customer(found)? else {
                continue;
            };
            page.items.push(Accepted {
                value: row::decision(found, tenant.clone(), customer)?,
                generation: generation(found.try_get("generation").map_err(of_sql)?)?,
            });
        }
        if page.items.is_empty() && more {
            continue;
        }
        page.next = place.filter(|_| more).map(|place| place.write('d'));
        return Ok(page);
    }
}
