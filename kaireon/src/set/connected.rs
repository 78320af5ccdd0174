//! One connected backend, and letting go of it.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::search::SearchIndex;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

use crate::Config;
use crate::plan::{Chosen, Identity};

/// A connected backend, and what tells whether another configuration means the same one.
#[derive(Debug)]
pub(super) struct Connected<T: ?Sized> {
    identity: Option<Identity>,
    /// Whether other processes may have it open as well.
    pub(super) shared: bool,
    pub(super) raw: Arc<T>,
}

impl<T: ?Sized> Clone for Connected<T> {
    fn clone(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            shared: self.shared,
            raw: Arc::clone(&self.raw),
        }
    }
}

impl<T: ?Sized> Connected<T> {
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.raw, &other.raw)
    }
}

/// What can be let go of.
#[async_trait]
pub(super) trait Disconnect: Send + Sync {
    async fn let_go(&self) -> Result<()>;
}

macro_rules! disconnects {
    ($($contract:path),+ $(,)?) => {
        $(
            #[async_trait]
            impl Disconnect for Arc<dyn $contract> {
                async fn let_go(&self) -> Result<()> {
                    self.disconnect().await
                }
            }
        )+
    };
}

disconnects!(InteractionStore, EventPublisher, SearchIndex, CacheStore);
#[cfg(feature = "switch")]
disconnects!(kaireon_core::SettingsStore);

/// Lets go of what was connected for a set that is not to be, the last first. The error that matters is the one for which
/// it was given up.
pub(super) async fn abandon(begun: Vec<Box<dyn Disconnect>>) {
    for backend in begun.iter().rev() {
        if let Err(error) = backend.let_go().await {
            tracing::warn!(%error, "a backend of a set that was not to be did not let go");
        }
    }
}

/// Connects a backend and notes it, unless a former one is the same.
pub(super) async fn connected<T: ?Sized + 'static>(
    chosen: &Chosen<T>,
    config: &Config,
    former: &[&Connected<T>],
    begun: &mut Vec<Box<dyn Disconnect>>,
) -> Result<Connected<T>>
where
    Arc<T>: Disconnect,
{
    let identity = chosen.identity(config);
    let is_same = |former: &&&Connected<T>| identity.is_some() && former.identity == identity;
    if let Some(former) = former.iter().find(is_same) {
        return Ok(Connected::clone(former));
    }
    let raw = chosen.connect(config).await?;
    begun.push(Box::new(Arc::clone(&raw)));
    // Asked again: the place of a folder that was just made may have another name now.
    Ok(Connected {
        identity: chosen.identity(config),
        shared: chosen.shared,
        raw,
    })
}
