//! How the one of a process who fetches waits for those of other processes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::fetch::{FetchOptions, Found, Stale, judge, look};
use super::lease::{FetchLeases, Lease};
use super::{CacheKey, CacheStore, SetOptions};
use crate::Result;

/// The pauses between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// What the one who was to fetch is to do.
pub(super) enum Turn {
    /// Fetch, and keep it so.
    Fetch(Keeping),
    /// Answer what another process has fetched meanwhile, to all who wait.
    Answer(Option<Bytes>),
    /// Answer a stale value, as another process is at it.
    Stale(Bytes),
}

/// How what is fetched is kept.
pub(super) enum Keeping {
    /// Whatever others do: there are no leases, or none was to be had.
    Plainly,
    /// Unless another process was granted the lease since, or the key was deleted.
    Leased(Granted),
    /// Not at all: another process has had the lease for longer than one lasts, and what it brings counts.
    Not,
}

impl Keeping {
    /// Keeps a value for so long; returns whether it was kept. A lease is over then, also where it was not.
    pub(super) async fn keep(
        self,
        cache: &(impl CacheStore + ?Sized),
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool> {
        match self {
            Self::Plainly => cache.set(key, value, SetOptions::ttl(ttl)).await,
            Self::Leased(granted) => granted.keep(value, ttl).await,
            Self::Not => Ok(false),
        }
    }

    /// Keeps nothing; others may fetch.
    pub(super) async fn forgo(self) {
        if let Self::Leased(granted) = self {
            granted.release().await;
        }
    }
}

/// A lease of this process. Dropped before it is over, as where the fetch's caller goes away, it is released beside whoever
/// drops it, so that nobody waits for its end.
pub(super) struct Granted {
    leases: Arc<dyn FetchLeases>,
    key: CacheKey,
    token: u64,
    is_over: bool,
}

impl Granted {
    async fn keep(mut self, value: Bytes, ttl: Duration) -> Result<bool> {
        let kept = self.leases.keep(&self.key, value, ttl, self.token).await;
        match kept {
            // What could not be kept, a value that is too large or a full server, would hold up all others.
            Err(_) => self.release().await,
            Ok(_) => self.is_over = true,
        }
        kept
    }

    async fn release(mut self) {
        release(&*self.leases, &self.key, self.token).await;
        self.is_over = true;
    }
}

/// One that cannot be released ends by itself.
async fn release(leases: &dyn FetchLeases, key: &CacheKey, token: u64) {
    if let Err(error) = leases.release(key, token).await {
        tracing::debug!(%error, "could not release a lease");
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        // Without a runtime it ends by itself.
        if let Some(runtime) = Handle::try_current().ok().filter(|_| !self.is_over) {
            let (leases, key, token) = (Arc::clone(&self.leases), self.key.clone(), self.token);
            runtime.spawn(async move { release(&*leases, &key, token).await });
        }
    }
}

/// Waits until it is this process's turn, or nobody's any more, at most for as long as a lease lasts. `found` is what the
/// cache had when it was looked at last.
pub(super) async fn turn(
    cache: &(impl CacheStore + ?Sized),
    key: &CacheKey,
    options: &FetchOptions,
    found: &mut Found,
) -> Turn {
    let Some((lasting, leases)) = options.lease.zip(cache.leases()) else {
        return Turn::Fetch(Keeping::Plainly);
    };
    let (begun, mut pause) = (Instant::now(), PAUSES.0);
    loop {
        let left = match leases.take(key, lasting).await {
            Ok(Lease::Granted { token, found: bytes }) => {
                let granted = Granted {
                    leases,
                    key: key.clone(),
                    token,
                    is_over: false,
                };
                *found = bytes.map_or(Found::Nothing, |bytes| judge(cache, bytes, options));
                if let Found::Fresh(value) = found {
                    granted.release().await;
                    return Turn::Answer(value.clone());
                }
                return Turn::Fetch(Keeping::Leased(granted));
            }
            Ok(Lease::Held(left)) => left,
            Err(error) => {
                tracing::debug!(%error, "could not ask for a lease, fetching without");
                return Turn::Fetch(Keeping::Plainly);
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
        // Others may have had it one after the other, to no avail.
        if begun.elapsed() >= lasting {
            return Turn::Fetch(Keeping::Not);
        }
        sleep(pause.min(left.max(PAUSES.0))).await;
        pause = (pause * 2).min(PAUSES.1);
        *found = look(cache, key, options).await;
        if let Found::Fresh(value) = found {
            return Turn::Answer(value.clone());
        }
    }
}
