//! What is sent: how many commands, and which keys scripts touch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kaireon_cache::RedisCache;
use kaireon_core::cache::{CacheKey, CacheStore, FetchOptions, SetCondition, SetOptions};
use kaireon_core::{CacheStoreExt, CustomerId, TenantId};
use kaireon_testkit::proxy::Direction::ToClient;
use kaireon_testkit::proxy::{Flow, Link, Proxy, Unframed};
use kaireon_testkit::server::RedisServer;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::fixture::{patient, programs, soon};

/// What a server does, as it does it.
pub(crate) struct Monitor {
    stream: BufReader<TcpStream>,
    server: String,
}

/// One command, by whom it was sent.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) by_script: bool,
    pub(crate) words: Vec<String>,
}

impl Monitor {
    pub(crate) async fn of(server: &RedisServer) -> Self {
        let mut stream = BufReader::new(TcpStream::connect(server.address()).await.unwrap());
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, "+OK\r\n");
        Self {
            stream,
            server: server.address(),
        }
    }

    async fn next(&mut self) -> Seen {
        let mut line = Vec::new();
        soon(self.stream.read_until(b'\n', &mut line)).await.unwrap();
        let line = String::from_utf8_lossy(&line).into_owned();
        let (who, rest) = line.split_once("] ").unwrap();
        let words = rest.trim().trim_matches('"').split("\" \"").map(str::to_owned);
        Seen {
            by_script: who.ends_with(" lua"),
            words: words.collect(),
        }
    }

    /// What was done since the last look.
    pub(crate) async fn since(&mut self) -> Vec<Seen> {
        let mut mark = TcpStream::connect(&self.server).await.unwrap();
        mark.write_all(b"ECHO that-is-all\r\n").await.unwrap();
        let mut seen = Vec::new();
        loop {
            let next = self.next().await;
            if next.words.last().is_some_and(|word| word == "that-is-all") {
                return seen;
            }
            seen.push(next);
        }
    }

    /// The names of the commands that were sent; the scripts among them touched no key but those that were declared.
    pub(crate) async fn sent_by_declared_keys(&mut self) -> Vec<String> {
        let (mut sent, mut declared) = (Vec::new(), Vec::new());
        for Seen { by_script, words } in self.since().await {
            let name = words[0].to_ascii_uppercase();
            if !by_script {
                if name == "EVALSHA" {
                    let count: usize = words[2].parse().unwrap();
                    declared = words[3..3 + count].to_vec();
                }
                sent.push(name);
            } else if name != "TIME" {
                assert!(declared.contains(&words[1]), "{words:?}");
            }
        }
        sent
    }

    /// The names of the commands that were sent, not those of scripts.
    async fn sent(&mut self) -> Vec<String> {
        let seen = self.since().await.into_iter();
        let sent = seen.filter(|seen| !seen.by_script);
        sent.map(|seen| seen.words[0].to_ascii_uppercase()).collect()
    }
}

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

fn plain(name: &str) -> CacheKey {
    CacheKey::new(&tenant(), name).unwrap()
}

fn of(who: &str, name: &str) -> CacheKey {
    CacheKey::of_customer(&tenant(), &customer(who), name).unwrap()
}

const VALUE: Bytes = Bytes::from_static(b"v");

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn each_call_is_one_command_and_a_batch_one_for_all_keys_and_one_for_each_customer() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let keys: Vec<_> = (0..50).map(|at| plain(&format!("k{at}"))).collect();
    let mixed: Vec<_> = keys
        .iter()
        .cloned()
        .chain((0..20).map(|at| of("anna", &at.to_string())))
        .collect();
    // The scripts become known.
    cache
        .set(&of("a", "k"), VALUE, SetOptions::default())
        .await
        .unwrap();
    cache.get(&of("a", "k")).await.unwrap();
    cache.del(&of("a", "k")).await.unwrap();
    cache.erase_customer(&tenant(), &customer("a")).await.unwrap();
    let mut monitor = Monitor::of(&server).await;

    let ttl = SetOptions::ttl(Duration::from_secs(60)).when(SetCondition::IfAbsent);
    cache.set(&keys[0], VALUE, ttl).await.unwrap();
    assert_eq!(monitor.sent().await, ["SET"]);
    cache.get(&keys[0]).await.unwrap();
    assert_eq!(monitor.sent().await, ["GET"]);
    cache.del(&keys[0]).await.unwrap();
    assert_eq!(monitor.sent().await, ["UNLINK"]);
    cache.set(&of("anna", "k"), VALUE, ttl).await.unwrap();
    cache.get(&of("anna", "k")).await.unwrap();
    cache.del(&of("anna", "k")).await.unwrap();
    assert_eq!(monitor.sent().await, ["EVALSHA"; 3]);

    let entries = mixed.iter().map(|key| (key.clone(), VALUE)).collect();
    assert_eq!(
        cache.set_many(entries, SetOptions::default()).await.unwrap(),
        [true; 70]
    );
    let sent = monitor.sent().await;
    let count = |name| sent.iter().filter(|sent| *sent == name).count();
    assert_eq!((sent.len(), count("SET"), count("EVALSHA")), (51, 50, 1));
    assert_eq!(cache.get_many(&mixed).await.unwrap(), vec![Some(VALUE); 70]);
    assert_eq!(monitor.sent().await, ["MGET", "EVALSHA"]);
    assert_eq!(cache.del_many(&mixed).await.unwrap(), 70);
    assert_eq!(monitor.sent().await, ["UNLINK", "EVALSHA"]);
    assert!(cache.get_many(&[]).await.unwrap().is_empty());
    assert!(monitor.sent().await.is_empty());

    let fetch = || async { Ok(Some(VALUE)) };
    let options = FetchOptions::ttl(Duration::from_secs(60));
    cache.get_or_fetch(&keys[0], options, fetch).await.unwrap();
    assert_eq!(monitor.sent().await, ["GET", "SET"]);
    cache.get_or_fetch(&keys[0], options, fetch).await.unwrap();
    assert_eq!(monitor.sent().await, ["GET"]);
    cache.ping().await.unwrap();
    assert_eq!(monitor.sent().await, ["PING"]);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn an_erasure_is_one_command_however_much_others_have() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let entries = (0..5_000).map(|at| (plain(&format!("k{at}")), VALUE)).collect();
    cache.set_many(entries, SetOptions::default()).await.unwrap();
    for who in ["anna", "bert"] {
        let entries = (0..2_500).map(|at| (of(who, &at.to_string()), VALUE)).collect();
        cache.set_many(entries, SetOptions::default()).await.unwrap();
    }
    cache
        .erase_customer(&tenant(), &customer("nobody"))
        .await
        .unwrap();
    let mut monitor = Monitor::of(&server).await;
    assert_eq!(
        cache.erase_customer(&tenant(), &customer("anna")).await.unwrap(),
        2_500
    );
    assert_eq!(monitor.sent().await, ["EVALSHA"]);
    assert_eq!(cache.get(&of("anna", "0")).await.unwrap(), None);
    assert_eq!(cache.get(&of("bert", "0")).await.unwrap(), Some(VALUE));
    // Nothing on the server names whom it was.
    let keys = server.ask(&["KEYS", "*"]).await.unwrap();
    assert!(!keys.contains("anna") && !keys.contains("bert"));
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn every_key_that_a_script_touches_was_declared() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let mut monitor = Monitor::of(&server).await;
    let short = SetOptions::ttl(Duration::from_millis(1));
    for options in [
        SetOptions::default(),
        short,
        SetOptions::ttl(Duration::from_secs(60)),
    ] {
        for condition in [
            SetCondition::Always,
            SetCondition::IfAbsent,
            SetCondition::IfPresent,
        ] {
            let entries = (0..5).map(|at| (of("anna", &at.to_string()), VALUE)).collect();
            cache.set_many(entries, options.when(condition)).await.unwrap();
            cache.get_many(&[of("anna", "0"), of("anna", "9")]).await.unwrap();
        }
    }
    cache.del_many(&[of("anna", "0"), of("anna", "9")]).await.unwrap();
    cache.erase_customer(&tenant(), &customer("anna")).await.unwrap();
    let (mut declared, mut touched) = (None, 0);
    for Seen { by_script, words } in monitor.since().await {
        let name = words[0].to_ascii_uppercase();
        if !by_script {
            declared = name.starts_with("EVAL").then(|| words[3].clone());
        } else if name != "TIME" {
            assert_eq!(Some(&words[1]), declared.as_ref(), "{words:?}");
            touched += 1;
        }
    }
    assert!(touched > 50, "scripts touched {touched} keys");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_batch_waits_for_no_answer_before_all_of_it_is_sent() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let proxy = Proxy::start::<Unframed>(server.address()).await.unwrap();
    let cache = Arc::new(
        RedisCache::connect(patient(proxy.in_url(&server.url())))
            .await
            .unwrap(),
    );
    let mut monitor = Monitor::of(&server).await;
    // No answer comes back until the server has seen everything.
    proxy.set(
        ToClient,
        Link {
            flow: Flow::Stall,
            ..Link::default()
        },
    );
    let batch = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move {
            let entries = (0..500).map(|at| (plain(&at.to_string()), VALUE)).collect();
            cache.set_many(entries, SetOptions::default()).await
        }
    });
    let mut seen = 0;
    while seen < 500 {
        seen += usize::from(monitor.next().await.words[0].eq_ignore_ascii_case("SET"));
    }
    assert!(!batch.is_finished());
    proxy.heal().await.unwrap();
    assert_eq!(soon(batch).await.unwrap().unwrap(), [true; 500]);
}
