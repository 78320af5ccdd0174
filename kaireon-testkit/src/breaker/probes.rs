//! Half open: one probe at a time.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::breaker::{Admission, BreakerConfig, BreakerState, CallResult};

use super::fixture::{BreakerFixture, NAME, admitted, call, config, half_open, pass, probe_timeout, refused};
use crate::world::together;

/// While it is out, all others are refused, and told for how long.
pub async fn one_probe_at_a_time_goes_through(fixture: &dyn BreakerFixture) {
    let breaker = half_open(fixture, config(fixture)).await;
    admitted(&*breaker).await;
    for _ in 0..5 {
        match breaker.admit(NAME).await.unwrap() {
            Admission::Admitted(_) => panic!("a second probe went through"),
            Admission::Refused(wait) => assert!(wait <= probe_timeout(fixture) + Duration::from_millis(1)),
        }
    }
}

/// One is enough, by default.
pub async fn a_probe_that_succeeds_closes_it(fixture: &dyn BreakerFixture) {
    let breaker = half_open(fixture, config(fixture)).await;
    call(&*breaker, CallResult::Success).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
    // The row of failures begins at nothing again.
    call(&*breaker, CallResult::Failure).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// For the whole time.
pub async fn a_probe_that_fails_opens_it_again(fixture: &dyn BreakerFixture) {
    let breaker = half_open(fixture, config(fixture)).await;
    call(&*breaker, CallResult::Failure).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
    assert!(refused(&*breaker).await);
}

/// One after the other; a failure begins again.
pub async fn as_many_probes_as_configured_must_succeed_in_a_row(fixture: &dyn BreakerFixture) {
    let config = BreakerConfig {
        probes: 3,
        ..config(fixture)
    };
    let breaker = half_open(fixture, config).await;
    for _ in 0..2 {
        call(&*breaker, CallResult::Success).await;
        assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
    }
    call(&*breaker, CallResult::Success).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// It counts as failed after its timeout, and another is let through.
pub async fn an_unanswered_probe_gives_way_to_another(fixture: &dyn BreakerFixture) {
    let config = BreakerConfig {
        probes: 2,
        ..config(fixture)
    };
    let breaker = half_open(fixture, config).await;
    call(&*breaker, CallResult::Success).await;
    admitted(&*breaker).await;
    assert!(refused(&*breaker).await);
    pass(fixture, probe_timeout(fixture) + Duration::from_millis(10)).await;
    // The row of successes was broken.
    call(&*breaker, CallResult::Success).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
    call(&*breaker, CallResult::Success).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// After another probe has taken its place.
pub async fn a_late_report_of_a_probe_is_ignored(fixture: &dyn BreakerFixture) {
    let breaker = half_open(fixture, config(fixture)).await;
    let late = admitted(&*breaker).await;
    pass(fixture, probe_timeout(fixture) + Duration::from_millis(10)).await;
    let timely = admitted(&*breaker).await;
    breaker.report(NAME, late, CallResult::Success).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
    breaker.report(NAME, late, CallResult::Failure).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
    breaker.report(NAME, timely, CallResult::Success).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// Of many who ask at once, one is admitted.
pub async fn concurrent_callers_get_one_probe(fixture: &dyn BreakerFixture) {
    let breaker = half_open(fixture, config(fixture)).await;
    let callers = (0..32).map(|_| {
        let breaker = Arc::clone(&breaker);
        async move { matches!(breaker.admit(NAME).await.unwrap(), Admission::Admitted(_)) }
    });
    let admitted = together(callers).await;
    assert_eq!(admitted.iter().filter(|&&admitted| admitted).count(), 1);
}
