//! The publisher's suite on the in-process publisher, and what only that one promises.
#![cfg(feature = "in-process")]

mod suite {
    mod own;

    use std::sync::Arc;

    use async_trait::async_trait;
    use kaireon_core::EventPublisher;
    use kaireon_events::{InProcessConfig, InProcessPublisher};
    use kaireon_testkit::publisher::PublisherFixture;

    struct InProcess;

    #[async_trait]
    impl PublisherFixture for InProcess {
        async fn open(&self) -> Arc<dyn EventPublisher> {
            Arc::new(InProcessPublisher::new(InProcessConfig::default()).unwrap())
        }
    }

    mod in_process {
        kaireon_testkit::publisher_suite!(super::InProcess);
    }
}
