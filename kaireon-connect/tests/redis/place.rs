//! Where the servers are, and what tests do with them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kaireon_connect::redis::{RedisClient, RedisCommand, RedisConnectConfig, RedisFault, RedisReply};
use kaireon_core::{Effect, ErrorKind};

/// Longer than anything here takes on a machine however slow: whoever waits so long waits for ever.
const LONG: Duration = Duration::from_secs(120);

/// What `cargo xtask services up` tells.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}"))
}

pub(crate) fn programs() -> String {
    variable("KAIREON_TEST_REDIS_BINDIR")
}

/// A configuration whose calls may take as long as a busy machine needs.
pub(crate) fn patient(url: impl Into<String>) -> RedisConnectConfig {
    RedisConnectConfig::from_url(url)
        .with_command_timeout(Duration::from_secs(60))
        .with_connect_timeout(Duration::from_secs(60))
}

pub(crate) async fn connect(url: impl Into<String>) -> RedisClient {
    RedisClient::connect(patient(url)).await.unwrap()
}

/// A key that nobody else has.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("kt:connect:{}:{count}:{name}", std::process::id())
}

pub(crate) fn set(key: &str, value: &str) -> RedisCommand {
    RedisCommand::write("SET", key.to_owned()).arg(value.to_owned())
}

pub(crate) fn get(key: &str) -> RedisCommand {
    RedisCommand::read("GET", key.to_owned())
}

pub(crate) fn del(key: &str) -> RedisCommand {
    RedisCommand::write("DEL", key.to_owned())
}

pub(crate) fn ok() -> RedisReply {
    RedisReply::Bytes(Bytes::from_static(b"OK"))
}

pub(crate) fn text(text: &str) -> RedisReply {
    RedisReply::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn facts(fault: &RedisFault) -> (ErrorKind, Effect, bool) {
    (fault.kind(), fault.effect(), fault.is_transient())
}

/// Waits for what has no end but in a defect.
pub(crate) async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, call).await.expect("it ends")
}

/// Calls until it succeeds; every failure on the way is one that may be tried again.
pub(crate) async fn until_done(client: &RedisClient, command: impl Fn() -> RedisCommand) -> RedisReply {
    soon(async {
        loop {
            match client.call(command()).await {
                Ok(reply) => return reply,
                Err(fault) => assert!(fault.is_transient(), "{fault:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
