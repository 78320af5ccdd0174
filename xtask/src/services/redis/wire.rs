//! Asks a server in Redis's own protocol, without a client installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::url::Url;
use crate::failure::{Context, Result};

/// A server that is busy under a build answers late, one that is not there refuses at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Text(String),
    Number(i64),
    Nothing,
    List(Vec<Answer>),
}

impl Answer {
    /// The text of it, or an empty one.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }
}

/// One connection, logged in.
#[derive(Debug)]
pub(super) struct Wire {
    node: String,
    stream: BufReader<TcpStream>,
}

impl Wire {
    /// To each node of a URL.
    pub(super) fn to_each(url: &str) -> Result<Vec<Self>> {
        let url = Url::parse(url)?;
        url.nodes.iter().map(|node| Self::open(&url, node)).collect()
    }

    /// To the first node of a URL.
    pub(super) fn to_first(url: &str) -> Result<Self> {
        let url = Url::parse(url)?;
        let first = url.nodes.first().context("the URL has no node")?;
        Self::open(&url, first)
    }

    /// To a node, as the user of a URL where it names one.
    pub(super) fn open(url: &Url, node: &str) -> Result<Self> {
        let mut addresses = node.to_socket_addrs().context(node)?;
        let address = addresses.next().context(format_args!("{node} has no address"))?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE).context(node)?;
        stream.set_read_timeout(Some(PATIENCE)).context(node)?;
        let mut wire = Self {
            node: node.to_owned(),
            stream: BufReader::new(stream),
        };
        if !url.user.is_empty() {
            wire.ask(&["AUTH", &url.user, &url.password])?;
        }
        Ok(wire)
    }

    /// Sends a command and reads its answer; what the server refuses is an error.
    pub(super) fn ask(&mut self, words: &[&str]) -> Result<Answer> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let node = self.node.clone();
        self.stream
            .get_mut()
            .write_all(command.as_bytes())
            .context(&node)?;
        // Not the command: it may hold a password.
        self.read()
            .context(format_args!("{node} to {}", words.first().unwrap_or(&"")))
    }

    fn read(&mut self) -> Result<Answer> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).context("no answer")?;
        let line = String::from_utf8_lossy(&line);
        let line = line
            .strip_suffix("\r\n")
            .context("it ended in the midst of an answer")?;
        let mut letters = line.chars();
        let kind = letters.next().context("an empty line")?;
        let rest = letters.as_str();
        match kind {
            '+' => Ok(Answer::Text(rest.to_owned())),
            '-' => Err(rest.into()),
            ':' => Ok(Answer::Number(rest.parse().context("a number")?)),
            '$' => {
                let Ok(length) = usize::try_from(rest.parse::<i64>().context("a length")?) else {
                    return Ok(Answer::Nothing);
                };
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).context("a text")?;
                bytes.truncate(length);
                Ok(Answer::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            '*' => {
                let Ok(length) = usize::try_from(rest.parse::<i64>().context("a length")?) else {
                    return Ok(Answer::Nothing);
                };
                (0..length)
                    .map(|_| self.read())
                    .collect::<Result<Vec<_>>>()
                    .map(Answer::List)
            }
            other => Err(format!("it does not speak Redis's protocol: first byte {other:?}").into()),
        }
    }

    /// The field of `INFO <section>`.
    pub(super) fn info(&mut self, section: &str, field: &str) -> Result<String> {
        let answer = self.ask(&["INFO", section])?;
        let value = field_of(answer.text(), field);
        value.context(format_args!("{} told no {field}", self.node))
    }
}

/// The value of a line `field:value`.
pub(super) fn field_of(text: &str, field: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// Greets each node of a URL: `PONG` is an answer, an error is not.
pub(super) fn greet(url: &str) -> Result<()> {
    for mut wire in Wire::to_each(url)? {
        wire.ask(&["PING"])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::{Answer, Wire, field_of};

    /// A server that reads `PING` and says `answer`.
    fn asked(answer: &'static [u8]) -> Result<Answer, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut command = [0; 14];
            stream.read_exact(&mut command).unwrap();
            stream.write_all(answer).unwrap();
            command
        });
        let mut wire = Wire::to_first(&format!("redis://127.0.0.1:{port}")).unwrap();
        let answered = wire.ask(&["PING"]);
        assert_eq!(&server.join().unwrap(), b"*1\r\n$4\r\nPING\r\n");
        answered.map_err(|failure| failure.to_string())
    }

    #[test]
    fn every_kind_of_answer_is_read() {
        let text = |text: &str| Answer::Text(text.to_owned());
        assert_eq!(asked(b"+PONG\r\n"), Ok(text("PONG")));
        assert_eq!(asked(b":-7\r\n"), Ok(Answer::Number(-7)));
        assert_eq!(asked(b"$-1\r\n"), Ok(Answer::Nothing));
        assert_eq!(
            asked(b"*2\r\n$4\r\na\r\nb\r\n*0\r\n"),
            Ok(Answer::List(vec![text("a\r\nb"), Answer::List(Vec::new())]))
        );
    }

    #[test]
    fn an_error_silence_and_another_protocol_are_no_answers() {
        assert!(
            asked(b"-LOADING it is\r\n")
                .unwrap_err()
                .contains("LOADING it is")
        );
        assert!(asked(b"").unwrap_err().contains("midst"));
        assert!(asked(b"$9\r\nshort").is_err());
        assert!(asked(b"HTTP/1.0 400 Bad Request\r\n").is_err());
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Server\r\nredis_version_of:1\r\nredis_version:7.0.15\r\n";
        assert_eq!(field_of(info, "redis_version").as_deref(), Some("7.0.15"));
        assert_eq!(field_of(info, "mode"), None);
    }
}
