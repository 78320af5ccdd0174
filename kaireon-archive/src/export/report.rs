//! What an export tells while it goes on, and at its end.

use std::collections::BTreeMap;
use std::fmt;

use kaireon_core::{Error, TenantId};

use crate::Kind;
use crate::manifest::{ObjectEntry, WrittenBy};

/// What a pass over the lane did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Exported {
    /// Interactions that were written.
    pub interactions: u64,
    /// Decisions that were written.
    pub decisions: u64,
    /// Objects that were written.
    pub objects: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
    /// Entries that a scan, or an exporter that was killed, had written already.
    pub held_already: u64,
    /// Entries of customers who were erased since.
    pub erased: u64,
    /// Tenants that failed and will be tried again, with their last error. The others went on.
    pub failed: BTreeMap<TenantId, Error>,
    /// Tenants whose lane waits until their scan has ended.
    pub waiting: Vec<TenantId>,
    /// Whether every entry that was in the lane when the pass began is in the archive, but for those of the tenants
    /// named in `failed` and `waiting`. It is not when another exporter holds a part of the lane.
    pub complete: bool,
}

/// One object was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Whose.
    pub tenant: TenantId,
    /// Of what kind.
    pub kind: Kind,
    /// By which part of an export.
    pub written_by: WrittenBy,
    /// Its records.
    pub records: u64,
    /// Its bytes, as they are stored.
    pub bytes: u64,
}

/// Is told how an export gets on, for progress bars. Called between two writes: do not block.
pub trait ProgressSink: Send + Sync + fmt::Debug {
    /// One object was written and is in its manifest.
    fn wrote(&self, progress: &Progress);
}

impl Exported {
    pub(super) fn count(&mut self, kind: Kind, entry: &ObjectEntry) {
        match kind {
            Kind::Interactions => self.interactions += entry.content.records,
            Kind::Decisions => self.decisions += entry.content.records,
            Kind::Summaries => {}
        }
        self.objects += 1;
        self.bytes += entry.content.bytes;
    }
}

impl super::Exporter {
    /// Counts an object in the metrics, and tells who wants to know.
    pub(crate) fn wrote(&self, tenant: &TenantId, kind: Kind, entry: &ObjectEntry) {
        let by = match entry.written_by {
            WrittenBy::Lane => "lane",
            WrittenBy::Scan => "scan",
            WrittenBy::Purge => "purge",
        };
        let content = &entry.content;
        metrics::counter!("kaireon.archive.records", "kind" => kind.folder(), "by" => by)
            .increment(content.records);
        metrics::counter!("kaireon.archive.bytes", "kind" => kind.folder(), "by" => by)
            .increment(content.bytes);
        metrics::counter!("kaireon.archive.objects", "kind" => kind.folder(), "by" => by).increment(1);
        if let Some(sink) = &self.config.progress {
            sink.wrote(&Progress {
                tenant: tenant.clone(),
                kind,
                written_by: entry.written_by,
                records: content.records,
                bytes: content.bytes,
            });
        }
    }
}
