//! Every kind of server is reached, and what is wrong with a login, a certificate or a mode is told at once.

use std::time::Duration;

use kaireon_connect::redis::{
    RedisClient, RedisCommand, RedisConnectConfig, RedisMode, RedisReply, RedisScript,
};
use kaireon_core::{Effect, Error, ErrorKind};

use crate::place::{connect, del, get, ok, patient, set, text, unique, variable};

/// Writes, reads and deletes, alone and in a batch.
async fn works(client: &RedisClient) {
    let keys: Vec<_> = (0..20).map(|at| unique(&format!("works-{at}"))).collect();
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(client.call(set(key, &at.to_string())).await.unwrap(), ok());
    }
    let answers = client.call_all(keys.iter().map(|key| get(key)).collect()).await;
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), text(&at.to_string()));
    }
    for answer in client.call_all(keys.iter().map(|key| del(key)).collect()).await {
        assert_eq!(answer.unwrap(), RedisReply::Int(1));
    }
    assert_eq!(client.call(get(&keys[0])).await.unwrap(), RedisReply::Nil);
    client.ping().await.unwrap();
}

async fn refusal(config: RedisConnectConfig) -> Error {
    let error = RedisClient::connect(config).await.expect_err("it is refused");
    assert_eq!(
        (error.operation(), error.effect()),
        ("connect", Effect::NotApplied)
    );
    error
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn one_server_is_reached_plainly_by_tls_and_by_a_login_with_few_rights() {
    let plain = connect(variable("KAIREON_TEST_REDIS_URL")).await;
    assert!(!plain.is_cluster());
    works(&plain).await;
    works(&connect(variable("KAIREON_TEST_REDIS_RESTRICTED_URL")).await).await;
    let tls = patient(variable("KAIREON_TEST_REDIS_TLS_URL")).with_ca_file(variable("KAIREON_TEST_REDIS_CA"));
    works(&RedisClient::connect(tls).await.unwrap()).await;
}

#[tokio::test]
#[ignore = "needs redis-cluster: set KAIREON_TEST_REDIS_CLUSTER_URL"]
async fn a_cluster_is_found_out_from_any_of_its_nodes() {
    let url = variable("KAIREON_TEST_REDIS_CLUSTER_URL");
    let all = connect(&url).await;
    assert!(all.is_cluster());
    works(&all).await;
    let (login, nodes) = url.rsplit_once('@').unwrap();
    for node in nodes.split(',') {
        works(&connect(format!("{login}@{node}")).await).await;
    }
    // One that is not there is passed over.
    works(&connect(format!("{login}@127.0.0.1:1,{nodes}")).await).await;
}

#[tokio::test]
#[ignore = "needs redis-sentinel: set KAIREON_TEST_REDIS_SENTINEL_URL"]
async fn sentinels_tell_the_primary() {
    let url = variable("KAIREON_TEST_REDIS_SENTINEL_URL");
    works(&connect(&url).await).await;
    let nameless = url.split('?').next().unwrap();
    assert_eq!(refusal(patient(nameless)).await.field(), Some("master"));
    let other = refusal(patient(nameless).with_master("other")).await;
    assert_eq!(other.kind(), ErrorKind::Config);
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_login_that_is_wrong_or_missing_is_unauthorized_and_not_quoted() {
    let url = variable("KAIREON_TEST_REDIS_URL");
    for wrong in [
        url.replacen("app:apppw", "app:secret", 1),
        url.replacen("app:apppw", "secret:apppw", 1),
        url.replacen("app:apppw", ":secret", 1),
    ] {
        let error = refusal(patient(wrong)).await;
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::Unauthorized, false)
        );
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
    for mode in [RedisMode::Auto, RedisMode::Standalone] {
        let nobody = refusal(patient(url.replacen("app:apppw@", "", 1)).with_mode(mode)).await;
        assert_eq!(
            (nobody.kind(), nobody.is_transient()),
            (ErrorKind::Unauthorized, false)
        );
    }
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_certificate_that_nobody_trusts_is_a_wrong_configuration() {
    let url = variable("KAIREON_TEST_REDIS_TLS_URL");
    let error = refusal(patient(&url)).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Config, false));
    // Who speaks none waits for the end of a line that never comes.
    let plain = variable("KAIREON_TEST_REDIS_URL").replacen("redis://", "rediss://", 1);
    let silent = refusal(patient(plain).with_connect_timeout(Duration::from_secs(1))).await;
    assert_eq!(
        (silent.kind(), silent.is_transient()),
        (ErrorKind::Unavailable, true)
    );
    let bare = url.replacen("rediss://", "redis://", 1);
    assert_eq!(refusal(patient(bare)).await.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn what_is_not_what_the_mode_says_is_a_wrong_configuration() {
    let url = variable("KAIREON_TEST_REDIS_URL");
    let cluster = refusal(patient(&url).with_mode(RedisMode::Cluster)).await;
    assert_eq!(cluster.kind(), ErrorKind::Config);
    let several = refusal(patient(url.replacen("127.0.0.1", "127.0.0.1:1,127.0.0.1", 1))).await;
    assert_eq!(
        (several.kind(), several.field()),
        (ErrorKind::Config, Some("url"))
    );
    let database = refusal(patient(format!("{url}/99"))).await;
    assert_eq!(database.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn where_nobody_listens_is_unavailable_and_transient() {
    let error = refusal(patient("redis://127.0.0.1:1")).await;
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, true)
    );
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_script_that_the_server_forgot_is_sent_again_and_known_from_then_on() {
    static SCRIPT: std::sync::LazyLock<RedisScript> = std::sync::LazyLock::new(|| {
        RedisScript::new("return {KEYS[1], ARGV[1], redis.call('GET', KEYS[1])}")
    });
    let client = connect(variable("KAIREON_TEST_REDIS_URL")).await;
    let key = unique("script");
    client.call(set(&key, "v")).await.unwrap();
    let admin = connect(variable("KAIREON_TEST_REDIS_ADMIN_URL")).await;
    admin
        .call(RedisCommand::keyless("SCRIPT").arg("FLUSH"))
        .await
        .unwrap();
    let call = || RedisCommand::read_script(&SCRIPT, key.clone()).arg("a");
    let expected = RedisReply::List(vec![text(&key), text("a"), text("v")]);
    for answer in client
        .call_all(vec![call(), get(&key), call()])
        .await
        .into_iter()
        .enumerate()
    {
        let expected = if answer.0 == 1 {
            text("v")
        } else {
            expected.clone()
        };
        assert_eq!(answer.1.unwrap(), expected);
    }
    assert_eq!(client.call(call()).await.unwrap(), expected);
    client.call(del(&key)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_handle_that_was_closed_refuses_and_so_do_its_clones() {
    let client = connect(variable("KAIREON_TEST_REDIS_URL")).await;
    let clone = client.clone();
    client.close();
    client.close();
    for handle in [client, clone] {
        let fault = handle.call(set(&unique("closed"), "v")).await.unwrap_err();
        assert_eq!(
            (fault.kind(), fault.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
        assert!(!fault.is_transient());
        assert!(!handle.ping().await.unwrap_err().is_transient());
    }
}
