//! The engine: the only file that opens fjall.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::config::{CompressionPolicy, FilterPolicy};
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice,
};
use kaireon_core::{Error, ErrorKind, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::config::EmbeddedConfig;
use crate::error::of_engine;

/// The keyspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    /// The store's own counters and birth; each tenant's settings.
    Meta,
    /// Interactions, by customer, generation, time and id.
    History,
    /// Which keys are known, by digest.
    Dedupe,
    /// Decisions by id.
    Decisions,
    /// Their keys, by customer, generation, time and id.
    DecisionsOf,
    /// One value per customer: generation and packed summaries.
    Customers,
    /// Summaries of closed periods.
    Closed,
    /// Which customers there are, by digest.
    Registry,
    /// The generations of erased customers, by digest.
    Tombstones,
    /// The receipts of erasures.
    Receipts,
    /// What of erased customers is still to be deleted.
    Pending,
    /// Dedupe records whose row is gone, by the time of their end.
    Expiry,
    /// Entries that wait, by lane, range and position.
    Outbox,
    /// Entries that were moved aside.
    Dead,
    /// What commits add to customers' own values and is not yet part of them, by commit.
    Folds,
}

impl Space {
    const ALL: [Self; 15] = [
        Self::Meta,
        Self::History,
        Self::Dedupe,
        Self::Decisions,
        Self::DecisionsOf,
        Self::Customers,
        Self::Closed,
        Self::Registry,
        Self::Tombstones,
        Self::Receipts,
        Self::Pending,
        Self::Expiry,
        Self::Outbox,
        Self::Dead,
        Self::Folds,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::History => "history",
            Self::Dedupe => "dedupe",
            Self::Decisions => "decisions",
            Self::DecisionsOf => "decisions_of",
            Self::Customers => "customers",
            Self::Closed => "closed",
            Self::Registry => "registry",
            Self::Tombstones => "tombstones",
            Self::Receipts => "receipts",
            Self::Pending => "pending",
            Self::Expiry => "expiry",
            Self::Outbox => "outbox",
            Self::Dead => "dead",
            Self::Folds => "folds",
        }
    }

    /// How much of it may wait in memory before it is written out. Kept by the engine from its creation on.
    const fn memtable_bytes(self) -> u64 {
        match self {
            Self::History | Self::Customers | Self::Outbox | Self::Folds => 16 << 20,
            Self::Dedupe | Self::Closed | Self::Decisions => 8 << 20,
            _ => 2 << 20,
        }
    }

    fn options(self) -> KeyspaceCreateOptions {
        let options = KeyspaceCreateOptions::default()
            .max_memtable_size(self.memtable_bytes())
            .manual_journal_persist(true);
        let options = match self {
            // Only ever read by ranges, which ask no filter.
            Self::History | Self::DecisionsOf | Self::Folds | Self::Expiry => {
                options.filter_policy(FilterPolicy::disabled())
            }
            _ => options,
        };
        match self {
            // Digests, which cannot be made smaller, and what is soon written anew or removed.
            Self::Dedupe | Self::Customers | Self::Registry | Self::Outbox | Self::Folds => {
                options.data_block_compression_policy(CompressionPolicy::disabled())
            }
            _ => options,
        }
    }
}

/// One change of a commit; `None` removes.
pub(crate) type Change = (Space, Slice, Option<Slice>);

/// Key and value.
pub(crate) type Pair = (Slice, Slice);

/// The open database.
///
/// What was committed is read from where the writer looks at once, and by all others once it is shown ([`Unseen::show`]):
/// the commit of a unit is only a part of what makes it visible, the rest being in memory, and readers must see
/// all of it or nothing.
pub(crate) struct Engine {
    database: Database,
    spaces: Vec<Keyspace>,
    /// What readers see.
    shown: Mutex<fjall::Snapshot>,
    /// Held from a commit until it is shown, so that nobody else shows it before.
    committing: Mutex<()>,
}

/// What was committed and no reader sees yet. Dropped, it is shown with the next that is.
#[must_use = "readers do not see it until it is shown"]
pub(crate) struct Unseen<'a> {
    engine: &'a Engine,
    _committing: MutexGuard<'a, ()>,
}

impl Unseen<'_> {
    /// Lets readers see it.
    pub(crate) fn show(self) {
        *self.engine.shown.lock() = self.engine.database.snapshot();
    }
}

impl Engine {
    /// Opens, or makes, the database in `dir`.
    ///
    /// # Errors
    /// As the table of errors says; `Corrupt` also where the engine panics over what it finds.
    pub(crate) fn open(dir: &Path, config: &EmbeddedConfig) -> Result<Self> {
        let open = || {
            let database = Database::builder(dir)
                .cache_size(config.block_cache_bytes)
                .max_journaling_size(config.max_journal_bytes)
                .journal_compression(CompressionType::None)
                // Of several, fjall keeps the first for flushes, which it does by passing other work round and
                // round while there is any; one alone costs a third less processor here.
                .worker_threads(1)
                .manual_journal_persist(true)
                .open()
                .map_err(of_engine)?;
            let spaces = Space::ALL
                .iter()
                .map(|space| database.keyspace(space.name(), || space.options()))
                .collect::<fjall::Result<_>>()
                .map_err(of_engine)?;
            Ok(Self {
                shown: Mutex::new(database.snapshot()),
                committing: Mutex::default(),
                database,
                spaces,
            })
        };
        guarded(open)
    }

    /// How many rows there are, about: what was written and not yet compacted away counts as well.
    pub(crate) fn about(&self, space: Space) -> usize {
        self.space(space).approximate_len()
    }

    /// What is on disk, journals included.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.database.disk_space().map_err(of_engine)
    }

    fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize]
    }

    /// Reads the newest value: for the one writer, which never sees a commit half applied.
    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>> {
        self.space(space).get(key).map_err(of_engine)
    }

    /// What was shown of the store up to this moment, whatever is shown while it is read.
    pub(crate) fn view(self: &Arc<Self>) -> View {
        View {
            snapshot: self.shown.lock().clone(),
            engine: Arc::clone(self),
        }
    }

    /// Applies all changes or none, durable when it returns.
    pub(crate) fn commit(&self, changes: Vec<Change>) -> Result<Unseen<'_>, fjall::Error> {
        self.apply(changes, Some(PersistMode::SyncData))
    }

    /// Applies all changes or none, durable with the next commit.
    pub(crate) fn write(&self, changes: Vec<Change>) -> Result<Unseen<'_>, fjall::Error> {
        self.apply(changes, None)
    }

    fn apply(
        &self,
        changes: Vec<Change>,
        durability: Option<PersistMode>,
    ) -> Result<Unseen<'_>, fjall::Error> {
        let batch = self.batch(changes)?.durability(durability);
        // The engine commits one batch at a time in any case.
        let unseen = Unseen {
            engine: self,
            _committing: self.committing.lock(),
        };
        batch.commit()?;
        Ok(unseen)
    }

    fn batch(&self, changes: Vec<Change>) -> Result<fjall::OwnedWriteBatch, fjall::Error> {
        self.wait_for_room()?;
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), changes.len());
        for (space, key, value) in changes {
            match value {
                Some(value) => batch.insert(self.space(space), key, value),
                None => batch.remove(self.space(space), key),
            }
        }
        Ok(batch)
    }

    /// Makes everything durable.
    pub(crate) fn sync(&self) -> Result<(), fjall::Error> {
        self.database.persist(PersistMode::SyncAll)
    }

    /// Holds writes back while memory waits to be written out. The engine does so too, but without end when what
    /// it waits for has died of a full disk; so it is kept from getting there.
    fn wait_for_room(&self) -> Result<(), fjall::Error> {
        for space in &self.spaces {
            while space.sealed_memtable_count() >= 2 || space.tree.l0_run_count() >= 20 {
                // Fails once the engine has stopped.
                self.database.persist(PersistMode::Buffer)?;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Closes the database once whoever reads has finished; `Err` gives it back when they do not.
    pub(crate) fn close(mut engine: Arc<Self>, patience: Duration) -> Result<(), Arc<Self>> {
        let start = Instant::now();
        let engine = loop {
            match Arc::try_unwrap(engine) {
                Ok(engine) => break engine,
                Err(shared) if start.elapsed() > patience => return Err(shared),
                Err(shared) => engine = shared,
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        // The engine's threads let go of the journal a moment after they are counted as gone; a second writer
        // on the same journal must not exist, so that moment is waited for.
        let keyspaces = Arc::downgrade(&engine.database.supervisor.keyspaces);
        drop(engine);
        while keyspaces.strong_count() > 0 && start.elapsed() < patience {
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// What the store held at one moment.
pub(crate) struct View {
    snapshot: fjall::Snapshot,
    engine: Arc<Engine>,
}

impl View {
    /// Reads a value.
    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>> {
        self.snapshot
            .get(self.engine.space(space), key)
            .map_err(of_engine)
    }

    /// Reads a range in ascending order.
    pub(crate) fn range(
        &self,
        space: Space,
        from: Bound<Vec<u8>>,
        until: Bound<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Pair>> + use<> {
        let range = self
            .snapshot
            .range::<Vec<u8>, _>(self.engine.space(space), (from, until));
        range.map(|found| found.into_inner().map_err(of_engine))
    }

    /// Reads a range in descending order.
    pub(crate) fn descend(
        &self,
        space: Space,
        from: Bound<Vec<u8>>,
        until: Bound<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Pair>> + use<> {
        let range = self
            .snapshot
            .range::<Vec<u8>, _>(self.engine.space(space), (from, until));
        range.rev().map(|found| found.into_inner().map_err(of_engine))
    }

    /// Reads everything that begins with `prefix`.
    pub(crate) fn prefix(&self, space: Space, prefix: &[u8]) -> impl Iterator<Item = Result<Pair>> + use<> {
        let found = self.snapshot.prefix(self.engine.space(space), prefix);
        found.map(|found| found.into_inner().map_err(of_engine))
    }
}

/// Runs what reads the disk; a panic of the engine over what it finds there is damage.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Corrupt,
            "the engine stopped at what it found on disk",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_read_by_others_once_it_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(dir.path());
        let engine = Arc::new(Engine::open(&dir.path().join("db"), &config).unwrap());
        let row = |key: &[u8]| -> Vec<Change> { vec![(Space::Meta, key.into(), Some(key.into()))] };
        let seen = |key| engine.view().get(Space::Meta, key).unwrap().is_some();
        let before = engine.view();
        let unseen = engine.commit(row(b"a")).unwrap();
        assert!(engine.get(Space::Meta, b"a").unwrap().is_some());
        assert!(!seen(b"a"));
        unseen.show();
        assert!(seen(b"a"));
        assert!(before.get(Space::Meta, b"a").unwrap().is_none());
        // What is not shown by itself is with the next.
        drop(engine.write(row(b"b")).unwrap());
        assert!(!seen(b"b"));
        engine.write(row(b"c")).unwrap().show();
        assert!(seen(b"b") && seen(b"c"));
    }
}
