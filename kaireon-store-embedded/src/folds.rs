//! What was recorded and is not yet part of its customer's own value.
//!
//! A customer's value is some 500 bytes, so to write it anew with every event would be most of what is written. A
//! commit therefore only logs what each interaction adds ([`log`]), in one row, and puts the same into memory, where
//! readers add it to the value they read. A thread of its own ([`folder`]) adds it to the values: many events of a
//! customer, and many customers in the order of their keys, in one write; then it forgets the log up to there.
//!
//! Nothing is counted twice or left out, because each value says up to which commit it is complete, and each
//! [`Part`] from which commits it is: a part that a value already has is passed over, by readers, by the folder, and
//! when the log is read again after a crash.

mod folder;
mod log;
mod part;

pub(crate) use folder::{fold_all, run};
pub(crate) use log::{Fold, put as put_log, read as read_log};
pub(crate) use part::{Own, Part};

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fjall::Slice;
use kaireon_core::Result;
use parking_lot::{Condvar, Mutex, MutexGuard};

const SHARDS: usize = 64;

/// After how long without a commit the folder takes what there is.
const IDLE: Duration = Duration::from_millis(20);

/// After how long it does so all the same.
const LONGEST: Duration = Duration::from_secs(10);

/// Shared with whoever reads them or folds them; one that is added to meanwhile becomes another.
type Parts = HashMap<Slice, Arc<Part>, Keyed>;

/// Parts by customer, in memory.
pub(crate) struct Folds {
    shards: Vec<Mutex<Shard>>,
    keyed: Keyed,
    /// Held while a commit puts its folds in, and while parts are sealed: neither sees the other half done.
    gate: Mutex<()>,
    /// Held by whoever folds everything, so that no part is sealed while another is folded.
    rounds: Mutex<()>,
    /// Held by whoever reads and then writes customers' own values: the folder, or the writer in an erasure.
    folding: Mutex<Turn>,
    /// The commits that have a row in the log.
    logged: Mutex<VecDeque<u64>>,
    /// About how many bytes the parts have.
    bytes: AtomicUsize,
    /// The last commit whose folds are all here.
    upto: AtomicU64,
    stop: AtomicBool,
    /// Whether the folder could not do its work, so that nobody waits for it.
    failing: AtomicBool,
    signal: Mutex<()>,
    changed: Condvar,
}

struct Shard {
    /// Takes what is committed.
    open: Parts,
    /// Is being folded.
    sealed: Parts,
}

/// The right to change customers' own values.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// How often the database was opened anew: what a folder took before is no longer its own.
    openings: u64,
}

impl Folds {
    pub(crate) fn new() -> Self {
        let keyed = Keyed::new();
        let shard = || {
            Mutex::new(Shard {
                open: Parts::with_hasher(keyed),
                sealed: Parts::with_hasher(keyed),
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            keyed,
            gate: Mutex::default(),
            rounds: Mutex::default(),
            logged: Mutex::default(),
            folding: Mutex::default(),
            bytes: AtomicUsize::new(0),
            upto: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            signal: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard> {
        let hash = self.keyed.hash_one(key);
        // Not the bits by which the map finds its place.
        &self.shards[usize::try_from(hash >> 32).unwrap_or_default() % SHARDS]
    }

    /// What a customer has here, older parts first. To be taken before the customer's own value is read.
    pub(crate) fn parts(&self, key: &[u8]) -> Vec<Arc<Part>> {
        let shard = self.shard(key).lock();
        let parts = [&shard.sealed, &shard.open].map(|parts| parts.get(key).cloned());
        parts.into_iter().flatten().collect()
    }

    /// Puts in what a commit has logged, and forgets the customers whose generation it has raised.
    ///
    /// # Errors
    /// None but of bytes that were checked before; `Corrupt`.
    pub(crate) fn push(&self, sequence: u64, forgotten: &[Slice], folds: Vec<Fold>) -> Result<()> {
        let is_logged = !folds.is_empty();
        self.put(sequence, is_logged, forgotten, folds)
    }

    fn put(&self, sequence: u64, is_logged: bool, forgotten: &[Slice], folds: Vec<Fold>) -> Result<()> {
        let mut outcome = Ok(());
        let mut was_empty = false;
        if is_logged {
            self.logged.lock().push_back(sequence);
        }
        {
            let _gate = self.gate.lock();
            for key in forgotten {
                let mut shard = self.shard(key).lock();
                let Shard { open, sealed } = &mut *shard;
                for parts in [open, sealed] {
                    if let Some(part) = parts.remove(key) {
                        self.bytes.fetch_sub(part.bytes, Ordering::AcqRel);
                    }
                }
            }
            for fold in folds {
                let mut shard = self.shard(&fold.key).lock();
                let part = match shard.open.entry(fold.key.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(fresh) => {
                        let part = Part::new(sequence, fold.generation, &fold.key);
                        was_empty |= self.bytes.fetch_add(part.bytes, Ordering::AcqRel) == 0;
                        fresh.insert(Arc::new(part))
                    }
                };
                let part = Arc::make_mut(part);
                // A part shrinks where its contributions are folded among themselves.
                let before = part.bytes;
                if let Err(error) = part.push(sequence, fold) {
                    outcome = Err(error);
                }
                self.bytes.fetch_add(part.bytes, Ordering::AcqRel);
                self.bytes.fetch_sub(before, Ordering::AcqRel);
            }
            self.upto.store(sequence, Ordering::Release);
        }
        if was_empty {
            self.notify();
        }
        outcome
    }

    /// Wakes the folder, and whoever waits for it.
    fn notify(&self) {
        let _signal = self.signal.lock();
        self.changed.notify_all();
    }

    /// Waits while twice as much waits in memory as may, unless the folder cannot work.
    pub(crate) fn wait_for_room(&self, limit: usize) {
        if self.bytes.load(Ordering::Acquire) <= limit {
            return;
        }
        let mut signal = self.signal.lock();
        self.changed.notify_all();
        while self.bytes.load(Ordering::Acquire) > limit.saturating_mul(2)
            && !self.failing.load(Ordering::Acquire)
            && !self.stop.load(Ordering::Acquire)
        {
            self.changed.wait_for(&mut signal, Duration::from_millis(5));
        }
    }

    /// Waits until there is reason to fold; whether the folder goes on.
    fn wait(&self, limit: usize) -> bool {
        let mut signal = self.signal.lock();
        let mut since: Option<Instant> = None;
        loop {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            let bytes = self.bytes.load(Ordering::Acquire);
            if bytes == 0 {
                since = None;
                self.changed.wait(&mut signal);
                continue;
            }
            let before = self.upto.load(Ordering::Acquire);
            if bytes > limit || since.is_some_and(|since| since.elapsed() > LONGEST) {
                return true;
            }
            since.get_or_insert_with(Instant::now);
            self.changed.wait_for(&mut signal, IDLE);
            if self.upto.load(Ordering::Acquire) == before && self.bytes.load(Ordering::Acquire) > 0 {
                return !self.stop.load(Ordering::Acquire);
            }
        }
    }

    /// Lets the folder's thread end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.notify();
    }

    /// The right to read and then write customers' own values, for the writer.
    pub(crate) fn turn(&self) -> MutexGuard<'_, Turn> {
        self.folding.lock()
    }

    /// Moves everything that is here to what is being folded; says up to which commit that is all there is.
    fn seal(&self) -> Result<u64> {
        let _gate = self.gate.lock();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let Shard { open, sealed } = &mut *shard;
            if sealed.is_empty() {
                std::mem::swap(open, sealed);
                continue;
            }
            // Some could not be folded the last time.
            for (key, part) in open.drain() {
                match sealed.entry(key) {
                    Entry::Vacant(fresh) => {
                        fresh.insert(part);
                    }
                    Entry::Occupied(mut known) => {
                        let before = known.get().bytes + part.bytes;
                        Arc::make_mut(known.get_mut()).absorb(&part)?;
                        self.bytes.fetch_add(known.get().bytes, Ordering::AcqRel);
                        self.bytes.fetch_sub(before, Ordering::AcqRel);
                    }
                }
            }
        }
        Ok(self.upto.load(Ordering::Acquire))
    }

    /// The sealed parts, in the order of their keys.
    fn sealed(&self) -> Vec<(Slice, Arc<Part>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            all.extend(
                shard
                    .sealed
                    .iter()
                    .map(|(key, part)| (key.clone(), Arc::clone(part))),
            );
        }
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Forgets sealed parts that have become part of their customers' values.
    fn forget_sealed<'a>(&self, keys: impl Iterator<Item = &'a Slice>) {
        for key in keys {
            if let Some(part) = self.shard(key).lock().sealed.remove(key) {
                self.bytes.fetch_sub(part.bytes, Ordering::AcqRel);
            }
        }
    }

    /// The oldest commits of the log up to one.
    fn logged_upto(&self, upto: u64, most: usize) -> Vec<u64> {
        let logged = self.logged.lock();
        let upto = logged.iter().copied().take_while(|sequence| *sequence <= upto);
        upto.take(most).collect()
    }

    /// Notes that the oldest rows of the log are gone.
    fn forget_logged(&self, count: usize) {
        self.logged.lock().drain(..count);
    }

    fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Release);
        self.notify();
    }

    /// Whether the threads of the store are to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits for a while, or until it is to stop.
    pub(crate) fn rest(&self, pause: Duration) {
        let mut signal = self.signal.lock();
        let until = Instant::now() + pause;
        while !self.stop.load(Ordering::Acquire) {
            if self.changed.wait_until(&mut signal, until).timed_out() {
                break;
            }
        }
    }

    /// Takes over the log of a database that was opened, in place of all that is here.
    pub(crate) fn load(&self, head: u64, logged: Vec<(u64, Vec<Fold>)>) -> Result<()> {
        let mut turn = self.folding.lock();
        turn.openings += 1;
        {
            let _gate = self.gate.lock();
            for shard in &self.shards {
                let mut shard = shard.lock();
                shard.open.clear();
                shard.sealed.clear();
            }
            self.bytes.store(0, Ordering::Release);
            self.upto.store(head, Ordering::Release);
        }
        self.logged.lock().clear();
        for (sequence, folds) in logged {
            self.put(sequence, true, &[], folds)?;
        }
        self.upto.store(head, Ordering::Release);
        Ok(())
    }
}

/// Hashes keys, of which hosts choose some, under a key of its own.
#[derive(Clone, Copy)]
pub(crate) struct Keyed(u64);

impl Keyed {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher(self.0)
    }
}

pub(crate) struct KeyedHasher(u64);

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, _length: usize) {
        // The length of a lone slice, which adds nothing to its bytes.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
