//! The contracts of the kaireon family, and everything that is the same on every backend.
//!
//! A host usually depends on the facade, `kaireon`, which re-exports this crate as `kaireon::core`; whoever writes a
//! backend depends on this one, implements a trait of a few methods and runs the suite of `kaireon-testkit` on it.
//!
//! ```
//! use kaireon_core::memory::MemoryStore;
//! use kaireon_core::store::{Recorded, SummaryQuery};
//! use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
//! let store = MemoryStore::new();
//! let shown = Interaction::builder("acme", "customer-7")
//!     .offer("winter-shoes")
//!     .creative("banner-2")
//!     .channel("web")
//!     .build()?;
//! store.record_event(shown.clone()).await?;
//! // A retry is recognised by its idempotency key, and counts once.
//! assert_eq!(store.record_event(shown.clone()).await?, Recorded::Duplicate(shown.id.clone()));
//! let query = SummaryQuery::new(TenantId::new("acme")?, CustomerId::new("customer-7")?);
//! assert!(store.get_summaries(query).await?.iter().all(|summary| summary.stats.impressions == 1));
//! # Ok(()) }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | the interaction store: trait, batches, queries, erasure, fences |
//! | [`outbox`] | what has to be told to others, in the store's own atomic unit |
//! | [`publisher`], [`event`] | the event stream and its envelope |
//! | [`cache`], [`limiter`], [`breaker`] | the cache, rate limits, circuit breakers |
//! | [`search`] | the search index: documents, neutral queries, facets, rebuilds |
//! | [`settings`] | settings that all instances share: a document per tenant, with its trail |
//! | [`signals`] | what a store tells of its load and its size |
//! | [`wrap`] | retry, timeout, concurrency limit and tracing, over any of the contracts |
//! | [`Container`] | the four parts of an infrastructure, held together |
//! | [`memory`] | the contracts in memory, plain and readable: what every backend is compared with |
//! | [`policy`], [`respond`], [`attribution`] | frequency caps and cooldowns; answers to recommendations; credit |
//! | [`digest`], [`time`] | keyed hashes; clocks and timestamps |
//! | [`coalesce`], [`relay`] | for adapters and hosts: writes gathered into commits; lanes emptied into a sink |
//! | [`summary`], [`wire`] | for adapters: the fold, packed and unpacked; records as bytes |
//!
//! # The contract
//! - **Idempotency is exact**, per tenant and key, under concurrent retries: one row, one contribution to the summaries,
//!   one event. A reused key with other content is a `Conflict`.
//! - **Durable on `Ok`**: row, summaries and outbox entries, or the capabilities say why not.
//! - **Summaries** are the fold of all that was accepted as new, read at the cost of the periods asked for.
//! - **Bounds** are checked at construction, before a backend sees anything; what is out of bounds is `InvalidInput` and
//!   names its field.
//! - **Errors** say what went wrong ([`ErrorKind`]), whether to try again ([`Error::is_transient`]) and whether anything
//!   may have been applied ([`Error::effect`]).
//! - **Customer ids, idempotency keys and attributes** are in no error text, log, span or metric label.
//!
//! The traits are dyn-compatible, and implemented for `Arc<T>` and `Box<T>`; futures are `Send`. This crate has no
//! features, and no client of any backend.

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
pub mod settings;
pub mod signals;
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
    CampaignId, CategoryId, ChangeId, ChannelId, CreativeId, CustomerId, DecisionFlowKey, IdempotencyKey,
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
pub use settings::SettingsStore;
pub use store::InteractionStore;
pub use summary::{Dimension, LastContact, Stats, Summary, groups};
pub use value::{Value, ValueSum};
