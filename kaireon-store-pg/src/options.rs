//! How a store lives in its database.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_connect::postgres::Schema;
use kaireon_core::coalesce::CoalesceConfig;
use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::LaneSet;
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Error, ErrorKind, Result};

/// How a store lives in its database, however that is reached. Its `Debug` shows no key.
#[derive(Clone)]
pub struct PgStoreOptions {
    /// The schema; `kaireon` by default. 1 to 63 letters, digits and underscores that begin with no digit.
    pub schema: String,
    /// Where "now" comes from. The machine's clock by default; where a clock shows the
    /// [real time](kaireon_core::time::TimeSource::Real), arrivals and leases go by the server's.
    pub clock: Arc<dyn Clock>,
    /// The key of the digests. `None` (the default) makes one with the schema and keeps it there; give the same one
    /// to every store between which tombstones and dedupe records are to be moved.
    pub master_key: Option<MasterKey>,
    /// How long a dedupe record is kept after its arrival, at least; 30 days by default.
    pub dedupe_horizon: Duration,
    /// The lanes in force in a new store, for tenants whose fence names none; none by default. Later
    /// [`Outbox::set_lanes`](kaireon_core::Outbox::set_lanes) changes them.
    pub lanes: LaneSet,
    /// The bounds of each writer's queue.
    pub queue: CoalesceConfig,
    /// How many writers share the customers, each with a connection of its own while it writes; 2 by default, and one
    /// at least. While one waits for the server or its flush, another prepares and judges its batch; more divide the
    /// callers into smaller commits.
    pub writers: u16,
    /// The most that a write waits at a time for a customer whom another transaction holds; 50 ms by default.
    /// Other customers' writes do not wait with it.
    pub lock_wait: Duration,
    /// How long a write goes on trying for such a customer before it fails with `Timeout`, not applied; 10 s by
    /// default.
    pub write_wait: Duration,
    /// For how many months ahead partitions are made; 2 by default.
    pub months_ahead: u32,
}

impl Default for PgStoreOptions {
    fn default() -> Self {
        Self {
            schema: "kaireon".to_owned(),
            clock: Arc::new(SystemClock),
            master_key: None,
            dedupe_horizon: Duration::from_secs(30 * 24 * 60 * 60),
            lanes: LaneSet::NONE,
            queue: CoalesceConfig::default(),
            writers: 2,
            lock_wait: Duration::from_millis(50),
            write_wait: Duration::from_secs(10),
            months_ahead: 2,
        }
    }
}

impl PgStoreOptions {
    /// What `KAIREON_PG_SCHEMA` and `KAIREON_MASTER_KEY` (64 hexadecimal digits) say, otherwise as by default.
    ///
    /// # Errors
    /// `Config` naming the variable that is malformed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut options = Self::default();
        if let Some(schema) = var("KAIREON_PG_SCHEMA") {
            Schema::new(&schema).map_err(|error| error.with_field("KAIREON_PG_SCHEMA"))?;
            options.schema = schema;
        }
        if let Some(key) = var("KAIREON_MASTER_KEY") {
            let key = MasterKey::from_hex(&key);
            options.master_key =
                Some(key.ok_or_else(|| wrong("KAIREON_MASTER_KEY", "is not 64 hexadecimal digits"))?);
        }
        Ok(options)
    }

    /// The same in another schema.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same under a key of the host's.
    #[must_use]
    pub fn with_master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// The same with other lanes in a new store.
    #[must_use]
    pub fn with_lanes(mut self, lanes: LaneSet) -> Self {
        self.lanes = lanes;
        self
    }

    /// The same with another number of writers.
    #[must_use]
    pub fn with_writers(mut self, writers: u16) -> Self {
        self.writers = writers;
        self
    }

    /// Checks the bounds.
    pub(crate) fn check(&self) -> Result<Schema> {
        if self.writers == 0 {
            return Err(wrong("writers", "is zero"));
        }
        if self.lock_wait < Duration::from_millis(1) {
            // Zero would mean without end to the server.
            return Err(wrong("lock_wait", "is below one millisecond"));
        }
        Schema::new(&self.schema)
    }
}

fn wrong(field: &'static str, why: &'static str) -> Error {
    Error::new(ErrorKind::Config, why)
        .with_backend(crate::BACKEND)
        .with_field(field)
}

impl fmt::Debug for PgStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            schema,
            clock,
            master_key,
            dedupe_horizon,
            lanes,
            queue,
            writers,
            lock_wait,
            write_wait,
            months_ahead,
        } = self;
        f.debug_struct("PgStoreOptions")
            .field("schema", schema)
            .field("clock", clock)
            .field("master_key", &master_key.as_ref().map(|_| "given"))
            .field("dedupe_horizon", dedupe_horizon)
            .field("lanes", lanes)
            .field("queue", queue)
            .field("writers", writers)
            .field("lock_wait", lock_wait)
            .field("write_wait", write_wait)
            .field("months_ahead", months_ahead)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_and_a_wrong_one_is_named() {
        let of = |name: &'static str, value: &'static str| {
            PgStoreOptions::from_vars(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("KAIREON_PG_SCHEMA", "events").unwrap().schema, "events");
        for (name, value) in [("KAIREON_PG_SCHEMA", "a\"b"), ("KAIREON_MASTER_KEY", "abc")] {
            assert_eq!(of(name, value).unwrap_err().field(), Some(name));
        }
    }

    #[test]
    fn bounds_are_checked_and_named() {
        let none = PgStoreOptions::default().with_writers(0);
        assert_eq!(none.check().unwrap_err().field(), Some("writers"));
        let endless = PgStoreOptions {
            lock_wait: Duration::ZERO,
            ..PgStoreOptions::default()
        };
        assert_eq!(endless.check().unwrap_err().field(), Some("lock_wait"));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!(
            "{:?}",
            PgStoreOptions::default().with_master_key(MasterKey::new([7; 32]))
        );
        assert!(shown.contains("given") && !shown.contains("7, 7"));
    }
}
