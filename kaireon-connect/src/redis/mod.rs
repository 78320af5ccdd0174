//! Redis 7 and newer, by the crate [redis](https://docs.rs/redis): one server, one under Sentinel, a cluster.
//!
//! ```no_run
//! use kaireon_connect::redis::{RedisClient, RedisCommand, RedisConnectConfig};
//!
//! # async fn example() -> kaireon_core::Result<()> {
//! let client = RedisClient::connect(RedisConnectConfig::from_env()?).await?;
//! let answer = client.call(RedisCommand::read("GET", "greeting")).await;
//! let value = answer.map_err(|fault| fault.into_error())?.into_bytes();
//! # Ok(())
//! # }
//! ```
//!
//! # What of a call is known
//! No call takes longer than the configured time. One that was not sent, or that the server refused, has changed
//! nothing. One that was sent and not answered may have: its effect is unknown, and it is **never sent again** from
//! here. A command that only reads has changed nothing in any case.
//!
//! | [`RedisMode`] | a server that is gone | keys |
//! |---|---|---|
//! | `Standalone` | the same address is tried again, looked up anew | of any command together |
//! | `Sentinel` | the sentinels are asked who the primary is now | of any command together |
//! | `Cluster` | the other nodes are asked who has its slots now | of one command in one slot |
//!
//! Redirections of a cluster are followed inside, because a node that redirects has done nothing. Commands of one batch
//! go to each node in one round trip, and what a node has answered is told whatever becomes of the others.
//!
//! # What is sent besides
//! A new connection sends its login, and `HELLO` where the mode is to be found out or a sentinel's word to be checked;
//! several nodes of a cluster are asked `CLUSTER INFO` and `CLUSTER SLOTS` when a node redirects, cannot be reached, does
//! not answer or says that it serves no longer, at most every 50 ms. Nothing is sent while nobody calls, but by a
//! [`RedisListener`] that has heard nothing for four times the bound on a call: a `PING`.

mod client;
mod cluster;
mod command;
mod config;
mod dial;
mod exchange;
mod fault;
mod link;
mod listen;
mod meaning;
mod mode;
mod reply;
mod script;
mod sentinel;
mod slots;
mod tls;
mod url;
mod watched;

pub use client::RedisClient;
pub use command::RedisCommand;
pub use config::{RedisConnectConfig, RedisMode};
pub use fault::RedisFault;
pub use listen::{RedisHeard, RedisListener};
pub use reply::RedisReply;
pub use script::RedisScript;
pub use slots::in_one_slot;

/// The backend's name, as its configuration value.
pub(crate) const BACKEND: &str = "redis";
