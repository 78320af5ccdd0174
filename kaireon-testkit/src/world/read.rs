//! Reading what a store holds.

use kaireon_core::store::{Accepted, HistoryQuery, ScanQuery, SummaryQuery};
use kaireon_core::{Decision, Dimension, Interaction, Period, Stats, Summary, TenantId};

use super::World;

impl World<'_> {
    pub(crate) async fn summaries(&self, customer: &str) -> Vec<Summary> {
        self.summaries_of(&self.tenant, customer).await
    }

    /// A customer's summaries in the order of reads: what that order is has a case of its own.
    pub(crate) async fn summaries_of(&self, tenant: &TenantId, customer: &str) -> Vec<Summary> {
        let mut found = self.summaries_as_read(tenant, customer).await;
        found.sort_by(Summary::read_order);
        found
    }

    /// A customer's summaries as the store returned them.
    pub(crate) async fn summaries_as_read(&self, tenant: &TenantId, customer: &str) -> Vec<Summary> {
        let query = SummaryQuery::new(tenant.clone(), self.customer(customer));
        self.store.get_summaries(query).await.expect("summaries are read")
    }

    /// The counts of a customer's offer in a period, or nothing.
    pub(crate) async fn stats(&self, customer: &str, offer: &str, period: &str) -> Option<Stats> {
        let period: Period = period.parse().expect("a case's period is a key");
        let found = self.summaries(customer).await;
        let is = |summary: &&Summary| {
            summary.dimension == Dimension::Offer && &*summary.value == offer && summary.period == period
        };
        let mut found = found.iter().filter(is);
        let first = found.next().map(|summary| summary.stats.clone());
        assert!(found.next().is_none(), "a group is returned once");
        first
    }

    /// How many interactions the summaries count for a customer.
    pub(crate) async fn counted(&self, customer: &str) -> u64 {
        let found = self.summaries(customer).await;
        let is = |summary: &&Summary| {
            summary.dimension == Dimension::Channel && summary.period == Period::ALL_TIME
        };
        found
            .iter()
            .filter(is)
            .map(|summary| summary.stats.interactions())
            .sum()
    }

    /// A customer's whole history, in pages of so many.
    pub(crate) async fn history_by(&self, mut query: HistoryQuery, limit: u32) -> Vec<Interaction> {
        let mut items = Vec::new();
        query.limit = limit;
        loop {
            let page = self
                .store
                .history(query.clone())
                .await
                .expect("a history is read");
            let most = usize::try_from(limit).expect("a limit fits");
            assert!(page.items.len() <= most, "a page holds at most its limit");
            items.extend(page.items);
            assert!(items.len() < 1_000_000, "a history ends");
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return items,
            }
        }
    }

    pub(crate) fn history_query(&self, customer: &str) -> HistoryQuery {
        HistoryQuery::new(self.tenant.clone(), self.customer(customer))
    }

    pub(crate) async fn history(&self, customer: &str) -> Vec<Interaction> {
        self.history_by(self.history_query(customer), 1_000).await
    }

    /// A tenant's interactions, page by page.
    pub(crate) async fn scan(&self, tenant: &TenantId, limit: u32) -> Vec<Accepted<Interaction>> {
        let mut items = Vec::new();
        let mut query = ScanQuery {
            limit,
            ..ScanQuery::new(tenant.clone())
        };
        loop {
            let page = self.store.scan(query.clone()).await.expect("a tenant is scanned");
            items.extend(page.items);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return items,
            }
        }
    }

    pub(crate) async fn scan_decisions(&self, tenant: &TenantId, limit: u32) -> Vec<Accepted<Decision>> {
        let mut items = Vec::new();
        let mut query = ScanQuery {
            limit,
            ..ScanQuery::new(tenant.clone())
        };
        loop {
            let page = self
                .store
                .scan_decisions(query.clone())
                .await
                .expect("a tenant is scanned");
            items.extend(page.items);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return items,
            }
        }
    }
}
