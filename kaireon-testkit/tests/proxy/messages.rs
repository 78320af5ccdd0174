//! Faults at a message of PostgreSQL's protocol.

use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Direction, Frame, Framing, PostgresFraming, Rule, postgres};

use super::peer::{Between, Ends, within};

const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

fn message(name: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[name][..], &length.to_be_bytes(), body].concat()
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0app\0\0";
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// A connection on which an insert was answered and nothing else is under way.
async fn in_transaction(between: &Between) -> Ends {
    let mut ends = between.connect().await;
    for (sent, answered) in [
        (startup(), [message(b'R', &[0; 4]), ready(b'I')].concat()),
        (query("BEGIN"), [complete("BEGIN"), ready(b'T')].concat()),
        (query("INSERT"), [complete("INSERT 0 1"), ready(b'T')].concat()),
    ] {
        ends.client.send(&sent).await;
        ends.server.expect(&sent).await;
        ends.server.send(&answered).await;
        ends.client.expect(&answered).await;
    }
    ends
}

#[tokio::test]
async fn a_commit_is_cut_before_the_server_reads_it() {
    let between = Between::new::<PostgresFraming>().await;
    for how in [Cut::Fin, Cut::Reset] {
        let rule = Rule::on(ToServer, postgres::statement("commit")).cut_before(how);
        let armed = between.proxy.arm(rule);
        let mut ends = in_transaction(&between).await;
        assert!(!armed.has_fired());
        ends.client
            .send(&[query("UPDATE"), query("COMMIT")].concat())
            .await;
        within(armed.fired()).await;
        // What came before it in the same write arrived, and not a byte of the rest.
        let (read, _) = ends.server.rest().await;
        assert_eq!(read, query("UPDATE"));
        assert_eq!(ends.client.rest().await.0, b"");
    }
}

#[tokio::test]
async fn the_answer_to_a_commit_is_withheld_after_the_server_gave_it() {
    let between = Between::new::<PostgresFraming>().await;
    let rule = Rule::on(ToServer, postgres::statement("COMMIT"))
        .then(ToClient, postgres::command_complete("COMMIT"))
        .cut_before(Cut::Reset);
    let armed = between.proxy.arm(rule);
    let Ends {
        mut client,
        mut server,
    } = in_transaction(&between).await;
    client.send(&query("COMMIT")).await;
    server.expect(&query("COMMIT")).await;
    assert!(!armed.has_fired());
    server.send(&[complete("COMMIT"), ready(b'I')].concat()).await;
    within(armed.fired()).await;
    client.expect_reset().await;
    server.expect_reset().await;
}

#[tokio::test]
async fn the_answer_to_a_commit_is_delivered_before_the_cut() {
    let between = Between::new::<PostgresFraming>().await;
    let rule = Rule::on(ToClient, postgres::command_complete("COMMIT"))
        .then(ToClient, postgres::ready_for_query())
        .cut_after(Cut::Fin);
    let armed = between.proxy.arm(rule);
    let Ends {
        mut client,
        mut server,
    } = in_transaction(&between).await;
    client.send(&query("COMMIT")).await;
    server.expect(&query("COMMIT")).await;
    let answer = [complete("COMMIT"), ready(b'I')].concat();
    server.send(&answer).await;
    within(armed.fired()).await;
    let (read, ended) = client.rest().await;
    ended.unwrap();
    assert_eq!(read, answer);
    server.expect_end().await;
}

#[tokio::test]
async fn a_message_is_recognised_however_its_bytes_are_cut_up() {
    let between = Between::new::<PostgresFraming>().await;
    let armed = between
        .proxy
        .arm(Rule::on(ToServer, postgres::statement("COMMIT")).hold());
    let Ends {
        mut client,
        mut server,
    } = in_transaction(&between).await;
    for byte in query("COMMIT") {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    within(armed.fired()).await;
    assert!(server.is_silent().await);
    armed.release();
    server.expect(&query("COMMIT")).await;
}

#[tokio::test]
async fn a_rule_of_several_steps_wants_them_on_one_connection() {
    let between = Between::new::<PostgresFraming>().await;
    let mut one = in_transaction(&between).await;
    let mut other = in_transaction(&between).await;
    let rule = Rule::on(ToServer, postgres::statement("COMMIT"))
        .then(ToClient, postgres::ready_for_query())
        .cut_before(Cut::Fin);
    let armed = between.proxy.arm(rule);
    one.client.send(&query("COMMIT")).await;
    one.server.expect(&query("COMMIT")).await;
    other.server.send(&ready(b'T')).await;
    other.client.expect(&ready(b'T')).await;
    assert!(!armed.has_fired());
    one.server.send(&ready(b'I')).await;
    one.client.expect_end().await;
    within(armed.fired()).await;
}

#[tokio::test]
async fn of_two_rules_for_one_message_the_first_goes_first_and_each_fires_once() {
    let between = Between::new::<PostgresFraming>().await;
    let rule = || Rule::on(ToServer, postgres::statement("COMMIT"));
    let first = between.proxy.arm(rule().hold());
    let second = between.proxy.arm(rule().cut_before(Cut::Fin));
    // What the second waits for may begin with what completes the first.
    let third = between.proxy.arm(
        rule()
            .then(ToServer, postgres::statement("COMMIT"))
            .cut_before(Cut::Fin),
    );
    let mut ends = in_transaction(&between).await;
    first.release();
    ends.client.send(&query("COMMIT")).await;
    ends.server.expect(&query("COMMIT")).await;
    assert!(first.has_fired() && !second.has_fired());
    ends.client.send(&query("COMMIT")).await;
    within(second.fired()).await;
    ends.server.expect_end().await;
    assert!(third.disarm(), "a message completed two rules");
    let mut again = in_transaction(&between).await;
    again.client.send(&query("COMMIT")).await;
    again.server.expect(&query("COMMIT")).await;
}

#[tokio::test]
async fn an_encrypted_connection_passes_unread() {
    let between = Between::new::<PostgresFraming>().await;
    let armed = between.proxy.arm(
        Rule::on(ToServer, |_| true)
            .then(ToServer, |_| true)
            .cut_before(Cut::Fin),
    );
    let Ends {
        mut client,
        mut server,
    } = between.connect().await;
    client.send(SSL_REQUEST).await;
    server.expect(SSL_REQUEST).await;
    server.send(b"S").await;
    client.expect(b"S").await;
    client.send(&query("looks like a message and is none")).await;
    server.expect(&query("looks like a message and is none")).await;
    assert!(armed.disarm());
}

fn frames(framing: &mut PostgresFraming, direction: Direction, mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !bytes.is_empty() {
        // Byte by byte, as a stream may come.
        let found = (1..=bytes.len()).find_map(|end| match framing.frame(direction, &bytes[..end]) {
            Frame::Incomplete => None,
            Frame::Message(length) => Some(length),
            Frame::Opaque => panic!("the stream became opaque"),
        });
        let length = found.expect("a whole message");
        lengths.push(length);
        bytes = &bytes[length..];
    }
    lengths
}

#[test]
fn a_refused_request_for_encryption_is_followed_by_a_start_in_the_clear() {
    let mut framing = PostgresFraming::default();
    assert_eq!(frames(&mut framing, ToServer, SSL_REQUEST), [8]);
    assert_eq!(framing.frame(ToServer, b"too early"), Frame::Incomplete);
    assert_eq!(frames(&mut framing, ToClient, b"N"), [1]);
    assert_eq!(frames(&mut framing, ToServer, &startup()), [startup().len()]);
    let two = [query("SELECT 1"), message(b'S', b"")].concat();
    assert_eq!(frames(&mut framing, ToServer, &two), [two.len() - 5, 5]);
    assert_eq!(frames(&mut framing, ToClient, &ready(b'I')), [6]);
}

#[test]
fn what_is_not_the_protocol_is_opaque() {
    for (direction, bytes) in [
        (ToServer, &b"\x16\x03\x01\x02\x00"[..]),
        (ToServer, b"GET / HTTP/1.1\r\n"),
        (ToClient, b"E\x00\x00\x00\x01"),
        (ToClient, b"E\xff\xff\xff\xff"),
    ] {
        let mut framing = PostgresFraming::default();
        assert_eq!(framing.frame(direction, bytes), Frame::Opaque, "{bytes:?}");
        assert_eq!(framing.frame(direction.flipped(), b"anything"), Frame::Opaque);
    }
}

trait Flipped {
    fn flipped(self) -> Self;
}

impl Flipped for Direction {
    fn flipped(self) -> Self {
        match self {
            ToServer => ToClient,
            ToClient => ToServer,
        }
    }
}

#[test]
fn conditions_read_the_part_of_the_message_that_they_are_about() {
    let parse = |name: &str, sql: &str| message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes());
    let commit = postgres::statement("Commit");
    assert!(commit(&query("begin; commit")) && commit(&parse("", "COMMIT")));
    assert!(
        !commit(&parse("commit", "SELECT 1")),
        "the name of a statement is not its text"
    );
    assert!(!commit(&message(b'B', b"commit\0commit\0")) && !commit(b"") && !commit(b"Q"));

    let complete_with = postgres::command_complete("INSERT 0");
    assert!(complete_with(&complete("INSERT 0 3")) && !complete_with(&complete("UPDATE 3")));
    assert!(!complete_with(&query("INSERT 0")));

    let serialization = postgres::error("40001");
    assert!(serialization(&message(b'E', b"SERROR\0C40001\0Mtext\0\0")));
    assert!(!serialization(&message(b'E', b"SERROR\0C40P01\0M40001\0\0")));
    assert!(postgres::ready_for_query()(&ready(b'E')) && !postgres::ready_for_query()(&complete("Z")));
    assert!(postgres::named(b'E')(&message(b'E', b"\0\0\0\0\0")));
}
