//! What happens to every connection.

use std::io;
use std::time::{Duration, Instant};

use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Flow, Intake, Link, Proxy, Unframed};
use tokio::net::{TcpListener, TcpStream};

use super::peer::{Between, Ends, Peer, within};

fn flow(flow: Flow) -> Link {
    Link {
        flow,
        ..Link::default()
    }
}

#[tokio::test]
async fn bytes_and_the_end_of_a_direction_pass_both_ways() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let long = vec![7; 300_000];
    let (sent, ()) = tokio::join!(server.rest(), async {
        client.send(&long).await;
        client.finish().await;
    });
    assert!(sent.0 == long && sent.1.is_ok());
    // Only one direction has ended.
    server.send(b"answer").await;
    client.expect(b"answer").await;
    assert_eq!((between.proxy.accepted(), between.proxy.open()), (1, 1));
    assert_eq!(between.proxy.carried(ToServer), 300_000);
    assert_eq!(between.proxy.carried(ToClient), 6);
}

#[tokio::test]
async fn a_cut_ends_every_connection_on_both_sides_as_it_says() {
    let between = Between::new::<Unframed>().await;
    for how in [Cut::Fin, Cut::Reset] {
        let mut all = [between.connect().await, between.connect().await];
        for ends in &mut all {
            ends.client.send(b"x").await;
            ends.server.expect(b"x").await;
        }
        assert_eq!(between.proxy.cut(how).await, 2);
        for mut ends in all {
            match how {
                Cut::Fin => {
                    ends.client.expect_end().await;
                    ends.server.expect_end().await;
                }
                Cut::Reset => {
                    ends.client.expect_reset().await;
                    ends.server.expect_reset().await;
                }
            }
        }
    }
    // And new ones are served.
    let mut ends = between.connect().await;
    ends.client.send(b"x").await;
    ends.server.expect(b"x").await;
}

#[tokio::test]
async fn who_connects_is_refused_reset_or_served_as_the_intake_says() {
    let between = Between::new::<Unframed>().await;
    let mut before = between.connect().await;
    between.proxy.intake(Intake::Refuse).await.unwrap();
    let refused = within(TcpStream::connect(between.proxy.address())).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    before.client.send(b"still here").await;
    before.server.expect(b"still here").await;

    between.proxy.intake(Intake::Reset).await.unwrap();
    // The kernel completes the connection before anybody can refuse it.
    if let Ok(stream) = within(TcpStream::connect(between.proxy.address())).await {
        Peer::new(stream).expect_reset().await;
    }
    between.proxy.heal().await.unwrap();
    let mut after = between.connect().await;
    after.client.send(b"x").await;
    after.server.expect(b"x").await;
    assert_eq!(between.proxy.accepted(), 2);
}

#[tokio::test]
async fn on_a_half_open_connection_bytes_and_the_end_vanish() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    between.proxy.set(ToServer, flow(Flow::Swallow));
    client.send(b"lost").await;
    // The other direction works.
    server.send(b"answer").await;
    client.expect(b"answer").await;
    drop(client);
    assert!(
        server.is_silent().await,
        "the server learned that its client is gone"
    );
    server.send(b"to nobody").await;
    assert!(
        server.is_silent().await,
        "writing told the server that its client is gone"
    );
}

#[tokio::test]
async fn what_is_stalled_arrives_when_the_link_is_mended_and_what_was_swallowed_does_not() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    between.proxy.set(ToServer, flow(Flow::Stall));
    client.send(b"late").await;
    assert!(server.is_silent().await);
    between.proxy.set(ToServer, Link::default());
    server.expect(b"late").await;

    between.proxy.set(ToServer, flow(Flow::Swallow));
    client.send(b"lost").await;
    assert!(server.is_silent().await);
    between.proxy.heal().await.unwrap();
    client.send(b"new").await;
    server.expect(b"new").await;
}

// Only lower bounds: how much longer it takes is the machine's affair.
#[tokio::test]
async fn a_delay_is_added_once_to_what_is_sent_together() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    let delay = Duration::from_millis(150);
    between.proxy.set(
        ToServer,
        Link {
            delay,
            ..Link::default()
        },
    );
    let start = Instant::now();
    client.send(b"ab").await;
    server.expect(b"ab").await;
    assert!(start.elapsed() >= delay);
    let start = Instant::now();
    server.send(b"back").await;
    client.expect(b"back").await;
    client.send(b"cd").await;
    server.expect(b"cd").await;
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn a_bound_on_the_rate_is_held() {
    let between = Between::new::<Unframed>().await;
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    between.proxy.set(
        ToClient,
        Link {
            bytes_per_second: Some(10_000),
            ..Link::default()
        },
    );
    let start = Instant::now();
    server.send(&[1; 2_000]).await;
    client.expect(&[1; 2_000]).await;
    // The pause after the last slice of 200 bytes is not waited for.
    assert!(start.elapsed() >= Duration::from_millis(180));
}

#[tokio::test]
async fn a_server_may_come_later_and_be_another() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let proxy = Proxy::start::<Unframed>(address.to_string()).await.unwrap();
    let stream = within(TcpStream::connect(proxy.address())).await.unwrap();
    Peer::new(stream).expect_reset().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    proxy.redirect(listener.local_addr().unwrap().to_string());
    let stream = within(TcpStream::connect(proxy.address())).await.unwrap();
    let (server, _) = within(listener.accept()).await.unwrap();
    let (mut client, mut server) = (Peer::new(stream), Peer::new(server));
    client.send(b"x").await;
    server.expect(b"x").await;
    // The proxy takes its connections with it.
    drop(proxy);
    let (read, _) = client.rest().await;
    assert_eq!(read, b"");
}

#[tokio::test]
async fn a_url_is_led_through_the_proxy() {
    let proxy = Proxy::start::<Unframed>("127.0.0.1:1").await.unwrap();
    let at = proxy.address();
    assert_eq!(
        proxy.in_url("postgres://app:p@w@db:5432/app?sslmode=disable"),
        format!("postgres://app:p@w@{at}/app?sslmode=disable")
    );
    assert_eq!(proxy.in_url("redis://db"), format!("redis://{at}"));
    assert_eq!(proxy.in_url("db:9092"), at.to_string());
}
