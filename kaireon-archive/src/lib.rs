//! Archives of interactions and decisions in object storage: exported from any store of the family, read back into
//! any other, readable by whatever reads Hive-partitioned JSON lines.
//!
//! ```
//! use std::sync::Arc;
//! use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place, ReadOptions, ReadProgress};
//! use kaireon_core::digest::MasterKey;
//! use kaireon_core::memory::MemoryStore;
//! use kaireon_core::outbox::{Lane, LaneSet};
//! use kaireon_core::{Interaction, InteractionStore};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
//! let store: Arc<dyn InteractionStore> = Arc::new(MemoryStore::new());
//! store.outbox().expect("this store has one").set_lanes(LaneSet::of(&[Lane::Archive])).await?;
//! let shown = Interaction::builder("acme", "c7").offer("shoes").creative("banner").channel("web").build()?;
//! store.record_event(shown.clone()).await?;
//!
//! let folder = std::env::temp_dir().join(format!("kaireon-archive-{}", std::process::id()));
//! let config = ArchiveConfig::new(Place::folder(&folder)?, MasterKey::new([7; 32]));
//! let archive = Archive::open(config).await?;
//! let exporter = Exporter::new(archive.clone(), store, ExportConfig::new("main"))?;
//! exporter.scan(&shown.tenant).await?; // once: what was there before the lane
//! println!("{:?}", exporter.export_once().await?);
//!
//! let mut reader = archive.read::<Interaction>(&shown.tenant, &ReadProgress::start(), ReadOptions::default()).await?;
//! let chunk = reader.next().await?.expect("one record was exported");
//! assert_eq!(chunk.records[0].value, shown);
//! # std::fs::remove_dir_all(folder).expect("the folder is ours");
//! # Ok(()) }
//! ```
//!
//! | place | how | tested on |
//! |---|---|---|
//! | a folder | [`Place::folder`]; each object is flushed before it counts as written | this machine |
//! | S3 and compatible (feature `s3`) | `Place::s3` | moto 5.2.5; Amazon's own service: compatible by protocol, not run here |
//! | any other of object_store | [`Place::object_store`], where it has conditional puts | its memory |
//!
//! | feature | what it adds |
//! |---|---|
//! | `s3` | S3, with an HTTP client |
//! | `zstd` | objects compressed with zstd |
//!
//! # Layout
//!
//! `exports/{tenant}/interaction_history/year=YYYY/month=MM/day=DD/batch-{timestamp}.json`, and `decisions` and
//! `summaries` beside it. One JSON object a line ([`record`] has its members); the day is that of the record's own
//! timestamp, in UTC. A manifest for each day names its objects with counts, bytes, SHA-256, schema and the range of
//! their timestamps, and lies outside these folders, so that a glob such as
//! `exports/acme/interaction_history/*/*/*/*.json` finds records alone. Names of tenants are encoded
//! ([`tenant_folder`]).
//!
//! # The contract
//!
//! - **A glob counts every record once**, whatever is killed, fails, comes late or is done by several processes: a
//!   batch is planned before it is written and never written under two names, objects are only ever created under a
//!   condition, and the lane's entries are settled after object and manifest are durable. A kill between the plan and
//!   its object leaves an empty object, whose name nobody can use any more.
//! - **Nothing is missed.** The lane is written in the unit that records; late arrivals lie in a later batch of their
//!   own day. [`ExportState`] says up to where the archive is complete.
//! - **What is read was written.** No line of an object is given out before the object's checksum is compared; bad
//!   lines are told by object and number and are not records.
//! - **Erasure** leaves nothing of a customer in any object, and no exporter, however late, brings anything back.
//! - **Retention** purges a store only of rows that it has just found in the archive.
//! - **Memory is bounded**: see [`ExportConfig`], [`ReadOptions`] and [`Exporter::retain`].

mod archive;
mod checkpoint;
mod config;
mod day;
mod erase;
mod error;
mod export;
mod filter;
mod layout;
mod load;
mod manifest;
mod object;
mod place;
mod plan;
mod read;
pub mod record;
mod retention;
#[cfg(feature = "s3")]
mod s3;
mod state;
mod tombstones;

pub use archive::{Archive, DayTotals};
pub use config::ArchiveConfig;
pub use day::{Day, Kind};
pub use erase::ArchiveErasure;
pub use export::{ExportConfig, Exported, Exporter, Progress, ProgressSink};
pub use layout::tenant_folder;
pub use manifest::{Compression, Content, Manifest, ObjectEntry, WrittenBy};
pub use place::Place;
pub use read::{BadLine, Chunk, DayPosition, DayReader, ReadOptions, ReadProgress, Reader};
pub use record::{Archived, SummaryLine};
pub use retention::{RetentionPolicy, RetentionReport, Verified};
#[cfg(feature = "s3")]
pub use s3::S3Config;
pub use state::{ExportState, Mark, ScanState};
