//! A customer's history, newest first.

use kaireon_core::store::{HistoryCursor, HistoryFilter, HistoryQuery, Page};
use kaireon_core::time::{self, Timestamp};
use kaireon_core::{Interaction, Result};

use super::row;
use crate::shared::{Shared, uuid_of};
use crate::write::tie;

/// Before and behind every timestamp that is taken.
pub(super) fn bounds() -> (Timestamp, Timestamp) {
    let of = |millis| time::from_millis(millis).unwrap_or_default();
    // 9999-12-31T23:59:59.999Z.
    (of(time::EARLIEST_MS), of(253_402_300_799_999))
}

/// A page.
pub(crate) async fn history(
    shared: &Shared,
    query: HistoryQuery,
) -> Result<Page<Interaction, HistoryCursor>> {
    let HistoryQuery {
        tenant,
        customer,
        from,
        until,
        filter:
            HistoryFilter {
                offer,
                creative,
                channel,
                interaction_types,
            },
        limit,
        cursor,
    } = query;
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let (earliest, latest) = bounds();
    let (at, id, tied) = match &cursor {
        Some(cursor) => (cursor.timestamp.min(latest), cursor.id.as_str(), tie(cursor.tie)),
        // Before everything there is.
        None => (latest, "", i64::MIN),
    };
    let kinds: Vec<&str> = interaction_types.iter().map(|kind| kind.as_str()).collect();
    let kinds = (!kinds.is_empty()).then_some(kinds);
    let rows = loop {
        let Some(known) = shared.find_tenant(&tenant).await? else {
            return Ok(page);
        };
        let read = shared
            .sql
            .history
            .query()
            .bind(known.number)
            .bind(uuid_of(&known.customer(&customer)))
            .bind(from.map_or(earliest, |from| from.clamp(earliest, latest)))
            .bind(until.map_or(latest, |until| until.clamp(earliest, latest)))
            .bind(at)
            .bind(id)
            .bind(tied)
            .bind(offer.as_ref().map(AsRef::<str>::as_ref))
            .bind(creative.as_ref().map(AsRef::<str>::as_ref))
            .bind(channel.as_ref().map(AsRef::<str>::as_ref))
            .bind(kinds.clone())
            .bind(i64::from(limit) + 1);
        let rows = shared.client.fetch_all(read).await?;
        if !rows.is_empty() || !shared.is_renumbered(&known).await? {
            break rows;
        }
    };
    for found in &rows {
        if page.items.len() == limit as usize {
            page.next = page.items.last().map(HistoryCursor::after);
            break;
        }
        page.items
            .push(row::interaction(found, tenant.clone(), customer.clone())?);
    }
    Ok(page)
}
