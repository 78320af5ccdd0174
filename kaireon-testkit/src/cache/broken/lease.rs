//! The leases of the broken cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::Result;
use kaireon_core::cache::{CacheKey, CacheStore, FetchLeases, Lease, SetOptions};

use super::cache::{Kept, Process};
use super::flaw::Flaw;

/// Leases that work, behind a layer that alters one rule of them.
pub(super) struct BrokenLeases {
    pub(super) flaw: Option<Flaw>,
    pub(super) process: Process,
    pub(super) kept: Arc<Kept>,
    pub(super) inner: Arc<dyn FetchLeases>,
}

impl fmt::Debug for BrokenLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokenLeases({:?})", self.flaw)
    }
}

#[async_trait]
impl FetchLeases for BrokenLeases {
    async fn take(&self, key: &CacheKey, lasting: Duration) -> Result<Lease> {
        match self.inner.take(key, lasting).await? {
            Lease::Held(_) if self.flaw == Some(Flaw::GrantsLeasesToAll) => Ok(Lease::Granted {
                token: u64::MAX,
                found: None,
            }),
            Lease::Granted { token, .. } if self.flaw == Some(Flaw::GrantsWithoutALook) => {
                Ok(Lease::Granted { token, found: None })
            }
            lease => Ok(lease),
        }
    }

    async fn keep(&self, key: &CacheKey, value: Bytes, ttl: Duration, token: u64) -> Result<bool> {
        if self.flaw != Some(Flaw::ErasureLeavesLeases) && self.kept.is_held(key, self.process) {
            self.inner.release(key, token).await?;
            return Ok(false);
        }
        let kept = match self.flaw {
            Some(Flaw::KeepsWhateverTheToken) => {
                self.inner.release(key, token).await?;
                self.kept.inner.set(key, value, SetOptions::ttl(ttl)).await?
            }
            _ if self.kept.left.lock().remove(key) => {
                self.kept.inner.set(key, value, SetOptions::ttl(ttl)).await?
            }
            _ => self.inner.keep(key, value, ttl, token).await?,
        };
        if kept {
            self.kept.note(key);
        }
        Ok(kept)
    }

    async fn release(&self, key: &CacheKey, token: u64) -> Result<()> {
        match self.flaw {
            Some(Flaw::ReleasesNothing) => Ok(()),
            _ => self.inner.release(key, token).await,
        }
    }
}
