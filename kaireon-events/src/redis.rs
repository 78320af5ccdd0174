//! The backends on Redis, over the client of `kaireon-connect`. Publish and subscribe: the `publisher`, with the script
//! of its batches (`batch`); each subscription is a task (`subscription`) that fills a `mailbox`.

mod batch;
mod config;
mod error;
mod gate;
mod mailbox;
mod publisher;
mod subscription;

pub use config::{MAX_EVENT_BYTES_VARIABLE, RedisPublisherConfig};
pub use kaireon_connect::redis::{RedisConnectConfig, RedisMode};
pub use publisher::{RedisPublisher, RedisPublisherStats};
