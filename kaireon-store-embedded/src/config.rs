//! How an embedded store is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::coalesce::CoalesceConfig;
use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::LaneSet;
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Error, ErrorKind, Result};

/// How an embedded store is opened. Its `Debug` shows no key.
#[derive(Clone)]
pub struct EmbeddedConfig {
    /// The directory of the store; `kaireon-data` by default. It is made if it is not there; its parent must be.
    pub data_dir: PathBuf,
    /// Where "now" comes from: arrivals, leases, receipts. The machine's clock by default.
    pub clock: Arc<dyn Clock>,
    /// The key of the digests. `None` (the default) makes one at creation and keeps it in the directory; give the
    /// same one to every store between which tombstones and dedupe records are to be moved.
    pub master_key: Option<MasterKey>,
    /// How long a dedupe record is kept after its arrival, at least; 30 days by default.
    pub dedupe_horizon: Duration,
    /// The lanes in force in a new store, for tenants whose fence names none; none by default. Later
    /// [`Outbox::set_lanes`](kaireon_core::Outbox::set_lanes) changes them.
    pub lanes: LaneSet,
    /// The bounds of the queue in front of the one writer.
    pub queue: CoalesceConfig,
    /// The bytes of blocks read from disk that are kept in memory; 64 MiB by default.
    pub block_cache_bytes: u64,
    /// The bytes of customers' packed summaries that are kept in memory; 32 MiB by default.
    pub summary_cache_bytes: u64,
    /// The bytes of what was recorded and is not yet part of its customer's summaries on disk, from which on it is made
    /// so in the background; 32 MiB by default. Reads count it all the same. Up to twice as much waits in memory, and
    /// is read again from a log when the store is opened after a crash.
    pub fold_buffer_bytes: usize,
    /// The bytes of a filter in memory that tells fresh idempotency keys from known ones without a look-up; 16 MiB by
    /// default, enough for some 13 million records. With more of them fresh keys are looked up more often.
    pub dedupe_filter_bytes: usize,
    /// The most bytes of journals on disk before memory is written out to let go of them; 256 MiB by default, at
    /// least 64 MiB.
    pub max_journal_bytes: u64,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("kaireon-data"),
            clock: Arc::new(SystemClock),
            master_key: None,
            dedupe_horizon: Duration::from_secs(30 * 24 * 60 * 60),
            lanes: LaneSet::NONE,
            queue: CoalesceConfig::default(),
            block_cache_bytes: 64 << 20,
            summary_cache_bytes: 32 << 20,
            fold_buffer_bytes: 32 << 20,
            dedupe_filter_bytes: 16 << 20,
            max_journal_bytes: 256 << 20,
        }
    }
}

impl EmbeddedConfig {
    /// A store in that directory, otherwise as by default.
    #[must_use]
    pub fn at(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            ..Self::default()
        }
    }

    /// What `KAIREON_DATA_DIR` (the directory) and `KAIREON_MASTER_KEY` (64 hexadecimal digits) say, otherwise as
    /// by default.
    ///
    /// # Errors
    /// `Config` naming the variable that is empty or malformed.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with the variables from elsewhere.
    ///
    /// # Errors
    /// `Config` naming the variable that is empty or malformed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::default();
        if let Some(dir) = var("KAIREON_DATA_DIR") {
            if dir.is_empty() {
                return Err(wrong("KAIREON_DATA_DIR", "is empty"));
            }
            config.data_dir = PathBuf::from(dir);
        }
        if let Some(key) = var("KAIREON_MASTER_KEY") {
            let key = MasterKey::from_hex(&key);
            config.master_key =
                Some(key.ok_or_else(|| wrong("KAIREON_MASTER_KEY", "is not 64 hexadecimal digits"))?);
        }
        Ok(config)
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

    /// The same with another dedupe horizon.
    #[must_use]
    pub fn with_dedupe_horizon(mut self, horizon: Duration) -> Self {
        self.dedupe_horizon = horizon;
        self
    }

    /// The same with other lanes in a new store.
    #[must_use]
    pub fn with_lanes(mut self, lanes: LaneSet) -> Self {
        self.lanes = lanes;
        self
    }

    /// The same with other bounds of the queue.
    #[must_use]
    pub fn with_queue(mut self, queue: CoalesceConfig) -> Self {
        self.queue = queue;
        self
    }

    /// Checks the bounds.
    pub(crate) fn check(&self) -> Result<()> {
        if self.max_journal_bytes < 64 << 20 {
            return Err(wrong("max_journal_bytes", "is below 64 MiB"));
        }
        Ok(())
    }
}

fn wrong(field: &'static str, why: &'static str) -> Error {
    Error::new(ErrorKind::Config, why)
        .with_backend(crate::BACKEND)
        .with_field(field)
}

impl fmt::Debug for EmbeddedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data_dir,
            clock,
            master_key,
            dedupe_horizon,
            lanes,
            queue,
            block_cache_bytes,
            summary_cache_bytes,
            fold_buffer_bytes,
            dedupe_filter_bytes,
            max_journal_bytes,
        } = self;
        f.debug_struct("EmbeddedConfig")
            .field("data_dir", data_dir)
            .field("clock", clock)
            .field("master_key", &master_key.as_ref().map(|_| "given"))
            .field("dedupe_horizon", dedupe_horizon)
            .field("lanes", lanes)
            .field("queue", queue)
            .field("block_cache_bytes", block_cache_bytes)
            .field("summary_cache_bytes", summary_cache_bytes)
            .field("fold_buffer_bytes", fold_buffer_bytes)
            .field("dedupe_filter_bytes", dedupe_filter_bytes)
            .field("max_journal_bytes", max_journal_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_and_a_wrong_one_is_named() {
        let of = |name: &'static str, value: &'static str| {
            EmbeddedConfig::from_vars(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(
            of("KAIREON_DATA_DIR", "/data").unwrap().data_dir,
            PathBuf::from("/data")
        );
        assert_eq!(
            of("KAIREON_DATA_DIR", "").unwrap_err().field(),
            Some("KAIREON_DATA_DIR")
        );
        let key = of(
            "KAIREON_MASTER_KEY",
            "00000000000000000000000000000000000000000000000000000000000000ff",
        );
        assert_eq!(key.unwrap().master_key.unwrap().as_bytes()[31], 255);
        for wrong in [
            "",
            "abc",
            "+000000000000000000000000000000000000000000000000000000000000000",
        ] {
            let error = of("KAIREON_MASTER_KEY", wrong).unwrap_err();
            assert_eq!(error.field(), Some("KAIREON_MASTER_KEY"));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let config = EmbeddedConfig::default().with_master_key(MasterKey::new([7; 32]));
        let shown = format!("{config:?}");
        assert!(shown.contains("given") && !shown.contains("7, 7") && !shown.contains("0707"));
    }
}
