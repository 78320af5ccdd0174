//! What is asked at the end of every test.

use std::collections::BTreeMap;
use std::fmt;

use kaireon_core::outbox::Lane;
use kaireon_core::store::SummaryQuery;
use kaireon_core::{CustomerId, Dimension, InteractionStore};

use super::host::Host;
use super::ledger::{ERASED, Ledger, Piece, Stream, pieces, told_in_order};
use super::{decisions_of, same};
use crate::switch::rows_of;

/// What a test found at its end: records that were acknowledged, and events that were told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) acknowledged: u64,
    pub(crate) told: usize,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, told } = self;
        write!(f, "{acknowledged} acknowledged, {told} told")
    }
}

/// Nothing that was acknowledged is lost, nothing is there twice or unasked, everything is told in its order, and whoever was
/// erased is gone from both stores. Nobody writes any more, and the relays run.
pub(crate) async fn judge(host: &Host, ledger: &Ledger) -> Verdict {
    host.emptied(Lane::Publish).await;
    let (acknowledged, erased) = (ledger.acknowledged(), ledger.erased());
    let authority = host.authority().await;
    // Neither holds a key twice, or these would have said so.
    let rows = rows_of(authority.as_ref(), host.tenant()).await;
    let decisions = decisions_of(authority.as_ref(), host.tenant()).await;
    for piece in pieces(&acknowledged) {
        let found = match piece.is_decision() {
            true => decisions.contains_key(&piece.key()),
            false => rows.contains_key(&piece.key()),
        };
        assert!(found, "{piece:?} was acknowledged and is lost");
    }
    // Who is erased may have been met before that.
    let asked = rows
        .iter()
        .filter(|(_, row)| !row.value.customer.as_str().starts_with(ERASED));
    for key in asked.map(|(key, _)| key).chain(decisions.keys()) {
        let piece: Piece = key.parse().unwrap_or_else(|()| panic!("nobody asked for {key}"));
        let next = acknowledged.get(&piece.writer).map_or(0, |highest| highest + 1);
        assert!(piece.number <= next, "nobody asked for {piece:?}");
    }
    folds(
        authority.as_ref(),
        host,
        rows.values().map(|row| row.value.customer.clone()),
    )
    .await;
    for store in &host.stores {
        let rows = rows_of(store.as_ref(), host.tenant()).await;
        let back = rows.values().find(|row| erased.contains(&row.value.customer));
        assert!(back.is_none(), "an erased customer is back: {back:?}");
    }
    let told = Stream::at(&host.plan.folder).0.all();
    told_in_order(&told, &acknowledged);
    Verdict {
        acknowledged: ledger.count(),
        told: told.len(),
    }
}

/// The summaries count each row once.
async fn folds(store: &dyn InteractionStore, host: &Host, customers: impl Iterator<Item = CustomerId>) {
    let mut counts: BTreeMap<CustomerId, u64> = BTreeMap::new();
    for customer in customers {
        *counts.entry(customer).or_default() += 1;
    }
    for (customer, count) in counts {
        let query = SummaryQuery::new(host.tenant().clone(), customer.clone());
        let summaries = store.get_summaries(query).await.unwrap();
        let all = summaries
            .iter()
            .filter(|summary| summary.dimension == Dimension::Channel && summary.period.key() == "all");
        let counted: u64 = all.map(|summary| summary.stats.interactions()).sum();
        assert_eq!(counted, count, "the summaries of {customer}");
    }
}

/// Both stores are the same, once what lies in the lanes is applied. Nobody writes any more.
pub(crate) async fn are_same(host: &Host) -> usize {
    host.emptied(Lane::Replicate).await;
    same(host.stores[0].as_ref(), host.stores[1].as_ref(), host.tenant()).await
}
