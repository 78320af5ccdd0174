//! Deletes, behind the callers' backs, what erasures and higher generations took away and nobody has deleted yet.
//!
//! What is taken away is out of sight from its commit on, so nobody waits for this, and no call fails for it. Lines are
//! left where a replicated record raised a generation, in a batch or in a host's transaction, and where a process died
//! between the commit and the deletion, which may have been another one: so it looks now and then as well.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::Result;
use tokio::task::{AbortHandle, JoinHandle};

use crate::erase::{Whose, sweep};
use crate::shared::Shared;

/// How often it looks without being told.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The first pause after a failure; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Deletes until it is dropped. What it is then at is rolled back and left to the next one.
#[derive(Debug)]
pub(crate) struct Sweeper(AbortHandle);

impl Sweeper {
    /// Within a runtime.
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let task: JoinHandle<()> = tokio::spawn(run(Arc::clone(shared)));
        Self(task.abort_handle())
    }

    pub(crate) fn close(&self) {
        self.0.abort();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.close();
    }
}

async fn run(shared: Arc<Shared>) {
    let mut pause = PAUSE;
    loop {
        // Told, or not in time: either way it looks.
        let _ = tokio::time::timeout(LOOK_EVERY, shared.sweep_wanted()).await;
        while let Err(error) = look(&shared).await {
            tracing::debug!(%error, "what was erased is out of sight and not deleted yet: tried again");
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        pause = PAUSE;
    }
}

/// A mere read where there is nothing to do, so that it suits a replica.
async fn look(shared: &Shared) -> Result<()> {
    let left = shared.client.fetch_optional(shared.sql.left.query()).await?;
    match left {
        Some(_) => sweep(shared, Whose::Everybody).await,
        None => Ok(()),
    }
}
