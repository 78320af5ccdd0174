//! One swap as a line: its checksum in hexadecimal digits, and what it was in JSON.

use std::sync::Arc;

use kaireon_core::settings::{Setting, SettingEntry, SettingVersion};
use kaireon_core::time::from_millis;
use kaireon_core::{ChangeId, TenantId};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

/// The line of an entry, with the line feed that ends it.
pub(super) fn write(tenant: &TenantId, entry: &SettingEntry) -> Vec<u8> {
    let SettingEntry {
        setting: Setting { version, document },
        id,
        author,
        reason,
        at,
    } = entry;
    let said = json!({
        "tenant": tenant.as_str(),
        "version": version.0,
        "id": id.as_str(),
        "author": author,
        "reason": reason,
        "at": at.timestamp_millis(),
        "document": &**document,
    })
    .to_string();
    format!("{:016x} {said}\n", xxh3_64(said.as_bytes())).into_bytes()
}

/// Reads a line; `None` where it is not one that was written.
pub(super) fn read(line: &[u8]) -> Option<(TenantId, SettingEntry)> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, said) = line.split_once(' ')?;
    if sum.len() != 16 || u64::from_str_radix(sum, 16).ok()? != xxh3_64(said.as_bytes()) {
        return None;
    }
    let said: Value = serde_json::from_str(said).ok()?;
    let text = |name: &str| said[name].as_str();
    let entry = SettingEntry {
        setting: Setting {
            version: SettingVersion(said["version"].as_u64()?),
            document: Arc::from(text("document")?),
        },
        id: ChangeId::new(text("id")?).ok()?,
        author: text("author")?.to_owned(),
        reason: text("reason")?.to_owned(),
        at: from_millis(said["at"].as_i64()?)?,
    };
    Some((TenantId::new(text("tenant")?).ok()?, entry))
}
