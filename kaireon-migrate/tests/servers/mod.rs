//! The tenant switch on real servers, under faults: PostgreSQL 15 and 18, embedded stores, and processes.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod child;
mod clocks;
mod host;
mod judge;
mod kills;
mod ledger;
mod load;
mod outages;
mod path;
mod place;
mod processes;
mod restored;
mod stand;
mod suite;
mod taken;

use std::collections::{BTreeMap, BTreeSet};

use kaireon_core::store::{Accepted, ScanQuery, SummaryQuery};
use kaireon_core::{CustomerId, Decision, InteractionStore, TenantId};

use crate::switch::rows_of;

/// Both stores hold the same rows, decisions and summaries of a tenant; returns how many rows and decisions.
async fn same(one: &dyn InteractionStore, other: &dyn InteractionStore, tenant: &TenantId) -> usize {
    let (ours, theirs) = (rows_of(one, tenant).await, rows_of(other, tenant).await);
    equal("row", &ours, &theirs);
    let (decided, theirs) = (decisions_of(one, tenant).await, decisions_of(other, tenant).await);
    equal("decision", &decided, &theirs);
    let of_rows = ours.values().map(|row| row.value.customer.clone());
    let of_decisions = decided.values().map(|row| row.value.customer.clone());
    let customers: BTreeSet<CustomerId> = of_rows.chain(of_decisions).collect();
    for customer in customers {
        let query = SummaryQuery::new(tenant.clone(), customer.clone());
        assert_eq!(
            one.get_summaries(query.clone()).await.unwrap(),
            other.get_summaries(query).await.unwrap(),
            "the summaries of {customer}"
        );
    }
    ours.len() + decided.len()
}

/// The first that is unlike is named: thousands of rows in a panic are no report.
fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    ours: &BTreeMap<String, T>,
    theirs: &BTreeMap<String, T>,
) {
    for (key, value) in ours {
        assert_eq!(Some(value), theirs.get(key), "{what} {key}");
    }
    let extra = theirs.keys().find(|key| !ours.contains_key(*key));
    assert_eq!(extra, None, "a {what} that the other side alone has");
}

/// Every decision that a store holds of a tenant, by its id.
async fn decisions_of(
    store: &dyn InteractionStore,
    tenant: &TenantId,
) -> BTreeMap<String, Accepted<Decision>> {
    let mut query = ScanQuery::new(tenant.clone());
    let mut found = BTreeMap::new();
    loop {
        let page = store.scan_decisions(query.clone()).await.unwrap();
        for row in page.items {
            let id = row.value.id.as_str().to_owned();
            assert!(found.insert(id, row).is_none(), "no decision is there twice");
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}
