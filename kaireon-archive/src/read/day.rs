//! One day, object by object.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use kaireon_core::{Result, TenantId};

use super::position::Begun;
use super::{BadLine, Chunk, DayPosition};
use crate::archive::Archive;
use crate::error::corrupt;
use crate::load::{Loaded, read_line};
use crate::manifest::ObjectEntry;
use crate::object::Lines;
use crate::{Archived, Day};

/// Reads a day. Holds one object in memory at a time.
pub struct DayReader<T> {
    archive: Archive,
    tenant: TenantId,
    day: Day,
    chunk_records: usize,
    position: DayPosition,
    /// Objects that are still to be read; read of the manifest at first use.
    objects: Option<VecDeque<ObjectEntry>>,
    open: Option<Open>,
    records: PhantomData<fn() -> T>,
}

struct Open {
    name: String,
    loaded: Loaded,
    lines: Lines,
    read: u64,
}

impl Archive {
    /// Reads one day's records of a kind, at most so many in a chunk, from a position on.
    pub fn read_day<T: Archived>(
        &self,
        tenant: &TenantId,
        day: Day,
        position: DayPosition,
        chunk_records: usize,
    ) -> DayReader<T> {
        DayReader {
            archive: self.clone(),
            tenant: tenant.clone(),
            day,
            chunk_records: chunk_records.max(1),
            position,
            objects: None,
            open: None,
            records: PhantomData,
        }
    }
}

impl<T: Archived> DayReader<T> {
    /// The next chunk; `None` at the end of the day. A chunk that holds no records may still hold bad lines, or end an
    /// object.
    ///
    /// # Errors
    /// Those of the object store: the same call goes on where it was. `Corrupt` naming the object when its checksum or
    /// its number of lines is not that of the manifest: none of its lines was given out in the first case, and in
    /// either it is not done; the next call goes on with the next object.
    ///
    /// # Dropped futures
    /// Nothing is lost: the next call reads the object again.
    pub async fn next(&mut self) -> Result<Option<Chunk<T>>> {
        if self.open.is_none() && !self.open_next().await? {
            return Ok(None);
        }
        let (mut records, mut numbers) = (Vec::new(), Vec::new());
        let mut bad = Vec::new();
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let mut ended = false;
        while records.len() < self.chunk_records {
            let Some((number, line)) = open.lines.next()? else {
                ended = true;
                break;
            };
            open.read = number;
            match read_line::<T>(line, &self.tenant, self.day) {
                Ok(record) => {
                    records.push(record);
                    numbers.push(number);
                }
                Err(reason) => bad.push(BadLine {
                    object: open.name.clone(),
                    line: number,
                    reason,
                }),
            }
        }
        let object = open.name.clone();
        if ended {
            let counted = open.read == open.loaded.content.records;
            self.open = None;
            if !counted {
                return Err(corrupt(format!(
                    "{} of {}: {object} has another number of lines than its manifest says",
                    T::KIND,
                    self.day
                )));
            }
            self.position.begun = None;
            self.position.done.insert(object.clone());
        } else {
            self.position.begun = Some(Begun {
                name: object.clone(),
                sha256: open.loaded.content.sha256.clone(),
                lines: open.read,
            });
        }
        Ok(Some(Chunk {
            day: self.day,
            object,
            records,
            lines: numbers,
            bad,
            position: self.position.clone(),
        }))
    }

    /// Opens the next object; `false` when there is none.
    async fn open_next(&mut self) -> Result<bool> {
        if self.objects.is_none() {
            let mut objects: VecDeque<_> = self
                .archive
                .objects(&self.tenant, T::KIND, self.day)
                .await?
                .into();
            objects.retain(|object| !self.position.done.contains(&object.name));
            // What was begun is ended first.
            let begun = self.position.begun.as_ref().map(|begun| begun.name.as_str());
            if let Some(at) = objects
                .iter()
                .position(|object| Some(object.name.as_str()) == begun)
                && let Some(first) = objects.remove(at)
            {
                objects.push_front(first);
            }
            self.objects = Some(objects);
        }
        let Some(entry) = self.objects.as_ref().and_then(|objects| objects.front()).cloned() else {
            return Ok(false);
        };
        let loaded = self.archive.load(&self.tenant, (T::KIND, self.day), &entry).await;
        let transient = loaded.as_ref().is_err_and(|error| error.is_transient());
        if !transient && let Some(objects) = &mut self.objects {
            objects.pop_front();
        }
        let loaded = loaded?;
        let mut lines = loaded.lines()?;
        let mut read = 0;
        if let Some(begun) = &self.position.begun
            && begun.name == entry.name
            && begun.sha256 == loaded.content.sha256
        {
            while read < begun.lines
                && let Some((number, _)) = lines.next()?
            {
                read = number;
            }
        }
        self.open = Some(Open {
            name: entry.name,
            loaded,
            lines,
            read,
        });
        Ok(true)
    }
}

impl<T> fmt::Debug for DayReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DayReader")
            .field("day", &self.day)
            .field("done", &self.position.done.len())
            .finish_non_exhaustive()
    }
}
