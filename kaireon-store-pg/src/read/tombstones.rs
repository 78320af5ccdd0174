//! Tombstones, by their digests.

use kaireon_core::store::{Page, ScanCursor, Tombstone, TombstoneQuery};
use kaireon_core::{Error, Result};
use sqlx::Row;
use uuid::Uuid;

use crate::error::of_sql;
use crate::shared::{Shared, digest_of};
use crate::write::generation;

/// A page of a tenant's tombstones.
pub(crate) async fn tombstones(
    shared: &Shared,
    query: TombstoneQuery,
) -> Result<Page<Tombstone, ScanCursor>> {
    let TombstoneQuery {
        tenant,
        limit,
        cursor,
    } = query;
    let after = cursor.map(|cursor| read_cursor(&cursor)).transpose()?;
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let rows = loop {
        let Some(known) = shared.find_tenant(&tenant).await? else {
            return Ok(page);
        };
        let read = shared
            .sql
            .tombstones
            .query()
            .bind(known.number)
            .bind(after)
            .bind(i64::from(limit) + 1)
            .bind(tenant.as_str());
        let rows = shared.client.fetch_all(read).await?;
        if !rows.is_empty() || !shared.is_renumbered(&known).await? {
            break rows;
        }
    };
    let mut last = None;
    for found in rows {
        if page.items.len() == limit as usize {
            page.next = last.map(|last: Uuid| ScanCursor::new(format!("t1.{}", last.simple())));
            break;
        }
        let customer: Uuid = found.try_get(0).map_err(of_sql)?;
        page.items.push(Tombstone {
            customer: digest_of(customer),
            generation: generation(found.try_get(1).map_err(of_sql)?)?,
        });
        last = Some(customer);
    }
    Ok(page)
}

fn read_cursor(cursor: &ScanCursor) -> Result<Uuid> {
    let digits = cursor
        .as_str()
        .strip_prefix("t1.")
        .filter(|digits| digits.len() == 32);
    digits
        .and_then(|digits| Uuid::try_parse(digits).ok())
        .ok_or_else(|| Error::invalid("cursor", "is not a scan cursor of this store"))
}
