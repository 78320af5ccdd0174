//! Many days at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use kaireon_core::{Result, TenantId};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Chunk, ReadProgress};
use crate::archive::Archive;
use crate::{Archived, Day};

/// How a tenant is read.
///
/// **Memory.** `parallel` objects (16 MiB each, unless the archive was written with more) and `parallel` +
/// `buffered_chunks` chunks of records.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// How many days are read at once; 4 by default, 0 counts as 1.
    pub parallel: usize,
    /// How many records a chunk holds at most; 1,000 by default.
    pub chunk_records: usize,
    /// How many chunks wait for whoever takes them; 4 by default, 0 counts as 1.
    pub buffered_chunks: usize,
    /// The first day; the oldest by default.
    pub from: Option<Day>,
    /// The last day, included; the newest by default.
    pub to: Option<Day>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            parallel: 4,
            chunk_records: 1_000,
            buffered_chunks: 4,
            from: None,
            to: None,
        }
    }
}

/// Reads a tenant's days in parallel. Dropping it ends the reading.
pub struct Reader<T> {
    chunks: mpsc::Receiver<Result<Chunk<T>>>,
    /// Aborted when it is dropped.
    _tasks: JoinSet<()>,
}

impl Archive {
    /// Reads a tenant's records of a kind from where an earlier reading ended: within a day in the order of its
    /// objects, and several days at once. Tombstones are to be installed [first](Self::tombstones).
    ///
    /// # Errors
    /// Those of the object store, when the days are listed.
    pub async fn read<T: Archived>(
        &self,
        tenant: &TenantId,
        progress: &ReadProgress,
        options: ReadOptions,
    ) -> Result<Reader<T>> {
        let ReadOptions {
            parallel,
            chunk_records,
            buffered_chunks,
            from,
            to,
        } = options;
        let days: VecDeque<Day> = (self.partitions(tenant, T::KIND).await?.into_iter())
            .filter(|day| from.is_none_or(|from| *day >= from) && to.is_none_or(|to| *day <= to))
            .collect();
        let days = Arc::new(Mutex::new(days));
        let (give, chunks) = mpsc::channel(buffered_chunks.max(1));
        let mut tasks = JoinSet::new();
        for _ in 0..parallel.max(1) {
            let (archive, tenant, progress) = (self.clone(), tenant.clone(), progress.clone());
            let (days, give) = (Arc::clone(&days), give.clone());
            tasks.spawn(async move {
                loop {
                    let next = days.lock().pop_front();
                    let Some(day) = next else { return };
                    let mut reader = archive.read_day::<T>(&tenant, day, progress.day(day), chunk_records);
                    loop {
                        let (chunk, ended) = match reader.next().await {
                            Ok(Some(chunk)) => (Ok(chunk), false),
                            Ok(None) => break,
                            // What failed is read again by the next reading; the other days go on.
                            Err(error) => (Err(error), true),
                        };
                        if give.send(chunk).await.is_err() {
                            return;
                        }
                        if ended {
                            break;
                        }
                    }
                }
            });
        }
        Ok(Reader {
            chunks,
            _tasks: tasks,
        })
    }
}

impl<T: Archived> Reader<T> {
    /// The next chunk of any day; `None` when every day was read.
    ///
    /// # Errors
    /// As for [`DayReader::next`](super::DayReader::next). The day of the error is left there, and the others go on:
    /// a reading in which any call failed is not done, and is begun again from its progress.
    ///
    /// # Dropped futures
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Chunk<T>>> {
        self.chunks.recv().await.transpose()
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}
