//! What the child writes, as a function of numbers, so that the parent knows it without being told.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use kaireon_core::{
    Attributes, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction,
    InteractionType, OfferId, RankedOffer, RecommendationId, TenantId, Value,
};

use crate::world::{Built, at};

const NAMED: &str = "a short name is an id";

/// How many tasks write at once.
pub(super) const TASKS: u32 = 6;

/// The number of the task whose customers are erased.
pub(super) const ERASED_TASK: u32 = 90;

/// Names one record: the nth of a task of a cycle. Its text is its idempotency key or recommendation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Piece {
    pub(super) cycle: u32,
    pub(super) task: u32,
    pub(super) number: u32,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.cycle, self.task, self.number)
    }
}

impl FromStr for Piece {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.').map(|part| part.parse().map_err(|_| ()));
        let mut next = || parts.next().unwrap_or(Err(()));
        Ok(Self {
            cycle: next()?,
            task: next()?,
            number: next()?,
        })
    }
}

pub(super) fn tenant() -> TenantId {
    TenantId::new("crash").expect(NAMED)
}

impl Piece {
    /// Whose it is: a customer belongs to one task, so that its writes have an order.
    pub(super) fn customer(self) -> CustomerId {
        match self.task {
            ERASED_TASK => CustomerId::new(format!("erased-{}-{}", self.cycle, self.number / 8)),
            task => CustomerId::new(format!("customer-{task}-{}", self.number % 3)),
        }
        .expect(NAMED)
    }

    pub(super) fn interaction(self) -> Interaction {
        let Self { cycle, task, number } = self;
        // Late and early days of several months, none of them in the order of writing.
        let hours = i64::from((number * 37 + task * 11 + cycle * 101) % 4_000);
        let kind = if number.is_multiple_of(3) {
            InteractionType::Convert
        } else {
            InteractionType::Impression
        };
        Interaction::builder(tenant(), self.customer())
            .id(format!("id-{self}"))
            .idempotency_key(self.to_string())
            .offer(format!("offer-{}", number % 5))
            .creative(format!("creative-{}", number % 2))
            .channel("web")
            .interaction_type(kind)
            .value(Value::from_micros(i64::from(number) * 333_333 - 1_000_000))
            .timestamp(at("2024-03-01T00:00:00Z") + TimeDelta::hours(hours))
            .attributes(
                serde_json::json!({ "filler": "x".repeat(usize::try_from(number % 700).unwrap_or(0)) }),
            )
            .built()
    }

    pub(super) fn decision(self) -> Decision {
        let channel = ChannelId::new("web").expect(NAMED);
        let creative = CreativeId::new("creative-1").expect(NAMED);
        let fields = DecisionFields {
            id: RecommendationId::new(self.to_string()).expect(NAMED),
            tenant: tenant(),
            customer: self.customer(),
            flow: DecisionFlowKey::new("flow").expect(NAMED),
            offers: vec![RankedOffer::new(
                1,
                OfferId::new("offer-1").expect(NAMED),
                creative,
                channel,
            )],
            timestamp: at("2024-03-01T00:00:00Z"),
            attributes: Attributes::default(),
        };
        Decision::restore(fields).expect("a child's decision is within the bounds")
    }
}
