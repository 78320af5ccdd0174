//! The records of a time, as the archive holds them.

use std::collections::VecDeque;
use std::marker::PhantomData;

use kaireon_archive::{Archive, Archived, Chunk, Day, DayPosition, DayReader};
use kaireon_core::time::Timestamp;
use kaireon_core::{Decision, Error, ErrorKind, Interaction, Result, TenantId};

/// What has a time of its own.
pub(super) trait Timed: Archived {
    fn at(&self) -> Timestamp;
}

impl Timed for Interaction {
    fn at(&self) -> Timestamp {
        self.timestamp
    }
}

impl Timed for Decision {
    fn at(&self) -> Timestamp {
        self.timestamp
    }
}

/// The records of a time.
pub(super) struct Source<T> {
    archive: Archive,
    tenant: TenantId,
    from: Timestamp,
    until: Timestamp,
    chunk_records: usize,
    records: PhantomData<fn() -> T>,
}

/// A pass over them.
pub(super) struct Pass<T> {
    of: Source<T>,
    days: Option<VecDeque<Day>>,
    open: Option<DayReader<T>>,
    said: Option<Error>,
    /// Lines and objects that could not be read.
    pub(super) unreadable: u64,
}

impl<T> Source<T> {
    pub(super) const fn new(
        archive: Archive,
        tenant: TenantId,
        from: Timestamp,
        until: Timestamp,
        chunk_records: usize,
    ) -> Self {
        Self {
            archive,
            tenant,
            from,
            until,
            chunk_records,
            records: PhantomData,
        }
    }
}

impl<T: Timed> Source<T> {
    /// Begins a pass.
    pub(super) const fn pass(self) -> Pass<T> {
        Pass {
            of: self,
            days: None,
            open: None,
            said: None,
            unreadable: 0,
        }
    }

    /// Makes a pass for the times alone.
    pub(super) async fn each(&self, mut each: impl FnMut(Timestamp) + Send) -> Result<()> {
        let mut pass = Self::new(
            self.archive.clone(),
            self.tenant.clone(),
            self.from,
            self.until,
            self.chunk_records,
        )
        .pass();
        while let Some(records) = pass.next().await? {
            records.iter().for_each(|record| each(record.at()));
        }
        Ok(())
    }
}

impl<T: Timed> Pass<T> {
    /// Some more of them; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<T>>> {
        loop {
            let Some(open) = &mut self.open else {
                match self.next_day().await? {
                    true => continue,
                    false => return Ok(None),
                }
            };
            match open.next().await {
                Ok(Some(chunk)) => {
                    let Chunk { records, bad, .. } = chunk;
                    self.unreadable += bad.len() as u64;
                    let (from, until) = (self.of.from, self.of.until);
                    let records = records.into_iter().map(|record| record.value);
                    let wanted = records.filter(|record| (from..until).contains(&record.at()));
                    return Ok(Some(wanted.collect()));
                }
                Ok(None) => self.open = None,
                // The reader goes on with the next object, unless it is the day itself that cannot be read.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.unreadable += 1;
                    if self
                        .said
                        .as_ref()
                        .is_some_and(|said| said.context() == error.context())
                    {
                        self.open = None;
                    }
                    self.said = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the next day of the time that has any; `false` at the end.
    async fn next_day(&mut self) -> Result<bool> {
        if self.days.is_none() {
            let found = self.of.archive.days(&self.of.tenant, T::KIND).await?;
            let days = found.into_iter().map(|found| found.day);
            let (first, until) = (Day::containing(self.of.from), self.of.until);
            let days = days.filter(|day| *day >= first && day.start() < until);
            self.days = Some(days.collect());
        }
        let next = self.days.as_mut().and_then(VecDeque::pop_front);
        self.open = next.map(|day| {
            (self.of.archive).read_day(&self.of.tenant, day, DayPosition::start(), self.of.chunk_records)
        });
        Ok(self.open.is_some())
    }
}
