//! An exporter that goes on.

use std::future::Future;
use std::pin::pin;

use kaireon_core::{ErrorKind, Result};

use super::{Exporter, Failures};

impl Exporter {
    /// Exports until `stop` is ready: makes the first runs that are not ended, and empties the lane every so often.
    /// Errors are told to the log and tried again. The leases are given back at the end.
    ///
    /// # Dropped futures
    /// As for [`export_once`](Self::export_once); the leases expire.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut pause = self.config.min_pause;
        loop {
            let wait = tokio::select! {
                () = &mut stop => break,
                turn = self.once() => match turn {
                    Ok(()) => {
                        pause = self.config.min_pause;
                        self.config.every
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an export failed, will try again");
                        pause = pause.saturating_mul(2).min(self.config.max_pause);
                        pause
                    }
                },
            };
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = self.release().await {
            tracing::debug!(%error, "leases were not released and will expire");
        }
    }

    /// One turn: a failing scan does not hold up the other tenants' lanes.
    async fn once(&self) -> Result<()> {
        let mut failures = Failures::new();
        for tenant in &self.config.tenants {
            match self.scan(tenant).await {
                Ok(_) => {}
                // Another process makes it.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => {
                    failures.insert(tenant.clone(), error);
                }
            }
        }
        failures.extend(self.export_once().await?.failed);
        match failures.into_values().next() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}
