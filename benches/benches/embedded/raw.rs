//! The raw side: fjall alone, writing rows of the same number, the same sizes and the same content as the store
//! does. It knows nothing of kaireon; what a row looks like is read from a directory that the store has written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

/// What the rows of a keyspace look like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) rows: u64,
    pub(crate) key_bytes: usize,
    /// Some of the values.
    values: Vec<Vec<u8>>,
}

impl Shape {
    /// The mean length of the values.
    pub(crate) fn value_bytes(&self) -> usize {
        self.values.iter().map(Vec::len).sum::<usize>() / self.values.len().max(1)
    }
}

const NAMES: [&str; 6] = ["history", "dedupe", "customers", "outbox", "meta", "folds"];

/// How many customers' rows wait at most until they are written: what the store keeps back under its usual bound.
const MOST_UNFOLDED: usize = 100_000;

/// How many of them are written at once, as the store does.
const PIECE: usize = 128;

/// What an event adds to the log, in bytes: the customer's key, the time, the ids and a few flags.
const LOGGED_BYTES: usize = 110;

/// The key of a customer: as in the store, two bytes that all of a tenant have, two that tell customers apart, names.
fn owner(customer: u64) -> Vec<u8> {
    let mixed = customer.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut key = vec![7, 7, mixed[0], mixed[1]];
    key.extend_from_slice(format!("bench\0customer-{customer}").as_bytes());
    key
}

/// Reads from a directory of the store how many rows each keyspace has, and what they look like.
pub(crate) fn shapes(store: &Path) -> BTreeMap<&'static str, Shape> {
    let database = Database::builder(store.join("db"))
        .open()
        .expect("the store has closed its directory");
    let shape = |name: &'static str| {
        let keyspace = database
            .keyspace(name, KeyspaceCreateOptions::default)
            .expect("the store made it");
        let mut shape = Shape::default();
        let mut key_bytes = 0;
        for pair in keyspace.iter() {
            let (key, value) = pair.into_inner().expect("the store wrote it");
            shape.rows += 1;
            key_bytes += key.len() as u64;
            // Every hundredth, so that all customers and times are among them.
            if shape.rows % 100 == 1 {
                shape.values.push(value.to_vec());
            }
        }
        shape.key_bytes = usize::try_from(key_bytes / shape.rows.max(1)).expect("keys are short");
        (name, shape)
    };
    NAMES.into_iter().map(shape).collect()
}

/// The rows of one event, as its number and its customer make them.
pub(crate) struct Raw {
    database: Database,
    spaces: BTreeMap<&'static str, Keyspace>,
    shapes: BTreeMap<&'static str, Shape>,
    random: fastrand::Rng,
    written: u64,
    /// Customers whose rows are to be written anew, and how many rows the log has for them.
    unfolded: BTreeSet<u64>,
    logged: Vec<u64>,
}

impl Raw {
    /// Opens an empty database under the store's own memory bounds, and fills it with so many events.
    pub(crate) fn open(dir: &Path, shapes: BTreeMap<&'static str, Shape>) -> Self {
        let database = Database::builder(dir)
            .cache_size(64 << 20)
            .max_journaling_size(256 << 20)
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()
            .expect("an empty directory");
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(16 << 20)
                .manual_journal_persist(true)
        };
        let open = |name: &'static str| {
            (
                name,
                database.keyspace(name, options).expect("an empty directory"),
            )
        };
        let spaces = NAMES.into_iter().map(open).collect();
        Self {
            database,
            spaces,
            shapes,
            random: fastrand::Rng::with_seed(7),
            written: 0,
            unfolded: BTreeSet::new(),
            logged: Vec::new(),
        }
    }

    /// How many events were written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many rows of history there are.
    pub(crate) fn history_rows(&self) -> u64 {
        self.spaces["history"].iter().count() as u64
    }

    /// One durable commit of the rows of these customers' events; the customers' own rows follow later, by a log, as
    /// the store writes them.
    pub(crate) fn commit(&mut self, customers: &[u64]) {
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), customers.len() * 4 + 1);
        for &customer in customers {
            self.written += 1;
            let mut history = owner(customer);
            history.extend_from_slice(&[0; 5]);
            history.extend_from_slice(&(1_790_000_000_000 + self.written / 100).to_be_bytes());
            self.put(&mut batch, "history", history);
            let mut dedupe = self.random.u128(..).to_be_bytes().to_vec();
            dedupe.push(b'i');
            self.put(&mut batch, "dedupe", dedupe);
            let mut outbox = vec![0, 0, u8::try_from(customer % 64).expect("below 64")];
            outbox.extend_from_slice(&self.written.to_be_bytes());
            self.put(&mut batch, "outbox", outbox);
            self.unfolded.insert(customer);
        }
        self.put(&mut batch, "meta", b"\0head".to_vec());
        let log = vec![b'l'; customers.len() * LOGGED_BYTES];
        batch.insert(&self.spaces["folds"], self.written.to_be_bytes(), log);
        self.logged.push(self.written);
        batch
            .durability(Some(PersistMode::SyncData))
            .commit()
            .expect("the disk takes writes");
        if self.unfolded.len() >= MOST_UNFOLDED {
            self.catch_up();
        }
    }

    /// Writes the customers' rows that wait, in the order of their keys, and empties the log.
    pub(crate) fn catch_up(&mut self) {
        let mut owners: Vec<Vec<u8>> = std::mem::take(&mut self.unfolded)
            .into_iter()
            .map(owner)
            .collect();
        owners.sort_unstable();
        for piece in owners.chunks(PIECE) {
            let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), piece.len());
            for owner in piece {
                self.put(&mut batch, "customers", owner.clone());
            }
            batch.commit().expect("the disk takes writes");
        }
        for piece in std::mem::take(&mut self.logged).chunks(1_024) {
            let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), piece.len());
            for row in piece {
                batch.remove(&self.spaces["folds"], row.to_be_bytes());
            }
            batch.commit().expect("the disk takes writes");
        }
    }

    /// A row whose key has the usual length and whose value is one of the store's own.
    fn put(&mut self, batch: &mut OwnedWriteBatch, name: &'static str, mut key: Vec<u8>) {
        let shape = &self.shapes[name];
        if name == "history" {
            while key.len() < shape.key_bytes {
                key.push(self.random.alphanumeric() as u8);
            }
        }
        let value = &shape.values[self.random.usize(0..shape.values.len())];
        batch.insert(&self.spaces[name], key, value.as_slice());
    }

    /// Reads one row by its key: a customer's packed summaries.
    pub(crate) fn read_customer(&self, customer: u64) -> usize {
        self.spaces["customers"]
            .get(owner(customer))
            .expect("the disk can be read")
            .map_or(0, |value| value.len())
    }
}
