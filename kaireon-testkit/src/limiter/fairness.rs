//! What is within the limit is admitted, and callers are told the truth about what is left.

use std::time::Duration;

use kaireon_core::ErrorKind;
use kaireon_core::limiter::RateLimit;

use super::fixture::{LimiterFixture, admitted, ask, burst, key, pass, within};

const LIMIT: RateLimit = RateLimit {
    limit: 4,
    window: Duration::from_millis(500),
};

/// All of it, in every window.
pub async fn the_limit_is_used_in_full(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    let (key, decisions) = burst(fixture, &*limiter, ("a", "full"), LIMIT, 6).await;
    assert_eq!(admitted(&decisions).len(), 4);
    for window in 0..2 {
        pass(fixture, LIMIT.window + Duration::from_millis(20)).await;
        let decisions = ask(fixture, &*limiter, (&key, LIMIT), (6, Duration::ZERO)).await;
        let decisions = decisions.unwrap();
        let count = admitted(&decisions).len();
        assert!(count >= 4, "{count} in window {window}");
        if within(&decisions, LIMIT.window) {
            assert_eq!(count, 4, "in window {window}");
        }
    }
}

/// However often one is refused, the admitted ones leave the window in their time.
pub async fn a_refused_call_takes_no_place(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    for round in 0..100 {
        let name = format!("refused-{round}");
        let (key, mut decisions) = burst(fixture, &*limiter, ("a", &name), LIMIT, 4).await;
        assert_eq!(admitted(&decisions).len(), 4);
        pass(fixture, LIMIT.window / 2).await;
        let refused = ask(fixture, &*limiter, (&key, LIMIT), (10, Duration::ZERO)).await;
        decisions.extend(refused.unwrap());
        // On the machine's clock it may have taken too long.
        if !within(&decisions, LIMIT.window - Duration::from_millis(1)) {
            continue;
        }
        assert_eq!(admitted(&decisions).len(), 4);
        pass(fixture, LIMIT.window / 2 + Duration::from_millis(20)).await;
        let decisions = ask(fixture, &*limiter, (&key, LIMIT), (4, Duration::ZERO)).await;
        assert_eq!(admitted(&decisions.unwrap()).len(), 4);
        return;
    }
    panic!("the calls were never to be had within a window");
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
    let (_, decisions) = burst(fixture, &*limiter, ("a", "left"), LIMIT, 5).await;
    let left: Vec<u32> = decisions.iter().map(|decision| decision.remaining).collect();
    assert_eq!(left, [3, 2, 1, 0, 0]);
}

/// Each key is counted by itself.
pub async fn keys_do_not_share_a_limit(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    for name in ["one", "two"] {
        let (_, decisions) = burst(fixture, &*limiter, ("a", name), LIMIT, 5).await;
        assert_eq!(admitted(&decisions).len(), 4, "{name}");
    }
}

/// The same name in another tenant is another key.
pub async fn tenants_do_not_share_a_limit(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    for tenant in ["a", "b"] {
        let (_, decisions) = burst(fixture, &*limiter, (tenant, "same"), LIMIT, 5).await;
        assert_eq!(admitted(&decisions).len(), 4, "tenant {tenant}");
    }
}

/// Of one key, every admission counts under every limit, in the order in which they are first named and in the other.
pub async fn limits_of_one_key_count_the_same_admissions(fixture: &dyn LimiterFixture) {
    let limiter = fixture.open().await;
    // Long enough that none of it ends under the case.
    let long = |limit| RateLimit {
        limit,
        window: Duration::from_secs(3_600),
    };
    let (few, many) = (long(3), long(7));
    let hour_and_more = RateLimit {
        limit: 9,
        window: Duration::from_secs(7_200),
    };
    let short = RateLimit {
        limit: 1,
        window: Duration::from_millis(20),
    };
    let most = long(12);
    for order in [[few, many, hour_and_more, most], [most, hour_and_more, many, few]] {
        let key = key("a", &format!("limits-{}", order[0].limit));
        let mut taken = 0;
        for limit in order.into_iter().chain(order) {
            let decisions = ask(fixture, &*limiter, (&key, limit), (2, Duration::ZERO)).await;
            for decision in decisions.unwrap() {
                let room = limit.limit.saturating_sub(taken);
                assert_eq!(decision.admitted, room > 0, "{taken} are taken of {limit:?}");
                assert_eq!(decision.remaining, room.saturating_sub(1), "of {limit:?}");
                taken += u32::from(room > 0);
            }
        }
        // A limit that has room again remembers for those that have not.
        pass(fixture, short.window + Duration::from_millis(10)).await;
        assert!(limiter.acquire(&key, short).await.unwrap().admitted);
        let decisions = ask(fixture, &*limiter, (&key, most), (4, Duration::ZERO)).await;
        let left = usize::try_from(most.limit - taken - 1).unwrap();
        assert_eq!(admitted(&decisions.unwrap()).len(), left);
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
