//! A whole tenant, customer by customer.

use std::sync::Arc;

use kaireon_core::store::{Accepted, Page, ScanCursor, ScanQuery};
use kaireon_core::time::{self, Timestamp};
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Error, Interaction, Result, TenantId};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::history::bounds;
use super::row;
use crate::client::Bound;
use crate::error::of_sql;
use crate::shared::{Shared, Tenant};
use crate::sql::Sql;
use crate::write::generation;

/// Where a page of a scan ended: a customer's number, and the place of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) number: i64,
    pub(super) at: Timestamp,
    pub(super) tie: i64,
    pub(super) id: String,
}

impl Place {
    /// Before every row of a tenant.
    fn first(tenant: i32) -> Self {
        Self {
            number: i64::from(tenant) << 40,
            at: bounds().0,
            tie: i64::MIN,
            id: String::new(),
        }
    }

    fn write(&self, kind: char) -> ScanCursor {
        let Self { number, at, tie, id } = self;
        ScanCursor::new(format!("{kind}1.{number}.{}.{tie}.{id}", at.timestamp_millis()))
    }

    /// Reads a cursor.
    fn read(kind: char, cursor: &ScanCursor) -> Result<Self> {
        let read = || {
            let rest = cursor.as_str().strip_prefix(kind)?.strip_prefix("1.")?;
            let mut parts = rest.splitn(4, '.');
            let number = parts.next()?.parse().ok()?;
            let at = time::from_millis(parts.next()?.parse().ok()?)?;
            let tie = parts.next()?.parse().ok()?;
            let id = parts.next()?.to_owned();
            let (earliest, latest) = bounds();
            (at >= earliest && at <= latest && !id.contains('\0')).then_some(Self { number, at, tie, id })
        };
        read().ok_or_else(|| Error::invalid("cursor", "is not a scan cursor of this store"))
    }
}

/// A tenant under whose number a scan goes on. A number that the tenant had before, or that is another's, has no place
/// in the tenant's rows.
async fn find(shared: &Shared, tenant: &TenantId, place: Option<&Place>) -> Result<Option<Arc<Tenant>>> {
    let Some(place) = place else {
        return shared.find_tenant(tenant).await;
    };
    let fits = |known: &Tenant| place.number >> 40 == i64::from(known.number);
    while let Some(known) = shared.find_tenant(tenant).await? {
        if fits(&known) {
            return Ok(Some(known));
        }
        if !shared.is_renumbered(&known).await? {
            return Err(Error::invalid("cursor", "is not a scan cursor of this tenant"));
        }
    }
    Ok(None)
}

/// What a tenant is scanned for.
pub(crate) trait Scanned: Sized {
    /// What its cursors begin with.
    const KIND: char;

    /// The statement of a page, bound up to the place that it begins behind.
    fn statement(sql: &Sql, tenant: &Tenant, from: Place) -> Bound;

    /// What tells rows of one id and time from each other.
    fn tie(found: &PgRow) -> Result<i64>;

    fn read(found: &PgRow, tenant: &TenantId, customer: CustomerId) -> Result<Self>;
}

impl Scanned for Interaction {
    const KIND: char = 'i';

    fn statement(sql: &Sql, tenant: &Tenant, from: Place) -> Bound {
        let Place { number, at, tie, id } = from;
        let query = sql.scan.query().bind(i64::from(tenant.number));
        query.bind(number).bind(at).bind(id).bind(tie)
    }

    fn tie(found: &PgRow) -> Result<i64> {
        found.try_get("tie").map_err(of_sql)
    }

    fn read(found: &PgRow, tenant: &TenantId, customer: CustomerId) -> Result<Self> {
        row::interaction(found, tenant.clone(), customer)
    }
}

/// A row's customer; none where the row is not to be seen.
pub(super) fn customer(found: &PgRow) -> Result<Option<CustomerId>> {
    let customer: Option<&str> = found.try_get("customer").map_err(of_sql)?;
    let customer = customer.map(CustomerId::new).transpose();
    customer.map_err(|_| corrupt("a stored customer is out of bounds"))
}

/// A page of a tenant's interactions or decisions.
pub(crate) async fn scan<T: Scanned>(
    shared: &Shared,
    query: ScanQuery,
) -> Result<Page<Accepted<T>, ScanCursor>> {
    let ScanQuery {
        tenant,
        limit,
        cursor,
    } = query;
    let mut place = cursor.map(|cursor| Place::read(T::KIND, &cursor)).transpose()?;
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
        let read = T::statement(&shared.sql, known, from);
        let read = read.bind(i64::from(limit) + 1).bind(tenant.as_str().to_owned());
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
                tie: T::tie(found)?,
                id: found.try_get::<String, _>("id").map_err(of_sql)?,
            });
            let Some(customer) = customer(found)? else {
                continue;
            };
            page.items.push(Accepted {
                value: T::read(found, &tenant, customer)?,
                generation: generation(found.try_get("generation").map_err(of_sql)?)?,
            });
        }
        // A page of erased customers alone says nothing about what follows.
        if page.items.is_empty() && more {
            continue;
        }
        page.next = place.filter(|_| more).map(|place| place.write(T::KIND));
        return Ok(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_go_round_and_hostile_ones_are_refused() {
        let place = Place {
            number: 7 << 40 | 3,
            at: time::from_millis(1_700_000_000_123).unwrap(),
            tie: -5,
            id: "a.b.c".into(),
        };
        assert_eq!(Place::read('i', &place.write('i')).unwrap(), place);
        for wrong in [
            "",
            "i1",
            "i1.",
            "i1.1.2",
            "d1.1.1700000000123.1.a",
            "i1.x.1700000000123.1.a",
            "i1.1.99999999999999999.1.a",
            "i1.1.5.1.a",
            "i1.1.1700000000123.1.a\0b",
        ] {
            let error = Place::read('i', &ScanCursor::new(wrong)).unwrap_err();
            assert_eq!(error.field(), Some("cursor"), "{wrong:?}");
        }
    }

    #[test]
    fn ties_keep_their_order_in_the_servers_signed_numbers() {
        let signed = [0, 1, 1 << 63, u64::MAX].map(crate::write::tie);
        assert!(signed.is_sorted());
        assert_eq!((signed[0], signed[3]), (i64::MIN, i64::MAX));
    }
}
