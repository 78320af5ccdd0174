//! Reading whole histories and tenants, and everything that can be read.

use kaireon_core::outbox::{DeadLetterQuery, Lane};
use kaireon_core::store::{
    Accepted, HistoryCursor, HistoryQuery, ScanQuery, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::{Interaction, Result, TenantId};

use super::answer::{Answer, Refusal, status, told};
use super::lanes::waiting;
use super::perform::{Names, Store};
use super::values::{customer, recommendation, tenant};

pub(super) async fn whole_history(store: &Store, mut query: HistoryQuery) -> Result<Vec<Interaction>> {
    let mut found = Vec::new();
    loop {
        let page = store.history(query.clone()).await?;
        found.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next.to_string().parse()?),
            None => return Ok(found),
        }
    }
}

pub(super) async fn scan(store: &Store, tenant: &TenantId, limit: u32) -> Answer {
    let mut found: Vec<Accepted<Interaction>> = Vec::new();
    let mut query = ScanQuery {
        limit,
        ..ScanQuery::new(tenant.clone())
    };
    loop {
        match store.scan(query.clone()).await {
            Ok(page) => {
                found.extend(page.items);
                match page.next {
                    Some(next) => query.cursor = Some(next),
                    None => break,
                }
            }
            Err(error) => return Answer::Scanned(Err(error.into())),
        }
    }
    // The order of a scan is a store's own.
    found.sort_by_cached_key(|found| (found.value.customer.clone(), HistoryCursor::after(&found.value)));
    Answer::Scanned(Ok(found))
}

/// Everything that can be read, with its name.
pub(super) async fn read_everything(store: &Store, names: &Names) -> Vec<(String, Answer)> {
    let outbox = store.outbox().expect("the model compares stores with an outbox");
    let mut answers = Vec::new();
    for number in 0..2 {
        let whose = tenant(number);
        for number in 0..3 {
            let query = SummaryQuery::new(whose.clone(), customer(number));
            let summaries = store.get_summaries(query).await.map_err(Refusal::from);
            answers.push((
                format!("summaries of {whose}/{number}"),
                Answer::Summaries(summaries),
            ));
            let query = HistoryQuery {
                limit: 3,
                ..HistoryQuery::new(whose.clone(), customer(number))
            };
            let history = whole_history(store, query).await.map_err(Refusal::from);
            answers.push((format!("history of {whose}/{number}"), Answer::History(history)));
        }
        for number in 0..5 {
            let found = store
                .decision(&whose, &recommendation(number))
                .await
                .map_err(Refusal::from);
            answers.push((format!("decision {number} of {whose}"), Answer::Decision(found)));
        }
        answers.push((format!("scan of {whose}"), scan(store, &whose, 7).await));
        let decisions = store
            .scan_decisions(ScanQuery::new(whose.clone()))
            .await
            .map(|page| {
                let mut found = page.items;
                found.sort_by(|left, right| left.value.id.cmp(&right.value.id));
                found
            });
        answers.push((
            format!("decisions of {whose}"),
            Answer::Decisions(decisions.map_err(Refusal::from)),
        ));
        let fence = store.fence(&whose).await.map(|fence| (fence.epoch, fence.lanes));
        answers.push((
            format!("fence of {whose}"),
            Answer::Fence(fence.map_err(Refusal::from)),
        ));
        let stones = store
            .tombstones(TombstoneQuery::new(whose.clone()))
            .await
            .map(|page| {
                let known = |stone: Tombstone| (names.key.as_ref().map(|_| stone.customer), stone.generation);
                let mut stones: Vec<_> = page.items.into_iter().map(known).collect();
                stones.sort();
                stones
            });
        answers.push((
            format!("tombstones of {whose}"),
            Answer::Stones(stones.map_err(Refusal::from)),
        ));
    }
    answers.push((
        "lanes".to_owned(),
        Answer::Lanes(outbox.lanes().await.map_err(Refusal::from)),
    ));
    for lane in Lane::ALL {
        let standing = outbox.status(lane).await.map(status).map_err(Refusal::from);
        answers.push((format!("status of {lane}"), Answer::Status(standing)));
        let letters = outbox.dead_letters(DeadLetterQuery::new(lane)).await.map(|page| {
            page.items
                .into_iter()
                .map(|letter| (told(letter.entry), letter.reason))
                .collect()
        });
        answers.push((
            format!("dead letters of {lane}"),
            Answer::Letters(letters.map_err(Refusal::from)),
        ));
        let rest = waiting(&outbox, lane).await.map_err(Refusal::from);
        answers.push((format!("entries of {lane}"), Answer::Told(rest)));
    }
    answers
}
