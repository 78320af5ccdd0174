//! Connections that are cut or go silent: what was sent has an unknown effect, and is never sent again.

use std::time::Duration;

use kaireon_connect::redis::{RedisClient, RedisReply};
use kaireon_core::{Effect, ErrorKind};
use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Flow, Link, Proxy, Rule, Unframed};

use crate::place::{connect, del, facts, get, ok, patient, set, soon, text, unique, until_done, variable};

async fn proxy() -> Proxy {
    let url = variable("KAIREON_TEST_REDIS_URL");
    let address = url.rsplit_once('@').unwrap().1.to_owned();
    Proxy::start::<Unframed>(address).await.unwrap()
}

async fn through(proxy: &Proxy) -> RedisClient {
    connect(proxy.in_url(&variable("KAIREON_TEST_REDIS_URL"))).await
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_write_whose_answer_is_cut_off_is_unknown_and_was_done_once() {
    let (proxy, direct) = (proxy().await, connect(variable("KAIREON_TEST_REDIS_URL")).await);
    let client = through(&proxy).await;
    let key = unique("cut");
    for cut in [Cut::Fin, Cut::Reset] {
        let armed = proxy.arm(Rule::after_bytes(ToClient, 1).cut_before(cut));
        let count = kaireon_connect::redis::RedisCommand::write("INCR", key.clone());
        let fault = client.call(count).await.unwrap_err();
        soon(armed.fired()).await;
        assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::Unknown, true));
        // The next one goes over a new connection, without a word from the caller.
        until_done(&client, || get(&key)).await;
    }
    assert_eq!(direct.call(get(&key)).await.unwrap(), text("2"));
    direct.call(del(&key)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn an_answer_that_ends_half_way_is_no_answer() {
    let (proxy, direct) = (proxy().await, connect(variable("KAIREON_TEST_REDIS_URL")).await);
    let client = through(&proxy).await;
    let key = unique("half");
    let value = "v".repeat(100_000);
    direct.call(set(&key, &value)).await.unwrap();
    let armed = proxy.arm(Rule::after_bytes(ToClient, 50_000).cut_after(Cut::Fin));
    let fault = client.call(get(&key)).await.unwrap_err();
    soon(armed.fired()).await;
    // It was not written, so it changed nothing, whatever came of it.
    assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::NotApplied, true));
    assert_eq!(until_done(&client, || get(&key)).await, text(&value));
    direct.call(del(&key)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_command_that_did_not_reach_the_server_is_unknown_as_well_and_was_not_done() {
    let (proxy, direct) = (proxy().await, connect(variable("KAIREON_TEST_REDIS_URL")).await);
    let client = through(&proxy).await;
    let key = unique("lost");
    let armed = proxy.arm(Rule::after_bytes(ToServer, 1).cut_before(Cut::Reset));
    let fault = client.call(set(&key, "v")).await.unwrap_err();
    soon(armed.fired()).await;
    assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::Unknown, true));
    assert_eq!(direct.call(get(&key)).await.unwrap(), RedisReply::Nil);
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_connection_that_went_silent_is_given_up_and_replaced() {
    let proxy = proxy().await;
    let url = proxy.in_url(&variable("KAIREON_TEST_REDIS_URL"));
    let config = patient(url).with_command_timeout(Duration::from_millis(500));
    let client = RedisClient::connect(config).await.unwrap();
    let key = unique("silent");
    // A busy machine may need longer for the first of all.
    until_done(&client, || set(&key, "one")).await;
    let before = proxy.accepted();
    proxy.set(
        ToClient,
        Link {
            flow: Flow::Swallow,
            ..Link::default()
        },
    );
    let write = soon(client.call(set(&key, "two"))).await.unwrap_err();
    let (kind, effect, transient) = facts(&write);
    assert_eq!((effect, transient), (Effect::Unknown, true));
    // Whichever looks first: the call at its deadline, or who watches over the connection.
    assert!(
        matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable),
        "{kind:?}"
    );
    let read = soon(client.call(get(&key))).await.unwrap_err();
    assert_eq!(read.effect(), Effect::NotApplied);
    proxy.heal().await.unwrap();
    assert_eq!(until_done(&client, || set(&key, "three")).await, ok());
    assert!(proxy.accepted() > before, "the silent connection is used");
    until_done(&client, || del(&key)).await;
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_caller_that_goes_away_strands_nobody() {
    let proxy = proxy().await;
    let client = through(&proxy).await;
    let key = unique("gone-caller");
    let armed = proxy.arm(Rule::after_bytes(ToClient, 1).hold());
    let first = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        async move { client.call(set(&key, "one")).await }
    });
    soon(armed.fired()).await;
    first.abort();
    let second = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        async move { client.call(get(&key)).await }
    });
    armed.release();
    assert_eq!(soon(second).await.unwrap().unwrap(), text("one"));
    client.call(del(&key)).await.unwrap();
}
