//! Objects read back, each against its checksum.

use bytes::Bytes;
use kaireon_core::store::Accepted;
use kaireon_core::{Result, TenantId};

use crate::archive::Archive;
use crate::error::corrupt;
use crate::layout::TenantPaths;
use crate::manifest::{Content, Manifest, ObjectEntry};
use crate::object::{Lines, sha256};
use crate::place::Version;
use crate::{Archived, Compression, Day, Kind};

/// How often an object is read again that an erasure goes over in the meantime.
const TRIES: u32 = 5;

/// An object whose bytes are what its manifest says.
pub(crate) struct Loaded {
    pub(crate) bytes: Bytes,
    pub(crate) content: Content,
    pub(crate) compression: Compression,
    pub(crate) version: Version,
}

impl Loaded {
    pub(crate) fn lines(&self) -> Result<Lines> {
        Lines::open(self.bytes.clone(), &self.content, self.compression)
    }
}

/// Why a line is no record of the day it lies in.
pub(crate) fn read_line<T: Archived>(
    line: Option<&[u8]>,
    tenant: &TenantId,
    day: Day,
) -> std::result::Result<Accepted<T>, String> {
    let line = line.ok_or_else(|| "is longer than any record".to_owned())?;
    let record = T::read(line)?;
    if record.value.tenant() != tenant {
        return Err("is of another tenant".to_owned());
    }
    if Day::containing(record.value.timestamp()) != day {
        return Err("is of another day".to_owned());
    }
    Ok(record)
}

impl Archive {
    /// Reads an object whole and compares its checksum; the manifest is read again where it does not fit, because an
    /// erasure may be going over the object.
    ///
    /// # Errors
    /// `Corrupt` naming the object when its bytes are not what was written, or it is gone.
    pub(crate) async fn load(
        &self,
        tenant: &TenantId,
        (kind, day): (Kind, Day),
        entry: &ObjectEntry,
    ) -> Result<Loaded> {
        let path = TenantPaths::new(tenant).object(kind, day, &entry.name);
        let mut entry = entry.clone();
        for _ in 0..TRIES {
            if let Some(found) = self.place().get(&path).await?
                && let Some(content) = entry.content_of(&sha256(&found.bytes))
            {
                return Ok(Loaded {
                    content: content.clone(),
                    bytes: found.bytes,
                    compression: entry.compression,
                    version: found.version,
                });
            }
            let manifest = self.manifest(tenant, kind, day).await?;
            let Some(now) = manifest
                .as_ref()
                .and_then(|manifest| manifest.object(&entry.name))
            else {
                break;
            };
            if *now == entry {
                break;
            }
            entry = now.clone();
        }
        Err(corrupt(format!(
            "{kind} of {day}: {} is missing or its checksum is wrong",
            entry.name
        )))
    }

    /// The objects of a day.
    pub(crate) async fn objects(&self, tenant: &TenantId, kind: Kind, day: Day) -> Result<Vec<ObjectEntry>> {
        let manifest: Option<Manifest> = self.manifest(tenant, kind, day).await?;
        Ok(manifest.map(|manifest| manifest.objects).unwrap_or_default())
    }
}
