//! One read, as both sides of a migration answer it.

use std::time::Duration;

use futures_util::future::join;
use kaireon_core::store::{HistoryCursor, HistoryQuery, Page, SummaryQuery};
use kaireon_core::{
    Decision, Error, ErrorKind, Interaction, InteractionStore, RecommendationId, Result, Summary, TenantId,
};
use tokio::time::{Instant, timeout};

use super::SwitchStore;
use crate::Backend;

/// What one store answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Traced<T> {
    /// The store.
    pub store: Backend,
    /// Its answer.
    pub answer: Result<T>,
    /// How long that took.
    pub took: Duration,
}

/// Whether two stores answered the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// They did.
    Same,
    /// They did not.
    Unlike,
    /// One of them failed, or there is no other one.
    Unknown,
}

/// A read as both sides of a tenant's migration answer it: what a decision trace shows in its debug mode.
///
/// It holds what was read; who shows it decides to whom.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadTrace<T> {
    /// The store that answers callers.
    pub answered: Traced<T>,
    /// The other side; `None` without a migration under way.
    pub other: Option<Traced<T>>,
    /// Whether the two agree. Just after a write they need not: the other side may lag.
    pub agreement: Agreement,
}

impl SwitchStore {
    /// Reads a page of a customer's history on both sides at once. Pages agree by their items.
    ///
    /// # Errors
    /// The settings store's; `Config` where this process was not given one of the two stores. What the stores fail with is
    /// in the answer, `Timeout` where one does not answer within [`deadline`](crate::ReadSampling::deadline).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn trace_history(
        &self,
        query: HistoryQuery,
    ) -> Result<ReadTrace<Page<Interaction, HistoryCursor>>> {
        let read = async |store: &dyn InteractionStore| store.history(query.clone()).await;
        self.trace(&query.tenant, read, |one, other| one.items == other.items)
            .await
    }

    /// Reads a customer's summaries on both sides at once.
    ///
    /// # Errors
    /// As for [`trace_history`](Self::trace_history).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn trace_summaries(&self, query: SummaryQuery) -> Result<ReadTrace<Vec<Summary>>> {
        let read = async |store: &dyn InteractionStore| store.get_summaries(query.clone()).await;
        self.trace(&query.tenant, read, PartialEq::eq).await
    }

    /// Reads a decision on both sides at once.
    ///
    /// # Errors
    /// As for [`trace_history`](Self::trace_history).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn trace_decision(
        &self,
        tenant: &TenantId,
        id: &RecommendationId,
    ) -> Result<ReadTrace<Option<Decision>>> {
        let read = async |store: &dyn InteractionStore| store.decision(tenant, id).await;
        self.trace(tenant, read, PartialEq::eq).await
    }

    async fn trace<T>(
        &self,
        tenant: &TenantId,
        read: impl AsyncFn(&dyn InteractionStore) -> Result<T>,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Result<ReadTrace<T>> {
        let seen = self.0.current.newer(tenant, Instant::now()).await?;
        let (setting, deadline) = (seen.setting(), self.0.samples.deadline());
        let of = async |name: &Backend| -> Result<Traced<T>> {
            let store = self.0.stores.get(name)?;
            let begun = Instant::now();
            let answer = timeout(deadline, read(store.as_ref())).await;
            let answer = answer.unwrap_or_else(|_| {
                let context = "the store did not answer in the time that a comparison of reads may take";
                Err(Error::new(ErrorKind::Timeout, context))
            });
            Ok(Traced {
                store: name.clone(),
                answer,
                took: begun.elapsed(),
            })
        };
        let other = setting
            .under_way()
            .map(|migration| match setting.reads == migration.source {
                true => &migration.target,
                false => &migration.source,
            });
        let other = async {
            match other {
                None => Ok(None),
                Some(name) => of(name).await.map(Some),
            }
        };
        let (answered, other) = join(of(&setting.reads), other).await;
        let (answered, other) = (answered?, other?);
        let agreement = match (&answered.answer, other.as_ref().map(|other| &other.answer)) {
            (Ok(one), Some(Ok(other))) if is_same(one, other) => Agreement::Same,
            (Ok(_), Some(Ok(_))) => Agreement::Unlike,
            _ => Agreement::Unknown,
        };
        Ok(ReadTrace {
            answered,
            other,
            agreement,
        })
    }
}
