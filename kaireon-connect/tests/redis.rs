//! What reaching Redis must do, on real servers.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/connect.rs"]
mod connect;
#[path = "redis/gone.rs"]
mod gone;
#[path = "redis/outcomes.rs"]
mod outcomes;
#[path = "redis/place.rs"]
mod place;
#[path = "redis/refused.rs"]
mod refused;
#[path = "redis/silence.rs"]
mod silence;
#[path = "redis/wire.rs"]
mod wire;
