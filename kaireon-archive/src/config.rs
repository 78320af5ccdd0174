//! How an archive is opened.

use std::fmt;
use std::sync::Arc;

use kaireon_core::digest::MasterKey;
use kaireon_core::time::{Clock, SystemClock};

use crate::{Compression, Place};

/// How an archive is opened.
#[derive(Clone)]
pub struct ArchiveConfig {
    /// Where it lies.
    pub place: Place,
    /// The installation's key, the same as the stores': tombstones and the filters of customers are keyed hashes.
    pub master_key: MasterKey,
    /// How new objects are compressed; not at all by default.
    pub compression: Compression,
    /// At how many bytes of lines an object is full; 16 MiB by default. An object is held in memory whole when it is
    /// written and when it is read back, so that its checksum is known before any of its lines is.
    pub max_object_bytes: usize,
    /// Where the names of batches and the ends of retention take their time from.
    pub clock: Arc<dyn Clock>,
}

impl ArchiveConfig {
    /// An archive at a place.
    #[must_use]
    pub fn new(place: Place, master_key: MasterKey) -> Self {
        Self {
            place,
            master_key,
            compression: Compression::None,
            max_object_bytes: 16 << 20,
            clock: Arc::new(SystemClock),
        }
    }

    /// Compresses new objects.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Sets at how many bytes of lines an object is full.
    #[must_use]
    pub fn with_max_object_bytes(self, max_object_bytes: usize) -> Self {
        Self {
            max_object_bytes,
            ..self
        }
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

impl fmt::Debug for ArchiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            master_key: _,
            compression,
            max_object_bytes,
            clock: _,
        } = self;
        f.debug_struct("ArchiveConfig")
            .field("place", place)
            .field("compression", compression)
            .field("max_object_bytes", max_object_bytes)
            .finish_non_exhaustive()
    }
}
