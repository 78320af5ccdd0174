//! What the embedded store must do: the suite of every store, and what only a directory can get wrong.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "suite/blocking.rs"]
mod blocking;
#[path = "suite/damage.rs"]
mod damage;
#[path = "suite/directory.rs"]
mod directory;
#[path = "suite/disk.rs"]
mod disk;
#[path = "suite/durability.rs"]
mod durability;
#[path = "suite/fixture.rs"]
mod fixture;
#[path = "suite/settings.rs"]
mod settings;

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::InteractionStore;
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_testkit::Wrapped;

use crate::fixture::Fixture;

fn every_wrapper(store: Arc<dyn InteractionStore>) -> Arc<dyn InteractionStore> {
    let boxed = Box::new(store) as Box<dyn InteractionStore>;
    let attempt = Timeout::new(ConcurrencyLimit::new(boxed, 64), Duration::from_secs(30));
    Arc::new(Trace::new(Retry::new(attempt, RetryPolicy::default())))
}

mod embedded {
    kaireon_testkit::store_suite!(crate::Fixture::new());
    kaireon_testkit::store_model!(crate::Fixture::new());
}

mod through_every_wrapper {
    kaireon_testkit::store_suite!(crate::Wrapped(crate::Fixture::new(), crate::every_wrapper));
}
