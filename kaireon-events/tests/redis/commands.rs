//! How many commands are sent.

use kaireon_core::EventPublisher;
use kaireon_core::publisher::Subscription;
use kaireon_testkit::server::RedisServer;

use crate::fixture::{event, next_number, publisher, server, topic};

/// Which commands were done how often since the last look, those of this look and of scripts apart.
async fn done(server: &RedisServer) -> Vec<(String, u64)> {
    let stats = server.ask(&["INFO", "commandstats"]).await.unwrap();
    server.ask(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let each = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        let of_the_look = ["config|resetstat", "info"].contains(&name);
        (!of_the_look).then(|| (name.to_owned(), calls))
    });
    let mut each: Vec<_> = each.collect();
    each.sort();
    each
}

fn one(name: &str, calls: u64) -> (String, u64) {
    (name.to_owned(), calls)
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_publish_is_one_command_and_so_is_a_batch() {
    let server = server().await;
    let publisher = publisher(server.url()).await;
    // The script becomes known.
    let known = publisher.publish_batch(vec![event("t", 0)]).await.unwrap();
    assert!(known.is_complete());
    done(&server).await;
    publisher.publish(event("t", 1)).await.unwrap();
    assert_eq!(done(&server).await, [one("publish", 1)]);
    let batch = (0..512).map(|number| event("t", number)).collect();
    assert!(publisher.publish_batch(batch).await.unwrap().is_complete());
    assert_eq!(done(&server).await, [one("evalsha", 1), one("publish", 512)]);
    assert!(publisher.publish_batch(Vec::new()).await.unwrap().is_complete());
    assert_eq!(done(&server).await, []);
    let both = Subscription::to([topic("t"), topic("u")]);
    let mut subscriber = publisher.subscribe(both).await.unwrap();
    assert_eq!(done(&server).await, [one("subscribe", 1)]);
    publisher.publish(event("u", 7)).await.unwrap();
    assert_eq!(next_number(&mut subscriber).await, 7);
    assert_eq!(done(&server).await, [one("publish", 1)]);
}
