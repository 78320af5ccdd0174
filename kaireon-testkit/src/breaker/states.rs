//! Closed, open, and what moves a breaker from one to the other.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::ErrorKind;
use kaireon_core::breaker::{Admission, BreakerState, CallResult};

use super::fixture::{
    BreakerFixture, NAME, admitted, call, config, half_open, open_for, opened, pass, refused,
};
use crate::world::together;

/// Nothing was reported yet.
pub async fn a_new_breaker_is_closed_and_admits(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
    for _ in 0..20 {
        call(&*breaker, CallResult::Success).await;
    }
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// At the configured number, and not before.
pub async fn failures_in_a_row_open_it(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    for _ in 0..2 {
        call(&*breaker, CallResult::Failure).await;
        assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
    }
    call(&*breaker, CallResult::Failure).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
    assert!(refused(&*breaker).await);
}

/// In a row: a success between them begins the count again.
pub async fn a_success_ends_the_row_of_failures(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    for result in [CallResult::Failure, CallResult::Failure, CallResult::Success].repeat(4) {
        call(&*breaker, result).await;
    }
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// And says for how long.
pub async fn an_open_breaker_refuses_until_its_time_is_over(fixture: &dyn BreakerFixture) {
    let breaker = opened(fixture, config(fixture)).await;
    let Admission::Refused(wait) = breaker.admit(NAME).await.unwrap() else {
        panic!("an open breaker admitted a call");
    };
    assert!(
        wait <= open_for(fixture) + Duration::from_millis(1) && wait > Duration::ZERO,
        "{wait:?}"
    );
    pass(fixture, wait + Duration::from_millis(5)).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
    admitted(&*breaker).await;
}

/// A call that began while it was closed says nothing of the callee as it is now.
pub async fn reports_of_calls_admitted_before_it_opened_are_ignored(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    let early = [admitted(&*breaker).await, admitted(&*breaker).await];
    for _ in 0..3 {
        call(&*breaker, CallResult::Failure).await;
    }
    breaker.report(NAME, early[0], CallResult::Success).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
    pass(fixture, open_for(fixture) + Duration::from_millis(10)).await;
    breaker.report(NAME, early[1], CallResult::Success).await.unwrap();
    assert_eq!(
        breaker.state(NAME).await.unwrap(),
        BreakerState::HalfOpen,
        "an early call closed it"
    );
}

/// Failures of calls from before the last opening do not open it again.
pub async fn reports_of_calls_admitted_before_it_closed_are_ignored(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    let mut early = Vec::new();
    for _ in 0..6 {
        early.push(admitted(&*breaker).await);
    }
    for _ in 0..3 {
        call(&*breaker, CallResult::Failure).await;
    }
    pass(fixture, open_for(fixture) + Duration::from_millis(10)).await;
    call(&*breaker, CallResult::Success).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
    for admission in early {
        breaker
            .report(NAME, admission, CallResult::Failure)
            .await
            .unwrap();
    }
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
}

/// Each name is a breaker of its own.
pub async fn breakers_of_other_names_are_not_moved(fixture: &dyn BreakerFixture) {
    let breaker = opened(fixture, config(fixture)).await;
    assert_eq!(breaker.state("other").await.unwrap(), BreakerState::Closed);
    assert!(matches!(
        breaker.admit("other").await.unwrap(),
        Admission::Admitted(_)
    ));
    assert!(refused(&*breaker).await);
}

/// Reports from many tasks.
pub async fn concurrent_failures_open_it_once(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    let callers = (0..16).map(|_| {
        let breaker = Arc::clone(&breaker);
        async move {
            if let Admission::Admitted(admission) = breaker.admit(NAME).await.unwrap() {
                breaker
                    .report(NAME, admission, CallResult::Failure)
                    .await
                    .unwrap();
            }
        }
    });
    together(callers).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
    pass(fixture, open_for(fixture) + Duration::from_millis(10)).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
}

/// 1 to 256 bytes without control characters.
pub async fn names_out_of_bounds_are_invalid_input(fixture: &dyn BreakerFixture) {
    let breaker = fixture.open(config(fixture)).await;
    let long = "a".repeat(257);
    for name in ["", "a\0b", long.as_str()] {
        let errors = [
            breaker.admit(name).await.unwrap_err(),
            breaker.report(name, 0, CallResult::Success).await.unwrap_err(),
            breaker.state(name).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(
                (error.kind(), error.field()),
                (ErrorKind::InvalidInput, Some("breaker"))
            );
        }
    }
}

/// It opens again as long after as it was set to, by a clock that was moved back an hour.
pub async fn a_clock_moved_back_does_not_prolong_the_opening(fixture: &dyn BreakerFixture) {
    let Some(clock) = fixture.clock() else {
        crate::suite::declared_away("breaker", "an injected clock");
        return;
    };
    let breaker = half_open(fixture, config(fixture)).await;
    call(&*breaker, CallResult::Failure).await;
    clock.advance(TimeDelta::hours(-1));
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
    pass(fixture, open_for(fixture) + Duration::from_millis(10)).await;
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
}
