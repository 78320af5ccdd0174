//! Looking after the lane: it stays on while somebody is there for it, whatever a host that sets all lanes at once or
//! another process that was stopped half-way does to it, and goes off when there is nobody left to read it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::{Outbox, Result};
use tokio::time::Instant;

use super::readers::{self, Unread};
use super::{Core, LAST_MOMENT, LanePolicy, Reach, Wanted};

/// The pause before a lane that could not be turned off is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How often a lane that others may read is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The most that a relay takes to end, or to empty a lane for nobody; subscribers wait meanwhile.
const RELAY_END: Duration = Duration::from_secs(10);

impl Core {
    /// Turns the lane off, unless others read it; under the lock, while no relay runs.
    pub(super) async fn turn_off(&self) -> Result<()> {
        let Some(outbox) = self.outbox.as_ref().filter(|_| self.reach == Reach::Shared) else {
            return self.set_lane(Wanted::Off).await;
        };
        if self.is_read_by_others(&**outbox).await? {
            return Ok(());
        }
        self.set_lane(Wanted::Off).await?;
        // Who came in between may have turned it on before it was turned off.
        if self.is_read_by_others(&**outbox).await? {
            self.set_lane(Wanted::On).await?;
        }
        Ok(())
    }

    async fn is_read_by_others(&self, outbox: &dyn Outbox) -> Result<bool> {
        match self.policy {
            LanePolicy::Never => readers::is_read(outbox).await,
            _ => readers::is_read_by_others(outbox, &self.relays).await,
        }
    }

    /// Ends the relay when the last subscriber of this process has left, so that others get its share, and turns
    /// off a lane that nobody at all has read for a while.
    pub(super) async fn keep_shared(self: Arc<Self>) {
        let mut unread = Unread::default();
        let pause = self.look_pause();
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = self.look_after(&mut unread).await {
                tracing::warn!(%error, "the publish lane could not be looked after, will try again");
                tokio::time::sleep(RETRY_PAUSE).await;
                self.changed.notify_one();
            }
        }
    }

    /// Turns a lane that is always to be on, on again, where somebody has turned it off.
    pub(super) async fn keep_on(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(self.look_pause()) => {}
            }
            let _changing = self.relay.lock().await;
            if let Err(error) = self.set_lane(Wanted::On).await {
                tracing::warn!(%error, "the publish lane could not be looked after, will try again");
            }
        }
    }

    fn look_pause(&self) -> Duration {
        self.leftovers_wait.clamp(LAST_MOMENT, LOOK_EVERY)
    }

    async fn look_after(&self, unread: &mut Unread) -> Result<()> {
        let Some(outbox) = &self.outbox else {
            return Ok(());
        };
        let mut relay = self.relay.lock().await;
        // Counted under the lock: who comes later waits for it and turns the lane on again.
        if self.listeners.load(Ordering::Acquire) > 0 {
            *unread = Unread::default();
            // Only where a relay runs: the lane may lead elsewhere, and is not this stream's then.
            return match relay.is_some() {
                true => self.set_lane(Wanted::On).await,
                false => Ok(()),
            };
        }
        if let Some(former) = relay.take() {
            former.stop(RELAY_END).await?;
        }
        // What a disabled stream finds stays for the next one that is not.
        let expires = self.policy == LanePolicy::WhileSubscribed;
        let grows = outbox.lanes().await?.contains(Lane::Publish)
            || (expires && outbox.status(Lane::Publish).await?.backlog > 0);
        let is_read = !grows || self.is_read_by_others(&**outbox).await?;
        if !unread.note(is_read, Instant::now(), self.leftovers_wait) {
            return Ok(());
        }
        self.turn_off().await?;
        tracing::info!("nobody read the publish lane, it was turned off");
        if expires && !outbox.lanes().await?.contains(Lane::Publish) {
            self.run_relay(&mut relay);
            if let Some(leftovers) = relay.take() {
                leftovers.drain(RELAY_END).await?;
            }
        }
        Ok(())
    }

    /// Turns the lane off whenever the last subscriber has left, and lets leftovers of an earlier run expire when
    /// nobody has come for them.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut leftovers = std::pin::pin!(tokio::time::sleep(self.leftovers_wait));
        let mut expired = false;
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(self.look_pause()) => {}
                () = &mut leftovers, if !expired => {
                    expired = true;
                    self.run_relay(&mut *self.relay.lock().await);
                }
            }
            let changing = self.relay.lock().await;
            // Counted under the lock: who comes later waits for it and turns the lane on again.
            let wanted = match self.listeners.load(Ordering::Acquire) {
                0 => Wanted::Off,
                _ => Wanted::On,
            };
            if let Err(error) = self.set_lane(wanted).await {
                tracing::warn!(%error, "the publish lane could not be looked after, will try again");
                drop(changing);
                tokio::time::sleep(RETRY_PAUSE).await;
                self.changed.notify_one();
            }
        }
    }
}
