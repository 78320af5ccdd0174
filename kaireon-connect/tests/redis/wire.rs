//! Servers that answer what a test says, for what no real server does on demand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a server does with a command.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers, as it is on the wire.
    Say(String),
    /// Never answers; what follows on the connection still is.
    Ignore,
    /// Ends the connection.
    Close,
}

impl Act {
    pub(crate) fn ok() -> Self {
        Self::Say("+OK\r\n".to_owned())
    }

    pub(crate) fn refuse(text: &str) -> Self {
        Self::Say(format!("-{text}\r\n"))
    }
}

/// A server of one process's tests. Without a word of the test's it greets, and takes every write.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    acts: Mutex<HashMap<String, Act>>,
    seen: Mutex<Vec<Vec<String>>>,
    accepted: AtomicU64,
}

impl Wire {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    shared.accepted.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(Arc::clone(&shared).serve(stream));
                }
            }
        });
        let wire = Self {
            address,
            shared,
            task,
        };
        wire.on("PING", Act::Say("+PONG\r\n".to_owned()));
        wire
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Commands of this name are treated so from now on.
    pub(crate) fn on(&self, name: &str, act: Act) {
        self.shared.acts.lock().insert(name.to_owned(), act);
    }

    /// Nothing is answered from now on.
    pub(crate) fn hang(&self) {
        for act in self.shared.acts.lock().values_mut() {
            *act = Act::Ignore;
        }
        self.on("SET", Act::Ignore);
    }

    /// Says who has the slots, in a cluster of this epoch.
    pub(crate) fn layout(&self, epoch: u32, ranges: &[(u16, u16, u16)]) {
        let info = format!("cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\n");
        self.on("CLUSTER INFO", Act::Say(format!("${}\r\n{info}\r\n", info.len())));
        let ranges = ranges.iter().map(|(first, last, port)| {
            format!("*3\r\n:{first}\r\n:{last}\r\n*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$2\r\nid\r\n")
        });
        let ranges: Vec<_> = ranges.collect();
        let slots = format!("*{}\r\n{}", ranges.len(), ranges.concat());
        self.on("CLUSTER SLOTS", Act::Say(slots));
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How often a command of this name came.
    pub(crate) fn seen(&self, name: &str) -> usize {
        let seen = self.shared.seen.lock();
        seen.iter().filter(|words| words[0] == name).count()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(words) = command(&mut stream).await {
            let name = words[0].to_ascii_uppercase();
            let whole = format!("{name} {}", words.get(1).map_or("", |word| word));
            self.seen.lock().push(words);
            let act = {
                let acts = self.acts.lock();
                let act = acts.get(&whole).or_else(|| acts.get(&name));
                act.cloned().unwrap_or_else(Act::ok)
            };
            match act {
                Act::Say(answer) => match stream.write_all(answer.as_bytes()).await {
                    Ok(()) => {}
                    Err(_) => return,
                },
                Act::Ignore => {}
                Act::Close => return,
            }
        }
    }
}

/// The next command, or nothing where the connection ended.
async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(stream, '*').await? {
        let mut bytes = vec![0; number(stream, '$').await? + 2];
        stream.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(bytes.len() - 2);
        words.push(String::from_utf8(bytes).ok()?);
    }
    Some(words)
}

async fn number(stream: &mut BufReader<TcpStream>, kind: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(kind)?.parse().ok()
}
