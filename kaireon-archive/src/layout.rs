//! Which object lies where.
//!
//! ```text
//! exports/{tenant}/interaction_history/year=2026/month=04/day=30/batch-20260501T081500.123456789Z.json
//! exports/{tenant}/decisions/year=…, exports/{tenant}/summaries/year=…
//! exports/{tenant}/_manifests/interaction_history/year=2026/month=04/day=30/manifest.json
//! exports/{tenant}/_customers/interaction_history/year=…/batch-….filter     which customers a batch may hold
//! exports/{tenant}/_tombstones.json, _erasures/, _state/, _readers/, tenant.json
//! exports/_plans/{source}/{tenant}/….json                                   batches that are being written
//! ```
//!
//! Names that begin with `_` are the archive's own, so that a glob over one of the three kinds finds batches alone.

use kaireon_core::TenantId;
use kaireon_core::digest::Digest;
use object_store::path::Path;

use crate::{Day, Kind};

/// The folder of everything.
const ROOT: &str = "exports";

/// The longest name of a tenant's folder: with a staging suffix it stays below the 255 bytes of common file systems.
const MAX_NAME: usize = 200;

/// How much of a longer name is kept before its hash.
const KEPT: usize = 120;

/// The name of a tenant's folder.
///
/// Letters, digits, `-`, `.` and `_` stand for themselves, but for a `.` or `_` that leads: hidden files, and the
/// archive's own names. Every other byte of the UTF-8 is `!` and two hexadecimal digits. A name of more than 200 bytes
/// is cut after 120 and ends in `!!` and a hash of the whole. No two tenants share a name, unless the file system takes
/// capitals for small letters: `tenant.json` in the folder says whose it is, and a second tenant is refused there.
#[must_use]
pub fn tenant_folder(tenant: &TenantId) -> String {
    encode(tenant.as_str())
}

fn encode(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut kept = 0;
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || (at > 0 && matches!(byte, b'.' | b'_'));
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("!{byte:02x}"));
        }
        if name.len() <= KEPT {
            kept = name.len();
        }
    }
    if name.len() > MAX_NAME {
        name.truncate(kept);
        name.push_str("!!");
        name.push_str(&hex(&blake3::hash(text.as_bytes()).as_bytes()[..16]));
    }
    name
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`hex`] wrote.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// A path of parts that need no further encoding.
fn path(parts: &[&str]) -> Path {
    // Parts are plain, or went through `encode`: there is nothing in them that `Path` would escape.
    Path::from_iter(parts.iter().copied())
}

/// The paths of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct TenantPaths {
    folder: String,
}

impl TenantPaths {
    pub(crate) fn new(tenant: &TenantId) -> Self {
        Self {
            folder: tenant_folder(tenant),
        }
    }

    pub(crate) fn root(&self) -> Path {
        path(&[ROOT, &self.folder])
    }

    /// Says whose folder it is.
    pub(crate) fn owner(&self) -> Path {
        path(&[ROOT, &self.folder, "tenant.json"])
    }

    pub(crate) fn object(&self, kind: Kind, day: Day, name: &str) -> Path {
        let [year, month, date] = day.partitions();
        path(&[ROOT, &self.folder, kind.folder(), &year, &month, &date, name])
    }

    pub(crate) fn filter(&self, kind: Kind, day: Day, name: &str) -> Path {
        let [year, month, date] = day.partitions();
        let name = format!("{}.filter", name.split(".json").next().unwrap_or(name));
        let parts = [
            ROOT,
            &self.folder,
            "_customers",
            kind.folder(),
            &year,
            &month,
            &date,
            &name,
        ];
        path(&parts)
    }

    pub(crate) fn manifests(&self, kind: Kind) -> Path {
        path(&[ROOT, &self.folder, "_manifests", kind.folder()])
    }

    pub(crate) fn manifest(&self, kind: Kind, day: Day) -> Path {
        let [year, month, date] = day.partitions();
        let parts = [
            ROOT,
            &self.folder,
            "_manifests",
            kind.folder(),
            &year,
            &month,
            &date,
            "manifest.json",
        ];
        path(&parts)
    }

    pub(crate) fn tombstones(&self) -> Path {
        path(&[ROOT, &self.folder, "_tombstones.json"])
    }

    pub(crate) fn erasure(&self, customer: Digest, id: &str) -> Path {
        let customer = hex(customer.as_bytes());
        let name = format!("{customer}-{}.json", short_hash(id));
        path(&[ROOT, &self.folder, "_erasures", &name])
    }

    pub(crate) fn states(&self) -> Path {
        path(&[ROOT, &self.folder, "_state"])
    }

    pub(crate) fn state(&self, source: &str) -> Path {
        let name = format!("{}.json", encode(source));
        path(&[ROOT, &self.folder, "_state", &name])
    }

    pub(crate) fn retention(&self) -> Path {
        path(&[ROOT, &self.folder, "_retention.json"])
    }

    pub(crate) fn plan(&self, source: &str, id: &str) -> Path {
        path(&[
            ROOT,
            "_plans",
            &encode(source),
            &self.folder,
            &format!("{id}.json"),
        ])
    }

    /// What a reader keeps of itself.
    pub(crate) fn checkpoint(&self, name: &str) -> Path {
        let name = format!("{}.json", encode(name));
        path(&[ROOT, &self.folder, "_readers", &name])
    }

    /// Whether a plan is of this tenant.
    pub(crate) fn owns_plan(&self, plan: &Path) -> bool {
        plan.parts()
            .nth(3)
            .is_some_and(|part| part.as_ref() == self.folder)
    }
}

pub(crate) fn root() -> Path {
    path(&[ROOT])
}

pub(crate) fn plans() -> Path {
    path(&[ROOT, "_plans"])
}

pub(crate) fn plans_of(source: &str) -> Path {
    path(&[ROOT, "_plans", &encode(source)])
}

/// The day of a manifest's path.
pub(crate) fn day_of(manifest: &Path) -> Option<Day> {
    let parts: Vec<_> = manifest.parts().collect();
    let value = |from_end: usize, key: &str| {
        let part = parts.get(parts.len().checked_sub(from_end)?)?.as_ref().to_owned();
        part.strip_prefix(key).map(str::to_owned)
    };
    let (year, month, date) = (value(4, "year=")?, value(3, "month=")?, value(2, "day=")?);
    format!("{year}-{month}-{date}").parse().ok()
}

/// A name for what must not be readable, or is too long for a name.
fn short_hash(text: &str) -> String {
    hex(&blake3::hash(text.as_bytes()).as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    const HOSTILE: [&str; 14] = [
        "..",
        ".",
        "/",
        "a/b",
        "%2e%2e",
        "year=2026",
        "_plans",
        "日本語",
        "a b",
        "~",
        "acme",
        "ACME",
        "!2e!2e",
        "C:\\",
    ];

    fn object(tenant: &str) -> Path {
        let paths = TenantPaths::new(&TenantId::new(tenant).unwrap());
        paths.object(Kind::Interactions, "2026-04-30".parse().unwrap(), "batch-x.json")
    }

    #[test]
    fn the_path_is_the_documented_one() {
        let documented = "exports/acme/interaction_history/year=2026/month=04/day=30/batch-x.json";
        assert_eq!(object("acme").as_ref(), documented);
    }

    #[test]
    fn hostile_tenants_have_folders_of_their_own_and_leave_none() {
        let long: Vec<String> = vec!["é".repeat(128), format!("{}x", "é".repeat(127)), "/".repeat(256)];
        let tenants = HOSTILE
            .into_iter()
            .map(str::to_owned)
            .chain(long)
            .collect::<Vec<_>>();
        let folders: HashSet<String> = tenants.iter().map(|tenant| encode(tenant)).collect();
        assert_eq!(folders.len(), tenants.len());
        for tenant in &tenants {
            let path = object(tenant);
            assert_eq!(path.parts().count(), 7, "{path}");
            assert!(path.parts().all(|part| part.as_ref().len() <= MAX_NAME), "{path}");
            let second = path.parts().nth(1).unwrap().as_ref().to_owned();
            assert!(!second.starts_with(['_', '.']) && !second.contains('='), "{path}");
            assert_eq!(second, encode(tenant), "the path escapes nothing again");
        }
    }

    proptest! {
        #[test]
        fn a_name_of_the_usual_length_can_be_read_back(text in "\\PC{1,60}") {
            let name = encode(&text);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._!".contains(&byte)));
            if !name.contains("!!") {
                let mut read = Vec::new();
                let mut rest = name.as_bytes();
                while let Some((&first, behind)) = rest.split_first() {
                    let (byte, behind) = match first {
                        b'!' => (u8::from_str_radix(std::str::from_utf8(&behind[..2]).unwrap(), 16).unwrap(), &behind[2..]),
                        plain => (plain, behind),
                    };
                    read.push(byte);
                    rest = behind;
                }
                prop_assert_eq!(read, text.into_bytes());
            }
        }
    }
}
