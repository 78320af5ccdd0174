//! The in-process backend: `config`, then the `registry` of topics, which is its client, then the publisher. Each
//! subscriber without a group, and each group, has one `queue`; a member reads it through its `stream`.

mod config;
mod error;
mod publisher;
mod queue;
mod registry;
mod stream;
mod unsettled;
mod wakes;

pub use config::InProcessPublisherConfig;
pub use publisher::{InProcessPublisher, InProcessPublisherStats};

/// The backend's name, as its configuration value.
const BACKEND: &str = "in-process";
