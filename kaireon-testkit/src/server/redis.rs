//! A Redis server of a test's own.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::place::{ATTEMPTS, PATIENCE, free_port, new_folder};

/// A Redis server that nobody else uses, without a login, on 127.0.0.1.
///
/// It keeps its folder and its port over [`kill`](Self::kill) and [`restart`](Self::restart). Dropping it kills it and
/// removes its folder. Nothing is written to disk unless a setting says so.
#[derive(Debug)]
pub struct RedisServer {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    /// Whether it watches over others.
    sentinel: bool,
}

impl RedisServer {
    /// Starts a server with the programs of this folder; `settings` are lines of its configuration.
    ///
    /// # Errors
    ///
    /// When the program is not there or ends, with what it said; when it does not answer within two minutes.
    ///
    /// # Dropped futures
    ///
    /// What was started is killed, and a folder in the system's temporary one may be left.
    pub async fn start(programs: impl Into<PathBuf>, settings: &[&str]) -> io::Result<Self> {
        let settings = settings.iter().map(|&line| line.to_owned()).collect();
        Self::begin(programs.into(), settings, false).await
    }

    pub(super) async fn begin(programs: PathBuf, settings: Vec<String>, sentinel: bool) -> io::Result<Self> {
        let mut server = Self {
            programs,
            folder: new_folder("redis")?,
            port: 0,
            settings,
            process: None,
            sentinel,
        };
        let mut attempt = 1;
        loop {
            server.port = free_port()?;
            server.configure()?;
            match server.restart().await {
                Err(_) if attempt < ATTEMPTS && server.log()?.contains("Address already in use") => {
                    attempt += 1
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
    }

    fn configure(&self) -> io::Result<()> {
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {}", self.port),
            format!("dir {}", self.folder.display()),
            "daemonize no".to_owned(),
        ];
        if !self.sentinel {
            lines.push("save \"\"".to_owned());
        }
        lines.extend(self.settings.iter().cloned());
        std::fs::write(self.folder.join("redis.conf"), lines.join("\n") + "\n")
    }

    /// Where it is. The same after a restart.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its address without a scheme, as [`Proxy::start`](crate::proxy::Proxy::start) takes it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it (SIGKILL) and returns when it is gone; nothing if it is already. Its folder stays.
    ///
    /// # Errors
    ///
    /// When the system does not let it be killed.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Has it stand still (SIGSTOP): it takes connections and bytes, and answers nothing. Dropping it kills it all the
    /// same.
    ///
    /// # Errors
    ///
    /// When it does not run, or the system does not let it be stopped.
    pub async fn stand_still(&self) -> io::Result<()> {
        self.signal("-STOP").await
    }

    /// Has it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// As for [`stand_still`](Self::stand_still).
    pub async fn go_on(&self) -> io::Result<()> {
        self.signal("-CONT").await
    }

    async fn signal(&self, signal: &str) -> io::Result<()> {
        let process = self.process.as_ref().and_then(Child::id);
        let process = process.ok_or_else(|| io::Error::other("the server does not run"))?;
        let mut kill = Command::new("kill");
        kill.args([signal, &process.to_string()]);
        match kill.status().await?.success() {
            true => Ok(()),
            false => Err(io::Error::other("the server could not be signalled")),
        }
    }

    /// Starts it again on the same port and folder, and returns when it answers, its data loaded.
    ///
    /// # Errors
    ///
    /// When it ends instead, or does not answer within two minutes; with its log.
    ///
    /// # Dropped futures
    ///
    /// It may run, and may not answer yet.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.spawn()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let process = self.process.as_mut();
            if let Some(ended) = process.map(Child::try_wait).transpose()?.flatten() {
                self.process = None;
                return Err(io::Error::other(format!(
                    "the server ended: {ended}: {}",
                    self.log()?
                )));
            }
            match ask(&self.address(), &["PING"]).await {
                Ok(answer) if answer == "PONG" => return Ok(()),
                answer if Instant::now() >= deadline => {
                    return Err(io::Error::other(format!(
                        "no answer: {answer:?}; its log: {}",
                        self.log()?
                    )));
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Starts it again, as [`restart`](Self::restart) does, and returns at once.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn spawn(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = File::create(self.folder.join("server.log"))?;
        let mut server = Command::new(self.programs.join("redis-server"));
        server.arg(self.folder.join("redis.conf"));
        if self.sentinel {
            server.arg("--sentinel");
        }
        server
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt at the terminal is the test's to answer.
            .process_group(0)
            .kill_on_drop(true);
        self.process = Some(server.spawn()?);
        Ok(())
    }

    /// Adds a line to its configuration, which counts from the next start on.
    ///
    /// # Errors
    ///
    /// When its file cannot be written.
    pub fn set(&mut self, line: &str) -> io::Result<()> {
        self.settings.push(line.to_owned());
        self.configure()
    }

    /// Sends it a command over a connection of its own; a status, a number or a text comes back as text, a list as
    /// its parts joined by blanks.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, or refuses, with its words.
    pub async fn ask(&self, command: &[&str]) -> io::Result<String> {
        ask(&self.address(), command).await
    }

    fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(self.folder.join("server.log"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself, which is as well.
            let _ = process.start_kill();
        }
        // Who is being killed may still write; what is left then is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One command to a server.
pub(super) async fn ask(address: &str, command: &[&str]) -> io::Result<String> {
    let asked = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let mut words = format!("*{}\r\n", command.len());
        for word in command {
            words.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(words.as_bytes()).await?;
        let mut parts = Vec::new();
        let mut due = 1;
        while due > 0 {
            due -= 1;
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let line = line.trim_end();
            let number = || line[1..].parse::<usize>().unwrap_or(0);
            match line.chars().next() {
                Some('+' | ':') => parts.push(line[1..].to_owned()),
                Some('-') => return Err(io::Error::other(line[1..].to_owned())),
                Some('$') if line == "$-1" => parts.push(String::new()),
                Some('$') => {
                    let mut bytes = vec![0; number() + 2];
                    stream.read_exact(&mut bytes).await?;
                    parts.push(String::from_utf8_lossy(&bytes[..number()]).into_owned());
                }
                Some('*') => due += number(),
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(parts.join(" "))
    };
    let answered = timeout(Duration::from_secs(10), asked).await;
    answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
