//! History, scans, decisions, tombstones.

use std::ops::Bound;

use fjall::Slice;
use kaireon_core::digest::Digest;
use kaireon_core::store::{
    Accepted, HistoryCursor, HistoryQuery, Page, ScanCursor, ScanQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::wire::corrupt;
use kaireon_core::{Decision, Error, Interaction, RecommendationId, Result, TenantId};

use super::generation;
use crate::client::{Space, View};
use crate::codec;
use crate::keys::{self, RowKey};
use crate::shared::Tenant;

/// A page of a customer's history.
pub(crate) fn history(
    view: &View,
    of: &Tenant,
    query: HistoryQuery,
) -> Result<Page<Interaction, HistoryCursor>> {
    let HistoryQuery {
        tenant,
        customer: id,
        from,
        until,
        filter,
        limit,
        cursor,
    } = query;
    let key = keys::customer(&tenant, &id);
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let settings = of.settings;
    let rows = keys::rows(&key, generation(view, &tenant, of, &id)?);
    let from = from.map(|from| from.timestamp_millis());
    let from = from.max(settings.watermark_ms).unwrap_or(0).max(0);
    let mut newest = match until {
        // What is not before 1970 is after every row.
        Some(until) => keys::time(&rows, until.timestamp_millis().max(0)),
        None => keys::time(&rows, i64::MAX),
    };
    if let Some(cursor) = cursor {
        let HistoryCursor { timestamp, id, tie } = cursor;
        newest = newest.min(keys::row(
            &rows,
            timestamp.timestamp_millis().max(0),
            id.as_str(),
            tie,
        ));
    }
    let oldest = keys::time(&rows, from);
    if oldest >= newest {
        return Ok(page);
    }
    let limit = limit as usize;
    for found in view.descend(Space::History, Bound::Included(oldest), Bound::Excluded(newest)) {
        let interaction = codec::interaction_of(&found?.1)?;
        if !filter.matches(&interaction) {
            continue;
        }
        if page.items.len() == limit {
            page.next = page.items.last().map(HistoryCursor::after);
            break;
        }
        page.items.push(interaction);
    }
    Ok(page)
}

/// Walks over the rows of a tenant that are to be seen, customer by customer, until `visit` says to stop.
///
/// Customers are left by a seek, so what is erased or purged and not yet deleted costs nothing.
pub(crate) fn walk(
    view: &View,
    space: Space,
    (tenant, of): (&TenantId, &Tenant),
    after: Option<Vec<u8>>,
    window: (i64, i64),
    mut visit: impl FnMut(RowKey<'_>, &Slice, &Slice) -> Result<bool>,
) -> Result<()> {
    let lead = keys::tenant_lead(tenant);
    let end = keys::behind_lead(lead).to_vec();
    let mut place = after.map_or(Bound::Included(lead.to_vec()), Bound::Excluded);
    loop {
        let first = view
            .range(space, place.clone(), Bound::Excluded(end.clone()))
            .next();
        let Some(first) = first.transpose()? else {
            return Ok(());
        };
        let no_customer = || corrupt("a row has no customer");
        let key = keys::customer_of_row(&first.0).ok_or_else(no_customer)?;
        let (of_tenant, id) = keys::read_customer(key).ok_or_else(no_customer)?;
        if of_tenant != *tenant {
            // Of another tenant with the same hash.
            place = Bound::Included(keys::behind(key));
            continue;
        }
        let rows = keys::rows(key, generation(view, tenant, of, &id)?);
        let from = Bound::Included(keys::time(&rows, window.0));
        let until = Bound::Excluded(keys::time(&rows, window.1));
        // A cursor may lie in the middle of this customer.
        let from = match (&place, &from) {
            (Bound::Excluded(place), Bound::Included(start)) if place >= start => {
                Bound::Excluded(place.clone())
            }
            _ => from,
        };
        let some = match (&from, &until) {
            (Bound::Excluded(from) | Bound::Included(from), Bound::Excluded(until)) => from < until,
            _ => true,
        };
        if some {
            for found in view.range(space, from, until) {
                let (key, value) = found?;
                let row = keys::read_row(tenant, &key).ok_or_else(no_customer)?;
                if !visit(row, &key, &value)? {
                    return Ok(());
                }
            }
        }
        place = Bound::Included(keys::behind(key));
    }
}

/// Behind every key of a tenant.
fn tenant_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = 1;
    }
    end
}

/// A page of a tenant's interactions.
pub(crate) fn scan(
    view: &View,
    of: &Tenant,
    query: ScanQuery,
) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
    page(view, of, query, ('i', Space::History), |_, _, value| {
        codec::interaction_of(value).map(Some)
    })
}

/// A page of a tenant's decisions.
pub(crate) fn scan_decisions(
    view: &View,
    of: &Tenant,
    query: ScanQuery,
) -> Result<Page<Accepted<Decision>, ScanCursor>> {
    page(view, of, query, ('d', Space::DecisionsOf), |tenant, row, _| {
        let id = RecommendationId::new(row.id).map_err(|_| corrupt("a decision has no id"))?;
        stored_decision(view, tenant, &id)
    })
}

/// A page of what `read` makes of a tenant's rows, `None` of those that are passed over. The letter tells cursors of
/// one kind from those of another.
fn page<T>(
    view: &View,
    of: &Tenant,
    query: ScanQuery,
    (letter, space): (char, Space),
    read: impl Fn(&TenantId, &RowKey<'_>, &Slice) -> Result<Option<T>>,
) -> Result<Page<Accepted<T>, ScanCursor>> {
    let ScanQuery {
        tenant,
        limit,
        cursor,
    } = query;
    let (mut items, mut last, mut next) = (Vec::new(), None::<Slice>, None);
    let after = cursor.map(|cursor| read_row_cursor(letter, &tenant, &cursor));
    let after = after.transpose()?;
    // A time before 1970 is before every row, but its bytes are behind all of theirs.
    let window = (of.settings.watermark_ms.unwrap_or(0).max(0), i64::MAX);
    walk(view, space, (&tenant, of), after, window, |row, key, value| {
        if items.len() == limit as usize {
            next = last.as_ref().map(|key| write_row_cursor(letter, &tenant, key));
            return Ok(false);
        }
        if let Some(value) = read(&tenant, &row, value)? {
            let generation = row.generation;
            items.push(Accepted { value, generation });
            last = Some(key.clone());
        }
        Ok(true)
    })?;
    Ok(Page { items, next })
}

fn stored_decision(view: &View, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
    let Some(stored) = view.get(Space::Decisions, &keys::decision(tenant, id))? else {
        return Ok(None);
    };
    let (_, row) = codec::customer_of(&stored)?;
    codec::decision_of(row).map(Some)
}

/// One decision, if it is to be seen.
pub(crate) fn decision(
    view: &View,
    of: &Tenant,
    tenant: &TenantId,
    id: &RecommendationId,
) -> Result<Option<Decision>> {
    let Some(stored) = view.get(Space::Decisions, &keys::decision(tenant, id))? else {
        return Ok(None);
    };
    let (accepted_under, row) = codec::customer_of(&stored)?;
    let decision = codec::decision_of(row)?;
    let before = of.settings.watermark_ms.unwrap_or(i64::MIN);
    if decision.timestamp.timestamp_millis() < before {
        return Ok(None);
    }
    let present = generation(view, tenant, of, &decision.customer)?;
    Ok((present == accepted_under).then_some(decision))
}

/// A page of a tenant's tombstones.
pub(crate) fn tombstones(view: &View, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
    let TombstoneQuery {
        tenant,
        limit,
        cursor,
    } = query;
    let prefix = keys::tenant(&tenant);
    let after = cursor.map(|cursor| read_cursor('t', &cursor)).transpose()?;
    let after = after.map(|rest| [prefix.as_slice(), &rest].concat());
    let from = after.map_or_else(|| Bound::Included(prefix.clone()), Bound::Excluded);
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut last = None;
    for found in view.range(Space::Tombstones, from, Bound::Excluded(tenant_end(&prefix))) {
        let (key, value) = found?;
        if page.items.len() == limit as usize {
            page.next = last.map(|key: Slice| write_cursor('t', &key[prefix.len()..]));
            break;
        }
        let digest = key.get(prefix.len()..).and_then(|digest| digest.try_into().ok());
        page.items.push(Tombstone {
            customer: Digest::from_bytes(digest.ok_or_else(|| corrupt("a tombstone has no customer"))?),
            generation: codec::generation_of(&value)?,
        });
        last = Some(key);
    }
    Ok(page)
}

/// A cursor holds the key behind its tenant, so that one of another tenant reads nothing of theirs.
fn write_cursor(kind: char, behind_tenant: &[u8]) -> ScanCursor {
    let mut text = format!("{kind}1.");
    for byte in behind_tenant {
        text.push_str(&format!("{byte:02x}"));
    }
    ScanCursor::new(text)
}

fn write_row_cursor(kind: char, tenant: &TenantId, key: &[u8]) -> ScanCursor {
    let kept = keys::row_behind_tenant(tenant, key).expect("the key was read as one of the tenant's rows");
    write_cursor(kind, kept)
}

/// What a cursor holds.
fn read_cursor(kind: char, cursor: &ScanCursor) -> Result<Vec<u8>> {
    let read = || {
        let digits = cursor.as_str().strip_prefix(kind)?.strip_prefix("1.")?;
        if digits.len() % 2 != 0
            || digits.len() > 2_048
            || !digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        {
            return None;
        }
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        (0..digits.len()).step_by(2).map(byte).collect()
    };
    read().ok_or_else(not_a_cursor)
}

/// The key of the row that a cursor was made after.
fn read_row_cursor(kind: char, tenant: &TenantId, cursor: &ScanCursor) -> Result<Vec<u8>> {
    keys::row_of_tenant(tenant, &read_cursor(kind, cursor)?).ok_or_else(not_a_cursor)
}

fn not_a_cursor() -> Error {
    Error::invalid("cursor", "is not a scan cursor of this store")
}

#[cfg(test)]
mod tests;
