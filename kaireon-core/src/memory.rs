//! In-memory implementations of the contracts: the specification that every backend is compared with.
//!
//! They are plain on purpose. A [`MemoryStore`] is one lock over ordered maps, so that what it answers can be
//! read off its source; nothing in it is tuned. They serve tests, examples and hosts that want no disk.
//!
//! ```
//! use kaireon_core::memory::MemoryStore;
//! use kaireon_core::store::SummaryQuery;
//! use kaireon_core::{Interaction, InteractionStore};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let store = MemoryStore::new();
//! let shown = Interaction::builder("acme", "customer-7")
//!     .offer("winter-shoes")
//!     .creative("banner-2")
//!     .channel("web")
//!     .build()?;
//! assert!(store.record_event(shown.clone()).await?.is_new());
//! assert!(!store.record_event(shown.clone()).await?.is_new());
//! let query = SummaryQuery::new(shown.tenant.clone(), shown.customer.clone());
//! assert_eq!(store.get_summaries(query).await?[0].stats.impressions, 1);
//! # Ok::<(), kaireon_core::Error>(())
//! # }).unwrap();
//! ```

mod breaker;
mod cache;
mod cursor;
mod lanes;
mod limiter;
mod outbox;
mod place;
mod publisher;
mod search;
mod settings;
mod state;
mod store;
mod tenant;
#[cfg(test)]
mod tests;

pub use breaker::MemoryBreaker;
pub use cache::MemoryCache;
pub use limiter::MemoryLimiter;
pub use outbox::MemoryOutbox;
pub use place::{DEDUPE_HORIZON, MemoryOptions, MemoryPlace};
pub use publisher::MemoryPublisher;
pub use search::MemorySearch;
pub use settings::MemorySettings;
pub use store::MemoryStore;
