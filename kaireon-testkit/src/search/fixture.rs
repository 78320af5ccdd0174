//! How the suite gets at a search index.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::SearchIndex;

use crate::Wrapped;

/// Opens an index for the cases of the suite.
///
/// A value of this type stands for one empty place that no other value shares: a directory, a schema, a prefix of
/// index names. Each case gets a value of its own, because a rebuild concerns a whole index.
#[async_trait]
pub trait SearchFixture: Send + Sync {
    /// A live handle on the place.
    ///
    /// May be called again while another handle is live: then it gives a second handle (or the same one where
    /// a place has one opener). After the live handles were disconnected it opens the place anew: a restart.
    async fn open(&self) -> Arc<dyn SearchIndex>;

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}
}

#[async_trait]
impl<F, W> SearchFixture for Wrapped<F, W>
where
    F: SearchFixture,
    W: Fn(Arc<dyn SearchIndex>) -> Arc<dyn SearchIndex> + Send + Sync,
{
    async fn open(&self) -> Arc<dyn SearchIndex> {
        (self.1)(self.0.open().await)
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
