//! Asks a server of PostgreSQL's protocol whether it takes connections, without a client installed.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::url::Url;
use crate::failure::{Context, Result};

/// A server that is busy under a build answers late, one that is not there refuses at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Greets the server and reads its first message: a request to authenticate is an answer, an error is not.
pub(super) fn ask(url: &str) -> Result<()> {
    let url = Url::parse(url)?;
    let address = (url.host.as_str(), url.port);
    let mut addresses = address.to_socket_addrs().context(&url.host)?;
    let address = addresses
        .next()
        .context(format_args!("{} has no address", url.host))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context(address)?;
    stream.set_read_timeout(Some(PATIENCE)).context(address)?;
    stream.write_all(&startup(&url)).context(address)?;

    let mut head = [0; 5];
    stream
        .read_exact(&mut head)
        .context(format_args!("{address} did not answer"))?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    // The longest first message is an error of a few hundred bytes.
    let mut body = vec![0; length.saturating_sub(4).min(64 * 1024)];
    stream.read_exact(&mut body).context(address)?;
    match head[0] {
        b'R' => Ok(()),
        b'E' => Err(format!("{address} answered: {}", message(&body)).into()),
        other => {
            Err(format!("{address} does not speak PostgreSQL's protocol: first byte {other:#04x}").into())
        }
    }
}

/// The first message of a client: version 3.0 and its parameters.
fn startup(url: &Url) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    for word in ["user", &url.user, "database", &url.database] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    body.push(0);
    // A name and a path are far below 4 GiB.
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &body].concat()
}

/// SQLSTATE and text of an error's fields.
fn message(body: &[u8]) -> String {
    let field = |code: u8| {
        let mut fields = body.split(|&byte| byte == 0);
        fields.find_map(|field| field.strip_prefix(&[code]).map(String::from_utf8_lossy))
    };
    match (field(b'C'), field(b'M')) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        _ => "an error without a text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::ask;

    /// A server that reads a greeting and says `answer`.
    fn asked(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(answer).unwrap();
            rest
        });
        let answered = ask(&format!("postgres://me:pw@127.0.0.1:{port}/db"));
        let greeting = server.join().unwrap();
        assert_eq!(greeting, b"\x00\x03\x00\x00user\x00me\x00database\x00db\x00\x00");
        answered.map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_request_to_authenticate_is_an_answer() {
        assert_eq!(asked(b"R\x00\x00\x00\x08\x00\x00\x00\x0a"), Ok(()));
    }

    #[test]
    fn an_error_silence_another_protocol_and_a_closed_port_are_not() {
        let starting = asked(b"E\x00\x00\x00\x19C57P03\x00Mstarting up\x00\x00").unwrap_err();
        assert!(starting.contains("57P03 starting up"), "{starting}");
        assert!(asked(b"").unwrap_err().contains("did not answer"));
        assert!(asked(b"HTTP/1.0 400 Bad Request\r\n").is_err());
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        assert!(ask(&format!("postgres://me@127.0.0.1:{closed}/db")).is_err());
    }
}
