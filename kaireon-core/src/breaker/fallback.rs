//! Breakers shared between instances, which stand for themselves while those cannot be asked.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Admission, BreakerConfig, BreakerState, CallResult, Circuit, CircuitBreaker, refused};
use crate::time::{Clock, ForwardClock, SteadyClock};
use crate::{Error, ErrorKind, Result};

/// Marks an admission that this process gave by itself; the numbers of shared breakers are below it.
const OWN: u64 = 1 << 63;

/// When the shared breakers are left alone: a server that hangs would hold up every call that it is to protect.
const AWAY: BreakerConfig = BreakerConfig {
    failures: 3,
    open_for: Duration::from_secs(1),
    probes: 1,
    probe_timeout: Duration::from_secs(5),
};

/// Asks breakers that are shared between instances, and those of this process while the shared ones are away.
///
/// - After three errors in a row, or calls that their callers gave up, the shared ones are not asked for a second, and then by
///   one call at a time until they answer again. Those who ask them before that is known wait for their own bound.
/// - What this process has learned meanwhile stays its own, and is asked again in the next outage; the shared breakers
///   stand as they stood before this one.
/// - A report of a call that the shared breakers admitted is lost while they are away: of a probe it then counts as a
///   failure after its timeout, of any other call as nothing.
/// - Calls that were decided here are told to the counter `kaireon.breaker.fallback`.
/// - A server that is full, or refuses the login, is away as well. Wrong names are refused by the shared breakers, and a
///   handle that was disconnected answers so: these are the caller's.
/// - `shared` is not to try again by itself: what [`Retry`](crate::wrap::Retry) has given up no longer says that it would
///   be worth trying.
///
/// # Dropped futures
/// An admission may have been given, and is one that was never reported.
pub struct FallbackBreaker {
    shared: Arc<dyn CircuitBreaker>,
    own: Arc<dyn CircuitBreaker>,
    away: Mutex<Circuit>,
    clock: ForwardClock,
}

impl FallbackBreaker {
    /// `shared`, and `own` while that is away.
    #[must_use]
    pub fn new(shared: Arc<dyn CircuitBreaker>, own: Arc<dyn CircuitBreaker>) -> Self {
        Self::with_clock(shared, own, Arc::new(SteadyClock::new()))
    }

    /// The same; how long the shared breakers are left alone is by this clock.
    #[must_use]
    pub fn with_clock(
        shared: Arc<dyn CircuitBreaker>,
        own: Arc<dyn CircuitBreaker>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            shared,
            own,
            away: Mutex::default(),
            clock: ForwardClock::new(clock),
        }
    }

    /// Makes a call of the shared breakers, unless they are away.
    async fn ask<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let admission = {
            let mut away = self.away.lock();
            let now = self.clock.now();
            away.admit(&AWAY, now)
        };
        let mut asked = match admission {
            Admission::Admitted(admission) => Asked {
                of: self,
                admission,
                // Who gives up a call has found out that it takes too long.
                result: CallResult::Failure,
            },
            Admission::Refused(wait) => return Err(refused(wait)),
        };
        let answer = call.await;
        if !answer.as_ref().is_err_and(are_away) {
            asked.result = CallResult::Success;
        }
        answer
    }
}

/// A call of the shared breakers, whose result is noted when this is dropped.
struct Asked<'a> {
    of: &'a FallbackBreaker,
    admission: u64,
    result: CallResult,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut away = self.of.away.lock();
        let now = self.of.clock.now();
        away.report(&AWAY, now, self.admission, self.result);
    }
}

/// Whether an error says that the shared breakers are away: all but a wrong name, and a handle that was disconnected.
fn are_away(error: &Error) -> bool {
    error.is_transient() || !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unavailable)
}

/// Whether this process decides by itself, which is told.
fn is_away<T>(answer: &Result<T>, operation: &'static str) -> bool {
    let Err(error) = answer else { return false };
    if !are_away(error) {
        return false;
    }
    tracing::debug!(%error, operation, "the shared breakers cannot be asked");
    metrics::counter!("kaireon.breaker.fallback", "operation" => operation).increment(1);
    true
}

impl fmt::Debug for FallbackBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackBreaker")
            .field("shared", &self.shared)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CircuitBreaker for FallbackBreaker {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        let answer = self.ask(self.shared.admit(breaker)).await;
        if !is_away(&answer, "admit") {
            return answer;
        }
        Ok(match self.own.admit(breaker).await? {
            Admission::Admitted(admission) => Admission::Admitted(admission | OWN),
            refused @ Admission::Refused(_) => refused,
        })
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        if admission & OWN != 0 {
            return self.own.report(breaker, admission & !OWN, result).await;
        }
        let answer = self.ask(self.shared.report(breaker, admission, result)).await;
        match is_away(&answer, "report") {
            true => Ok(()),
            false => answer,
        }
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        let answer = self.ask(self.shared.state(breaker)).await;
        match is_away(&answer, "state") {
            true => self.own.state(breaker).await,
            false => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use chrono::TimeDelta;

    use super::*;
    use crate::memory::MemoryBreaker;
    use crate::time::{ManualClock, from_millis};

    /// Breakers that can be away, and count how often they were asked.
    #[derive(Debug)]
    struct Shared {
        breaker: MemoryBreaker,
        away: AtomicBool,
        /// Whether calls that it is away for hang.
        hangs: AtomicBool,
        asked: AtomicU32,
    }

    impl Shared {
        async fn reach(&self) -> Result<&MemoryBreaker> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            match self.away.load(Ordering::SeqCst) {
                true => Err(Error::new(ErrorKind::StorageFull, "away")),
                false => Ok(&self.breaker),
            }
        }
    }

    #[async_trait]
    impl CircuitBreaker for Shared {
        async fn admit(&self, breaker: &str) -> Result<Admission> {
            self.reach().await?.admit(breaker).await
        }

        async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
            self.reach().await?.report(breaker, admission, result).await
        }

        async fn state(&self, breaker: &str) -> Result<BreakerState> {
            self.reach().await?.state(breaker).await
        }
    }

    const ONE_FAILURE: BreakerConfig = BreakerConfig {
        failures: 1,
        open_for: Duration::from_secs(60),
        probes: 1,
        probe_timeout: Duration::from_secs(60),
    };

    struct Both {
        clock: ManualClock,
        shared: Arc<Shared>,
        breaker: FallbackBreaker,
    }

    fn both() -> Both {
        let clock = ManualClock::at(from_millis(0).unwrap());
        let of = || MemoryBreaker::with_clock(ONE_FAILURE, Arc::new(clock.clone())).unwrap();
        let shared = Arc::new(Shared {
            breaker: of(),
            away: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        });
        let breaker = FallbackBreaker::with_clock(
            Arc::<Shared>::clone(&shared),
            Arc::new(of()),
            Arc::new(clock.clone()),
        );
        Both {
            clock,
            shared,
            breaker,
        }
    }

    async fn admitted(breaker: &FallbackBreaker) -> u64 {
        match breaker.admit("search").await.unwrap() {
            Admission::Admitted(admission) => admission,
            Admission::Refused(wait) => panic!("refused for {wait:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_learned_in_an_outage_stays_with_this_process() {
        let Both {
            clock,
            shared,
            breaker,
        } = both();
        let before = admitted(&breaker).await;
        shared.away.store(true, Ordering::SeqCst);
        let own = admitted(&breaker).await;
        // It was admitted by those that are away: lost, and no error of the caller's.
        breaker
            .report("search", before, CallResult::Failure)
            .await
            .unwrap();
        assert_eq!(breaker.state("search").await.unwrap(), BreakerState::Closed);
        breaker.report("search", own, CallResult::Failure).await.unwrap();
        assert_eq!(breaker.state("search").await.unwrap(), BreakerState::Open);
        assert!(matches!(
            breaker.admit("search").await.unwrap(),
            Admission::Refused(_)
        ));
        shared.away.store(false, Ordering::SeqCst);
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(breaker.state("search").await.unwrap(), BreakerState::Closed);
        // A number of this process means nothing to the shared ones.
        breaker.report("search", own, CallResult::Failure).await.unwrap();
        assert_eq!(breaker.state("search").await.unwrap(), BreakerState::Closed);
    }

    #[tokio::test]
    async fn those_that_are_away_are_left_alone_for_a_second_and_asked_by_one_call_then() {
        let Both {
            clock,
            shared,
            breaker,
        } = both();
        shared.away.store(true, Ordering::SeqCst);
        for _ in 0..10 {
            admitted(&breaker).await;
        }
        assert_eq!(shared.asked.load(Ordering::SeqCst), 3);
        clock.advance(TimeDelta::seconds(1));
        for _ in 0..10 {
            admitted(&breaker).await;
        }
        assert_eq!(shared.asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn calls_that_are_given_up_say_that_they_are_away() {
        let Both { shared, breaker, .. } = both();
        shared.hangs.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), breaker.admit("search"));
            given_up.await.unwrap_err();
        }
        for _ in 0..10 {
            admitted(&breaker).await;
        }
        assert_eq!(shared.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn what_is_wrong_for_good_is_told() {
        let Both { shared, breaker, .. } = both();
        for _ in 0..10 {
            let error = breaker.admit("").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(shared.asked.load(Ordering::SeqCst), 10);
    }
}
