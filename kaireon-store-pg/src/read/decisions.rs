//! Decisions: one by its id, and what a scan reads of them.

use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Decision, RecommendationId, Result, TenantId};
use sqlx::postgres::PgRow;

use super::row;
use super::scan::{Place, Scanned, customer};
use crate::client::Bound;
use crate::shared::{Shared, Tenant};
use crate::sql::Sql;

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

impl Scanned for Decision {
    const KIND: char = 'd';

    fn statement(sql: &Sql, tenant: &Tenant, from: Place) -> Bound {
        let Place {
            number,
            at,
            tie: _,
            id,
        } = from;
        let query = sql.scan_decisions.query().bind(i64::from(tenant.number));
        query.bind(number).bind(at).bind(id)
    }

    /// Its id is of the tenant alone.
    fn tie(_: &PgRow) -> Result<i64> {
        Ok(0)
    }

    fn read(found: &PgRow, tenant: &TenantId, customer: CustomerId) -> Result<Self> {
        row::decision(found, tenant.clone(), customer)
    }
}
