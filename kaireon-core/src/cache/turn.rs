//! How the one of a process who fetches waits for those of other processes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::fetch::{FetchOptions, Found, Stale, judge, look};
use super::lease::{FetchLeases, Lease};
use super::{CacheKey, CacheStore};
use crate::Result;

/// The pauses between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// What the one who was to fetch is to do.
pub(super) enum Turn {
    /// Fetch, under a lease where there is one.
    Fetch(Option<Granted>),
    /// Answer what another process has fetched meanwhile, to all who wait.
    Answer(Option<Bytes>),
    /// Answer a stale value, as another process is at it.
    Stale(Bytes),
}

/// A lease of this process.
pub(super) struct Granted {
    leases: Arc<dyn FetchLeases>,
    token: u64,
}

impl Granted {
    /// Keeps what was fetched, unless another process was granted the lease since, or the key was deleted.
    pub(super) async fn keep(self, key: &CacheKey, value: Bytes, ttl: Duration) -> Result<bool> {
        self.leases.keep(key, value, ttl, self.token).await
    }

    /// Lets others fetch. One that cannot be released ends by itself.
    pub(super) async fn release(self, key: &CacheKey) {
        if let Err(error) = self.leases.release(key, self.token).await {
            tracing::debug!(%error, "could not release a lease");
        }
    }
}

/// Waits until it is this process's turn, or nobody's any more. `found` is what the cache had when it was looked at last.
pub(super) async fn turn(
    cache: &(impl CacheStore + ?Sized),
    key: &CacheKey,
    options: &FetchOptions,
    found: &mut Found,
) -> Turn {
    let Some((lasting, leases)) = options.lease.zip(cache.leases()) else {
        return Turn::Fetch(None);
    };
    let mut pause = PAUSES.0;
    loop {
        let left = match leases.take(key, lasting).await {
            Ok(Lease::Granted { token, found: bytes }) => {
                let granted = Granted { leases, token };
                *found = bytes.map_or(Found::Nothing, |bytes| judge(cache, bytes, options));
                if let Found::Fresh(value) = found {
                    granted.release(key).await;
                    return Turn::Answer(value.clone());
                }
                return Turn::Fetch(Some(granted));
            }
            Ok(Lease::Held(left)) => left,
            Err(error) => {
                tracing::debug!(%error, "could not ask for a lease, fetching without");
                return Turn::Fetch(None);
            }
        };
        if let Found::Stale(Stale {
            value,
            revalidate: true,
            ..
        }) = found
        {
            return Turn::Stale(value.clone());
        }
        sleep(pause.min(left.max(PAUSES.0))).await;
        pause = (pause * 2).min(PAUSES.1);
        *found = look(cache, key, options).await;
        if let Found::Fresh(value) = found {
            return Turn::Answer(value.clone());
        }
    }
}
