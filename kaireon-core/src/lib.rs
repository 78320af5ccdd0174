//! The contracts of the kaireon family, and everything that is the same on every backend.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | the interaction store: trait, batches, queries, erasure, fences |
//! | [`outbox`] | what has to be told to others, in the store's own atomic unit |
//! | [`publisher`], [`event`] | the event stream and its envelope |
//! | [`cache`], [`limiter`], [`breaker`] | the cache, rate limits, circuit breakers |
//! | [`search`] | the search index: documents, neutral queries, facets, rebuilds |
//! | [`wrap`] | retry, timeout, concurrency limit and tracing, over any of the contracts |
//! | [`Container`] | the four parts of an infrastructure, held together |
//! | [`memory`] | the contracts in memory, plain and readable: what every backend is compared with |
//! | [`policy`], [`respond`], [`attribution`] | frequency caps and cooldowns; answers to recommendations; credit |
//! | [`digest`], [`time`] | keyed hashes; clocks and timestamps |

mod attributes;
pub mod attribution;
pub mod breaker;
pub mod cache;
pub mod coalesce;
mod container;
mod decision;
pub mod digest;
mod error;
pub mod event;
mod forward;
mod id;
mod interaction;
pub mod limiter;
pub mod memory;
mod methods;
pub mod outbox;
mod period;
pub mod policy;
#[cfg(test)]
mod probe;
pub mod publisher;
pub mod relay;
pub mod respond;
pub mod search;
pub mod store;
pub mod summary;
pub mod time;
mod value;
pub mod wire;
pub mod wrap;

pub use attributes::{Attributes, MAX_ATTRIBUTES_BYTES, MAX_ATTRIBUTES_DEPTH};
pub use cache::{CacheStore, CacheStoreExt};
pub use container::{Container, ContainerBuilder, Disconnected, DynContainer, Missing};
pub use decision::{Decision, DecisionFields, MAX_OFFERS, Propensity, RankedOffer};
pub use error::{Effect, Error, ErrorKind, Result};
pub use event::{Event, EventType};
pub use id::{
    CampaignId, CategoryId, ChannelId, CreativeId, CustomerId, DecisionFlowKey, IdempotencyKey,
    InteractionId, MAX_ID_BYTES, OfferId, OutcomeTypeKey, PlacementId, RecommendationId, TenantId,
};
pub use interaction::{
    Classification, CustomType, Direction, Interaction, InteractionBuilder, InteractionFields,
    InteractionType,
};
pub use outbox::Outbox;
pub use period::{Period, PeriodType};
pub use publisher::EventPublisher;
pub use search::SearchIndex;
pub use store::InteractionStore;
pub use summary::{Dimension, LastContact, Stats, Summary, groups};
pub use value::{Value, ValueSum};
