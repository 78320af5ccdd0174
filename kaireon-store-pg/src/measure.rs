//! What a handle tells the recorder of its pool, under OpenTelemetry's names. `docs/metrics.md` lists it all.

use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};

use crate::BACKEND;
use crate::shared::Shared;

/// How often the pool is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at a pool until it is dropped.
#[derive(Debug)]
pub(crate) struct PoolMeter(AbortHandle);

impl PoolMeter {
    /// Within a runtime.
    pub(crate) fn start(shared: &Shared) -> Self {
        let (client, schema) = (shared.client.clone(), shared.options.schema.clone());
        let task: JoinHandle<()> = tokio::spawn(async move {
            let _gauges = Gauges(schema.clone());
            loop {
                let (connections, idle, most) = client.connections();
                // Two readings: what was given back in between is not used.
                show(&schema, connections.saturating_sub(idle), idle, most);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self(task.abort_handle())
    }

    pub(crate) fn close(&self) {
        self.0.abort();
    }
}

/// The gauges of a pool, which show nothing once it is no longer looked at.
struct Gauges(String);

impl Drop for Gauges {
    fn drop(&mut self) {
        show(&self.0, 0, 0, 0);
    }
}

impl Drop for PoolMeter {
    fn drop(&mut self) {
        self.close();
    }
}

fn show(schema: &str, used: u32, idle: u32, most: u32) {
    for (state, count) in [("used", used), ("idle", idle)] {
        metrics::gauge!(
            "db.client.connection.count",
            "db.system.name" => BACKEND,
            "db.client.connection.pool.name" => schema.to_owned(),
            "db.client.connection.state" => state
        )
        .set(f64::from(count));
    }
    metrics::gauge!(
        "db.client.connection.max",
        "db.system.name" => BACKEND, "db.client.connection.pool.name" => schema.to_owned()
    )
    .set(f64::from(most));
}
