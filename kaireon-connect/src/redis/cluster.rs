//! A cluster: which node has which slot, and a link to each.

use std::collections::HashMap;
use std::sync::Arc;

use kaireon_core::Effect;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::dial::{Dial, Live};
use super::fault::RedisFault;
use super::link::Link;
use super::reply::RedisReply;
use super::slots::SLOTS;
use super::url::{Address, address};

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
        })
    }

    /// The node that has a slot; for no slot, any that has one. Asks for the layout where nobody is known.
    pub(crate) async fn node_of(self: &Arc<Self>, slot: Option<u16>) -> Result<Node, RedisFault> {
        if let Some(node) = self.known(slot) {
            return Ok(node);
        }
        self.refresh().await;
        let nobody = || RedisFault::unavailable("no node of the cluster has this slot");
        self.known(slot).ok_or_else(nobody)
    }

    fn known(&self, slot: Option<u16>) -> Option<Node> {
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
            if let Err(fault) = layout_by(&self.node_at(seed)).await {
                why = fault;
                break;
            }
        }
        why.with_effect(Effect::NotApplied)
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

    async fn ask(self: Arc<Self>, told: watch::Sender<bool>) {
        let known = self
            .layout
            .read()
            .nodes
            .iter()
            .map(|node| node.address.clone())
            .collect::<Vec<_>>();
        let seeds = self.seeds.iter().filter(|seed| !known.contains(seed)).cloned();
        for address in known.iter().cloned().chain(seeds).collect::<Vec<_>>() {
            let node = self.node_at(&address);
            // One that hangs is not to hold up the question to the others.
            let asked = tokio::time::timeout(self.dial.silence, layout_by(&node)).await;
            if let Ok(Ok(ranges)) = asked {
                self.adopt(ranges);
                break;
            }
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

async fn layout_by(node: &Node) -> Result<Vec<Range>, RedisFault> {
    let live: Arc<Live> = node.link.live().await?;
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let answer = RedisReply::read(live.send(&command).await?).map_err(|error| RedisFault::refused(&error))?;
    let strange = || RedisFault::strange("the node did not tell who has which slot");
    let ranges = read(answer, &node.address.host).ok_or_else(strange)?;
    if ranges.is_empty() {
        return Err(RedisFault::unavailable("the node knows nobody who has slots"));
    }
    Ok(ranges)
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
