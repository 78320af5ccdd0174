//! What is asked of a writer, and what it answers.

use std::sync::Arc;

use kaireon_core::digest::Digest;
use kaireon_core::store::{Epoch, Generation, Origin, Record, Recorded};
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, Decision, Error, ErrorKind, Interaction, RecommendationId, Result, TenantId};
use tokio::sync::oneshot;

use crate::shared::Tenant;

/// Under what a record is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) origin: Origin,
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

/// What is recorded.
#[derive(Clone)]
pub(crate) enum Value {
    Interaction(Interaction),
    Decision(Decision),
}

impl Value {
    pub(crate) fn tenant(&self) -> &TenantId {
        match self {
            Self::Interaction(interaction) => &interaction.tenant,
            Self::Decision(decision) => &decision.tenant,
        }
    }

    pub(crate) fn customer(&self) -> &CustomerId {
        match self {
            Self::Interaction(interaction) => &interaction.customer,
            Self::Decision(decision) => &decision.customer,
        }
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        match self {
            Self::Interaction(interaction) => interaction.timestamp,
            Self::Decision(decision) => decision.timestamp,
        }
    }
}

/// Who: the key of the row that is locked. Its order is the order of locking.
pub(crate) type Who = (i32, Digest);

/// A record, with its digests. It may be tried several times, so it is not used up.
#[derive(Clone)]
pub(crate) struct Op {
    pub(crate) value: Value,
    pub(crate) generation: Option<Generation>,
    pub(crate) terms: Terms,
    pub(crate) who: Who,
    pub(crate) key: Digest,
    pub(crate) content: Digest,
}

impl Op {
    pub(crate) fn interaction(tenant: &Tenant, record: Record<Interaction>, terms: Terms) -> Self {
        let Record { value, generation } = record;
        Self {
            who: (tenant.number, tenant.customer(&value.customer)),
            key: tenant.key.idempotency_key(&value.idempotency_key),
            content: tenant.key.identity(&value),
            value: Value::Interaction(value),
            generation,
            terms,
        }
    }

    pub(crate) fn decision(tenant: &Tenant, record: Record<Decision>, terms: Terms) -> Self {
        let Record { value, generation } = record;
        Self {
            who: (tenant.number, tenant.customer(&value.customer)),
            key: tenant.key.recommendation(&value.id),
            content: tenant.key.content(&value),
            value: Value::Decision(value),
            generation,
            terms,
        }
    }

    /// The same under the number that its tenant has now. No digest depends on that.
    pub(crate) fn renumbered(&self, number: i32) -> Self {
        Self {
            who: (number, self.who.1),
            ..self.clone()
        }
    }

    /// The key of its dedupe record.
    pub(crate) const fn dedupe(&self) -> (i32, Digest) {
        (self.who.0, self.key)
    }

    /// Which of so many writers has its customer.
    pub(crate) fn writer(&self, writers: usize) -> usize {
        usize::from(self.who.1.as_bytes()[0]) % writers
    }

    /// About how many bytes wait in the queue for it.
    pub(crate) fn bytes(&self) -> usize {
        match &self.value {
            // Ids are counted by their usual length; attributes may be long.
            Value::Interaction(interaction) => 512 + attributes_weight(interaction.attributes.as_map()),
            Value::Decision(decision) => {
                512 + 160 * decision.offers.len() + attributes_weight(decision.attributes.as_map())
            }
        }
    }
}

/// Roughly how many bytes attributes have, without writing them.
fn attributes_weight(members: &serde_json::Map<String, serde_json::Value>) -> usize {
    fn weight(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::String(text) => text.len() + 2,
            serde_json::Value::Array(items) => items.iter().map(weight).sum::<usize>() + 2,
            serde_json::Value::Object(members) => attributes_weight(members),
            _ => 8,
        }
    }
    members
        .iter()
        .map(|(name, value)| name.len() + 3 + weight(value))
        .sum()
}

/// What a writer answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Recorded(Recorded),
    Decided(Recorded<RecommendationId>),
    /// The number is not the tenant's (any more), and nothing was done.
    Renumbered,
    /// Another transaction holds the customer: the answer comes from whoever waits for it.
    Later(oneshot::Receiver<Result<Answer>>),
}

impl Answer {
    /// The answer, once it is there.
    pub(crate) async fn settled(self) -> Result<Self> {
        match self {
            Self::Later(answer) => answer.await.unwrap_or_else(|_| Err(unanswered())),
            settled => Ok(settled),
        }
    }

    pub(crate) fn recorded(self) -> Result<Recorded> {
        match self {
            Self::Recorded(recorded) => Ok(recorded),
            _ => Err(unexpected()),
        }
    }

    pub(crate) fn decided(self) -> Result<Recorded<RecommendationId>> {
        match self {
            Self::Decided(recorded) => Ok(recorded),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Internal, "the writer answered something else")
}

fn unanswered() -> Error {
    Error::new(ErrorKind::Internal, "the writer ended before it answered")
}

/// Operations that are shared between tries, halves of a batch and those who wait for a customer.
pub(crate) type SharedOp = Arc<Op>;
