//! What a settings store can do.

use std::borrow::Cow;

use crate::store::Durability;

/// Who may share the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// The handles of one process.
    Process,
    /// Any number of processes.
    Processes,
}

/// What a [`SettingsStore`](super::SettingsStore) can do; the suite tests that it does just that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsCapabilities {
    /// The backend's name.
    pub backend: Cow<'static, str>,
    /// What an `Ok` survives.
    pub durability: Durability,
    /// Who may share the settings.
    pub reach: Reach,
    /// Whether what was set is there again when the same place is opened anew.
    pub persistent: bool,
    /// `ping`.
    pub ping: bool,
}

impl SettingsCapabilities {
    /// A backend with this durability and reach, whose settings are there again and which can be pinged.
    #[must_use]
    pub fn new(backend: impl Into<Cow<'static, str>>, durability: Durability, reach: Reach) -> Self {
        Self {
            backend: backend.into(),
            durability,
            reach,
            persistent: true,
            ping: true,
        }
    }
}
