//! What a relay does, in one step each.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{
    DeadLetterId, DeadLetterQuery, Destination, FetchFrom, Lane, LeaseRequest, RANGES, Settlement, Verdict,
};
use kaireon_core::{Outbox, Result};

use super::answer::{Told, told};

pub(super) async fn deliver(
    outbox: &Arc<dyn Outbox>,
    lane: Lane,
    range: u16,
    limit: u32,
    poison: bool,
) -> Result<Vec<Told>> {
    let ttl = Duration::from_secs(60);
    let request = LeaseRequest {
        lane,
        owner: "relay".to_owned(),
        ttl,
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    let leases = outbox.lease(request).await?.leases;
    let mine = leases.iter().filter(|lease| lease.range == range);
    let from = mine.map(|lease| FetchFrom::all(lease.clone())).collect();
    let entries = outbox.fetch(from, limit).await?;
    let verdict = |n: usize| match poison && n.is_multiple_of(2) {
        true => Verdict::Poisoned("unreadable".to_owned()),
        false => Verdict::Delivered,
    };
    let settle = |(n, entry): (usize, &kaireon_core::outbox::OutboxEntry)| Settlement {
        range: entry.range,
        position: entry.position,
        verdict: verdict(n),
    };
    outbox
        .settle(&leases, entries.iter().enumerate().map(settle).collect())
        .await?;
    outbox.release(leases).await?;
    Ok(entries.into_iter().map(told).collect())
}

/// What waits in a lane, range by range, each in its order; nothing is settled.
pub(super) async fn waiting(outbox: &Arc<dyn Outbox>, lane: Lane) -> Result<Vec<Told>> {
    let request = LeaseRequest {
        lane,
        owner: "relay".to_owned(),
        ttl: Duration::from_secs(60),
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    let mut leases = outbox.lease(request).await?.leases;
    leases.sort_by_key(|lease| lease.range);
    let mut found = Vec::new();
    for lease in &leases {
        let from = vec![FetchFrom::all(lease.clone())];
        found.extend(outbox.fetch(from, 1_000).await?.into_iter().map(told));
    }
    outbox.release(leases).await?;
    Ok(found)
}

pub(super) async fn replay(outbox: &Arc<dyn Outbox>, lane: Lane, most: usize) -> Result<u64> {
    let letters = outbox.dead_letters(DeadLetterQuery::new(lane)).await?.items;
    let id = |letter: &kaireon_core::outbox::DeadLetter| DeadLetterId {
        range: letter.entry.range,
        position: letter.entry.position,
    };
    outbox
        .replay(lane, letters.iter().take(most).map(id).collect())
        .await
}
