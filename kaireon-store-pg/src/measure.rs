//! What a handle tells the recorder of its pool, under OpenTelemetry's names. `docs/metrics.md` lists it all.

use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};

use crate::BACKEND;
use crate::client::Client;

/// How often the pool is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at a pool until it is dropped.
#[derive(Debug)]
pub(crate) struct PoolMeter(AbortHandle);

impl PoolMeter {
    /// Within a runtime.
    pub(crate) fn start(client: &Client) -> Self {
        let client = client.clone();
        let task: JoinHandle<()> = tokio::spawn(async move {
            loop {
                look(&client);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self(task.abort_handle())
    }

    pub(crate) fn close(&self) {
        self.0.abort();
    }
}

impl Drop for PoolMeter {
    fn drop(&mut self) {
        self.close();
    }
}

fn look(client: &Client) {
    let (connections, idle, most) = client.connections();
    // Two readings: what was given back in between is not used.
    let used = connections.saturating_sub(idle);
    for (state, count) in [("used", used), ("idle", idle)] {
        metrics::gauge!(
            "db.client.connection.count",
            "db.system.name" => BACKEND, "db.client.connection.state" => state
        )
        .set(f64::from(count));
    }
    metrics::gauge!("db.client.connection.max", "db.system.name" => BACKEND).set(f64::from(most));
}
