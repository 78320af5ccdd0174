// The workspace's README is the crate page, and its example is compiled and run as a doctest.
#![cfg_attr(feature = "embedded", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "embedded"),
    doc = "One trait per concern, one environment variable per choice."
)]
//!
//! A service embeds this crate to keep its interactions and decisions, to publish them as events, to search, and to
//! cache. Which backend does it is said by the environment; [`Infra`] is what the service holds.
//!
//! # The environment
//!
//! | variable | values that are compiled in | unset |
//! |---|---|---|
//! | [`INTERACTION_STORE`] | `embedded` (feature `embedded`), `postgresql` or `pg` (feature `postgres`), `memory` (lost at exit) | `postgresql` where it is compiled in and `DATABASE_URL` is set, else `embedded` |
//! | [`EVENT_PUBLISHER`] | `in-process`, `redis` (feature `redis`), `disabled` | `redis` where it is compiled in and `REDIS_URL` is set, else `in-process` |
//! | [`SEARCH_INDEX`] | `memory` (not persisted: index again after a start) | `memory` |
//! | [`CACHE_STORE`] | `in-process`, `redis` (feature `redis`) | `redis` where it is compiled in and `REDIS_URL` is set, else `in-process` |
//! | [`DATABASE_URL`], [`REDIS_URL`] | read for backends that are compiled in; checked in any case | |
//! | [`KAIREON_SWITCH_STORES`] (feature `switch`) | the stores that tenants may be on, with commas between; `INTERACTION_STORE` is one of them, for tenants that have no setting | no switch: every tenant is on `INTERACTION_STORE` |
//! | [`KAIREON_DATA_DIR`] | where embedded backends keep their files, each in a folder of its own | `data/kaireon` |
//!
//! Some variables are read by one backend, where it is chosen:
//!
//! | variable | what it says | unset |
//! |---|---|---|
//! | `KAIREON_MASTER_KEY` | the key of the digests of `embedded` and `postgresql`, 64 hexadecimal digits; the same for every store between which tombstones are moved | one is made and kept with the store |
//! | `KAIREON_PG_SCHEMA`, `KAIREON_PG_…` | where the tables of `postgresql` are, and how the server is reached: the bounds of the pool, of statements and of locks, TLS, and what lies between | `kaireon`; as `PgConnectConfig` says |
//! | `KAIREON_CACHE_MAX_BYTES` | how many bytes the entries of the `in-process` cache may take, at least twice the largest | 64 MiB |
//! | `KAIREON_CACHE_MAX_VALUE_BYTES` | the largest value of a cache in bytes, from 1 | 1 MiB |
//! | `KAIREON_REDIS_KEY_PREFIX` | what every key on Redis begins with; two hosts that share a server and no cache have two | `kaireon:` |
//! | `KAIREON_REDIS_…` | how Redis is reached: `MODE` and `MASTER` (one server, Sentinel, cluster), `SENTINEL_USERNAME`, `SENTINEL_PASSWORD`, `CA_FILE`, `CONNECT_TIMEOUT_MS`, `COMMAND_TIMEOUT_MS` | found out; as `RedisConnectConfig` says |
//! | `KAIREON_EVENTS_MAX_PENDING` | the largest `max_pending` that a subscription to a stream may ask for, from 1 | 1,048,576 |
//! | `KAIREON_EVENTS_MAX_BYTES` | the largest envelope in bytes that the `redis` stream publishes, from 1; a larger one goes to the outbox's dead letters | 1 MiB |
//!
//! With a switch, these are read as well:
//!
//! | variable | what it says | unset |
//! |---|---|---|
//! | [`KAIREON_MASTER_KEY`] | the key of the digests, the same on every store | it is needed |
//! | [`KAIREON_SETTINGS_STORE`] | where tenants' settings are kept: `embedded` (files of one process), `postgresql`, `memory` (lost at exit) | `postgresql` where [`KAIREON_SETTINGS_URL`] is set or every store may have several processes, else `embedded` |
//! | [`KAIREON_SETTINGS_URL`] | the database of `postgresql` settings, best one that is none of the stores' | `DATABASE_URL`, in the schema `{KAIREON_PG_SCHEMA}_settings` |
//! | [`KAIREON_ARCHIVE_URL`] | the archive by which tenants are moved: `file:///var/lib/shop/archive`, or with feature `s3` `s3://bucket/prefix`, with `?endpoint=` and `&region=` for other services, and credentials from the environment, the container or the instance | none: tenants can only be switched directly |
//! | [`KAIREON_SWITCH_READ_SAMPLE`] | the share of reads that is compared on both sides of a migration, from 0 to 1 | 0 |
//!
//! The tables of `postgresql`, as a store and as settings, are made by [`InfraBuilder::migrate`], never by a start.
//!
//! A name that [`InfraBuilder`] registers is a value as well. All of it is read and checked before anything is
//! opened, and everything that is wrong is told in one error ([`Problems`]). One line at the start says what was
//! chosen and why ([`Startup`]). Rate limits are counted and circuit breakers kept on Redis
//! where the cache is there, otherwise in each process by itself.
//!
//! # Events
//!
//! What is recorded is published through the store's outbox: the entry is written in the same atomic unit, and
//! delivered at least once. With an in-process stream, entries are written only while somebody subscribes:
//! `subscribe` turns the outbox's `publish` lane on before it returns, and the lane is turned off again when the
//! last subscriber has left. Entries that an earlier run left behind go to the first who subscribes; when nobody
//! has come after [`Config::leftovers_wait`], they expire. With a stream whose subscribers may be elsewhere, entries
//! are always written.
//!
//! Where several processes share a store (`postgresql`), which lanes are in force is the store's setting and not of
//! each process's environment: a process without a use for the lane leaves it on for those who have one, and turns it
//! off only when nobody at all has read it for [`Config::leftovers_wait`]. The lane leads to one
//! destination at a time, so that two instances which are configured differently never get half of the events each:
//! the first process that subscribes in process has them, a subscription in another is refused as `Unavailable` with a
//! word about where they go, and a stream that all processes reach takes the lane from an in-process one. Of two such,
//! the later takes nothing until the first has been gone for a minute, and says so once.
//!
//! `EVENT_PUBLISHER=redis` without `REDIS_URL` disables the stream, with one warning: recording goes on, nothing is
//! written to the outbox, and whoever publishes, subscribes or appends is answered `Unsupported`. What an earlier
//! run left in the outbox stays there for the next one that has a stream.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `embedded` (default) | the embedded interaction store |
//! | `postgres` | the interaction store on PostgreSQL 15 and newer |
//! | `redis` | the cache and the event stream on Redis 7 and newer: one server, under Sentinel, a cluster |
//! | `switch` | the tenant switch: tenants on several stores, moved between them while they are used (`kaireon::switch`) |
//! | `http` | the settings of the switch over HTTP, as an axum router and as plain functions (`kaireon::http`) |
//! | `sessions` | `Infra::sessions`: the sessions of tower-sessions in the cache |
//! | `s3` | the switch's archive in S3 and what speaks its protocol |
//! | `logging` | `logging::init`: logs as one JSON object per line, with a level filter |

mod adapters;
mod builder;
mod config;
mod erase;
mod gate;
mod health;
#[cfg(feature = "http")]
pub mod http;
mod infra;
#[cfg(feature = "logging")]
pub mod logging;

mod plan;
mod problem;
mod report;
#[cfg(feature = "sessions")]
mod sessions;
mod set;
mod signal;
mod startup;
mod stream;
#[cfg(feature = "switch")]
pub mod switch;
mod tables;
mod url;

pub use builder::InfraBuilder;
pub use config::{
    CACHE_STORE, CallPolicy, Config, DATABASE_URL, DEFAULT_DATA_DIR, EVENT_PUBLISHER, Handover,
    INTERACTION_STORE, KAIREON_ARCHIVE_URL, KAIREON_DATA_DIR, KAIREON_MASTER_KEY, KAIREON_SETTINGS_STORE,
    KAIREON_SETTINGS_URL, KAIREON_SWITCH_READ_SAMPLE, KAIREON_SWITCH_STORES, REDIS_URL, SEARCH_INDEX,
};
pub use erase::Erased;
pub use health::{Health, PartHealth, Status};
pub use infra::Infra;
#[cfg(feature = "switch")]
pub use kaireon_archive as archive;
pub use kaireon_core as core;
#[cfg(feature = "switch")]
pub use kaireon_migrate as migrate;
pub use problem::{Problem, Problems};
pub use report::{DrainReport, Outcome, Part};
#[cfg(feature = "sessions")]
pub use sessions::InfraSessions;
pub use signal::wait_for_shutdown_signal;
pub use startup::{Choice, Startup};
#[cfg(feature = "switch")]
pub use switch::TenantSwitch;
pub use tables::{Migrated, PlannedStep};
