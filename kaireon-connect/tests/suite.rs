//! What reaching a server must do, on real ones.

#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "suite/connect.rs"]
mod connect;
#[path = "suite/fault.rs"]
mod fault;
#[path = "suite/migrate.rs"]
mod migrate;
#[path = "suite/place.rs"]
mod place;
#[path = "suite/pooler.rs"]
mod pooler;
#[path = "suite/rest.rs"]
mod rest;
#[path = "suite/silence.rs"]
mod silence;
