//! What is at a URL, found out.

use kaireon_core::{Effect, ErrorKind, Result};

use super::config::{RedisMode, wrong};
use super::dial::Dial;
use super::fault::RedisFault;
use super::sentinel::hello;
use super::url::{Address, Login};

/// What the first server that answers says it is. The same at every address that is not one of several.
pub(crate) async fn find_out(dial: &Dial, nodes: &[Address]) -> Result<RedisMode> {
    let mut last = RedisFault::unavailable("no server can be reached");
    for node in nodes {
        match mode_of(dial, node).await {
            Ok(mode) => {
                return match mode {
                    Some(RedisMode::Sentinel) => Err(wrong(
                        "master",
                        "is not set, and the sentinels have a name for the primary",
                    )),
                    Some(RedisMode::Cluster) => Ok(RedisMode::Cluster),
                    _ if nodes.len() > 1 => Err(wrong(
                        "url",
                        "has several hosts, and the first that answers is neither a node of a cluster nor a sentinel",
                    )),
                    _ => Ok(RedisMode::Standalone),
                };
            }
            Err(fault) => last = fault,
        }
    }
    Err(last.with_effect(Effect::NotApplied).into_error())
}

/// What a server says it is.
async fn mode_of(dial: &Dial, node: &Address) -> Result<Option<RedisMode>, RedisFault> {
    let ask = async |dial: &Dial| {
        let live = dial.open(node).await?;
        hello(&live, "mode").await
    };
    let said = tokio::time::timeout(dial.connect_timeout, async {
        match ask(dial).await {
            // The login is the servers', which a sentinel does not know, and who knows none lets everybody in.
            Err(fault) if fault.kind() == ErrorKind::Unauthorized => {
                let nameless = Dial {
                    tls: dial.tls.clone(),
                    login: Login::default(),
                    database: 0,
                    ..*dial
                };
                match ask(&nameless).await {
                    Ok(Some(mode)) if mode == "sentinel" => Ok(Some(mode)),
                    _ => Err(fault),
                }
            }
            said => said,
        }
    });
    let said = said.await;
    let said = said.unwrap_or_else(|_| Err(RedisFault::late(Effect::NotApplied)))?;
    Ok(said.as_deref().and_then(RedisMode::parse))
}
