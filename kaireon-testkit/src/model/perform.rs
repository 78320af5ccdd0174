//! One operation on one store.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::{
    DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LeaseRequest, RANGES, Settlement,
    Verdict, range_of,
};
use kaireon_core::store::{
    Accepted, DimensionFilter, Epoch, Erasure, ErasureId, FenceRequest, Generation, HistoryCursor,
    HistoryFilter, HistoryQuery, Origin, PeriodRange, Purge, Record, RecordBatch, Recorded, ScanQuery,
    SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Attributes, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey, Dimension,
    Event, Interaction, InteractionStore, InteractionType, OfferId, Outbox, PeriodType, RankedOffer,
    RecommendationId, Result, TenantId, Value,
};

use super::answer::{Answer, Refusal, status, told};
use super::operation::{Choice, Item, Operation};
use crate::world::{Built, at};

type Store = Arc<dyn InteractionStore>;

/// What the numbers stand for.
pub(super) struct Names {
    pub(super) key: Option<MasterKey>,
}

const NAMED: &str = "a short name is an id";

fn tenant(number: u8) -> TenantId {
    TenantId::new(["t", "tt"][usize::from(number)]).expect(NAMED)
}

fn customer(number: u8) -> CustomerId {
    CustomerId::new(["anna", "tanna", "bert"][usize::from(number)]).expect(NAMED)
}

fn offer(number: u8) -> OfferId {
    OfferId::new(format!("o{number}")).expect(NAMED)
}

/// Days around the edge of an ISO year, three in the morning and late at night.
fn time(day: u8) -> Timestamp {
    at("2024-12-20T00:00:00Z") + TimeDelta::hours(i64::from(day) * 11)
}

fn interaction(item: Item) -> Interaction {
    let Item {
        tenant: whose,
        customer: who,
        key,
        id,
        offer: what,
        kind,
        value,
        day,
        generation: _,
    } = item;
    let kind = ["impression", "click", "convert", "dismiss", "page_view"][usize::from(kind)];
    let built = Interaction::builder(tenant(whose), customer(who))
        .id(format!("i{id}"))
        .offer(offer(what))
        .creative(format!("c{}", what % 2))
        .channel("web")
        .rank(u32::from(id) + 1)
        .interaction_type(InteractionType::parse(kind).expect(NAMED))
        .idempotency_key(format!("k{key}"))
        .timestamp(time(day));
    match value {
        Some(value) => built.value(Value::from_micros(value)).built(),
        None => built.built(),
    }
}

fn decision(choice: Choice) -> Decision {
    let Choice {
        tenant: whose,
        customer: who,
        id,
        offers,
        day,
        generation: _,
    } = choice;
    let ranked = |rank: u8| {
        let channel = ChannelId::new("web").expect(NAMED);
        RankedOffer::new(
            u32::from(rank),
            offer(rank),
            CreativeId::new("c").expect(NAMED),
            channel,
        )
    };
    let fields = DecisionFields {
        id: recommendation(id),
        tenant: tenant(whose),
        customer: customer(who),
        flow: DecisionFlowKey::new("f").expect(NAMED),
        offers: (1..=offers).map(ranked).collect(),
        timestamp: time(day),
        attributes: Attributes::default(),
    };
    Decision::restore(fields).expect("a model's decision is within the bounds")
}

fn recommendation(number: u8) -> RecommendationId {
    RecommendationId::new(format!("r{number}")).expect(NAMED)
}

fn batch<T>(values: Vec<(T, u8)>, origin: Origin, epoch: u8) -> RecordBatch<T> {
    let record = |(value, generation)| Record {
        value,
        generation: (origin != Origin::Live).then_some(Generation(u32::from(generation))),
    };
    RecordBatch {
        records: values.into_iter().map(record).collect(),
        origin,
        epoch: Epoch(u64::from(epoch)),
    }
}

/// Performs an operation; `number` makes what has to be unique unique.
pub(super) async fn perform(operation: &Operation, number: usize, store: &Store, names: &Names) -> Answer {
    let outbox = || store.outbox().expect("the model compares stores with an outbox");
    match operation.clone() {
        Operation::Record { items, origin, epoch } => {
            let values = items
                .into_iter()
                .map(|item| (interaction(item), item.generation))
                .collect();
            let outcome = store.record_events(batch(values, origin, epoch)).await;
            let judged = |outcome: kaireon_core::store::BatchOutcome<Recorded>| {
                outcome
                    .into_results()
                    .into_iter()
                    .map(|result| result.map_err(Refusal::from))
                    .collect()
            };
            Answer::Recorded(outcome.map(judged).map_err(Refusal::from))
        }
        Operation::RecordOne { item } => Answer::Recorded(Ok(vec![
            store.record_event(interaction(item)).await.map_err(Refusal::from),
        ])),
        Operation::Decide {
            choices,
            origin,
            epoch,
        } => {
            let values = choices
                .into_iter()
                .map(|choice| (decision(choice), choice.generation))
                .collect();
            let outcome = store.record_decisions(batch(values, origin, epoch)).await;
            let judged = |outcome: kaireon_core::store::BatchOutcome<Recorded<RecommendationId>>| {
                outcome
                    .into_results()
                    .into_iter()
                    .map(|result| result.map_err(Refusal::from))
                    .collect()
            };
            Answer::Decided(outcome.map(judged).map_err(Refusal::from))
        }
        Operation::Summaries {
            tenant: whose,
            customer: who,
            dimension,
            value,
            period,
            day,
        } => {
            let mut query = SummaryQuery::new(tenant(whose), customer(who));
            if let Some(&dimension) = Dimension::ALL.get(usize::from(dimension)) {
                let value = value.map(|value| offer(value).to_string());
                query.dimensions.push(DimensionFilter { dimension, value });
            }
            if let Some(&period) = PeriodType::ALL.get(usize::from(period)) {
                query.periods.push(PeriodRange::containing(period, time(day)));
            }
            Answer::Summaries(store.get_summaries(query).await.map_err(Refusal::from))
        }
        Operation::History {
            tenant: whose,
            customer: who,
            limit,
            offer: what,
            days: (from, until),
        } => {
            let query = HistoryQuery {
                from: from.map(time),
                until: until.map(time),
                filter: HistoryFilter {
                    offer: what.map(offer),
                    ..HistoryFilter::default()
                },
                limit: u32::from(limit),
                ..HistoryQuery::new(tenant(whose), customer(who))
            };
            Answer::History(whole_history(store, query).await.map_err(Refusal::from))
        }
        Operation::Scan { tenant: whose, limit } => scan(store, &tenant(whose), u32::from(limit)).await,
        Operation::Erase {
            tenant: whose,
            customer: who,
            ticket,
        } => {
            let id = ErasureId::new(format!("ticket-{ticket}")).expect(NAMED);
            let request = Erasure {
                tenant: tenant(whose),
                customer: customer(who),
                id,
            };
            let receipt = store.erase_customer(request).await;
            let same = |receipt: kaireon_core::store::ErasureReceipt| {
                // How many groups a store packs into one is its own business; that there were some is not.
                let count = |(place, count)| {
                    if place == "summaries" {
                        (place, u64::from(count > 0))
                    } else {
                        (place, count)
                    }
                };
                (
                    receipt.generation,
                    receipt.deleted.into_iter().map(count).collect(),
                )
            };
            Answer::Erased(receipt.map(same).map_err(Refusal::from))
        }
        Operation::Install {
            tenant: whose,
            customer: who,
            generation,
        } => {
            let Some(key) = &names.key else {
                return Answer::Done(Ok(()));
            };
            let (tenant, generation) = (tenant(whose), Generation(u32::from(generation)));
            let stone = Tombstone {
                customer: key.tenant(&tenant).customer(&customer(who)),
                generation,
            };
            Answer::Done(
                store
                    .install_tombstones(&tenant, vec![stone])
                    .await
                    .map_err(Refusal::from),
            )
        }
        Operation::Purge { tenant: whose, day } => {
            let receipt = store
                .purge_before(Purge {
                    tenant: tenant(whose),
                    before: time(day),
                })
                .await;
            let same = |receipt: kaireon_core::store::PurgeReceipt| {
                (receipt.watermark, receipt.interactions, receipt.decisions)
            };
            Answer::Purged(receipt.map(same).map_err(Refusal::from))
        }
        Operation::Raise {
            tenant: whose,
            epoch,
            lanes,
        } => {
            let request = FenceRequest {
                tenant: tenant(whose),
                epoch: Epoch(u64::from(epoch)),
                lanes: lanes.map(LaneSet::from_bits),
            };
            Answer::Fence(
                store
                    .raise_fence(request)
                    .await
                    .map(|fence| (fence.epoch, fence.lanes))
                    .map_err(Refusal::from),
            )
        }
        Operation::SetLanes { lanes } => Answer::Done(
            outbox()
                .set_lanes(LaneSet::from_bits(lanes))
                .await
                .map_err(Refusal::from),
        ),
        Operation::Append {
            tenant: whose,
            customer: who,
            count,
        } => {
            let host = |n: u8| {
                let event = Event::new("model.updated.v1", &n).expect("a number is json");
                // The moment of making it would differ from one store to the other.
                let event = event
                    .with_timestamp(time(n))
                    .with_id(format!("h{number}-{n}"))
                    .expect(NAMED);
                HostEvent {
                    tenant: tenant(whose),
                    customer: who.map(customer),
                    event,
                }
            };
            Answer::Done(
                outbox()
                    .append((0..count).map(host).collect())
                    .await
                    .map_err(Refusal::from),
            )
        }
        Operation::Deliver {
            lane,
            tenant: whose,
            customer: who,
            limit,
            poison,
        } => {
            let range = range_of(&tenant(whose), customer(who).as_str());
            Answer::Told(
                deliver(&outbox(), lane, range, u32::from(limit), poison)
                    .await
                    .map_err(Refusal::from),
            )
        }
        Operation::Replay { lane, most } => Answer::Replayed(
            replay(&outbox(), lane, usize::from(most))
                .await
                .map_err(Refusal::from),
        ),
        Operation::Reopen => Answer::Done(Ok(())),
    }
}

async fn whole_history(store: &Store, mut query: HistoryQuery) -> Result<Vec<Interaction>> {
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

async fn scan(store: &Store, tenant: &TenantId, limit: u32) -> Answer {
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

async fn deliver(
    outbox: &Arc<dyn Outbox>,
    lane: Lane,
    range: u16,
    limit: u32,
    poison: bool,
) -> Result<Vec<super::answer::Told>> {
    let ttl = Duration::from_secs(60);
    let request = LeaseRequest {
        lane,
        owner: "relay".to_owned(),
        ttl,
        max_ranges: RANGES,
    };
    let leases = outbox.lease(request).await?.leases;
    let mine = leases.iter().filter(|lease| lease.range == range);
    let from = mine
        .map(|lease| FetchFrom {
            lease: lease.clone(),
            after: None,
        })
        .collect();
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
async fn waiting(outbox: &Arc<dyn Outbox>, lane: Lane) -> Result<Vec<super::answer::Told>> {
    let request = LeaseRequest {
        lane,
        owner: "relay".to_owned(),
        ttl: Duration::from_secs(60),
        max_ranges: RANGES,
    };
    let mut leases = outbox.lease(request).await?.leases;
    leases.sort_by_key(|lease| lease.range);
    let mut found = Vec::new();
    for lease in &leases {
        let from = vec![FetchFrom {
            lease: lease.clone(),
            after: None,
        }];
        found.extend(outbox.fetch(from, 1_000).await?.into_iter().map(told));
    }
    outbox.release(leases).await?;
    Ok(found)
}

async fn replay(outbox: &Arc<dyn Outbox>, lane: Lane, most: usize) -> Result<u64> {
    let letters = outbox.dead_letters(DeadLetterQuery::new(lane)).await?.items;
    let id = |letter: &kaireon_core::outbox::DeadLetter| DeadLetterId {
        range: letter.entry.range,
        position: letter.entry.position,
    };
    outbox
        .replay(lane, letters.iter().take(most).map(id).collect())
        .await
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
