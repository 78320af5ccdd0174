//! Which settings to read, and how to go on reading.

use super::SettingVersion;
use crate::store::{MAX_PAGE, check_limit};
use crate::{Result, TenantId};

/// Which tenants' settings to read, in the order of their names (by bytes).
#[derive(Clone, Debug)]
pub struct SettingsQuery {
    /// How many at most, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// Behind this tenant.
    pub cursor: Option<TenantId>,
}

impl Default for SettingsQuery {
    fn default() -> Self {
        Self {
            limit: MAX_PAGE,
            cursor: None,
        }
    }
}

impl SettingsQuery {
    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit)
    }
}

/// Which part of a tenant's trail to read, newest first.
#[derive(Clone, Debug)]
pub struct TrailQuery {
    /// Whose.
    pub tenant: TenantId,
    /// How many at most, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// Before this version.
    pub cursor: Option<SettingVersion>,
}

impl TrailQuery {
    /// The newest page of a tenant.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            limit: MAX_PAGE,
            cursor: None,
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit)
    }
}
