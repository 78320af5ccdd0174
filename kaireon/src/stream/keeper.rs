//! Looking after the lane: it stays on while somebody is there for it, whatever a host that sets all lanes at once or
//! another process that was stopped half-way does to it, and goes off when there is nobody left to read it.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Destination, Lane};
use kaireon_core::relay::{PublishSink, Relay, RelayConfig};
use kaireon_core::{Outbox, Result};
use tokio::time::Instant;

use super::readers::{self, Deserted, Unread};
use super::{Core, LAST_MOMENT, LanePolicy, LaneWriters, Reach, Wanted};

/// The pause before a lane that could not be turned off is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How often a lane that others may read is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The least time between two turns in which what nobody is there for expires.
const EXPIRE_PAUSE: Duration = Duration::from_millis(50);

/// The most that a relay takes to end, or to empty a lane for nobody; subscribers wait meanwhile.
const RELAY_END: Duration = Duration::from_secs(10);

impl Core {
    /// Turns the lane off, unless others read it; under the lock, while no relay runs.
    pub(super) async fn turn_off(&self) -> Result<()> {
        let Some(outbox) = self
            .outbox
            .as_ref()
            .filter(|_| self.use_of.reach == Reach::Shared)
        else {
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
        match self.use_of.policy {
            LanePolicy::Never => readers::is_read(outbox).await,
            _ => readers::is_read_by_others(outbox, &self.relays).await,
        }
    }

    /// Ends the relay when the last subscriber of this process has left, so that others get its share, and turns
    /// off a lane that nobody at all has read for a while.
    pub(super) async fn keep_shared(self: Arc<Self>) {
        let (mut unread, mut deserted) = (Unread::default(), Deserted::default());
        let mut seen = 0;
        let pause = self.look_pause();
        let mut listeners = self.listeners.watch();
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                _ = listeners.changed() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.written(&mut seen, pause), if deserted.is_so() => {}
            }
            if let Err(error) = self.look_after(&mut unread, &mut deserted).await {
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

    async fn look_after(&self, unread: &mut Unread, deserted: &mut Deserted) -> Result<()> {
        let Some(outbox) = &self.outbox else {
            return Ok(());
        };
        let mut relay = self.relay.lock().await;
        // Counted under the lock: who comes later waits for it and turns the lane on again.
        if self.listeners.any() {
            (*unread, *deserted) = (Unread::default(), Deserted::default());
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
        let expires = self.use_of.policy == LanePolicy::WhileSubscribed;
        if expires && self.use_of.writers == LaneWriters::FencedToo {
            return self.expire(&**outbox, deserted).await;
        }
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

    /// Turns a lane off that nobody has read for a while, and lets what is written into it all the same expire from then on,
    /// until somebody is seen to read it.
    async fn expire(&self, outbox: &dyn Outbox, deserted: &mut Deserted) -> Result<()> {
        let status = outbox.status(Lane::Publish).await?;
        let is_read = readers::leads_to_somebody(&status);
        if !deserted.note(is_read, Instant::now(), self.leftovers_wait) {
            return Ok(());
        }
        if outbox.lanes().await?.contains(Lane::Publish) {
            self.turn_off().await?;
            tracing::info!("nobody read the publish lane, it was turned off");
        }
        if status.backlog == 0 {
            return Ok(());
        }
        let Some(outbox) = &self.outbox else {
            return Ok(());
        };
        let relays = RelayConfig {
            destination: Destination::process(readers::NOBODY),
            ..self.relays.clone()
        };
        let sink = PublishSink::new(Arc::clone(&self.publisher));
        Relay::spawn(Arc::clone(outbox), sink, relays)
            .drain(RELAY_END)
            .await
    }

    /// Returns when something may have been written into the lane.
    async fn written(&self, seen: &mut u64, at_most: Duration) {
        let Some(outbox) = &self.outbox else {
            return std::future::pending().await;
        };
        match outbox.wait(Lane::Publish, *seen, at_most).await {
            Ok(count) => *seen = count,
            Err(_) => tokio::time::sleep(at_most).await,
        }
        // What comes in the meantime expires together.
        tokio::time::sleep(EXPIRE_PAUSE).await;
    }

    /// Makes the stream count as one that reads; returns where the lane leads, if it is elsewhere. While what nobody is there for
    /// expires in another process, it waits.
    pub(super) async fn announce(&self, outbox: &dyn Outbox) -> Result<Option<String>> {
        let end = Instant::now() + RELAY_END;
        loop {
            let elsewhere = readers::announce(outbox, &self.relays).await?;
            let expires = elsewhere.as_deref() == Some(readers::NOBODY);
            if !expires || Instant::now() >= end {
                return Ok(elsewhere);
            }
            tokio::time::sleep(LAST_MOMENT).await;
        }
    }

    /// How long what an earlier run has left waits for a subscriber: no time where it has left nothing, so that the records
    /// of tenants whose fence keeps the lane on do not wait either.
    pub(super) async fn leftovers_wait(&self) -> Result<Duration> {
        if let (LaneWriters::FencedToo, Some(outbox)) = (self.use_of.writers, &self.outbox)
            && outbox.status(Lane::Publish).await?.backlog == 0
        {
            return Ok(Duration::ZERO);
        }
        Ok(self.leftovers_wait)
    }

    /// Turns the lane off whenever the last subscriber has left, and lets leftovers of an earlier run expire when
    /// nobody has come for them.
    pub(super) async fn keep(self: Arc<Self>, leftovers_wait: Duration) {
        let mut leftovers = std::pin::pin!(tokio::time::sleep(leftovers_wait));
        let mut expired = false;
        let mut listeners = self.listeners.watch();
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                _ = listeners.changed() => {}
                () = tokio::time::sleep(self.look_pause()) => {}
                () = &mut leftovers, if !expired => {
                    expired = true;
                    self.run_relay(&mut *self.relay.lock().await);
                }
            }
            let changing = self.relay.lock().await;
            // Counted under the lock: who comes later waits for it and turns the lane on again.
            let wanted = match self.listeners.any() {
                false => Wanted::Off,
                true => Wanted::On,
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
