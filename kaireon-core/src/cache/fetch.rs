//! How `get_or_fetch` proceeds.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::flights::{Boarded, Fetched, Pilot};
use super::frame::Frame;
use super::turn::{Keeping, Turn, turn};
use super::{CacheKey, CacheStore};
use crate::{Error, Result};

/// How long [`get_or_fetch`](super::CacheStoreExt::get_or_fetch) keeps what it fetches, and what it may show
/// meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// How long a value is as good as fetched now, at most; not zero.
    pub ttl: Duration,
    /// By up to how many percent of itself the ttl is shortened at random, so that keys fetched together do not
    /// expire together; 0 to 100, 10 by default.
    pub jitter_percent: u8,
    /// How long it is remembered that there was no value; not zero. `None`, the default: not at all.
    pub negative_ttl: Option<Duration>,
    /// For how long after its ttl a value is shown while one caller fetches it anew; zero by default.
    pub stale_while_revalidate: Duration,
    /// For how long after its ttl a value is shown when it cannot be fetched anew; zero by default.
    pub stale_if_error: Duration,
    /// How long one process of those that share the cache may take to fetch, before another one does; not zero. `None`, the
    /// default: each process fetches for itself.
    pub lease: Option<Duration>,
}

impl FetchOptions {
    /// Kept for so long, and nothing stale shown.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self {
            ttl,
            jitter_percent: 10,
            negative_ttl: None,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            lease: None,
        }
    }

    /// The same, shortened by up to so many percent.
    #[must_use]
    pub const fn with_jitter_percent(mut self, percent: u8) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// The same, remembering absence for so long.
    #[must_use]
    pub const fn with_negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl);
        self
    }

    /// The same, showing a stale value for so long while one caller fetches.
    #[must_use]
    pub const fn with_stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// The same, showing a stale value for so long where fetching fails.
    #[must_use]
    pub const fn with_stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// The same, with a lease of that length: of all processes one fetches.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `ttl`, `jitter_percent`, `negative_ttl` or `lease`.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.ttl.is_zero() {
            return Err(Error::invalid("ttl", "is zero"));
        }
        if self.jitter_percent > 100 {
            return Err(Error::invalid("jitter_percent", "is above 100"));
        }
        if self.negative_ttl == Some(Duration::ZERO) {
            return Err(Error::invalid("negative_ttl", "is zero"));
        }
        if self.lease == Some(Duration::ZERO) {
            return Err(Error::invalid("lease", "is zero"));
        }
        Ok(())
    }

    /// The frame for what was fetched at `now`, and how long to keep it; `None`: not at all. `luck` is from 0 to 1.
    fn frame(&self, fetched: Option<&Bytes>, now: i64, luck: f64) -> Option<(Frame, Duration)> {
        let Self {
            ttl,
            jitter_percent,
            negative_ttl,
            stale_while_revalidate,
            stale_if_error,
            lease: _,
        } = *self;
        let jittered = |ttl: Duration| {
            let part = 1.0 - f64::from(jitter_percent) / 100.0 * luck;
            // The longest there is rounds to one that is too long: it stays as it is.
            let shortened = Duration::try_from_secs_f64(ttl.as_secs_f64() * part);
            shortened.unwrap_or(ttl).max(Duration::from_millis(1))
        };
        let (fresh, stale) = match fetched {
            Some(_) => (jittered(ttl), stale_while_revalidate.max(stale_if_error)),
            None => (jittered(negative_ttl?), Duration::ZERO),
        };
        let fresh_until = now.saturating_add(millis(fresh));
        let frame = Frame {
            value: fetched.cloned(),
            fresh_until,
            kept_until: fresh_until.saturating_add(millis(stale)),
        };
        Some((frame, fresh.saturating_add(stale)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A value beyond its ttl.
pub(super) struct Stale {
    pub(super) value: Bytes,
    pub(super) revalidate: bool,
    if_error: bool,
}

/// What the cache has under a key.
pub(super) enum Found {
    Fresh(Option<Bytes>),
    Stale(Stale),
    Nothing,
}

#[inline]
pub(super) fn judge(cache: &(impl CacheStore + ?Sized), bytes: Bytes, options: &FetchOptions) -> Found {
    let Some(frame) = Frame::decode(bytes) else {
        return Found::Nothing;
    };
    let Frame {
        value,
        fresh_until,
        kept_until,
    } = frame;
    // What is never shown stale expires with its entry, and needs no second look at a clock.
    if fresh_until == kept_until {
        return Found::Fresh(value);
    }
    let now = cache.flights().now().timestamp_millis();
    if now < fresh_until {
        return Found::Fresh(value);
    }
    let within = |window: Duration| now < kept_until.min(fresh_until.saturating_add(millis(window)));
    match value {
        Some(value) if now < kept_until => Found::Stale(Stale {
            value,
            revalidate: within(options.stale_while_revalidate),
            if_error: within(options.stale_if_error),
        }),
        _ => Found::Nothing,
    }
}

/// See [`get_or_fetch`](super::CacheStoreExt::get_or_fetch).
///
/// Its future answers a hit by itself; the rest is boxed, which is nothing beside a fetch, so that it is small: whoever
/// drives it moves it about on every call.
#[inline]
#[expect(clippy::manual_async_fn, reason = "an `async fn` holds its arguments twice")]
pub(super) fn get_or_fetch<C, F, Fut>(
    cache: &C,
    key: &CacheKey,
    options: FetchOptions,
    fetch: F,
) -> impl Future<Output = Result<Option<Bytes>>> + Send
where
    C: CacheStore + ?Sized,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<Option<Bytes>>> + Send,
{
    async move {
        options.check()?;
        if let Some(bytes) = cache.peek_fetched(key)
            && let Found::Fresh(value) = judge(cache, bytes, &options)
        {
            return Ok(value);
        }
        boxed_miss(cache, key, options, fetch).await
    }
}

/// Apart, so that a hit carries none of its code.
#[cold]
#[inline(never)]
fn boxed_miss<C, F, Fut>(
    cache: &C,
    key: &CacheKey,
    options: FetchOptions,
    fetch: F,
) -> Pin<Box<impl Future<Output = Result<Option<Bytes>>> + Send>>
where
    C: CacheStore + ?Sized,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<Option<Bytes>>> + Send,
{
    Box::pin(miss(cache, key.framed(), options, fetch))
}

/// What `get_or_fetch` does when process memory has nothing fresh; the key is the framed one.
async fn miss<C, F, Fut>(cache: &C, key: CacheKey, options: FetchOptions, fetch: F) -> Result<Option<Bytes>>
where
    C: CacheStore + ?Sized,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<Option<Bytes>>> + Send,
{
    loop {
        let gone = cache.flights().gone();
        let mut found = look(cache, &key, &options).await;
        if let Found::Fresh(value) = found {
            return Ok(value);
        }
        let mut passenger = match cache.flights().board(&key) {
            Boarded::Pilot(pilot) => {
                // Another flight may have landed between the look and the boarding.
                if cache.flights().gone() != gone {
                    found = look(cache, &key, &options).await;
                    if let Found::Fresh(value) = found {
                        pilot.announce(Ok(value.clone()));
                        return Ok(value);
                    }
                }
                let keeping = match turn(cache, &key, &options, &mut found).await {
                    Turn::Fetch(keeping) => keeping,
                    Turn::Answer(value) => {
                        pilot.announce(Ok(value.clone()));
                        return Ok(value);
                    }
                    Turn::Stale(value) => return Ok(Some(value)),
                };
                let fetched = fetch().await;
                land(cache, pilot, (&key, keeping), options, fetched.clone()).await;
                return settle(fetched, found);
            }
            Boarded::Passenger(passenger) => passenger,
        };
        if let Found::Stale(Stale {
            value,
            revalidate: true,
            ..
        }) = found
        {
            return Ok(Some(value));
        }
        let landed = passenger
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|fetched| fetched.clone());
        if let Some(fetched) = landed {
            return settle(fetched, found);
        }
        // The pilot went away without an answer: whoever waited may become the next one.
    }
}

/// Reads the cache. One that cannot be read is no reason to refuse what can be fetched.
pub(super) async fn look(
    cache: &(impl CacheStore + ?Sized),
    key: &CacheKey,
    options: &FetchOptions,
) -> Found {
    match cache.get(key).await {
        Ok(Some(bytes)) => judge(cache, bytes, options),
        Ok(None) => Found::Nothing,
        Err(error) => {
            tracing::debug!(%error, "could not read the cache, fetching instead");
            Found::Nothing
        }
    }
}

/// The answer of a flight to one caller.
fn settle(fetched: Fetched, found: Found) -> Result<Option<Bytes>> {
    match (fetched, found) {
        (
            Err(_),
            Found::Stale(Stale {
                value,
                if_error: true,
                ..
            }),
        ) => Ok(Some(value)),
        (fetched, _) => fetched,
    }
}

/// Answers those who wait, and keeps what was fetched unless the flight was detached.
async fn land(
    cache: &(impl CacheStore + ?Sized),
    pilot: Pilot<'_>,
    (key, keeping): (&CacheKey, Keeping),
    options: FetchOptions,
    fetched: Fetched,
) {
    let frame = match &fetched {
        Ok(value) => {
            let now = cache.flights().now().timestamp_millis();
            options.frame(value.as_ref(), now, fastrand::f64())
        }
        Err(_) => None,
    };
    if fetched.is_err() {
        // Who comes after a failure fetches anew, so nobody may board any more.
        pilot.leave();
    }
    pilot.announce(fetched);
    let Some((frame, ttl)) = frame.filter(|_| pilot.is_attached()) else {
        return keeping.forgo().await;
    };
    match keeping.keep(cache, key, frame.encode(), ttl).await {
        Ok(true) => {}
        // What is there is another one's.
        Ok(false) => return,
        Err(error) => tracing::debug!(%error, "could not keep what was fetched"),
    }
    // Detached while it was being set: what deleted it may have come too early.
    if !pilot.is_attached()
        && let Err(error) = cache.del(key).await
    {
        tracing::debug!(%error, "could not take back what was fetched before a deletion");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_shortens_and_never_lengthens() {
        let options = FetchOptions::ttl(Duration::from_secs(100)).with_jitter_percent(20);
        let value = Bytes::from_static(b"v");
        let ttl = |luck| options.frame(Some(&value), 0, luck).unwrap().1;
        assert_eq!(ttl(0.0), Duration::from_secs(100));
        assert_eq!(ttl(1.0), Duration::from_secs(80));
        let whole = FetchOptions::ttl(Duration::from_millis(5)).with_jitter_percent(100);
        assert_eq!(
            whole.frame(Some(&value), 0, 1.0).unwrap().1,
            Duration::from_millis(1)
        );
        let endless = FetchOptions::ttl(Duration::MAX)
            .with_negative_ttl(Duration::MAX)
            .with_stale_if_error(Duration::MAX);
        for luck in [0.0, f64::MIN_POSITIVE, 0.5, 1.0] {
            for fetched in [Some(&value), None] {
                let (frame, ttl) = endless.frame(fetched, i64::MAX - 1, luck).unwrap();
                assert!(ttl >= Duration::MAX / 2, "{luck}");
                assert_eq!(frame.kept_until, i64::MAX);
            }
        }
    }

    #[test]
    fn an_entry_outlives_its_ttl_by_the_longer_window() {
        let options = FetchOptions::ttl(Duration::from_secs(10))
            .with_jitter_percent(0)
            .with_stale_while_revalidate(Duration::from_secs(5))
            .with_stale_if_error(Duration::from_secs(50));
        let (frame, ttl) = options.frame(Some(&Bytes::new()), 1_000, 0.5).unwrap();
        assert_eq!((frame.fresh_until, frame.kept_until), (11_000, 61_000));
        assert_eq!(ttl, Duration::from_secs(60));
        assert!(options.frame(None, 0, 0.0).is_none());
        let (frame, ttl) = options
            .with_negative_ttl(Duration::from_secs(1))
            .frame(None, 0, 0.0)
            .unwrap();
        assert_eq!((frame.fresh_until, frame.kept_until), (1_000, 1_000));
        assert_eq!(ttl, Duration::from_secs(1));
    }

    #[test]
    fn bounds_name_their_field() {
        let options = FetchOptions::ttl(Duration::from_secs(1));
        assert!(options.check().is_ok());
        for (wrong, field) in [
            (FetchOptions::ttl(Duration::ZERO), "ttl"),
            (options.with_jitter_percent(101), "jitter_percent"),
            (options.with_negative_ttl(Duration::ZERO), "negative_ttl"),
            (options.with_lease(Duration::ZERO), "lease"),
        ] {
            assert_eq!(wrong.check().unwrap_err().field(), Some(field));
        }
    }
}
