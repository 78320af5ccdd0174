//! One operation on one store.

use std::sync::Arc;

use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::{HostEvent, LaneSet, range_of};
use kaireon_core::store::{
    BatchOutcome, DimensionFilter, Epoch, Erasure, ErasureId, ErasureReceipt, FenceRequest, Generation,
    HistoryFilter, HistoryQuery, PeriodRange, Purge, PurgeReceipt, Recorded, SummaryQuery, Tombstone,
};
use kaireon_core::{Dimension, Event, InteractionStore, PeriodType, RecommendationId};

use super::answer::{Answer, Refusal};
use super::lanes::{deliver, replay};
use super::operation::Operation;
use super::read::{scan, whole_history};
use super::values::{NAMED, batch, bound, customer, decision, interaction, offer, tenant, time};

pub(super) type Store = Arc<dyn InteractionStore>;

/// What the numbers stand for.
pub(super) struct Names {
    pub(super) key: Option<MasterKey>,
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
            let judged = |outcome: BatchOutcome<Recorded>| {
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
            let judged = |outcome: BatchOutcome<Recorded<RecommendationId>>| {
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
                from: from.map(bound),
                until: until.map(bound),
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
            let same = |receipt: ErasureReceipt| {
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
                    before: bound(day),
                })
                .await;
            let same = |receipt: PurgeReceipt| (receipt.watermark, receipt.interactions, receipt.decisions);
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
