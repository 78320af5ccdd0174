//! A cluster: which node has which slot, and a link to each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use kaireon_core::Effect;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::dial::{Dial, Live};
use super::fault::RedisFault;
use super::link::Link;
use super::reply::RedisReply;
use super::slots::SLOTS;
use super::url::{Address, address};

/// How soon the layout is not looked at again, where a call has failed.
const PAUSE: Duration = Duration::from_millis(50);

/// How many nodes are asked for the layout at a time, and how many words are enough: of fewer nodes, more than half.
const MOST_ASKED: usize = 5;
const MOST_WORDS: usize = 3;

/// Which part of a call's time further words are waited for.
const PATIENCE: u32 = 4;

/// No node is known to have the slot.
const NOBODY: u16 = u16::MAX;

/// A node as a caller reaches it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) address: Address,
    pub(crate) link: Arc<Link>,
}

/// Which node has which slot, as far as is known.
struct Layout {
    /// By slot, the place in `nodes`.
    owners: Box<[u16]>,
    nodes: Vec<Node>,
}

/// The nodes of one cluster.
pub(crate) struct Cluster {
    dial: Arc<Dial>,
    seeds: Vec<Address>,
    layout: RwLock<Arc<Layout>>,
    /// To every node that was ever met, so that two layouts share the connection to a node.
    links: Mutex<HashMap<Address, Arc<Link>>>,
    /// Somebody is asking for the layout; whoever comes waits for the same.
    asking: Mutex<Option<watch::Receiver<bool>>>,
    /// When somebody began to last.
    asked: Mutex<Option<Instant>>,
    /// Somebody is going to, for those who come later.
    to_be_asked: AtomicBool,
}

impl Cluster {
    pub(crate) fn new(dial: Dial, seeds: Vec<Address>) -> Arc<Self> {
        let nothing = Layout {
            owners: vec![NOBODY; usize::from(SLOTS)].into(),
            nodes: Vec::new(),
        };
        Arc::new(Self {
            dial: Arc::new(dial),
            seeds,
            layout: RwLock::new(Arc::new(nothing)),
            links: Mutex::default(),
            asking: Mutex::default(),
            asked: Mutex::default(),
            to_be_asked: AtomicBool::new(false),
        })
    }

    /// The node that is known to have a slot; for no slot, any that has one.
    pub(crate) fn known(&self, slot: Option<u16>) -> Option<Node> {
        let layout = self.layout.read();
        let place = match slot {
            Some(slot) => usize::from(*layout.owners.get(usize::from(slot))?),
            None => fastrand::usize(..layout.nodes.len().max(1)),
        };
        layout.nodes.get(place).cloned()
    }

    /// The node at an address that another one told.
    pub(crate) fn node_at(&self, address: &Address) -> Node {
        let mut links = self.links.lock();
        let link = links.entry(address.clone()).or_insert_with(|| {
            let (dial, address) = (Arc::clone(&self.dial), address.clone());
            Link::new(Box::new(move || {
                let (dial, address) = (Arc::clone(&dial), address.clone());
                Box::pin(async move { dial.open(&address).await })
            }))
        });
        Node {
            address: address.clone(),
            link: Arc::clone(link),
        }
    }

    /// Why nobody told the layout: what the first of the nodes that were given says now.
    pub(crate) async fn why(&self) -> RedisFault {
        let mut why = RedisFault::unavailable("no node of the cluster can be reached");
        for seed in &self.seeds {
            if let Err(fault) = word_of(&self.node_at(seed)).await {
                why = fault;
                break;
            }
        }
        why.with_effect(Effect::NotApplied)
    }

    /// How its nodes are reached.
    pub(crate) fn dial(&self) -> &Dial {
        &self.dial
    }

    /// Every node that may answer: those that have slots, and those that were given.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let layout = self.layout.read();
        let mut known: Vec<_> = layout.nodes.iter().map(|node| node.address.clone()).collect();
        let given = self.seeds.iter().filter(|seed| !known.contains(seed)).cloned();
        known.extend(given.collect::<Vec<_>>());
        known
    }

    /// Every node that has slots.
    pub(crate) fn primaries(&self) -> Vec<Node> {
        self.layout.read().nodes.clone()
    }

    /// Asks for the layout anew, together with whoever else asks at the time; returns when it is known or cannot be.
    ///
    /// # Dropped futures
    /// It is asked for all the same.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let mut done = {
            let mut asking = self.asking.lock();
            match &*asking {
                Some(done) => done.clone(),
                None => {
                    let (told, done) = watch::channel(false);
                    *asking = Some(done.clone());
                    tokio::spawn(Arc::clone(self).ask(told));
                    done
                }
            }
        };
        // It ends in either way.
        let _ = done.wait_for(|done| *done).await;
    }

    /// As [`refresh`](Self::refresh), and not again within a moment: what was asked since the call is as good.
    pub(crate) async fn look(self: &Arc<Self>) {
        let (now, last) = (Instant::now(), *self.asked.lock());
        if let Some(last) = last {
            sleep_until(last + PAUSE).await;
        }
        if self.asked.lock().is_none_or(|asked| asked < now) {
            self.refresh().await;
        }
    }

    /// Has the layout looked at, for those who come later.
    pub(crate) fn look_later(self: &Arc<Self>) {
        if !self.to_be_asked.swap(true, Ordering::AcqRel) {
            let cluster = Arc::clone(self);
            tokio::spawn(async move {
                cluster.look().await;
                cluster.to_be_asked.store(false, Ordering::Release);
            });
        }
    }

    /// Asks several nodes at a time, and takes the word of the latest epoch: one that is cut off from the others goes
    /// on telling what was true before, and one that hangs is not to hold up those who know.
    async fn ask(self: Arc<Self>, told: watch::Sender<bool>) {
        *self.asked.lock() = Some(Instant::now());
        let mut nodes = self.seeds.clone();
        nodes.extend(self.primaries().into_iter().map(|node| node.address));
        nodes.sort_unstable();
        nodes.dedup();
        fastrand::shuffle(&mut nodes);
        let enough = (nodes.len() / 2 + 1).min(MOST_WORDS);
        let nodes: Vec<_> = nodes.iter().map(|address| self.node_at(address)).collect();
        let limit = self.dial.silence;
        let asked = nodes
            .into_iter()
            .map(move |node| async move { timeout(limit, word_of(&node)).await });
        let mut words = futures_util::stream::iter(asked).buffer_unordered(MOST_ASKED);
        let (mut latest, mut heard): (Option<Word>, usize) = (None, 0);
        // Once one is there, the others are waited for no longer than that.
        let mut until = None;
        while heard < enough {
            let next = match until {
                None => words.next().await,
                Some(until) => timeout_at(until, words.next()).await.unwrap_or(None),
            };
            match next {
                None => break,
                Some(Ok(Ok(word))) => {
                    heard += 1;
                    until.get_or_insert(Instant::now() + limit / PATIENCE);
                    if latest.as_ref().is_none_or(|latest| latest.epoch < word.epoch) {
                        latest = Some(word);
                    }
                }
                Some(_) => {}
            }
        }
        if let Some(Word { ranges, .. }) = latest {
            self.adopt(ranges);
        }
        *self.asking.lock() = None;
        told.send_replace(true);
    }

    fn adopt(&self, ranges: Vec<Range>) {
        let mut owners = vec![NOBODY; usize::from(SLOTS)];
        let mut nodes: Vec<Node> = Vec::new();
        for Range { first, last, owner } in ranges {
            let place = match nodes.iter().position(|node| node.address == owner) {
                Some(place) => place,
                None => {
                    nodes.push(self.node_at(&owner));
                    nodes.len() - 1
                }
            };
            let place = u16::try_from(place).unwrap_or(NOBODY);
            for slot in first..=last.min(SLOTS - 1) {
                owners[usize::from(slot)] = place;
            }
        }
        *self.layout.write() = Arc::new(Layout {
            owners: owners.into(),
            nodes,
        });
    }

    pub(crate) fn close(&self) {
        for link in self.links.lock().values() {
            link.close();
        }
    }
}

/// Slots that one node has.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    owner: Address,
}

/// What one node says of the cluster.
struct Word {
    /// The latest that it has heard of; 0 where it does not say.
    epoch: u64,
    ranges: Vec<Range>,
}

async fn word_of(node: &Node) -> Result<Word, RedisFault> {
    let live: Arc<Live> = node.link.live().await?;
    let [mut info, mut slots] = [redis::cmd("CLUSTER"), redis::cmd("CLUSTER")];
    info.arg("INFO");
    slots.arg("SLOTS");
    let mut answers = live.send_all(&[info, slots]).await?.into_iter();
    // A login may be allowed the one and not the other.
    let epoch = answers
        .next()
        .and_then(|info| epoch_in(&RedisReply::read(info).ok()?));
    let strange = || RedisFault::strange("the node did not tell who has which slot");
    let slots = answers.next().ok_or_else(strange)?;
    let slots = RedisReply::read(slots).map_err(|error| RedisFault::refused(&error))?;
    let ranges = read(slots, &node.address.host).ok_or_else(strange)?;
    if ranges.is_empty() {
        return Err(RedisFault::unavailable("the node knows nobody who has slots"));
    }
    Ok(Word {
        epoch: epoch.unwrap_or_default(),
        ranges,
    })
}

/// Of `name:value` lines.
fn epoch_in(info: &RedisReply) -> Option<u64> {
    let mut lines = info.as_text()?.lines();
    lines.find_map(|line| line.strip_prefix("cluster_current_epoch:")?.trim().parse().ok())
}

/// `first, last, [host, port, …], replicas…` for each range. A node that does not know its own host tells none: then
/// it is the one that was asked. One whose address is not known yet has no host at all.
fn read(answer: RedisReply, asked: &str) -> Option<Vec<Range>> {
    let mut ranges = Vec::new();
    for range in answer.into_list()? {
        let parts = range.into_list()?;
        let (first, last) = (parts.first()?.as_int()?, parts.get(1)?.as_int()?);
        let RedisReply::List(owner) = parts.get(2)? else {
            return None;
        };
        let host = match owner.first()? {
            RedisReply::Nil => asked,
            host => match host.as_text()? {
                "" => asked,
                "?" => continue,
                host => host,
            },
        };
        ranges.push(Range {
            first: u16::try_from(first).ok()?,
            last: u16::try_from(last).ok()?,
            owner: Address {
                host: host.to_owned(),
                port: u16::try_from(owner.get(1)?.as_int()?).ok()?,
            },
        });
    }
    Some(ranges)
}

/// Where a node sends a command: `slot host:port`, without a host where it is the node's own.
pub(crate) fn redirection(details: &str, asked: &Address) -> Option<Address> {
    let place = details.split_whitespace().nth(1)?;
    // An address of version 6 may begin with a colon as well.
    match place.strip_prefix(':').and_then(|port| port.parse().ok()) {
        Some(port) => Some(Address {
            host: asked.host.clone(),
            port,
        }),
        None => address(place, asked.port),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn a_layout_is_read_with_and_without_hosts() {
        let text = |text: &'static str| RedisReply::Bytes(Bytes::from_static(text.as_bytes()));
        let range = |first, last, host: RedisReply, port| {
            let node = RedisReply::List(vec![host, RedisReply::Int(port), text("id")]);
            RedisReply::List(vec![RedisReply::Int(first), RedisReply::Int(last), node])
        };
        let answer = RedisReply::List(vec![
            range(0, 10, text("one"), 1),
            range(11, 20, text(""), 2),
            range(21, 30, RedisReply::Nil, 3),
            range(31, 40, text("?"), 4),
        ]);
        let owners: Vec<_> = read(answer, "asked")
            .unwrap()
            .into_iter()
            .map(|range| range.owner)
            .collect();
        assert_eq!(owners, [at("one", 1), at("asked", 2), at("asked", 3)]);
        assert_eq!(read(RedisReply::Int(1), "asked"), None);
    }

    #[test]
    fn an_epoch_is_read_where_it_is_told() {
        let info = |text: &'static str| epoch_in(&RedisReply::Bytes(Bytes::from_static(text.as_bytes())));
        assert_eq!(info("cluster_state:ok\r\ncluster_current_epoch:17\r\n"), Some(17));
        assert_eq!(info("cluster_my_epoch:17\r\n"), None);
        assert_eq!(epoch_in(&RedisReply::Nil), None);
    }

    #[test]
    fn a_redirection_tells_a_node() {
        let asked = at("asked", 7);
        assert_eq!(
            redirection("3999 127.0.0.1:6381", &asked),
            Some(at("127.0.0.1", 6381))
        );
        assert_eq!(redirection("3999 ::1:6381", &asked), Some(at("::1", 6381)));
        assert_eq!(redirection("3999 :6381", &asked), Some(at("asked", 6381)));
        assert_eq!(redirection("3999", &asked), None);
    }
}
