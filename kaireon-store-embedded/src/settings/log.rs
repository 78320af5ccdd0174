//! The log of swaps: what it says is in memory, where each line is too, and what was is read from the file.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::Path;

use kaireon_core::settings::{
    Setting, SettingEntry, SettingVersion, SettingWrite, SettingsQuery, Swapped, TrailQuery,
};
use kaireon_core::store::Page;
use kaireon_core::{Effect, Error, ErrorKind, Result, TenantId};

use super::line;
use crate::error::io_error;
use crate::place::sync_dir;

/// The first line.
const TITLE: &[u8] = b"kaireon settings, format 1\n";

/// Where a line is in the file.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    bytes: usize,
}

/// What a tenant's setting is, and where all that it was is: the first line first.
struct Trail {
    present: Setting,
    places: Vec<Place>,
}

pub(super) struct Log {
    file: File,
    trails: BTreeMap<TenantId, Trail>,
    /// How many lines there are.
    changes: u64,
    /// Where the next line is written.
    end: u64,
    /// Whether a write failed: what is behind it may never reach the disk.
    failed: bool,
}

impl Log {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("settings.log");
        if !path.exists() {
            create(directory, &path).map_err(io_error)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let mut log = Self {
            file: file.map_err(io_error)?,
            trails: BTreeMap::new(),
            changes: 0,
            end: TITLE.len() as u64,
            failed: false,
        };
        let last = log.read()?;
        log.make_sure(last).map_err(io_error)?;
        Ok(log)
    }

    /// Reads every line; returns the last one.
    fn read(&mut self) -> Result<Vec<u8>> {
        let mut reader = BufReader::new(self.file.try_clone().map_err(io_error)?);
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).map_err(io_error)?;
        if line != TITLE {
            let other = "the log of the settings is of another format, or no such log";
            return Err(Error::new(ErrorKind::Config, other));
        }
        let (mut last, mut torn) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(io_error)? == 0 {
                break;
            }
            match line::read(&line) {
                // A crash tears the last line alone, because each was flushed before the next was begun.
                Some(_) if torn > 0 => return Err(damaged()),
                Some((tenant, entry)) => {
                    self.take(tenant, entry.setting, line.len())?;
                    std::mem::swap(&mut last, &mut line);
                }
                None => torn += line.len() as u64,
            }
        }
        if torn > 0 {
            tracing::warn!(
                bytes = torn,
                "a swap that a crash tore was cut off the log of the settings"
            );
        }
        Ok(last)
    }

    /// Takes a line that stands at the end.
    fn take(&mut self, tenant: TenantId, setting: Setting, bytes: usize) -> Result<()> {
        let place = Place {
            offset: self.end,
            bytes,
        };
        let before = self.trails.get(&tenant).map(|trail| trail.present.version);
        if setting.version != before.unwrap_or_default().next() {
            return Err(damaged());
        }
        let trail = self.trails.entry(tenant).or_insert_with(|| Trail {
            present: setting.clone(),
            places: Vec::new(),
        });
        trail.present = setting;
        trail.places.push(place);
        self.end += bytes as u64;
        self.changes += 1;
        Ok(())
    }

    /// Cuts off what a crash tore, and lays the last line down once more: if its flush failed, the kernel may hold
    /// pages as clean that were never written, and what is read from them would be gone after a loss of power.
    fn make_sure(&mut self, last: Vec<u8>) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end - last.len() as u64))?;
        self.file.write_all(&last)?;
        self.file.sync_all()
    }

    pub(super) fn present(&self, tenant: &TenantId) -> Option<Setting> {
        self.trails.get(tenant).map(|trail| trail.present.clone())
    }

    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn swap(&mut self, write: SettingWrite) -> Result<Swapped> {
        let present = self.present(&write.tenant);
        let version = present
            .as_ref()
            .map(|present| present.version)
            .unwrap_or_default();
        if version != write.expected {
            // Only the entry that came behind the expected version can be of this write.
            let entry = self.entry(&write.tenant, write.expected.next())?;
            return match entry {
                Some(entry) if entry.is_of(&write)? => Ok(Swapped::Done(entry.setting.version)),
                _ => Ok(Swapped::Lost(present)),
            };
        }
        if self.failed {
            let context = "a write to the settings failed before; open them anew";
            return Err(Error::new(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied));
        }
        let tenant = write.tenant.clone();
        let entry = SettingEntry::of(write);
        let line = line::write(&tenant, &entry);
        if let Err(error) = self.append(&line) {
            self.failed = true;
            return Err(io_error(error));
        }
        let version = entry.setting.version;
        self.take(tenant, entry.setting, line.len())?;
        Ok(Swapped::Done(version))
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(line)?;
        self.file.sync_data()
    }

    /// What a tenant's setting of a version was.
    fn entry(&mut self, tenant: &TenantId, version: SettingVersion) -> Result<Option<SettingEntry>> {
        let Some(trail) = self.trails.get(tenant) else {
            return Ok(None);
        };
        let number = usize::try_from(version.0)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let Some(&Place { offset, bytes }) = number.and_then(|number| trail.places.get(number)) else {
            return Ok(None);
        };
        let mut line = vec![0; bytes];
        self.file.seek(SeekFrom::Start(offset)).map_err(io_error)?;
        self.file.read_exact(&mut line).map_err(io_error)?;
        let (_, entry) = line::read(&line).ok_or_else(damaged)?;
        Ok(Some(entry))
    }

    pub(super) fn settings(&self, query: SettingsQuery) -> Page<(TenantId, Setting), TenantId> {
        let SettingsQuery { limit, cursor } = query;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.trails.range((after, Bound::Unbounded));
        let listed = behind.by_ref().take(limit);
        let items: Vec<_> = listed
            .map(|(tenant, trail)| (tenant.clone(), trail.present.clone()))
            .collect();
        let last = items.last().map(|(tenant, _)| tenant.clone());
        let next = last.filter(|_| behind.next().is_some());
        Page { items, next }
    }

    pub(super) fn trail(&mut self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        let TrailQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let present = self.trails.get(&tenant).map(|trail| trail.present.version);
        let newest = present.unwrap_or_default().0;
        // The newest that may be told.
        let newest = cursor.map_or(newest, |cursor| newest.min(cursor.0.saturating_sub(1)));
        let oldest = newest.saturating_sub(u64::from(limit)) + 1;
        let mut items = Vec::new();
        for version in (oldest..=newest).rev() {
            items.extend(self.entry(&tenant, SettingVersion(version))?);
        }
        let next = (oldest > 1).then_some(SettingVersion(oldest));
        Ok(Page { items, next })
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "a line of the log of the settings is damaged")
}

/// A log without lines, which is there wholly or not at all.
fn create(directory: &Path, path: &Path) -> io::Result<()> {
    let new = directory.join("settings.new");
    let mut file = File::create(&new)?;
    file.write_all(TITLE)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    sync_dir(directory)
}
