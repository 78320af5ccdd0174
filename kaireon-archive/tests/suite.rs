//! What an archive must do, on stores and places of every kind.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "suite/export.rs"]
mod export;
#[path = "suite/instants.rs"]
mod instants;
#[path = "suite/kills.rs"]
mod kills;
#[path = "suite/late.rs"]
mod late;
#[path = "suite/memory.rs"]
mod memory;
#[path = "suite/moved.rs"]
mod moved;
#[cfg(feature = "zstd")]
#[path = "suite/read.rs"]
mod read;
#[cfg(feature = "s3")]
#[path = "suite/s3.rs"]
mod s3;
#[cfg(feature = "zstd")]
#[path = "suite/sources.rs"]
mod sources;
mod support;
