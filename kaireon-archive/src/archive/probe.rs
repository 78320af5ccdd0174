//! What is asked of a place when an archive is opened there.

use bytes::Bytes;
use kaireon_core::digest::MasterKey;
use kaireon_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::random;
use crate::error::named;
use crate::layout::{self, hex};
use crate::manifest::{read_json, to_json};
use crate::place::{Place, Put};

#[derive(Serialize, Deserialize)]
struct Key {
    check: String,
}

/// Asks whether conditions are kept: some services that speak S3's protocol take a conditional put and ignore the
/// condition, and two exporters would then overwrite each other's manifests.
pub(super) async fn conditions(place: &Place) -> Result<()> {
    let path = layout::root().join(format!("_probe-{:016x}", random()?));
    let asked = ask(place, &path).await;
    let removed = place.delete(&path).await;
    let kept = asked?;
    removed?;
    if kept {
        return Ok(());
    }
    let context = "the object store ignores the conditions of conditional puts, on which exports rely";
    Err(named(Error::new(ErrorKind::Config, context), "open"))
}

async fn ask(place: &Place, path: &object_store::path::Path) -> Result<bool> {
    let first = place.create(path, Bytes::from_static(b"1")).await?;
    let again = place.create(path, Bytes::from_static(b"2")).await?;
    let Some(found) = place.get(path).await? else {
        return Ok(false);
    };
    let over = place
        .replace(path, Bytes::from_static(b"3"), Some(&found.version))
        .await?;
    let late = place
        .replace(path, Bytes::from_static(b"4"), Some(&found.version))
        .await?;
    let end = place.get(path).await?;
    // A lost reply makes the first put fail its own condition when the client sends it again.
    let first_held = first != Put::Lost || found.bytes == "1";
    Ok(first_held
        && again == Put::Lost
        && found.bytes == "1"
        && matches!(over, Put::Done(_))
        && late == Put::Lost
        && end.is_some_and(|end| end.bytes == "3"))
}

/// Compares the master key with that under which the archive was begun.
pub(super) async fn key(place: &Place, key: &MasterKey) -> Result<()> {
    let path = layout::root().join("_key.json");
    let check = hex(key.check_value().as_bytes());
    if let Some((found, _)) = read_json::<Key>(place, &path).await? {
        return compare(&found, &check);
    }
    place
        .create(&path, to_json(&Key { check: check.clone() }))
        .await?;
    match read_json::<Key>(place, &path).await? {
        Some((found, _)) => compare(&found, &check),
        None => Err(named(
            Error::new(
                ErrorKind::Unavailable,
                "the object store does not show what it took",
            ),
            "open",
        )),
    }
}

fn compare(found: &Key, check: &str) -> Result<()> {
    if found.check == check {
        return Ok(());
    }
    let context =
        "the archive was begun under another master key, by which its tombstones and filters were made";
    Err(named(
        Error::new(ErrorKind::Config, context).with_field("master_key"),
        "open",
    ))
}
