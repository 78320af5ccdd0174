//! What may be done, over few names, so that sequences collide.

use kaireon_core::outbox::Lane;
use kaireon_core::store::Origin;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::values::BEFORE_ALL;

/// An interaction by its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) tenant: u8,
    pub(super) customer: u8,
    pub(super) key: u8,
    pub(super) id: u8,
    pub(super) offer: u8,
    pub(super) kind: u8,
    pub(super) value: Option<i64>,
    pub(super) day: u8,
    /// The generation, where the batch is not live.
    pub(super) generation: u8,
}

/// A decision by its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) tenant: u8,
    pub(super) customer: u8,
    pub(super) id: u8,
    pub(super) offers: u8,
    pub(super) day: u8,
    pub(super) generation: u8,
}

/// One operation of a sequence.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Record {
        items: Vec<Item>,
        origin: Origin,
        epoch: u8,
    },
    RecordOne {
        item: Item,
    },
    Decide {
        choices: Vec<Choice>,
        origin: Origin,
        epoch: u8,
    },
    Summaries {
        tenant: u8,
        customer: u8,
        dimension: u8,
        value: Option<u8>,
        period: u8,
        day: u8,
    },
    History {
        tenant: u8,
        customer: u8,
        limit: u8,
        offer: Option<u8>,
        days: (Option<u8>, Option<u8>),
    },
    Scan {
        tenant: u8,
        limit: u8,
    },
    Erase {
        tenant: u8,
        customer: u8,
        ticket: u8,
    },
    Install {
        tenant: u8,
        customer: u8,
        generation: u8,
    },
    Purge {
        tenant: u8,
        day: u8,
    },
    Raise {
        tenant: u8,
        epoch: u8,
        lanes: Option<u8>,
    },
    SetLanes {
        lanes: u8,
    },
    Append {
        tenant: u8,
        customer: Option<u8>,
        count: u8,
    },
    Deliver {
        lane: Lane,
        tenant: u8,
        customer: u8,
        limit: u8,
        poison: bool,
    },
    Replay {
        lane: Lane,
        most: u8,
    },
    Reopen,
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![4 => Just(Origin::Live), 1 => Just(Origin::Replicated), 1 => Just(Origin::Backfill)]
}

fn lanes() -> impl Strategy<Value = Lane> {
    prop_oneof![3 => Just(Lane::Publish), 1 => Just(Lane::Replicate), 1 => Just(Lane::Archive)]
}

/// Values whose sums leave 64 bits, beside small ones.
fn values() -> impl Strategy<Value = Option<i64>> {
    option::of(prop_oneof![Just(i64::MAX), Just(i64::MIN), -3_i64..3])
}

fn items() -> impl Strategy<Value = Item> {
    let whose = (0..2_u8, 0..3_u8, 0..12_u8, 0..5_u8);
    let what = (0..3_u8, 0..5_u8, values(), 0..40_u8, generations());
    (whose, what).prop_map(
        |((tenant, customer, key, id), (offer, kind, value, day, generation))| Item {
            tenant,
            // A key has its customer and offer most of the time, so that retries are more than conflicts.
            customer: if key % 4 == 0 { customer } else { key % 3 },
            key,
            id,
            offer: if key % 3 == 0 { offer } else { 0 },
            kind: if key % 5 == 0 { kind } else { key % 5 },
            value: if key % 2 == 0 {
                None
            } else {
                value.filter(|_| key > 6)
            },
            day,
            generation,
        },
    )
}

fn generations() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0_u8), 3 => Just(1), 1 => Just(2)]
}

fn choices() -> impl Strategy<Value = Choice> {
    (0..2_u8, 0..3_u8, 0..5_u8, 0..3_u8, 0..40_u8, generations()).prop_map(
        |(tenant, customer, id, offers, day, generation)| Choice {
            tenant,
            customer,
            id,
            offers,
            day,
            generation,
        },
    )
}

/// Bounds of a purge or a history: a day, seldom a time before all of them.
fn bounds(days: u8) -> impl Strategy<Value = u8> {
    prop_oneof![7 => 0..days, 1 => Just(BEFORE_ALL)]
}

fn epochs() -> impl Strategy<Value = u8> {
    prop_oneof![5 => Just(3_u8), 1 => 0..3_u8]
}

/// Any operation; what records comes most often.
pub(super) fn operations() -> impl Strategy<Value = Operation> {
    let whose = || (0..2_u8, 0..3_u8);
    prop_oneof![
        8 => (vec(items(), 1..6), origins(), epochs())
            .prop_map(|(items, origin, epoch)| Operation::Record { items, origin, epoch }),
        6 => items().prop_map(|item| Operation::RecordOne { item }),
        4 => (vec(choices(), 1..4), origins(), epochs())
            .prop_map(|(choices, origin, epoch)| Operation::Decide { choices, origin, epoch }),
        2 => (whose(), 0..4_u8, option::of(0..3_u8), 0..5_u8, 0..40_u8)
            .prop_map(|((tenant, customer), dimension, value, period, day)| Operation::Summaries {
                tenant, customer, dimension, value, period, day,
            }),
        2 => (whose(), 1..5_u8, option::of(0..3_u8), (option::of(bounds(40)), option::of(bounds(40))))
            .prop_map(|((tenant, customer), limit, offer, days)| Operation::History { tenant, customer, limit, offer, days }),
        1 => (0..2_u8, 1..5_u8).prop_map(|(tenant, limit)| Operation::Scan { tenant, limit }),
        2 => (whose(), 0..3_u8).prop_map(|((tenant, customer), ticket)| Operation::Erase { tenant, customer, ticket }),
        1 => (whose(), 1..4_u8)
            .prop_map(|((tenant, customer), generation)| Operation::Install { tenant, customer, generation }),
        1 => (0..2_u8, bounds(20)).prop_map(|(tenant, day)| Operation::Purge { tenant, day }),
        1 => (0..2_u8, 0..4_u8, option::of(0..8_u8))
            .prop_map(|(tenant, epoch, lanes)| Operation::Raise { tenant, epoch, lanes }),
        2 => (0..8_u8).prop_map(|lanes| Operation::SetLanes { lanes }),
        2 => (0..2_u8, option::of(0..3_u8), 1..4_u8)
            .prop_map(|(tenant, customer, count)| Operation::Append { tenant, customer, count }),
        4 => (lanes(), whose(), 1..6_u8, any::<bool>())
            .prop_map(|(lane, (tenant, customer), limit, poison)| Operation::Deliver { lane, tenant, customer, limit, poison }),
        1 => (lanes(), 0..4_u8).prop_map(|(lane, most)| Operation::Replay { lane, most }),
        1 => Just(Operation::Reopen),
    ]
}
