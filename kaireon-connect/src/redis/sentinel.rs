//! Sentinels: who the primary is now.

use std::time::Duration;

use kaireon_core::ErrorKind;

use super::dial::{Dial, Live};
use super::fault::RedisFault;
use super::reply::RedisReply;
use super::url::Address;

/// How long one sentinel is waited for: there are others, and the whole is bounded by the caller.
const PATIENCE: Duration = Duration::from_secs(1);

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    /// To the sentinels.
    pub(crate) dial: Dial,
    pub(crate) nodes: Vec<Address>,
    pub(crate) master: String,
    /// To the servers.
    pub(crate) servers: Dial,
}

impl Sentinels {
    /// Opens a connection to the server that is the primary by the word of a sentinel and by its own.
    pub(crate) async fn open(&self) -> Result<Live, RedisFault> {
        self.find().await.map(|(_, live)| live)
    }

    /// The same, and where it is.
    pub(crate) async fn find(&self) -> Result<(Address, Live), RedisFault> {
        let mut last = RedisFault::unavailable("no sentinel can be reached");
        for node in &self.nodes {
            let asked = tokio::time::timeout(PATIENCE, self.ask(node)).await;
            let address = match asked {
                Ok(Ok(address)) => address,
                Ok(Err(fault)) => {
                    last = fault;
                    continue;
                }
                Err(_) => continue,
            };
            match self.primary(&address).await {
                Ok(live) => return Ok((address, live)),
                // Another sentinel may know a later one.
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn ask(&self, node: &Address) -> Result<Address, RedisFault> {
        let live = self.dial.open(node).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let answer =
            RedisReply::read(live.send(&command).await?).map_err(|error| RedisFault::refused(&error))?;
        match answer {
            RedisReply::Nil => Err(RedisFault::config("the sentinels know no primary of that name")),
            RedisReply::List(parts) => {
                let [host, port] = parts.as_slice() else {
                    return Err(RedisFault::strange("the sentinel gave no address"));
                };
                let (host, port) = (host.as_text(), port.as_text().and_then(|port| port.parse().ok()));
                match (host, port) {
                    (Some(host), Some(port)) => Ok(Address {
                        host: host.to_owned(),
                        port,
                    }),
                    _ => Err(RedisFault::strange("the sentinel gave no address")),
                }
            }
            _ => Err(RedisFault::strange("the sentinel gave no address")),
        }
    }

    /// One that was a primary and is being made a replica may still be told by a sentinel that has not heard of it.
    async fn primary(&self, address: &Address) -> Result<Live, RedisFault> {
        let live = self.servers.open(address).await?;
        match hello(&live, "role").await?.as_deref() {
            Some("master") | None => Ok(live),
            Some(_) => Err(RedisFault::unavailable(
                "what the sentinels call the primary is a replica",
            )),
        }
    }
}

/// A field of what a server says of itself; none where it does not say, because it is older or the login may not ask.
pub(crate) async fn hello(live: &Live, field: &str) -> Result<Option<String>, RedisFault> {
    let answer = live.send(&redis::cmd("HELLO")).await?;
    let pairs = match RedisReply::read(answer).map_err(|error| RedisFault::refused(&error)) {
        Ok(RedisReply::List(pairs)) => pairs,
        Err(fault) if fault.code() != Some("NOPERM") && fault.kind() != ErrorKind::Unsupported => {
            return Err(fault);
        }
        _ => return Ok(None),
    };
    let mut pairs = pairs.chunks_exact(2);
    let found = pairs.find(|pair| pair[0].as_text() == Some(field));
    Ok(found.and_then(|pair| pair[1].as_text()).map(str::to_owned))
}
