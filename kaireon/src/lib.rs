//! One trait per concern, one environment variable per choice.

mod adapters;
mod builder;
mod config;
mod erase;
mod gate;
mod health;
mod infra;
#[cfg(feature = "logging")]
pub mod logging;
mod plan;
mod problem;
mod report;
mod set;
mod signal;
mod startup;
mod stream;
mod url;

pub use builder::InfraBuilder;
pub use config::{
    CACHE_STORE, CallPolicy, Config, DATABASE_URL, DEFAULT_DATA_DIR, EVENT_PUBLISHER, Handover,
    INTERACTION_STORE, KAIREON_DATA_DIR, REDIS_URL, SEARCH_INDEX,
};
pub use erase::Erased;
pub use health::{Health, PartHealth, Status};
pub use infra::Infra;
pub use kaireon_core as core;
pub use problem::{Problem, Problems};
pub use report::{DrainReport, Outcome, Part};
pub use signal::wait_for_shutdown_signal;
pub use startup::{Choice, Startup};
