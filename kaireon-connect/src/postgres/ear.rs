//! Hearing notifications, on a connection that is known to live.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Error, Executor};

use super::answer::{Waits, silence, within};

/// A connection of its own, not one of the pool's, that hears what is notified on one channel:
/// [`PgClient::listen`](super::PgClient::listen).
///
/// A connection that only hears never learns that its other side has gone without a word, so it is asked for a sign of
/// life whenever nothing came for `acquire_timeout`.
pub struct PgEar {
    listener: PgListener,
    waits: Waits,
}

impl PgEar {
    pub(super) async fn open(options: &PgConnectOptions, channel: &str, waits: Waits) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(waits.way)
            .connect_lazy_with(options.clone());
        let listener = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // Its caller opens another, and knows then that something may have been missed.
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok(listener)
        };
        let listener = within(Some(waits.way), listener).await?;
        Ok(Self { listener, waits })
    }

    /// Waits for the next notification, and returns what it says.
    ///
    /// # Errors
    /// The connection broke or is silent. What is notified until another stands is missed.
    ///
    /// # Dropped futures
    /// Nothing is lost; it can be called again.
    pub async fn hear(&mut self) -> Result<String, Error> {
        loop {
            match tokio::time::timeout(self.waits.way, self.listener.try_recv()).await {
                Ok(Ok(Some(told))) => return Ok(told.payload().to_owned()),
                Ok(Ok(None)) => return Err(silence()),
                Ok(Err(error)) => return Err(error),
                // What comes while it is asked is kept for the next look.
                Err(_) => {
                    let sign = self.listener.execute(sqlx::raw_sql("SELECT 1"));
                    within(Some(self.waits.way), sign).await?;
                }
            }
        }
    }
}

impl fmt::Debug for PgEar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgEar").finish_non_exhaustive()
    }
}
