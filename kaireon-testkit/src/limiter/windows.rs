//! In no window of the configured length are more than `limit` calls admitted.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::limiter::RateLimit;

use super::fixture::{LimiterFixture, admitted, ask, check_windows, key, pass};
use crate::world::together;

const WINDOW: Duration = Duration::from_millis(200);

const LIMIT: RateLimit = RateLimit {
    limit: 5,
    window: WINDOW,
};

/// Calls just before and just after where a counter per fixed window would begin again.
pub async fn no_window_holds_more_than_the_limit_across_the_edges_of_fixed_windows(
    fixture: &dyn LimiterFixture,
) {
    let limiter = fixture.open().await;
    let key = key("a", "edges");
    let mut decisions = Vec::new();
    // 180 ms apart, so that wherever the edges lie, two bursts are soon on both sides of one.
    for _ in 0..12 {
        let burst = ask(fixture, &*limiter, (&key, LIMIT), (8, Duration::ZERO)).await;
        decisions.extend(burst.unwrap());
        pass(fixture, Duration::from_millis(180)).await;
    }
    check_windows(&admitted(&decisions), LIMIT);
}

/// A bucket that fills while nobody calls admits a full bucket and, soon after, its refill.
pub async fn no_window_holds_more_than_the_limit_under_a_burst_after_a_pause(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let key = key("a", "burst");
    limiter.acquire(&key, LIMIT).await.unwrap();
    pass(fixture, WINDOW * 3).await;
    let decisions = ask(fixture, &*limiter, (&key, LIMIT), (100, Duration::from_millis(5)))
        .await
        .unwrap();
    let times = admitted(&decisions);
    assert!(times.len() >= 5, "{}", times.len());
    check_windows(&times, LIMIT);
}

/// Calls that crowd into one part of the window, for which an average over it is wrong.
pub async fn no_window_holds_more_than_the_limit_at_an_uneven_pace(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let key = key("a", "uneven");
    let mut decisions = Vec::new();
    for pause in [0, 150, 20, 20, 120, 40, 10, 190, 5, 30, 170, 60, 60, 60, 110, 90] {
        pass(fixture, Duration::from_millis(pause)).await;
        let few = ask(fixture, &*limiter, (&key, LIMIT), (3, Duration::from_millis(1))).await;
        decisions.extend(few.unwrap());
    }
    check_windows(&admitted(&decisions), LIMIT);
}

/// Callers of several handles at once.
pub async fn concurrent_callers_together_keep_to_the_limit(fixture: &dyn LimiterFixture) {
    let handles = [fixture.open().await, fixture.open().await];
    let key = key("a", "concurrent");
    let limit = RateLimit {
        limit: 50,
        window: Duration::from_millis(300),
    };
    let callers = (0..32).map(|caller| {
        let (limiter, key) = (Arc::clone(&handles[caller % 2]), key.clone());
        async move {
            let mut decisions = Vec::new();
            for _ in 0..20 {
                decisions.push(limiter.acquire(&key, limit).await.unwrap());
                tokio::task::yield_now().await;
            }
            decisions
        }
    });
    let decisions: Vec<_> = together(callers).await.into_iter().flatten().collect();
    let times = admitted(&decisions);
    assert!(
        times.len() >= 50,
        "only {} of 640 calls were admitted",
        times.len()
    );
    check_windows(&times, limit);
}

/// Setting the clock back by an hour neither opens the limit anew nor closes it for an hour.
pub async fn a_clock_moved_back_admits_no_more(fixture: &dyn LimiterFixture) {
    let Some(clock) = fixture.clock() else {
        crate::suite::declared_away("limiter", "an injected clock");
        return;
    };
    let limiter = fixture.open().await;
    let key = key("a", "clock");
    let mut decisions = ask(fixture, &*limiter, (&key, LIMIT), (3, Duration::from_millis(1)))
        .await
        .unwrap();
    clock.advance(TimeDelta::hours(-1));
    decisions.extend(
        ask(fixture, &*limiter, (&key, LIMIT), (5, Duration::ZERO))
            .await
            .unwrap(),
    );
    assert_eq!(admitted(&decisions).len(), 5);
    pass(fixture, WINDOW * 2).await;
    let later = ask(fixture, &*limiter, (&key, LIMIT), (5, Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(
        admitted(&later).len(),
        5,
        "the limit must not stay closed until the clock has caught up"
    );
    decisions.extend(later);
    let times: Vec<_> = decisions.iter().map(|decision| decision.at).collect();
    assert!(times.is_sorted(), "the times of a key run backwards");
    check_windows(&admitted(&decisions), LIMIT);
}

/// The smallest limit.
pub async fn a_limit_of_one_admits_one_per_window(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let key = key("a", "one");
    let limit = RateLimit {
        limit: 1,
        window: WINDOW,
    };
    let decisions = ask(fixture, &*limiter, (&key, limit), (60, Duration::from_millis(15)))
        .await
        .unwrap();
    let times = admitted(&decisions);
    assert!(times.len() >= 3, "{}", times.len());
    check_windows(&times, limit);
}
