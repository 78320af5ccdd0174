//! The publisher's suite on the in-process publisher, and what only that one promises.
#![cfg(feature = "in-process")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod suite {
    mod own;

    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use kaireon_core::EventPublisher;
    use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
    use kaireon_events::{InProcessPublisher, InProcessPublisherConfig};
    use kaireon_testkit::publisher::PublisherFixture;

    struct InProcess;

    #[async_trait]
    impl PublisherFixture for InProcess {
        async fn open(&self) -> Arc<dyn EventPublisher> {
            Arc::new(InProcessPublisher::new(InProcessPublisherConfig::default()).unwrap())
        }
    }

    fn wrapped(publisher: Arc<dyn EventPublisher>) -> Arc<dyn EventPublisher> {
        let limited = Timeout::new(ConcurrencyLimit::new(publisher, 64), Duration::from_secs(120));
        Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
    }

    mod in_process {
        kaireon_testkit::publisher_suite!(super::InProcess);
    }

    mod through_wrappers {
        kaireon_testkit::publisher_suite!(kaireon_testkit::Wrapped(super::InProcess, super::wrapped));
    }
}
