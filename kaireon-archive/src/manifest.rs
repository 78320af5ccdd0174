//! Manifests: what a day holds, object by object. An object counts once its manifest names it.

use bytes::Bytes;
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, Result, TenantId};
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{corrupt, named};
use crate::place::{Place, Put, Version};
use crate::{Day, Kind};

/// The version of manifests that is written.
const VERSION: u32 = 1;

/// How often a change is tried again that another writer was ahead of.
const TRIES: u32 = 100;

/// How an object is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: `batch-….json`.
    #[default]
    None,
    /// By zstd, which needs the feature of that name: `batch-….json.zst`.
    Zstd,
}

impl Compression {
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::None => ".json",
            Self::Zstd => ".json.zst",
        }
    }
}

/// What wrote an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WrittenBy {
    /// The export of the archive lane.
    Lane,
    /// The scan of what was there before the lane.
    Scan,
    /// A purge: the summaries of what went.
    Purge,
}

/// What the bytes of an object are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Lines.
    pub records: u64,
    /// Bytes as they are stored.
    pub bytes: u64,
    /// Bytes of its lines, before compression.
    pub raw_bytes: u64,
    /// The SHA-256 of the stored bytes, in hexadecimal digits.
    pub sha256: String,
}

/// One object of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEntry {
    /// Its name in the folder of the day.
    pub name: String,
    /// The version of the record schema.
    pub schema: u32,
    /// How it is compressed.
    pub compression: Compression,
    /// What wrote it.
    pub written_by: WrittenBy,
    /// The earliest timestamp in it.
    pub first: Timestamp,
    /// The latest timestamp in it.
    pub last: Timestamp,
    /// Its bytes.
    #[serde(flatten)]
    pub content: Content,
    /// What erasures are about to make of it: until they are finished, each is right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Content>,
}

impl ObjectEntry {
    /// The content that has this checksum.
    pub(crate) fn content_of(&self, sha256: &str) -> Option<&Content> {
        std::iter::once(&self.content)
            .chain(&self.next)
            .find(|content| content.sha256 == sha256)
    }
}

/// What a day holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub version: u32,
    /// Whose day it is.
    pub tenant: TenantId,
    /// What it holds.
    pub kind: Kind,
    /// Which day.
    pub day: Day,
    /// The lines of all objects.
    pub records: u64,
    /// The stored bytes of all objects.
    pub bytes: u64,
    /// The objects, by name.
    pub objects: Vec<ObjectEntry>,
}

impl Manifest {
    fn new(tenant: &TenantId, kind: Kind, day: Day) -> Self {
        Self {
            version: VERSION,
            tenant: tenant.clone(),
            kind,
            day,
            records: 0,
            bytes: 0,
            objects: Vec::new(),
        }
    }

    /// The object of that name.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&ObjectEntry> {
        self.objects.iter().find(|object| object.name == name)
    }

    pub(crate) fn object_mut(&mut self, name: &str) -> Option<&mut ObjectEntry> {
        self.objects.iter_mut().find(|object| object.name == name)
    }

    /// Adds an object that is not named yet; says whether it was not.
    pub(crate) fn add(&mut self, entry: &ObjectEntry) -> bool {
        match self
            .objects
            .binary_search_by(|object| object.name.cmp(&entry.name))
        {
            Ok(_) => false,
            Err(at) => {
                self.objects.insert(at, entry.clone());
                true
            }
        }
    }

    fn total(&mut self) {
        self.records = self.objects.iter().map(|object| object.content.records).sum();
        self.bytes = self.objects.iter().map(|object| object.content.bytes).sum();
    }

    fn check(self, tenant: &TenantId, kind: Kind, day: Day) -> Result<Self> {
        if self.version != VERSION {
            let context = "a manifest is of a version that this release does not know";
            return Err(named(Error::new(ErrorKind::Unsupported, context), "read"));
        }
        if self.tenant != *tenant || self.kind != kind || self.day != day {
            return Err(corrupt("a manifest is of another tenant, kind or day"));
        }
        Ok(self)
    }
}

/// Reads a day's manifest.
pub(crate) async fn read(
    place: &Place,
    path: &Path,
    (tenant, kind, day): (&TenantId, Kind, Day),
) -> Result<Option<Manifest>> {
    let Some((manifest, _)) = read_json::<Manifest>(place, path).await? else {
        return Ok(None);
    };
    manifest.check(tenant, kind, day).map(Some)
}

/// Changes a day's manifest under compare-and-set; `edit` says whether it changed anything, and may be asked again.
pub(crate) async fn change(
    place: &Place,
    path: &Path,
    (tenant, kind, day): (&TenantId, Kind, Day),
    mut edit: impl FnMut(&mut Manifest) -> bool + Send,
) -> Result<()> {
    change_json(place, path, |found: Option<Manifest>| {
        let mut manifest = match found {
            Some(manifest) => manifest.check(tenant, kind, day)?,
            None => Manifest::new(tenant, kind, day),
        };
        if !edit(&mut manifest) {
            return Ok(None);
        }
        manifest.total();
        Ok(Some(manifest))
    })
    .await
}

/// Reads an object of the archive's own.
pub(crate) async fn read_json<T: DeserializeOwned>(
    place: &Place,
    path: &Path,
) -> Result<Option<(T, Version)>> {
    let Some(found) = place.get(path).await? else {
        return Ok(None);
    };
    Ok(Some((of_json(&found.bytes)?, found.version)))
}

pub(crate) fn of_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // The text of a JSON error may quote what it read.
    serde_json::from_slice(bytes).map_err(|_| corrupt("an object of the archive's own is not what it wrote"))
}

pub(crate) fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("the archive's own objects are maps with text keys")
        .into()
}

/// Changes an object of the archive's own under compare-and-set; `None` from `edit` leaves it as it is.
pub(crate) async fn change_json<T: Serialize + DeserializeOwned>(
    place: &Place,
    path: &Path,
    mut edit: impl FnMut(Option<T>) -> Result<Option<T>> + Send,
) -> Result<()> {
    for _ in 0..TRIES {
        let (found, version) = match read_json::<T>(place, path).await? {
            Some((found, version)) => (Some(found), Some(version)),
            None => (None, None),
        };
        let Some(changed) = edit(found)? else {
            return Ok(());
        };
        if let Put::Done(_) = place.replace(path, to_json(&changed), version.as_ref()).await? {
            return Ok(());
        }
        // Whoever was ahead has finished: there is nothing to wait for but a turn.
        tokio::task::yield_now().await;
    }
    Err(named(
        Error::new(ErrorKind::Unavailable, "other writers were ahead too often"),
        "put",
    ))
}
