//! Channels that are listened to, on a connection of their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use kaireon_core::Effect;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{Msg, RedisConnectionInfo};
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};

use super::client::{Reach, RedisClient};
use super::cluster::Cluster;
use super::dial::Dial;
use super::fault::RedisFault;
use super::slots::slot_of;
use super::url::Address;

/// How long is waited behind a failed attempt to listen again, at first and at most.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// After how many times the bound on a call without a message a listener asks whether the server is still there.
const IDLE: u32 = 4;

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisHeard {
    /// A message.
    Message {
        /// Where it was published.
        channel: String,
        /// What was published.
        payload: Bytes,
    },
    /// The connection broke, and another one listens now. What was published in between is lost; nobody knows how much.
    Gap,
}

/// Channels that are listened to, on a connection of their own, which is opened anew when it breaks.
///
/// Messages are taken from the server as they come and wait here without a bound: whoever has a listener calls
/// [`next`](Self::next) without waiting for anything else.
pub struct RedisListener {
    client: RedisClient,
    channels: Vec<String>,
    slot: u16,
    ear: Option<Ear>,
}

/// One connection that listens.
struct Ear {
    sink: PubSubSink,
    messages: PubSubStream,
}

impl Ear {
    /// A message that is here already, whatever the task's budget says.
    fn waiting(&mut self) -> Option<Msg> {
        unconstrained(self.messages.next()).now_or_never().flatten()
    }
}

impl RedisClient {
    /// Listens to channels, at least one. What is published after it has returned is heard. In a cluster it listens at
    /// the node that has `beside`'s slot as long as that can be reached, otherwise at any: what is published beside the
    /// same key is heard there without a way through other nodes.
    ///
    /// # Errors
    /// As for [`call`](Self::call), with nothing applied.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn listen(&self, channels: Vec<String>, beside: &[u8]) -> Result<RedisListener, RedisFault> {
        let mut listener = RedisListener {
            client: self.clone(),
            channels,
            slot: slot_of(beside),
            ear: None,
        };
        listener.ear = Some(listener.open().await?);
        Ok(listener)
    }
}

impl RedisListener {
    /// The next message or gap; `None` once the client is closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<RedisHeard> {
        let patience = self.client.command_timeout();
        loop {
            let Some(ear) = &mut self.ear else {
                self.again().await?;
                return Some(RedisHeard::Gap);
            };
            match timeout(patience.saturating_mul(IDLE), ear.messages.next()).await {
                Ok(Some(message)) => return Some(heard(&message)),
                Ok(None) => self.ear = None,
                Err(_) => {
                    let answered = timeout(patience, ear.sink.ping::<redis::Value>()).await;
                    // A connection that failed tells so behind what it has brought.
                    if answered.is_err() {
                        match ear.waiting() {
                            Some(message) => return Some(heard(&message)),
                            _ => self.ear = None,
                        }
                    }
                }
            }
        }
    }

    /// What was published, by whoever has an answer, before this was called, and a gap where some of it may be missing;
    /// then it listens no more. In a cluster that holds of what was published at the node that is listened to.
    pub async fn rest(mut self) -> Vec<RedisHeard> {
        let mut rest = Vec::new();
        let heard_all = match &mut self.ear {
            None => false,
            Some(ear) => {
                // What a server has for a connection it sends in its order.
                let answered = timeout(self.client.command_timeout(), ear.sink.ping::<redis::Value>()).await;
                while let Some(message) = ear.waiting() {
                    rest.push(heard(&message));
                }
                matches!(answered, Ok(Ok(_)))
            }
        };
        if !heard_all {
            rest.push(RedisHeard::Gap);
        }
        rest
    }

    async fn again(&mut self) -> Option<()> {
        tracing::warn!("the connection of a redis subscription broke; it is opened anew");
        let mut pause = PAUSE;
        while !self.client.is_closed() {
            match self.open().await {
                Ok(ear) => {
                    self.ear = Some(ear);
                    return Some(());
                }
                Err(fault) => tracing::debug!(%fault, "a redis subscription is not there yet"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        None
    }

    async fn open(&self) -> Result<Ear, RedisFault> {
        if self.client.is_closed() {
            return Err(RedisFault::closed());
        }
        match self.client.reach() {
            Reach::Standalone(dial, address) => self.at(dial, address).await,
            Reach::Sentinel(sentinels) => {
                let found = timeout(self.client.connect_timeout(), sentinels.find()).await;
                let late = |_| RedisFault::late(Effect::NotApplied);
                let (address, _) = found.map_err(late)??;
                self.at(&sentinels.servers, &address).await
            }
            Reach::Cluster(cluster) => self.anywhere(cluster).await,
        }
    }

    /// At the node that has the slot, otherwise at any: each hears what is published at any of them.
    async fn anywhere(&self, cluster: &Arc<Cluster>) -> Result<Ear, RedisFault> {
        let owner = cluster.known(Some(self.slot)).map(|node| node.address);
        let others = cluster.addresses().into_iter();
        let others = others.filter(|address| owner.as_ref() != Some(address));
        let mut why = None;
        for address in owner.clone().into_iter().chain(others.collect::<Vec<_>>()) {
            match self.at(cluster.dial(), &address).await {
                Ok(ear) => return Ok(ear),
                Err(fault) => _ = why.get_or_insert(fault),
            }
        }
        cluster.look().await;
        Err(why.unwrap_or_else(|| RedisFault::unavailable("no node of the cluster is known")))
    }

    async fn at(&self, dial: &Dial, address: &Address) -> Result<Ear, RedisFault> {
        let late = |_| RedisFault::late(Effect::NotApplied);
        let wire = timeout(dial.connect_timeout, dial.reach(address)).await;
        let wire = wire.map_err(late)??;
        let listening = async {
            let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
            if !dial.login.user.is_empty() {
                login = login.set_username(&dial.login.user);
            }
            if dial.login.is_needed() {
                login = login.set_password(&dial.login.password);
            }
            let login = login.set_db(dial.database.into());
            let opened = PubSub::new(&login, wire).await;
            let (mut sink, messages) = opened.map_err(|error| RedisFault::not_listening(&error))?.split();
            let subscribed = sink.subscribe(&self.channels).await;
            subscribed.map_err(|error| RedisFault::not_listening(&error))?;
            Ok(Ear { sink, messages })
        };
        let listening = timeout(self.client.command_timeout(), listening).await;
        listening.map_err(late)?
    }
}

fn heard(message: &Msg) -> RedisHeard {
    RedisHeard::Message {
        channel: message.get_channel_name().to_owned(),
        payload: Bytes::copy_from_slice(message.get_payload_bytes()),
    }
}

impl fmt::Debug for RedisListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisListener")
            .field("channels", &self.channels.len())
            .field("listens", &self.ear.is_some())
            .finish_non_exhaustive()
    }
}
