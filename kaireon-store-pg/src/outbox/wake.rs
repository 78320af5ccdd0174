//! Waking relays when something was written.
//!
//! Within a process a count per lane wakes them at once. Between processes NOTIFY does, sent by a statement of its own
//! after the commit: within the writer's transaction it would take a lock that all notifying transactions of the whole
//! database share, and hold it over the flush of the log. Where LISTEN does not pass, behind a transaction pooler,
//! relays look again, often while something comes and less often while nothing does.
//!
//! What a host commits in a transaction of its own is told by the host, after its commit, and is looked for by this
//! handle's relays from the moment it is recorded; relays of others find it at their next look.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::{InteractionId, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::pace::Pace;
use crate::error::of_sql;
use crate::shared::{Shared, lane_number};

/// The least time between two notifications of one process.
const RING_PAUSE: Duration = Duration::from_millis(2);

/// The pause before a lost connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// What is heard from other processes.
#[derive(Debug)]
struct Ear {
    /// Per lane: grows with each notification, and whenever one may have been missed.
    heard: [watch::Sender<u64>; 3],
    listening: AtomicBool,
    /// Leads the notifications of this handle, which need no hearing.
    name: String,
}

impl Ear {
    fn hear(&self, lanes: LaneSet) {
        for lane in lanes.iter() {
            self.heard[index(lane)].send_modify(|count| *count += 1);
        }
    }
}

/// The waking of one handle.
pub(super) struct Wake {
    shared: Arc<Shared>,
    ear: Arc<Ear>,
    bell: JoinHandle<()>,
    listener: OnceLock<JoinHandle<()>>,
    /// Per lane: how long the next look waits, where nothing wakes.
    looks: [Pace; 3],
    /// Per lane: how long it waits for what hosts have recorded and may commit untold.
    hosts: [Pace; 3],
    /// Grows with each such record.
    recorded: watch::Sender<u64>,
}

impl Wake {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let ear = Arc::new(Ear {
            heard: std::array::from_fn(|_| watch::Sender::new(0)),
            listening: AtomicBool::new(false),
            name: InteractionId::fresh().to_string(),
        });
        Self {
            bell: tokio::spawn(ring(Arc::clone(shared), Arc::clone(&ear))),
            shared: Arc::clone(shared),
            ear,
            listener: OnceLock::new(),
            looks: std::array::from_fn(|_| Pace::quick()),
            hosts: std::array::from_fn(|_| Pace::slow()),
            recorded: watch::Sender::new(0),
        }
    }

    /// Something was found in a lane: more may come soon.
    pub(super) fn busy(&self, lane: Lane) {
        self.looks[index(lane)].quicken();
    }

    /// A host has recorded in a transaction of its own, which may be committed soon.
    pub(super) fn expect_host(&self) {
        self.hosts.iter().for_each(Pace::quicken);
        self.recorded.send_modify(|count| *count += 1);
    }

    /// Waits until the count is not `seen`, or it is time to look.
    pub(super) async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> u64 {
        self.listener
            .get_or_init(|| tokio::spawn(listen(Arc::clone(&self.shared), Arc::clone(&self.ear))));
        let mut written = self.shared.written[index(lane)].subscribe();
        let mut heard = self.ear.heard[index(lane)].subscribe();
        let mut recorded = self.recorded.subscribe();
        let (looks, hosts) = (&self.looks[index(lane)], &self.hosts[index(lane)]);
        let begun = Instant::now();
        let end = begun + at_most;
        loop {
            let listens = self.ear.listening.load(Ordering::Relaxed);
            let until = match listens {
                true if hosts.is_slow() => end,
                true => end.min(begun + hosts.wait()),
                false => end.min(begun + looks.wait().min(hosts.wait())),
            };
            // From one on: whoever asks with 0 has seen nothing yet.
            let count = 1 + *written.borrow_and_update() + *heard.borrow_and_update();
            if count != seen || Instant::now() >= until {
                if count == seen {
                    looks.slacken();
                    hosts.slacken();
                }
                return count;
            }
            tokio::select! {
                _ = written.changed() => {}
                _ = heard.changed() => {}
                _ = recorded.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }
}

impl Wake {
    /// Ends the tasks, and wakes whoever waits.
    pub(super) fn close(&self) {
        self.bell.abort();
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
        self.ear.hear(LaneSet::of(&Lane::ALL));
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake")
            .field("ear", &self.ear)
            .finish_non_exhaustive()
    }
}

/// Tells other processes of what this one wrote.
async fn ring(shared: Arc<Shared>, ear: Arc<Ear>) {
    let channel = channel(&shared);
    let mut written = shared.written.each_ref().map(watch::Sender::subscribe);
    loop {
        let [publish, replicate, archive] = &mut written;
        tokio::select! {
            changed = publish.changed() => if changed.is_err() { return },
            changed = replicate.changed() => if changed.is_err() { return },
            changed = archive.changed() => if changed.is_err() { return },
        }
        // The one that woke it was marked as seen, so all are told: a look for nothing costs less than a missed one.
        for lane in &mut written {
            lane.mark_unchanged();
        }
        let text = format!("{}:{}", ear.name, LaneSet::of(&Lane::ALL).bits());
        let query = shared.sql.outbox_ring.query().bind(channel.clone()).bind(text);
        // Not as a read: behind a pooler that is a transaction which is rolled back, and with it the notification.
        if let Err(error) = shared.client.effect(query).await {
            tracing::debug!(%error, "relays of other processes were not woken and will look by themselves");
        }
        tokio::time::sleep(RING_PAUSE).await;
    }
}

/// Hears what other processes tell, on a connection of its own.
async fn listen(shared: Arc<Shared>, ear: Arc<Ear>) {
    if !shared.client.pg().session().can_listen() {
        return;
    }
    loop {
        if let Err(error) = hear(&shared, &ear).await {
            tracing::debug!(%error, "notifications are not heard, relays look by themselves meanwhile");
        }
        ear.listening.store(false, Ordering::Relaxed);
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn hear(shared: &Shared, ear: &Ear) -> Result<()> {
    let client = shared.client.pg();
    let Some(mut told) = client.listen(&channel(shared)).await? else {
        return Ok(());
    };
    ear.listening.store(true, Ordering::Relaxed);
    // What was told before the connection stood, or while it was broken, was missed.
    ear.hear(LaneSet::of(&Lane::ALL));
    loop {
        let text = told.hear().await.map_err(of_sql)?;
        let Some((name, lanes)) = text.split_once(':') else {
            continue;
        };
        if name != ear.name {
            ear.hear(LaneSet::from_bits(lanes.parse().unwrap_or_default()));
        }
    }
}

/// The channel of one store: two in one database do not wake each other.
fn channel(shared: &Shared) -> String {
    format!("kaireon_outbox_{:016x}", shared.incarnation)
}

fn index(lane: Lane) -> usize {
    usize::from(lane_number(lane).unsigned_abs())
}
