//! What is within the limit is admitted, and callers are told the truth about what is left.

use std::time::Duration;

use kaireon_core::ErrorKind;
use kaireon_core::limiter::RateLimit;

use super::fixture::{LimiterFixture, admitted, ask, key, pass};

const LIMIT: RateLimit = RateLimit {
    limit: 4,
    window: Duration::from_millis(500),
};

/// All of it, in every window.
pub async fn the_limit_is_used_in_full(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let key = key("a", "full");
    for window in 0..3 {
        let decisions = ask(fixture, &*limiter, (&key, LIMIT), (6, Duration::ZERO))
            .await
            .unwrap();
        assert_eq!(admitted(&decisions).len(), 4, "in window {window}");
        pass(fixture, LIMIT.window + Duration::from_millis(20)).await;
    }
}

/// However often one is refused, the admitted ones leave the window in their time.
pub async fn a_refused_call_takes_no_place(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let key = key("a", "refused");
    let decisions = ask(fixture, &*limiter, (&key, LIMIT), (4, Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(admitted(&decisions).len(), 4);
    pass(fixture, LIMIT.window / 2).await;
    let refused = ask(fixture, &*limiter, (&key, LIMIT), (10, Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(admitted(&refused).len(), 0);
    pass(fixture, LIMIT.window / 2 + Duration::from_millis(20)).await;
    let decisions = ask(fixture, &*limiter, (&key, LIMIT), (4, Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(admitted(&decisions).len(), 4);
}

/// Waiting as long as one was told is enough, where nobody else calls.
pub async fn a_refused_call_is_admitted_after_the_wait_it_was_told(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let key = key("a", "wait");
    for round in 0..3 {
        // On the machine's clock a slow machine may spread five calls over more than a window.
        let mut refused = None;
        for _ in 0..50 {
            let decisions = ask(fixture, &*limiter, (&key, LIMIT), (5, Duration::from_millis(7)))
                .await
                .unwrap();
            refused = decisions.last().filter(|decision| !decision.admitted).cloned();
            if refused.is_some() {
                break;
            }
        }
        let refused = refused.unwrap();
        assert!(
            refused.retry_after > Duration::ZERO
                && refused.retry_after <= LIMIT.window + Duration::from_millis(1)
        );
        pass(fixture, refused.retry_after).await;
        let next = limiter.acquire(&key, LIMIT).await.unwrap();
        assert!(next.admitted, "in round {round}, after {:?}", refused.retry_after);
        assert_eq!(next.retry_after, Duration::ZERO);
    }
}

/// As many as are left are admitted.
pub async fn remaining_counts_down_to_nothing(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let decisions = ask(
        fixture,
        &*limiter,
        (&key("a", "left"), LIMIT),
        (5, Duration::ZERO),
    )
    .await
    .unwrap();
    let left: Vec<u32> = decisions.iter().map(|decision| decision.remaining).collect();
    assert_eq!(left, [3, 2, 1, 0, 0]);
}

/// Each key is counted by itself.
pub async fn keys_do_not_share_a_limit(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    for name in ["one", "two"] {
        let decisions = ask(fixture, &*limiter, (&key("a", name), LIMIT), (5, Duration::ZERO))
            .await
            .unwrap();
        assert_eq!(admitted(&decisions).len(), 4, "{name}");
    }
}

/// The same name in another tenant is another key.
pub async fn tenants_do_not_share_a_limit(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    for tenant in ["a", "b"] {
        let decisions = ask(
            fixture,
            &*limiter,
            (&key(tenant, "same"), LIMIT),
            (5, Duration::ZERO),
        )
        .await
        .unwrap();
        assert_eq!(admitted(&decisions).len(), 4, "tenant {tenant}");
    }
}

/// Zero calls, and windows under a millisecond.
pub async fn limits_out_of_bounds_are_invalid_input_naming_the_field(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    for (limit, window, field) in [
        (0, Duration::from_secs(1), "limit"),
        (1, Duration::ZERO, "window"),
        (1, Duration::from_micros(999), "window"),
    ] {
        let error = limiter
            .acquire(&key("a", "bounds"), RateLimit { limit, window })
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some(field))
        );
    }
}
