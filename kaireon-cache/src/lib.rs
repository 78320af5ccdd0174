//! Cache, rate limiter and circuit breaker for kaireon.
