//! How far the exports of a tenant have come.

use kaireon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Planned;
use crate::{Day, Kind};

/// A point in the life of a source: read of its fence before an export began, so that everything which was committed
/// at or before `sequence` was there for the export to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it was read, by the exporter's clock.
    pub at: Timestamp,
    /// The source's incarnation: another one means another store, or a store that went back in time.
    pub incarnation: u64,
    /// The source's sequence.
    pub sequence: u64,
}

/// The first run: the scan of what was recorded before the lane was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScanState {
    /// When it began; the `archive` lane was in force then.
    pub begun: Mark,
    /// When it had seen everything.
    pub ended: Option<Mark>,
    /// How many interactions it has written.
    pub interactions: u64,
    /// How many decisions it has written.
    pub decisions: u64,
}

/// How far the exports of a tenant have come from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportState {
    /// The source's name.
    pub source: String,
    /// The first run.
    pub scan: Option<ScanState>,
    /// Everything that the lane brought up to this point is in the archive. With an ended scan, so is everything.
    pub complete_through: Option<Mark>,
    /// What only the scan itself needs.
    #[serde(default)]
    pub(crate) progress: Progress,
    /// Who makes the scan. It only saves two processes from getting into each other's way: what keeps them from
    /// writing a row twice are the conditions of their puts.
    #[serde(default)]
    pub(crate) holder: Option<Holder>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) owner: String,
    pub(crate) until: Timestamp,
}

/// Where a scan goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Which of its two parts it is at: 0 interactions, 1 decisions.
    pub(crate) part: u8,
    /// Where the last written chunk ended, masked: it may hold a customer's id.
    pub(crate) cursor: Option<String>,
    /// The chunk that is being written, and where it ends.
    pub(crate) pending: Option<Pending>,
    /// Objects that hold rows behind the cursor: of chunks that a kill left half written.
    pub(crate) ahead: Vec<Ahead>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) objects: Vec<Planned>,
    pub(crate) part: u8,
    pub(crate) cursor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ahead {
    pub(crate) kind: Kind,
    pub(crate) day: Day,
    pub(crate) name: String,
}

impl ExportState {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            scan: None,
            complete_through: None,
            progress: Progress::default(),
            holder: None,
        }
    }

    /// Whether a scan has begun and not ended: the lane of the tenant waits for it.
    pub(crate) fn is_scanning(&self) -> bool {
        self.scan.as_ref().is_some_and(|scan| scan.ended.is_none())
    }
}
