//! Faults that are armed once: by a count of bytes here, by messages next door.

use std::time::Duration;

use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Rule, Unframed};
use tokio::time::timeout;

use super::peer::{Between, Ends, within};

#[tokio::test]
async fn a_connection_is_cut_after_exactly_so_many_bytes() {
    let between = Between::new::<Unframed>().await;
    let mut before = between.connect().await;
    // Counted from here for a connection that is there, and from its start for one that comes.
    before.client.send(b"earlier").await;
    before.server.expect(b"earlier").await;
    for how in [Cut::Fin, Cut::Reset] {
        let armed = between.proxy.arm(Rule::after_bytes(ToServer, 5).cut_after(how));
        let mut ends = between.connect().await;
        before.client.send(b"1234").await;
        before.server.expect(b"1234").await;
        ends.client.send(b"123").await;
        ends.server.expect(b"123").await;
        assert!(!armed.has_fired());
        ends.client.send(b"45 and what is lost").await;
        within(armed.fired()).await;
        let (read, _) = ends.server.rest().await;
        assert_eq!(read, b"45");
        // The other one was not meant.
        before.client.send(b"5").await;
        before.server.expect(b"5").await;
    }
}

#[tokio::test]
async fn the_direction_of_a_rule_is_the_one_it_says() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let armed = between
        .proxy
        .arm(Rule::after_bytes(ToClient, 3).cut_before(Cut::Fin));
    client.send(b"as much as it likes").await;
    server.expect(b"as much as it likes").await;
    server.send(b"123456").await;
    within(armed.fired()).await;
    let (read, ended) = client.rest().await;
    ended.unwrap();
    assert_eq!(read, b"123");
}

#[tokio::test]
async fn what_is_held_waits_until_it_is_released() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let armed = between.proxy.arm(Rule::after_bytes(ToServer, 2).hold());
    client.send(b"abcd").await;
    within(armed.fired()).await;
    server.expect(b"ab").await;
    client.send(b"ef").await;
    assert!(server.is_silent().await);
    armed.release();
    server.expect(b"cdef").await;
}

#[tokio::test]
async fn what_is_withheld_never_comes_and_the_connection_stays() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let armed = between.proxy.arm(Rule::after_bytes(ToServer, 2).withhold());
    client.send(b"abcd").await;
    within(armed.fired()).await;
    server.expect(b"ab").await;
    client.send(b"ef").await;
    client.finish().await;
    assert!(server.is_silent().await);
    server.send(b"back").await;
    client.expect(b"back").await;
}

#[tokio::test]
async fn a_rule_that_delays_says_so_when_it_has() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let delay = Duration::from_millis(100);
    let armed = between.proxy.arm(Rule::on(ToServer, |_| true).delay(delay));
    let start = std::time::Instant::now();
    client.send(b"late").await;
    within(armed.fired()).await;
    assert!(start.elapsed() >= delay);
    server.expect(b"late").await;
}

#[tokio::test]
async fn a_rule_out_of_force_does_nothing_and_says_whether_it_had() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let armed = between
        .proxy
        .arm(Rule::after_bytes(ToServer, 1).cut_before(Cut::Reset));
    assert!(armed.disarm());
    client.send(b"x").await;
    server.expect(b"x").await;

    let armed = between
        .proxy
        .arm(Rule::on(ToServer, |_| true).delay(Duration::ZERO));
    client.send(b"y").await;
    server.expect(b"y").await;
    within(armed.fired()).await;
    assert!(!armed.disarm());
}

#[tokio::test]
async fn nobody_waits_for_a_rule_whose_proxy_is_gone() {
    let between = Between::new::<Unframed>().await;
    let armed = between
        .proxy
        .arm(Rule::after_bytes(ToServer, 1).cut_before(Cut::Reset));
    let waiting = tokio::spawn(async move { armed.fired().await });
    assert!(
        timeout(Duration::from_millis(20), async {
            while !waiting.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_err()
    );
    drop(between);
    let ended = within(waiting).await.unwrap_err();
    assert!(ended.is_panic());
}
