//! The customers' own values that are kept in memory, so that the usual read needs no disk and no other thread.
//!
//! Nothing stale is ever answered after an `Ok`. Keys fall into shards, each with a count of commits that is odd
//! while one is in flight: the writer takes what it will change out before its commit and puts the new values in
//! after it; a reader that had to go to the disk may put its find in only if no commit touched the shard meanwhile.

use fjall::Slice;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Enough that a commit of a few customers seldom keeps other readers' finds out.
const SHARDS: usize = 256;

pub(crate) struct HotCustomers {
    values: Cache<Box<[u8]>, Slice, Weight>,
    commits: Vec<Mutex<u64>>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<[u8]>, Slice> for Weight {
    fn weight(&self, key: &Box<[u8]>, value: &Slice) -> u64 {
        // What the map itself needs for an entry, roughly.
        (key.len() + value.len() + 96) as u64
    }
}

/// The right to put in what was read, if nothing was committed since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    shard: usize,
    commits: u64,
}

impl HotCustomers {
    pub(crate) fn new(bytes: u64) -> Self {
        let typical = 512;
        Self {
            values: Cache::with_weighter(
                usize::try_from(bytes / typical).unwrap_or(usize::MAX),
                bytes,
                Weight,
            ),
            commits: (0..SHARDS).map(|_| Mutex::new(0)).collect(),
        }
    }

    /// The committed value, if it is here.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Slice> {
        self.values.get(key)
    }

    /// To be taken before reading from disk; `None` while a commit is in flight.
    pub(crate) fn ticket(&self, key: &[u8]) -> Option<Ticket> {
        let shard = shard(key);
        let commits = *self.commits[shard].lock();
        commits.is_multiple_of(2).then_some(Ticket { shard, commits })
    }

    /// Keeps what was read from disk since the ticket was taken.
    pub(crate) fn offer(&self, ticket: Ticket, key: Vec<u8>, value: Slice) {
        let commits = self.commits[ticket.shard].lock();
        if *commits == ticket.commits {
            self.values.insert(key.into(), value);
        }
    }

    /// Takes out what a commit is about to change; to be followed by [`publish`](Self::publish) with the same
    /// customers, whatever becomes of the commit.
    pub(crate) fn withhold<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Vec<usize> {
        let mut shards = Vec::new();
        for key in keys {
            let at = shard(key);
            let mut commits = self.commits[at].lock();
            if commits.is_multiple_of(2) {
                *commits += 1;
                shards.push(at);
            }
            self.values.remove(key);
        }
        shards
    }

    /// Puts in what was committed.
    pub(crate) fn publish(&self, shards: Vec<usize>, values: impl Iterator<Item = (Box<[u8]>, Slice)>) {
        for (key, value) in values {
            self.values.insert(key, value);
        }
        for shard in shards {
            *self.commits[shard].lock() += 1;
        }
    }

    /// Forgets everything, after the database was opened anew.
    pub(crate) fn clear(&self) {
        self.values.clear();
    }
}

fn shard(key: &[u8]) -> usize {
    usize::try_from(xxhash_rust::xxh3::xxh3_64(key) % SHARDS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_find_from_before_a_commit_is_not_kept() {
        let hot = HotCustomers::new(1 << 20);
        let key = b"t\0c".to_vec();
        let early = hot.ticket(&key).unwrap();
        let shards = hot.withhold([&key[..]].into_iter());
        assert!(hot.ticket(&key).is_none());
        hot.offer(early, key.clone(), Slice::from("old"));
        assert!(hot.get(&key).is_none());
        hot.publish(shards, [(key.clone().into(), Slice::from("new"))].into_iter());
        hot.offer(early, key.clone(), Slice::from("old"));
        assert_eq!(hot.get(&key).unwrap(), Slice::from("new"));
        let late = hot.ticket(&key).unwrap();
        hot.offer(late, key.clone(), Slice::from("newer"));
        assert_eq!(hot.get(&key).unwrap(), Slice::from("newer"));
    }

    #[test]
    fn memory_is_bounded() {
        let hot = HotCustomers::new(64 << 10);
        for number in 0..10_000_u32 {
            let key = number.to_be_bytes().to_vec();
            let ticket = hot.ticket(&key).unwrap();
            hot.offer(ticket, key, Slice::from(vec![0; 100]));
        }
        assert!(hot.values.weight() <= 64 << 10);
    }
}
