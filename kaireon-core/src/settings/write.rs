//! A setting, and what puts another in its place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::{self, Timestamp};
use crate::{ChangeId, Error, Result, TenantId};

/// The longest document, in bytes of UTF-8: 64 KiB.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 10;

/// The longest author or reason, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 1_024;

/// The number of a tenant's setting: 1 for the first, and one more for each after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SettingVersion(pub u64);

impl SettingVersion {
    /// Of a tenant whose setting was never set.
    pub const NONE: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A tenant's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its number.
    pub version: SettingVersion,
    /// What it says, in JSON, byte for byte as it was given.
    pub document: Arc<str>,
}

/// A document to put in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingWrite {
    /// Whose.
    pub tenant: TenantId,
    /// What makes this write recognisable when it is sent again.
    pub id: ChangeId,
    /// The version that it was made of.
    pub expected: SettingVersion,
    /// What the setting is to say: JSON, at most [`MAX_DOCUMENT_BYTES`].
    pub document: Arc<str>,
    /// Who asks for it: 1 to [`MAX_TEXT_BYTES`] bytes without control characters.
    pub author: String,
    /// Why: the same bounds.
    pub reason: String,
    /// When it was asked for.
    pub at: Timestamp,
}

impl SettingWrite {
    /// A write under a fresh id.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        expected: SettingVersion,
        document: impl Into<Arc<str>>,
        author: impl Into<String>,
        reason: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            tenant,
            id: ChangeId::fresh(),
            expected,
            document: document.into(),
            author: author.into(),
            reason: reason.into(),
            at: time::truncate(at),
        }
    }

    /// Checks the bounds; an adapter calls it before anything else.
    ///
    /// # Errors
    /// `InvalidInput` naming `document`, `author`, `reason` or `expected`.
    pub fn check(&self) -> Result<()> {
        let Self {
            tenant: _,
            id: _,
            expected,
            document,
            author,
            reason,
            at: _,
        } = self;
        // A 64-bit signed column holds every version and the one after it.
        if expected.0 >= i64::MAX.unsigned_abs() {
            return Err(Error::invalid("expected", "is no version of a setting"));
        }
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::invalid("document", "is longer than 64 KiB"));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(document).is_err() {
            return Err(Error::invalid("document", "is not JSON"));
        }
        for (field, text) in [("author", author), ("reason", reason)] {
            if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
                return Err(Error::invalid(
                    field,
                    "is not 1 to 1,024 bytes without control characters",
                ));
            }
        }
        Ok(())
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The document is the setting of this version, by this call or by an earlier one of the same write.
    Done(SettingVersion),
    /// The setting is of another version than was expected, and this is it; `None` where there is none.
    Lost(Option<Setting>),
}

/// Something that a tenant's setting was, with who set it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingEntry {
    /// What it was.
    pub setting: Setting,
    /// The write.
    pub id: ChangeId,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was asked for, by the asker's clock.
    pub at: Timestamp,
}

impl SettingEntry {
    /// The entry that a write makes.
    #[must_use]
    pub fn of(write: SettingWrite) -> Self {
        let SettingWrite {
            tenant: _,
            id,
            expected,
            document,
            author,
            reason,
            at,
        } = write;
        Self {
            setting: Setting {
                version: expected.next(),
                document,
            },
            id,
            author,
            reason,
            at,
        }
    }

    /// Whether a write is the one that made this entry.
    ///
    /// # Errors
    /// `Conflict` where it has the entry's id and another document.
    pub fn is_of(&self, write: &SettingWrite) -> Result<bool> {
        if self.id != write.id || self.setting.version != write.expected.next() {
            return Ok(false);
        }
        if self.setting.document == write.document {
            return Ok(true);
        }
        Err(Error::conflict(
            "the id of the write was used for another document",
        ))
    }
}
